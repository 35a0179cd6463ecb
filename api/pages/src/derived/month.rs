//! Months, as addresses name them: 2026-10.

use chrono::{Datelike, Months, NaiveDate};

use crate::answers::PageRequest;
use crate::format;

/// A month by its first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CalendarMonth(pub(super) NaiveDate);

impl CalendarMonth {
    /// The month of a text such as 2026-10.
    pub(super) fn read(text: &str) -> Option<Self> {
        format!("{text}-01").parse().ok().map(Self)
    }

    /// The month that an address names; the last one that is over, if it names none.
    pub(super) fn asked(asked: &PageRequest) -> Option<Self> {
        asked.parameter("month").and_then(Self::read).or_else(|| Self::current(asked)?.before())
    }

    /// The month it is.
    pub(super) fn current(asked: &PageRequest) -> Option<Self> {
        format::parse(&asked.now)?.date_naive().with_day(1).map(Self)
    }

    pub(super) fn before(self) -> Option<Self> {
        self.0.checked_sub_months(Months::new(1)).map(Self)
    }

    pub(super) fn after(self) -> Option<Self> {
        self.0.checked_add_months(Months::new(1)).map(Self)
    }

    /// As an address names it.
    pub(super) fn key(self) -> String {
        format!("{:04}-{:02}", self.0.year(), self.0.month())
    }

    /// As routes take it: two days.
    pub(super) fn period(self) -> String {
        let stop = self.after().map_or(self.0, |after| after.0);
        format!("{}/{stop}", self.0)
    }
}
