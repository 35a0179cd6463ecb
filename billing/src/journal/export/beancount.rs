//! The format of beancount (3).
//!
//! Beancount adds with 28 digits: sums of more, such as amounts above ten thousand million with 18 digits after the point,
//! it cannot check, and refuses.

use super::super::account::{Account, Income};
use super::{Export, names, one_line};

pub(super) fn write(export: &Export<'_>) -> String {
    let mut text = format!("option \"title\" {}\n", quoted(&export.title()));
    for currency in export.currencies.keys() {
        text += &format!("option \"operating_currency\" \"{currency}\"\n");
    }
    text += "option \"tolerance_multiplier\" \"0\"\n\n";
    let Some(first) = export.entries.first().map(|entry| entry.date) else { return text };
    for currency in export.currencies.keys() {
        text += &format!("{first} commodity {currency}\n");
    }
    text.push('\n');
    for (account, currencies) in &export.accounts {
        let currencies: Vec<&str> = currencies.iter().map(|currency| currency.code()).collect();
        text += &format!("{first} open {} {}\n", names::name_of(account), currencies.join(","));
        if let Account::Income(Income::Usage(resource)) = account {
            text += &format!("  resource: {}\n", quoted(resource.as_str()));
        }
    }
    for entry in &export.entries {
        text += &format!("\n{} * {}\n", entry.date, quoted(&entry.description));
        if let Some(document) = entry.document {
            text += &format!("  document: {}\n", quoted(document.as_str()));
        }
        if let Some(sequence) = entry.sequence {
            text += &format!("  sequence: {sequence}\n");
        }
        text.extend(entry.lines("  "));
    }
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", one_line(text).replace('\\', "\\\\").replace('"', "\\\""))
}
