//! The catalogue: what people said of software and of places where it runs, and who runs it.
//!
//! An entry says what was said: in the tables of the success stories of 2011, or by an operator since. What the log
//! itself shows of a software is derived beside it (`projections`), by the name of its releases. A story names its
//! customer by the id of a party: the name is sealed there, and erased there.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Outcome;
use super::event::{Event, Stream};
use super::id::{PartyId, Reference};
use super::party::Parties;
use super::time::Timestamp;

/// The most entries of a project.
const MOST_ENTRIES: usize = 10_000;
/// The longest text of an entry, in bytes.
const MOST_TEXT: usize = 200;
/// The most applications of a software.
const MOST_APPLICATIONS: usize = 20;

/// A table of the catalogue.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CatalogueTable {
    /// Software that keeps data.
    Storage,
    /// Software that others run on.
    Platform,
    /// Where instances run: machines, hypervisors and other clouds.
    Host,
    /// Who runs what.
    Story,
}

/// How far a software is, the least first.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AdoptionStage {
    /// Somebody thought of it.
    Considered,
    /// Somebody means to.
    Planned,
    /// It can be had.
    Supported,
    /// Somebody tried it.
    Tested,
    /// Somebody runs it.
    Used,
    /// Somebody pays for what it does.
    Production,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct CatalogueEntry {
    /// The table it is in.
    pub table: CatalogueTable,
    /// What it is called: the software, the host, or the application of a story.
    pub title: Box<str>,
    /// The group it is in; of a story, the market.
    pub category: Option<Box<str>>,
    /// The name of its releases: the folder of their address.
    pub software: Option<Reference>,
    /// How far it was said to be.
    pub stage: Option<AdoptionStage>,
    /// The same in the words of the table, where they are others.
    pub status: Option<Box<str>>,
    /// Of a host, how it is reached.
    pub recipe: Option<Box<str>>,
    /// Of a host, how many ticks its row has.
    pub ticks: Option<u8>,
    /// What runs on the software.
    pub applications: Vec<Box<str>>,
    /// Of a story, who it is about.
    pub customer: Option<PartyId>,
    /// Of a story, what the application runs on.
    pub stack: Option<Box<str>>,
    /// Of a story, the host.
    pub guest: Option<Box<str>>,
}

/// An entry is in the catalogue, or says something else now.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct CatalogueEntryRecorded {
    /// Its name.
    pub entry: Reference,
    /// What it says.
    pub says: CatalogueEntry,
    /// When.
    pub at: Timestamp,
}

/// An entry is no longer in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct CatalogueEntryRemoved {
    /// Its name.
    pub entry: Reference,
    /// When.
    pub at: Timestamp,
}

/// Record an entry, or replace what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordCatalogueEntry {
    /// Its name.
    pub entry: Reference,
    /// What it says.
    pub says: CatalogueEntry,
}

/// Remove an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveCatalogueEntry {
    /// Its name.
    pub entry: Reference,
}

/// Why a command about the catalogue is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueRefusal {
    /// There is no such entry.
    #[error("there is no catalogue entry {entry}")]
    UnknownEntry {
        /// Which.
        entry: Reference,
    },
    /// The customer of a story is no party.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Who.
        party: PartyId,
    },
    /// A member does not fit.
    #[error("{rule}")]
    BadMember {
        /// Which.
        member: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// There are too many.
    #[error("the catalogue has {max} entries, the most there may be; remove some first")]
    TooMany {
        /// How many there may be.
        max: usize,
    },
}

/// What decisions know of the catalogue: what each entry says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct CatalogueEntries {
    by_name: BTreeMap<Reference, CatalogueEntry>,
}

