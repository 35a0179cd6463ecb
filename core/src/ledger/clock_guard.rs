//! Whether the clock can be believed: a small state machine that compares it with elapsed time and with the log.
//!
//! While the program runs, the clock must have moved as far as elapsed time has, within a bound. At the start it must not
//! show an earlier time than the last event, nor one so much later that the ledger would have been off for longer than a
//! bound. A clock that breaks a rule is in doubt: the writer records nothing until the clock shows a believable time again
//! or an operator confirms it.
//!
//! A clock without a source of elapsed time (set by hand, or read from a file) steps by design and is never in doubt.

use std::fmt;
use std::time::Duration;

use crate::domain::time::Timestamp;

/// How far a confirmation may be from the clock that it confirms.
pub(super) const CONFIRMATION_WITHIN: Duration = Duration::from_secs(60);
/// How far the clock may be behind the last event before documents are refused and health reports it.
pub(super) const BEHIND_TOLERANCE: Duration = Duration::from_secs(5);

/// How far the clock may step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockBounds {
    /// How far the clock may step forward or back while the program runs, and be behind the last event at the start.
    pub most_step: Duration,
    /// How far the clock may be ahead of the last event at the start.
    pub most_absence: Duration,
}

impl Default for ClockBounds {
    fn default() -> Self {
        Self { most_step: Duration::from_secs(300), most_absence: Duration::from_secs(31 * 24 * 3600) }
    }
}

/// The clock, and how much time has passed since some fixed instant of this run of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockReading {
    pub(super) now: Timestamp,
    /// `None`: this clock steps by design.
    pub(super) elapsed: Option<Duration>,
}

/// Which rule the clock broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockDoubtCause {
    /// It stepped while the program ran.
    Stepped,
    /// At the start it was earlier than the last event.
    BehindAtStart,
    /// At the start it was very much later than the last event.
    LongAbsence,
}

/// The clock shows a time that it should not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockDoubt {
    /// Which rule it broke.
    pub cause: ClockDoubtCause,
    /// What the clock shows.
    pub now: Timestamp,
    /// What it should show: after a step, the time by elapsed time; at the start, the time of the last event.
    pub expected: Timestamp,
}

impl fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, now, expected } = self;
        match cause {
            ClockDoubtCause::Stepped => {
                write!(f, "the clock shows {now}, and by elapsed time it should show {expected}")
            }
            ClockDoubtCause::BehindAtStart => {
                write!(f, "the clock shows {now}, earlier than the last event, recorded at {expected}")
            }
            ClockDoubtCause::LongAbsence => {
                write!(f, "the clock shows {now}, and the last event was recorded long before, at {expected}")
            }
        }
    }
}

/// What is known of the right time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KnownTime {
    /// The clock was right when this much time had passed.
    At(Timestamp, Duration),
    /// Nothing but what the log says: right times were recorded up to `earliest`, and events up to `latest`.
    Start { earliest: Timestamp, latest: Timestamp, elapsed: Duration },
    /// Nothing: the ledger is new, or this clock steps by design.
    Nothing,
}

/// See the module.
#[derive(Debug)]
pub(super) struct ClockGuard {
    bounds: ClockBounds,
    known: KnownTime,
    doubt: Option<ClockDoubt>,
}

impl ClockGuard {
    /// At the start. `log` is what the log says, if anything: the last time that is known to have been right, and the time
    /// of the last event, which is later if the clock was ahead once.
    pub(super) fn new(
        bounds: ClockBounds,
        log: Option<(Timestamp, Timestamp)>,
        reading: ClockReading,
    ) -> Self {
        let known = match (log, reading.elapsed) {
            (Some((earliest, latest)), Some(elapsed)) => KnownTime::Start { earliest, latest, elapsed },
            _ => KnownTime::Nothing,
        };
        let mut guard = Self { bounds, known, doubt: None };
        guard.observe(reading);
        guard
    }

    /// Takes a reading over, and says whether the clock is in doubt.
    pub(super) fn observe(&mut self, reading: ClockReading) -> Option<ClockDoubt> {
        let ClockReading { now, elapsed: Some(elapsed) } = reading else { return None };
        self.doubt = self.judge(now, elapsed);
        if self.doubt.is_none() {
            // From here on: a clock that drifts, or is slewed, has not stepped.
            self.known = KnownTime::At(now, elapsed);
        }
        self.doubt
    }

    fn judge(&self, now: Timestamp, elapsed: Duration) -> Option<ClockDoubt> {
        let ClockBounds { most_step, most_absence } = self.bounds;
        let doubt = |cause, expected| Some(ClockDoubt { cause, now, expected });
        match self.known {
            KnownTime::Nothing => None,
            KnownTime::At(right, then) => {
                let expected = after(right, elapsed.saturating_sub(then));
                let step = now.micros().abs_diff(expected.micros());
                if u128::from(step) <= most_step.as_micros() {
                    return None;
                }
                doubt(ClockDoubtCause::Stepped, expected)
            }
            KnownTime::Start { earliest, latest, elapsed: then } => {
                if after(now, most_step) < earliest {
                    return doubt(ClockDoubtCause::BehindAtStart, earliest);
                }
                if now > after(latest, most_absence.saturating_add(elapsed.saturating_sub(then))) {
                    return doubt(ClockDoubtCause::LongAbsence, latest);
                }
                None
            }
        }
    }

    #[cfg(test)]
    fn doubt(&self) -> Option<ClockDoubt> {
        self.doubt
    }

    /// An operator said that the clock was right at this reading.
    pub(super) fn confirm(&mut self, reading: ClockReading) {
        if let Some(elapsed) = reading.elapsed {
            (self.known, self.doubt) = (KnownTime::At(reading.now, elapsed), None);
        }
    }
}

