//! The format of ledger (3.3 and later).

use std::fmt::{self, Write};

use super::super::account::{Account, Income};
use super::{Export, code, description, format_sample, names};

pub(super) fn write(export: &Export<'_>, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "; {}\n\ntag sequence\n", export.title())?;
    for (currency, digits) in &export.currencies {
        let sample = format_sample(*digits);
        writeln!(out, "commodity {currency}\n    format {} {currency}", sample.trim_end_matches('.'))?;
    }
    writeln!(out)?;
    for account in export.accounts.keys() {
        if let Account::Income(Income::Usage(resource)) = account {
            writeln!(out, "; {resource}")?;
        }
        writeln!(out, "account {}", names::name_of(account))?;
    }
    for entry in &export.entries {
        let about = description(&entry.description);
        writeln!(out, "\n{} *{} {about}", entry.date, code(entry.document))?;
        if let Some(sequence) = entry.sequence {
            writeln!(out, "    ; sequence: {sequence}")?;
        }
        entry.write_lines("    ", out)?;
    }
    Ok(())
}
