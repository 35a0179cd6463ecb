//! The format of beancount (3).
//!
//! Beancount adds with 28 digits: sums of more, such as amounts above ten thousand million with 18 digits after the point,
//! it cannot check, and refuses.

use std::fmt::{self, Write};

use slapledger_core::domain::money::Currency;

use super::super::account::{Account, Income};
use super::{Export, names, one_line};

pub(super) fn write(export: &Export<'_>, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "option \"title\" {}", quoted(&export.title()))?;
    for currency in export.currencies.keys() {
        writeln!(out, "option \"operating_currency\" \"{currency}\"")?;
    }
    writeln!(out, "option \"tolerance_multiplier\" \"0\"\n")?;
    let Some(first) = export.entries.first().map(|entry| entry.date) else { return Ok(()) };
    for currency in export.currencies.keys() {
        writeln!(out, "{first} commodity {currency}")?;
    }
    writeln!(out)?;
    for (account, currencies) in &export.accounts {
        let currencies: Vec<&str> = currencies.iter().map(Currency::code).collect();
        writeln!(out, "{first} open {} {}", names::name_of(account), currencies.join(","))?;
        if let Account::Income(Income::Usage(resource)) = account {
            writeln!(out, "  resource: {}", quoted(resource.as_str()))?;
        }
    }
    for entry in &export.entries {
        writeln!(out, "\n{} * {}", entry.date, quoted(&entry.description))?;
        if let Some(document) = entry.document {
            writeln!(out, "  document: {}", quoted(document.as_str()))?;
        }
        if let Some(sequence) = entry.sequence {
            writeln!(out, "  sequence: {sequence}")?;
        }
        entry.write_lines("  ", out)?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", one_line(text).replace('\\', "\\\\").replace('"', "\\\""))
}
