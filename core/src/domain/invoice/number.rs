//! Numbers of documents: a series, the year of issue where the seller is, and a number without gaps.

use chrono::Datelike;

use crate::domain::calendar::Calendar;
use crate::domain::id::InvoiceId;
use crate::domain::party::CREDIT_NOTE_SUFFIX;
use crate::domain::time::Timestamp;

use super::DocumentKind;

/// What the numbers of a kind of document begin with.
pub(crate) fn prefix(series: &str, document: DocumentKind) -> Box<str> {
    match document {
        DocumentKind::Invoice => series.into(),
        DocumentKind::CreditNote => format!("{series}{CREDIT_NOTE_SUFFIX}").into(),
    }
}

/// The year that something is issued in.
pub(crate) fn year(calendar: &Calendar, now: Timestamp) -> i32 {
    calendar.month_of(now).first().0.year()
}

pub(crate) fn write(prefix: &str, year: i32, number: u64) -> InvoiceId {
    InvoiceId::new(&format!("{prefix}-{year:04}-{number:06}"))
        .expect("a series, a year and a number are short text")
}

/// Prefix, year and number.
pub fn read(id: &InvoiceId) -> Option<(&str, i32, u64)> {
    let (rest, number) = id.as_str().rsplit_once('-')?;
    let (prefix, year) = rest.rsplit_once('-')?;
    Some((prefix, year.parse().ok()?, number.parse().ok()?))
}
