//! A ledger restored from a backup: what the restored log records of it, and how documents are numbered afterwards.
//!
//! Events after the backup are lost, and with them the numbers of documents that were issued meanwhile. So a restored
//! ledger never continues a series on its own: every series gets the mark of the restore (`INV` becomes `INV-R7K2QX9`).
//! A series whose last issued number the operator states continues after that number. Marks are random: two restores of
//! one backup know nothing of each other, and must not issue the same numbers either. A series of a seller never has a
//! hyphen, so a marked series is never that of another seller.
//!
//! Not here: copying and verifying files (see `crate::backup`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bincode::{Decode, Encode};
use serde::{Serialize, Serializer};

use super::Outcome;
use super::calendar::Calendar;
use super::event::{Event, Stream};
use super::id::{InvalidText, InvoiceId, ProjectId, Sequence, check_text};
use super::invoice::{DocumentKind, number};
use super::party::Party;
use super::project::Project;
use super::time::Timestamp;

/// Digits of a mark: those of Crockford's base 32, without letters that look like digits.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// How many digits a mark has.
const MARK_DIGITS: u32 = 6;
/// The longest text about where a backup was and where it was restored to, in bytes.
const MAX_PLACE: usize = 4096;
/// The most numbers that one restore states.
pub const MAX_STATED: usize = 1000;
/// The highest number that can be stated.
pub const MAX_NUMBER: u64 = 999_999_999_999;

/// What tells the numbers issued after one restore from those issued after any other: 30 random bits, printed as
/// `R7K2QX9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct RestoreMark(u32);

impl RestoreMark {
    /// The mark made of 30 of these random bits.
    pub fn new(random: u32) -> Self {
        Self(random & ((1 << (5 * MARK_DIGITS)) - 1))
    }
}

impl fmt::Display for RestoreMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("R")?;
        let digit = |place: u32| DIGITS[(self.0 >> (5 * place)) as usize % DIGITS.len()];
        (0..MARK_DIGITS).rev().try_for_each(|place| write!(f, "{}", char::from(digit(place))))
    }
}

impl Serialize for RestoreMark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The last number of a series and year that was issued, as the operator states it; 0 states that none was.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct LastNumber {
    /// Of which project the seller is.
    pub project: ProjectId,
    /// The number (`INV-2026-000412`).
    pub number: InvoiceId,
}

impl fmt::Display for LastNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.project {
            ProjectId::DEFAULT => self.number.fmt(f),
            project => write!(f, "{project}/{}", self.number),
        }
    }
}

/// The ledger was restored from a backup: events after `kept` are those of the restored ledger.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct LedgerRestored {
    /// Which ledger.
    #[serde(serialize_with = "super::sealed::hex")]
    pub ledger: [u8; 16],
    /// Where the backup was.
    pub from: Box<str>,
    /// Where it was restored to.
    pub to: Box<str>,
    /// The last event of the backup.
    pub backup_last: Sequence,
    /// When the backup was made.
    pub backup_at: Timestamp,
    /// The last event that was kept.
    pub kept: Sequence,
    /// The root of the log up to there.
    #[serde(serialize_with = "super::sealed::hex")]
    pub root: [u8; 32],
    /// What stands behind each series in numbers from now on, but for those of `last_numbers`.
    pub mark: RestoreMark,
    /// Series that continue, and the last number of each.
    pub last_numbers: Vec<LastNumber>,
    /// When it was restored.
    pub at: Timestamp,
}

/// Record that the ledger was restored. Only the program itself commands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRestore {
    /// Which ledger.
    pub ledger: [u8; 16],
    /// Where the backup was.
    pub from: Box<str>,
    /// Where it was restored to.
    pub to: Box<str>,
    /// The last event of the backup.
    pub backup_last: Sequence,
    /// When the backup was made.
    pub backup_at: Timestamp,
    /// The last event that was kept.
    pub kept: Sequence,
    /// The root of the log up to there.
    pub root: [u8; 32],
    /// The mark of this restore, random.
    pub mark: RestoreMark,
    /// What the operator states.
    pub last_numbers: Vec<LastNumber>,
    /// Whether the operator states that the clock is right, although the backup was made at a later time.
    pub clock_confirmed: bool,
}

