//! What the calendar of a customer says, worked out once for all instances: nearly always their times are the same.
//!
//! A day or a month of a time zone is looked up in a table of changes of clocks; a line needs ten of them. Each table here
//! is short: a time that is not in it any more is worked out again.

use std::cell::RefCell;
use std::rc::Rc;

use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::pricing::Every;
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Period, Timestamp};

use crate::proration::prorate;

/// The most entries of a table.
const MOST: usize = 16;

pub(super) struct CustomerTimes<'a> {
    calendar: &'a Calendar,
    /// The period that is charged, and what is before it in its first month.
    pub(super) with_month_before: Period,
    shown: Remembered<Period, Rc<str>>,
    prorated: Remembered<(Period, Every), Option<Quantity>>,
    next_months: Remembered<Timestamp, Timestamp>,
}

impl<'a> CustomerTimes<'a> {
    pub(super) fn new(calendar: &'a Calendar, with_month_before: Period) -> Self {
        Self {
            calendar,
            with_month_before,
            shown: Remembered::default(),
            prorated: Remembered::default(),
            next_months: Remembered::default(),
        }
    }

    /// A period as it is read where the customer is.
    pub(super) fn shown(&self, period: Period) -> Rc<str> {
        self.shown.get(period, || self.calendar.shown(period).into())
    }

    /// A period in units of a fee.
    pub(super) fn prorated(&self, period: Period, every: Every) -> Option<Quantity> {
        self.prorated.get((period, every), || prorate(period, every, self.calendar))
    }

    /// The first instant of the month after the one an instant is in.
    pub(super) fn next_month(&self, instant: Timestamp) -> Timestamp {
        self.next_months.get(instant, || self.calendar.next_month(instant))
    }
}

/// Values that were worked out before, the newest last.
struct Remembered<K, V>(RefCell<Vec<(K, V)>>);

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: PartialEq, V: Clone> Remembered<K, V> {
    fn get(&self, key: K, work_out: impl FnOnce() -> V) -> V {
        let mut known = self.0.borrow_mut();
        if let Some((_, value)) = known.iter().find(|(of, _)| *of == key) {
            return value.clone();
        }
        let value = work_out();
        if known.len() == MOST {
            known.remove(0);
        }
        known.push((key, value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_table_answers_as_the_work_does() {
        let remembered = Remembered::default();
        let worked_out = RefCell::new(Vec::new());
        let get = |key: usize| {
            let value = remembered.get(key, || {
                worked_out.borrow_mut().push(key);
                key * 2
            });
            assert_eq!(value, key * 2);
        };
        (0..MOST).for_each(get);
        (0..MOST).for_each(get);
        assert_eq!(worked_out.borrow().len(), MOST, "each is worked out once");
        // One more drops the oldest alone.
        get(MOST);
        get(1);
        get(0);
        assert_eq!(worked_out.borrow()[MOST..], [MOST, 0]);
    }
}
