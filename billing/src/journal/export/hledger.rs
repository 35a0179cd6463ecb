//! The journal format of hledger (1.25 and later).

use super::super::account::{Account, Income, Kind};
use super::{Export, code, description, format_sample, names};

pub(super) fn write(export: &Export<'_>) -> String {
    let mut text = format!("; {}\n\ndecimal-mark .\n\ntag sequence\n\n", export.title());
    for (currency, digits) in &export.currencies {
        text += &format!("commodity {} {currency}\n", format_sample(*digits));
    }
    text.push('\n');
    for account in export.accounts.keys() {
        if let Account::Income(Income::Usage(resource)) = account {
            text += &format!("; {resource}\n");
        }
        let kind = match account.kind() {
            Kind::Asset => 'A',
            Kind::Liability => 'L',
            Kind::Equity => 'E',
            Kind::Income => 'R',
        };
        text += &format!("account {}  ; type: {kind}\n", names::name_of(account));
    }
    for entry in &export.entries {
        let about = description(&entry.description);
        text += &format!("\n{} *{} {about}", entry.date, code(entry.document));
        if let Some(sequence) = entry.sequence {
            text += &format!("  ; sequence: {sequence}");
        }
        text.push('\n');
        text.extend(entry.lines("    "));
    }
    text
}