/// Why a restore is not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreRefusal {
    /// Somebody else than the program commands it.
    #[error("only `slapledger restore` records a restore")]
    NotTheProgram,
    /// Where the backup was or was restored to cannot be recorded.
    #[error("{field} {reason}")]
    BadPlace {
        /// Which of the two.
        field: &'static str,
        /// What is wrong with it.
        reason: InvalidText,
    },
    /// More was kept than there is.
    #[error("kept {kept} is not in the log, which ends at {last}")]
    NotKept {
        /// What is said to be kept.
        kept: Sequence,
        /// Where the log ends.
        last: Sequence,
    },
    /// The clock shows a time before the backup was made: documents would be dated before those that were issued.
    #[error(
        "the clock shows {now}, but the backup was made at {backup_at}; correct the clock, or add --confirm-clock if it \
         is right"
    )]
    ClockBehind {
        /// What the clock shows.
        now: Timestamp,
        /// When the backup was made.
        backup_at: Timestamp,
    },
    /// Another restore has the mark.
    #[error("an earlier restore has the mark {mark}; restore again")]
    MarkTaken {
        /// Which.
        mark: RestoreMark,
    },
    /// More is stated than a ledger has series.
    #[error("last-number is stated more than {MAX_STATED} times")]
    TooMany,
    /// The text is no number of a document.
    #[error(
        "last-number {number} is no number of a document; state SERIES-YEAR-NUMBER such as INV-2026-000412, with a year \
         of at most 9999 and a number of at most {MAX_NUMBER}"
    )]
    BadNumber {
        /// What is stated.
        number: LastNumber,
    },
    /// Two numbers are stated of a series and year.
    #[error("last-number {number} states a series and year again; state the highest number only")]
    StatedTwice {
        /// The second one.
        number: LastNumber,
    },
    /// Nobody in the restored log issues documents of the series.
    #[error("last-number {number}: no seller issues documents of series {series}; {known}")]
    UnknownSeries {
        /// What is stated.
        number: LastNumber,
        /// Its series.
        series: Box<str>,
        /// Which series there are.
        known: Box<str>,
    },
    /// The year has not begun where the seller is.
    #[error("last-number {number}: {year} has not begun; state the last number of {now} or an earlier year")]
    YearNotBegun {
        /// What is stated.
        number: LastNumber,
        /// Its year.
        year: i32,
        /// The present year.
        now: i32,
    },
    /// The restored log has a higher number.
    #[error(
        "last-number {number} is below {known}, which the restored log holds; state {known} or a higher one"
    )]
    BelowKnown {
        /// What is stated.
        number: LastNumber,
        /// What the log holds.
        known: InvoiceId,
    },
}

/// A restore, as far as numbers depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct RestoreRecord {
    mark: RestoreMark,
    at: Timestamp,
    /// The last number of each year that was stated of a series.
    stated: BTreeMap<(ProjectId, Box<str>), BTreeMap<i32, u64>>,
}

/// All restores of the ledger, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Restores {
    restores: Vec<RestoreRecord>,
}

/// The restores of the ledger as the documents of one project see them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbering<'a> {
    pub(crate) restores: &'a Restores,
    pub(crate) project: ProjectId,
}

impl Numbering<'_> {
    /// What the numbers of a series and year begin with now, and the number they follow at least.
    pub(crate) fn in_force(self, series: &str, year: i32, calendar: &Calendar) -> (Box<str>, u64) {
        let (mut prefix, mut floor): (Box<str>, u64) = (series.into(), 0);
        for restore in &self.restores.restores {
            let key = (self.project, prefix);
            let stated = restore.stated.get(&key);
            prefix = key.1;
            // In a year that had not begun when the ledger was restored, nothing can be lost.
            let lost_nothing = year > number::year(calendar, restore.at);
            match stated.map(|years| years.get(&year)) {
                Some(Some(number)) => floor = floor.max(*number),
                Some(None) if lost_nothing => {}
                Some(None) | None => (prefix, floor) = (format!("{series}-{}", restore.mark).into(), 0),
            }
        }
        (prefix, floor)
    }
}