fn after(instant: Timestamp, duration: Duration) -> Timestamp {
    instant.plus_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: ClockBounds =
        ClockBounds { most_step: Duration::from_secs(300), most_absence: Duration::from_secs(86_400) };
    const DAY: i64 = 86_400;

    fn noon(seconds: i64) -> Timestamp {
        let noon = Timestamp::parse_rfc3339("2026-10-01T12:00:00Z").expect("an instant");
        noon.plus_micros(seconds * 1_000_000)
    }

    fn reading(now: i64, elapsed: u64) -> ClockReading {
        ClockReading { now: noon(now), elapsed: Some(Duration::from_secs(elapsed)) }
    }

    /// The guard of a log whose last event was recorded at noon, by a clock that was right.
    fn started(reading: ClockReading) -> ClockGuard {
        ClockGuard::new(BOUNDS, Some((noon(0), noon(0))), reading)
    }

    fn cause(doubt: Option<ClockDoubt>) -> Option<ClockDoubtCause> {
        doubt.map(|doubt| doubt.cause)
    }

    #[test]
    fn a_step_past_the_bound_is_in_doubt_until_it_is_undone() {
        use ClockDoubtCause::Stepped;
        for (step, is_step) in [(300, false), (-300, false), (301, true), (-301, true), (365 * DAY, true)] {
            let mut guard = started(reading(10, 1000));
            let doubt = guard.observe(reading(70 + step, 1060));
            assert_eq!(cause(doubt), is_step.then_some(Stepped), "{step}");
            if !is_step {
                continue;
            }
            let doubt = doubt.expect("it is in doubt");
            assert_eq!((doubt.now, doubt.expected), (noon(70 + step), noon(70)), "{step}");
            // Doubt does not pass by itself: the time that it should be goes on with elapsed time.
            assert_eq!(
                guard.observe(reading(5000 + step, 5990)).map(|doubt| doubt.expected),
                Some(noon(5000))
            );
            assert_eq!(guard.doubt().map(|doubt| doubt.cause), Some(Stepped));
            assert_eq!(guard.observe(reading(5000, 5990)), None, "the step was undone");
            assert_eq!(guard.observe(reading(5010, 6000)), None);
        }
    }

    #[test]
    fn a_clock_that_drifts_has_not_stepped() {
        let mut guard = started(reading(0, 0));
        for hour in 1..1000_u32 {
            // A minute too fast each hour: ten hours of it would be a step.
            let doubt = guard.observe(reading(i64::from(hour) * 3660, u64::from(hour) * 3600));
            assert_eq!(doubt, None, "{hour}");
        }
    }

    #[test]
    fn a_start_is_compared_with_the_last_event() {
        use ClockDoubtCause::{BehindAtStart, LongAbsence};
        let rows = [
            (-300, None),
            (-301, Some(BehindAtStart)),
            (-365 * DAY, Some(BehindAtStart)),
            (0, None),
            (DAY, None),
            (DAY + 1, Some(LongAbsence)),
            (365 * DAY, Some(LongAbsence)),
        ];
        for (now, expected) in rows {
            let mut guard = started(reading(now, 5));
            assert_eq!(cause(guard.doubt()), expected, "{now}");
            if expected.is_none() {
                continue;
            }
            assert_eq!(cause(guard.observe(reading(now, 5))), expected, "{now}: it does not pass by itself");
            assert_eq!(guard.observe(reading(60, 65)), None, "{now}: it was corrected");
            assert_eq!(cause(guard.observe(reading(1000, 66))), Some(ClockDoubtCause::Stepped), "{now}");
        }
        // A start that waits long for a person may not become one of a long absence by that.
        let mut waiting = started(reading(-301, 0));
        assert_eq!(waiting.observe(reading(DAY + 3000, 3600)), None);
    }

    #[test]
    fn a_log_that_was_ahead_and_whose_clock_was_confirmed_starts_anywhere_between() {
        // Events were recorded a year ahead; then somebody confirmed noon.
        let guard = |now| {
            let log = Some((noon(0), noon(365 * DAY)));
            cause(ClockGuard::new(BOUNDS, log, reading(now, 5)).doubt())
        };
        assert_eq!(guard(-301), Some(ClockDoubtCause::BehindAtStart));
        assert_eq!([guard(0), guard(100 * DAY), guard(366 * DAY)], [None; 3]);
        assert_eq!(guard(366 * DAY + 1), Some(ClockDoubtCause::LongAbsence));
    }

    #[test]
    fn a_confirmed_clock_is_right_and_may_step_no_more_than_before() {
        let mut guard = started(reading(0, 0));
        assert!(guard.observe(reading(365 * DAY, 1)).is_some());
        guard.confirm(reading(365 * DAY, 2));
        assert_eq!((guard.doubt(), guard.observe(reading(365 * DAY + 1, 3))), (None, None));
        assert_eq!(cause(guard.observe(reading(0, 4))), Some(ClockDoubtCause::Stepped), "back again");
    }

    #[test]
    fn a_clock_that_is_set_by_hand_is_never_in_doubt_and_a_new_ledger_has_nothing_to_compare_with() {
        let by_hand = |now| ClockReading { now: noon(now), elapsed: None };
        let mut guard = started(by_hand(-365 * DAY));
        assert_eq!((guard.doubt(), guard.observe(by_hand(365 * DAY))), (None, None));
        let mut new = ClockGuard::new(BOUNDS, None, reading(-365 * DAY, 0));
        assert_eq!(new.doubt(), None);
        assert_eq!(cause(new.observe(reading(0, 1))), Some(ClockDoubtCause::Stepped));
    }
}