impl CatalogueEntries {
    pub(crate) fn record(
        &self,
        parties: &Parties,
        command: &RecordCatalogueEntry,
        now: Timestamp,
    ) -> Result<Outcome<()>, CatalogueRefusal> {
        let RecordCatalogueEntry { entry, says } = command.clone();
        says.check()?;
        if let Some(party) = says.customer.filter(|party| parties.get(*party).is_none()) {
            return Err(CatalogueRefusal::UnknownParty { party });
        }
        match self.by_name.get(&entry) {
            Some(known) if *known == says => return Ok(Outcome::unchanged(())),
            None if self.by_name.len() >= MOST_ENTRIES => {
                return Err(CatalogueRefusal::TooMany { max: MOST_ENTRIES });
            }
            _ => {}
        }
        let stream = Stream::Product(entry.clone());
        let event = Event::CatalogueEntryRecorded(Box::new(CatalogueEntryRecorded { entry, says, at: now }));
        Ok(Outcome::of((), [(stream, event)]))
    }

    pub(crate) fn remove(
        &self,
        command: &RemoveCatalogueEntry,
        now: Timestamp,
    ) -> Result<Outcome<()>, CatalogueRefusal> {
        let entry = command.entry.clone();
        if !self.by_name.contains_key(&entry) {
            return Err(CatalogueRefusal::UnknownEntry { entry });
        }
        let stream = Stream::Product(entry.clone());
        let event = Event::CatalogueEntryRemoved(CatalogueEntryRemoved { entry, at: now });
        Ok(Outcome::of((), [(stream, event)]))
    }

    pub(crate) fn recorded(&mut self, event: &CatalogueEntryRecorded) {
        self.by_name.insert(event.entry.clone(), event.says.clone());
    }

    pub(crate) fn removed(&mut self, event: &CatalogueEntryRemoved) {
        self.by_name.remove(&event.entry);
    }
}

impl CatalogueEntry {
    /// Each table has its own members.
    fn check(&self) -> Result<(), CatalogueRefusal> {
        let text = |member, text: &str| {
            let fits =
                !text.trim().is_empty() && text.len() <= MOST_TEXT && !text.chars().any(char::is_control);
            if fits { Ok(()) } else { bad(member, "must be 1 to 200 bytes of text on one line") }
        };
        text("title", &self.title)?;
        let texts = [
            ("category", &self.category),
            ("status", &self.status),
            ("recipe", &self.recipe),
            ("stack", &self.stack),
            ("guest", &self.guest),
        ];
        for (member, value) in texts {
            value.as_ref().map_or(Ok(()), |value| text(member, value))?;
        }
        for application in &self.applications {
            text("applications", application)?;
        }
        if self.applications.len() > MOST_APPLICATIONS {
            return bad("applications", "must be at most 20");
        }
        let is_story = self.table == CatalogueTable::Story;
        let is_host = self.table == CatalogueTable::Host;
        if is_story && self.customer.is_none() {
            return bad("customer", "is missing: a story is about a customer");
        }
        for (member, given) in [
            ("customer", self.customer.is_some()),
            ("stack", self.stack.is_some()),
            ("guest", self.guest.is_some()),
        ] {
            if given && !is_story {
                return bad(member, "must be left out: only a story has it");
            }
        }
        for (member, given) in [("recipe", self.recipe.is_some()), ("ticks", self.ticks.is_some())] {
            if given && !is_host {
                return bad(member, "must be left out: only a host has it");
            }
        }
        if self.ticks.is_some_and(|ticks| ticks > 7) {
            return bad("ticks", "must be a number from 0 to 7, for a row has seven columns");
        }
        if (is_story || is_host) && !self.applications.is_empty() {
            return bad("applications", "must be left out: only storage and platforms have it");
        }
        Ok(())
    }
}

fn bad(member: &'static str, rule: &'static str) -> Result<(), CatalogueRefusal> {
    Err(CatalogueRefusal::BadMember { member, rule })
}

#[cfg(test)]
mod tests {
    use crate::domain::given::{Given, reference, register_party};

    use super::*;

    fn mysql() -> CatalogueEntry {
        CatalogueEntry {
            table: CatalogueTable::Storage,
            title: "MySQL".into(),
            category: Some("SQL".into()),
            software: Some(reference("mysql")),
            stage: Some(AdoptionStage::Production),
            status: None,
            recipe: None,
            ticks: None,
            applications: vec!["PALO Web".into()],
            customer: None,
            stack: None,
            guest: None,
        }
    }

