//! The journal format of hledger (1.25 and later).

use std::fmt::{self, Write};

use super::super::account::{Account, AccountKind, Income};
use super::{Export, code, description, format_sample, names};

pub(super) fn write(export: &Export<'_>, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "; {}\n\ndecimal-mark .\n\ntag sequence\n", export.title())?;
    for (currency, digits) in &export.currencies {
        writeln!(out, "commodity {} {currency}", format_sample(*digits))?;
    }
    writeln!(out)?;
    for account in export.accounts.keys() {
        if let Account::Income(Income::Usage(resource)) = account {
            writeln!(out, "; {resource}")?;
        }
        let kind = match account.kind() {
            AccountKind::Asset => 'A',
            AccountKind::Liability => 'L',
            AccountKind::Equity => 'E',
            AccountKind::Income => 'R',
            AccountKind::Expense => 'X',
        };
        writeln!(out, "account {}  ; type: {kind}", names::name_of(account))?;
    }
    for entry in &export.entries {
        let about = description(&entry.description);
        write!(out, "\n{} *{} {about}", entry.date, code(entry.document))?;
        if let Some(sequence) = entry.sequence {
            write!(out, "  ; sequence: {sequence}")?;
        }
        writeln!(out)?;
        entry.write_lines("    ", out)?;
    }
    Ok(())
}
