//! The format of ledger (3.3 and later).

use super::super::account::{Account, Income};
use super::{Export, code, description, format_sample, names};

pub(super) fn write(export: &Export<'_>) -> String {
    let mut text = format!("; {}\n\ntag sequence\n\n", export.title());
    for (currency, digits) in &export.currencies {
        let sample = format_sample(*digits);
        text += &format!("commodity {currency}\n    format {} {currency}\n", sample.trim_end_matches('.'));
    }
    text.push('\n');
    for account in export.accounts.keys() {
        if let Account::Income(Income::Usage(resource)) = account {
            text += &format!("; {resource}\n");
        }
        text += &format!("account {}\n", names::name_of(account));
    }
    for entry in &export.entries {
        let about = description(&entry.description);
        text += &format!("\n{} *{} {about}\n", entry.date, code(entry.document));
        if let Some(sequence) = entry.sequence {
            text += &format!("    ; sequence: {sequence}\n");
        }
        text.extend(entry.lines("    "));
    }
    text
}