    fn story(party: u64) -> CatalogueEntry {
        CatalogueEntry {
            table: CatalogueTable::Story,
            applications: Vec::new(),
            customer: Some(PartyId(party)),
            stack: Some("ERP5".into()),
            ..mysql()
        }
    }

    fn record(says: CatalogueEntry) -> RecordCatalogueEntry {
        RecordCatalogueEntry { entry: reference("entry"), says }
    }

    #[test]
    fn an_entry_is_recorded_replaced_and_removed() {
        let given = Given::nothing();
        let now = given.now;
        let event = |says| {
            let event = CatalogueEntryRecorded { entry: reference("entry"), says, at: now };
            (Stream::Product(reference("entry")), Event::CatalogueEntryRecorded(Box::new(event)))
        };
        let later = CatalogueEntry { stage: Some(AdoptionStage::Used), ..mysql() };
        let removed = CatalogueEntryRemoved { entry: reference("entry"), at: now };
        let unknown = CatalogueRefusal::UnknownEntry { entry: reference("entry") };
        given
            .when(RemoveCatalogueEntry { entry: reference("entry") })
            .refused(unknown.clone())
            .when(record(mysql()))
            .then([event(mysql())])
            .and()
            .when(record(mysql()))
            .unchanged()
            .and()
            .when(record(later.clone()))
            .then([event(later)])
            .and()
            .when(RemoveCatalogueEntry { entry: reference("entry") })
            .then([(Stream::Product(reference("entry")), Event::CatalogueEntryRemoved(removed))])
            .and()
            .when(RemoveCatalogueEntry { entry: reference("entry") })
            .refused(unknown);
    }

    #[test]
    fn a_story_is_about_a_party() {
        let given = Given::nothing().done(register_party());
        let given =
            given.when(record(story(2))).refused(CatalogueRefusal::UnknownParty { party: PartyId(2) });
        let event = CatalogueEntryRecorded { entry: reference("entry"), says: story(1), at: given.now };
        let event = (Stream::Product(reference("entry")), Event::CatalogueEntryRecorded(Box::new(event)));
        given.when(record(story(1))).then([event]);
    }

    #[test]
    fn members_fit_their_table() {
        let long: Box<str> = "x".repeat(201).into();
        let rows: [(CatalogueEntry, &str); 10] = [
            (CatalogueEntry { title: " ".into(), ..mysql() }, "title must be 1 to 200 bytes"),
            (CatalogueEntry { category: Some(long), ..mysql() }, "category must be 1 to 200 bytes"),
            (CatalogueEntry { status: Some("a\nb".into()), ..mysql() }, "status must be 1 to 200 bytes"),
            (CatalogueEntry { customer: None, ..story(1) }, "customer is missing"),
            (CatalogueEntry { customer: Some(PartyId(1)), ..mysql() }, "customer must be left out"),
            (CatalogueEntry { guest: Some("kvm".into()), ..mysql() }, "guest must be left out"),
            (CatalogueEntry { ticks: Some(1), ..mysql() }, "ticks must be left out"),
            (
                CatalogueEntry {
                    table: CatalogueTable::Host,
                    applications: Vec::new(),
                    ticks: Some(8),
                    ..mysql()
                },
                "ticks must be a number from 0 to 7",
            ),
            (
                CatalogueEntry { applications: vec!["x".into(); 21], ..mysql() },
                "applications must be at most 20",
            ),
            (
                CatalogueEntry { table: CatalogueTable::Host, ..mysql() },
                "applications must be left out: only storage",
            ),
        ];
        for (says, rule) in rows {
            let Err(CatalogueRefusal::BadMember { member, rule: told }) = says.check() else {
                panic!("{rule}")
            };
            let told = format!("{member} {told}");
            assert!(told.starts_with(rule), "{told}");
        }
    }

    #[test]
    fn stages_are_in_order() {
        use AdoptionStage::{Considered, Planned, Production, Supported, Tested, Used};
        assert!([Considered, Planned, Supported, Tested, Used, Production].is_sorted());
    }
}