impl Restores {
    /// Decides that a restore is recorded. `project` finds a project of the ledger.
    pub(crate) fn record<'a>(
        &self,
        project: impl Fn(ProjectId) -> &'a Project,
        command: &RecordRestore,
        (now, next): (Timestamp, Sequence),
    ) -> Result<Outcome<()>, RestoreRefusal> {
        let RecordRestore {
            ledger,
            from,
            to,
            backup_last,
            backup_at,
            kept,
            root,
            mark,
            last_numbers,
            clock_confirmed,
        } = command.clone();
        for (field, place) in [("from", &from), ("to", &to)] {
            check_text(place, MAX_PLACE).map_err(|reason| RestoreRefusal::BadPlace { field, reason })?;
        }
        if kept >= next {
            return Err(RestoreRefusal::NotKept { kept, last: Sequence(next.0 - 1) });
        }
        if now < backup_at && !clock_confirmed {
            return Err(RestoreRefusal::ClockBehind { now, backup_at });
        }
        if self.restores.iter().any(|restore| restore.mark == mark) {
            return Err(RestoreRefusal::MarkTaken { mark });
        }
        if last_numbers.len() > MAX_STATED {
            return Err(RestoreRefusal::TooMany);
        }
        let mut seen = BTreeSet::new();
        let mut stated = Vec::new();
        for number in last_numbers {
            let numbering = Numbering { restores: self, project: number.project };
            let number = check(project(number.project), numbering, number, now)?;
            let place =
                number::read(&number.number).map(|(series, year, _)| (Box::<str>::from(series), year));
            if !seen.insert((number.project, place)) {
                return Err(RestoreRefusal::StatedTwice { number });
            }
            stated.push(number);
        }
        let event = LedgerRestored {
            ledger,
            from,
            to,
            backup_last,
            backup_at,
            kept,
            root,
            mark,
            last_numbers: stated,
            at: now,
        };
        Ok(Outcome::of((), [(Stream::Ledger, Event::LedgerRestored(event))]))
    }

    pub(crate) fn restored(&mut self, event: &LedgerRestored) {
        let mut stated: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for LastNumber { project, number } in &event.last_numbers {
            if let Some((series, year, number)) = number::read(number) {
                stated.entry((*project, series.into())).or_default().insert(year, number);
            }
        }
        self.restores.push(RestoreRecord { mark: event.mark, at: event.at, stated });
    }
}

/// What can be told of stated numbers without the log: how they are written, that each series and year is stated once,
/// and that the year has begun somewhere.
pub fn check_stated(stated: &[LastNumber], now: Timestamp) -> Result<(), RestoreRefusal> {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    if stated.len() > MAX_STATED {
        return Err(RestoreRefusal::TooMany);
    }
    let present = now.plus_micros(DAY).to_string().get(..4).and_then(|year| year.parse().ok());
    let present: i32 = present.unwrap_or(i32::MAX);
    let mut seen = BTreeSet::new();
    for number in stated {
        let (series, year, _) =
            read(number).ok_or_else(|| RestoreRefusal::BadNumber { number: number.clone() })?;
        if year > present {
            return Err(RestoreRefusal::YearNotBegun { number: number.clone(), year, now: present });
        }
        if !seen.insert((number.project, series, year)) {
            return Err(RestoreRefusal::StatedTwice { number: number.clone() });
        }
    }
    Ok(())
}

/// Series, year and number, if a ledger can issue such a one.
fn read(stated: &LastNumber) -> Option<(&str, i32, u64)> {
    number::read(&stated.number)
        .filter(|(_, year, number)| (0..=9999).contains(year) && *number <= MAX_NUMBER)
}

/// A stated number as it is recorded: one that a seller of the project can have issued, and not less than the log holds.
fn check(
    project: &Project,
    numbering: Numbering<'_>,
    stated: LastNumber,
    now: Timestamp,
) -> Result<LastNumber, RestoreRefusal> {
    let Some((series, year, last)) = read(&stated) else {
        return Err(RestoreRefusal::BadNumber { number: stated });
    };
    let mut seller = None;
    let mut known = BTreeSet::new();
    for (base, owner) in project.parties.series() {
        let Some(Party { calendar, .. }) = project.parties.get(owner) else { continue };
        for kind in [DocumentKind::Invoice, DocumentKind::CreditNote] {
            let (in_force, floor) = numbering.in_force(&number::prefix(base, kind), year, calendar);
            if *in_force == *series {
                seller = Some((calendar, floor));
            }
            known.insert(in_force);
        }
    }
    let Some((calendar, floor)) = seller else {
        let known = if known.is_empty() {
            format!("{} has no sellers", numbering.project)
        } else {
            let known: Vec<&str> = known.iter().take(20).map(AsRef::as_ref).collect();
            format!("the series of {} are {}", numbering.project, known.join(", "))
        };
        let series = series.into();
        return Err(RestoreRefusal::UnknownSeries { number: stated, series, known: known.into() });
    };
    let present = number::year(calendar, now);
    if year > present {
        return Err(RestoreRefusal::YearNotBegun { number: stated, year, now: present });
    }
    let known = project.invoices.last_number(series, year).max(floor);
    let number = number::write(series, year, last);
    if last < known {
        let known = number::write(series, year, known);
        return Err(RestoreRefusal::BelowKnown { number: stated, known });
    }
    Ok(LastNumber { number, ..stated })
}

#[cfg(test)]
mod tests {
    use super::RestoreMark;

    #[test]
    fn marks_are_capital_letters_and_digits() {
        let rows = [
            (0, "R000000"),
            (1, "R000001"),
            (31, "R00000Z"),
            (0x3fff_ffff, "RZZZZZZ"),
            (u32::MAX, "RZZZZZZ"),
            (0x4000_0000, "R000000"),
        ];
        for (random, text) in rows {
            assert_eq!(RestoreMark::new(random).to_string(), text, "{random:x}");
        }
    }
}
