//! The catalogue: every software release that was ever supplied or requested, and how much it is used; and the products
//! that publishers published releases of; and the entries of the catalogue, beside what the log shows of their software.
//!
//! A release stays in it when nobody uses it any more; the counts say so.

pub mod adoption;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::Bound;

use bincode::{Decode, Encode};
use slapledger_core::domain::catalogue::CatalogueEntry;
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{ComputerId, InstanceId, PartyId, Reference, Sequence, SoftwareRelease};
use slapledger_core::domain::product::SoftwareReleasePublished;
use slapledger_core::domain::software::SoftwareState;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::Recorded;

use self::adoption::{Adoption, Adoptions};
use crate::page::Page;
use crate::rows::RowDigests;
use crate::view::{Projection, put};

/// A software release.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Release {
    /// Its address.
    pub release: SoftwareRelease,
    /// When it was first supplied or requested.
    pub first_seen: Timestamp,
    /// By which event.
    pub first_sequence: Sequence,
    /// How many living instances run it or are to run it.
    pub instances: u64,
    /// The computers it is to be on, or is being removed from.
    pub supplies: BTreeSet<ComputerId>,
}

/// A software product.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Product {
    /// What people call it.
    pub product: Reference,
    /// Who publishes it.
    pub publisher: PartyId,
    /// Its releases, the best (the last that was published) first.
    pub releases: Vec<SoftwareRelease>,
    /// When the best one was published.
    pub published_at: Timestamp,
    /// By which event.
    pub changed_by: Sequence,
}

/// An entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KnownEntry {
    /// Its name.
    pub entry: Reference,
    /// What it says.
    pub says: CatalogueEntry,
    /// The event that recorded it first: by this, tables keep the order of their document.
    pub first_sequence: Sequence,
    /// The event by which it says this.
    pub changed_by: Sequence,
}

/// All known releases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Catalogue {
    releases: BTreeMap<SoftwareRelease, Release>,
    /// What each living instance runs: the event that ends one does not say it.
    running: BTreeMap<InstanceId, SoftwareRelease>,
    products: BTreeMap<Reference, Product>,
    entries: BTreeMap<Reference, KnownEntry>,
    schemas: BTreeMap<SoftwareRelease, (Box<str>, Sequence)>,
    adoptions: Adoptions,
}

impl Catalogue {
    /// A release by its address.
    pub fn release(&self, release: &str) -> Option<&Release> {
        self.releases.get(release)
    }

    /// Those releases after an address that are shown, in order of their addresses.
    pub fn releases(
        &self,
        shown: impl Fn(&Release) -> bool,
        after: Option<&str>,
        limit: usize,
    ) -> Page<&Release, SoftwareRelease> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.releases.range::<str, _>((from, Bound::Unbounded)).map(|(_, release)| release);
        Page::take(found.filter(|release| shown(release)), limit, |release| release.release.clone())
    }

    /// The releases of the products of a publisher.
    pub fn published_by(&self, publisher: PartyId) -> BTreeSet<&SoftwareRelease> {
        let theirs = self.products.values().filter(|product| product.publisher == publisher);
        theirs.flat_map(|product| &product.releases).collect()
    }

    /// A product by its reference.
    pub fn product(&self, reference: &str) -> Option<&Product> {
        self.products.get(reference)
    }

    /// The product that a release is one of.
    pub fn product_of(&self, release: &str) -> Option<&Product> {
        self.products.values().find(|product| product.releases.iter().any(|known| known.as_str() == release))
    }

    /// Products after a reference, in order of their references.
    pub fn products(&self, after: Option<&str>, limit: usize) -> Page<&Product, Reference> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.products.range::<str, _>((from, Bound::Unbounded)).map(|(_, product)| product);
        Page::take(found, limit, |product| product.product.clone())
    }

    /// An entry by its name.
    pub fn entry(&self, entry: &str) -> Option<&KnownEntry> {
        self.entries.get(entry)
    }

    /// Those entries after a name that are shown, in order of their names.
    pub fn entries(
        &self,
        shown: impl Fn(&KnownEntry) -> bool,
        after: Option<&str>,
        limit: usize,
    ) -> Page<&KnownEntry, Reference> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.entries.range::<str, _>((from, Bound::Unbounded)).map(|(_, entry)| entry);
        Page::take(found.filter(|entry| shown(entry)), limit, |entry| entry.entry.clone())
    }

    /// How the parameters of a release are described, as JSON; and by which event.
    pub fn schema(&self, release: &str) -> Option<(&str, Sequence)> {
        self.schemas.get(release).map(|(schema, by)| (&**schema, *by))
    }

    /// What the log shows of the software of a name.
    pub fn adoption(&self, software: &str) -> Adoption {
        self.adoptions.of(software)
    }

    /// Takes the next event over.
    pub fn apply(&mut self, recorded: &Recorded) {
        let sequence = recorded.sequence;
        self.adoptions.apply(recorded);
        match &recorded.event {
            Event::SoftwareSupplied(event) => {
                // Asked away, it is there until the computer says that it is gone.
                let computer = event.computer.clone();
                self.seen(&event.release, event.at, sequence).supplies.insert(computer);
            }
            Event::SoftwareStateReported(event) if event.state == SoftwareState::Destroyed => {
                if let Some(release) = self.releases.get_mut(&event.release) {
                    release.supplies.remove(&event.computer);
                }
            }
            Event::SoftwareReleasePublished(event) => self.published(event, sequence),
            Event::CatalogueEntryRecorded(event) => {
                let first_sequence =
                    self.entries.get(&event.entry).map_or(sequence, |known| known.first_sequence);
                let (entry, says) = (event.entry.clone(), event.says.clone());
                let known = KnownEntry { entry: entry.clone(), says, first_sequence, changed_by: sequence };
                self.entries.insert(entry, known);
            }
            Event::SoftwareSchemaSupplied(event) => {
                self.schemas.insert(event.release.clone(), (event.schema.clone(), sequence));
            }
            Event::CatalogueEntryRemoved(event) => {
                self.entries.remove(&event.entry);
            }
            Event::InstanceRequested(event) => {
                self.seen(&event.release, event.at, sequence).instances += 1;
                self.running.insert(event.instance, event.release.clone());
            }
            Event::InstanceChanged(event) => {
                if let Some(release) = &event.release {
                    // One that has ended runs nothing.
                    if let Some(before) = self.running.insert(event.instance, release.clone()) {
                        self.seen(release, event.at, sequence).instances += 1;
                        self.leave(&before);
                    } else {
                        self.running.remove(&event.instance);
                    }
                }
            }
            Event::InstanceEnded(event) => {
                if let Some(release) = self.running.remove(&event.instance) {
                    self.leave(&release);
                }
            }
            _ => {}
        }
    }

    fn seen(&mut self, release: &SoftwareRelease, at: Timestamp, by: Sequence) -> &mut Release {
        self.releases.entry(release.clone()).or_insert_with(|| Release {
            release: release.clone(),
            first_seen: at,
            first_sequence: by,
            instances: 0,
            supplies: BTreeSet::new(),
        })
    }

    fn published(&mut self, event: &SoftwareReleasePublished, by: Sequence) {
        let SoftwareReleasePublished { product, release, publisher, at } = event;
        let known = self.products.entry(product.clone()).or_insert_with(|| Product {
            product: product.clone(),
            publisher: *publisher,
            releases: Vec::new(),
            published_at: *at,
            changed_by: by,
        });
        known.releases.retain(|known| known != release);
        known.releases.insert(0, release.clone());
        (known.published_at, known.changed_by) = (*at, by);
    }

    fn leave(&mut self, release: &SoftwareRelease) {
        if let Some(release) = self.releases.get_mut(release) {
            release.instances = release.instances.saturating_sub(1);
        }
    }
}

impl Projection for Catalogue {
    fn name(&self) -> &'static str {
        "catalogue"
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        put(self, out)
    }

    fn rows(&self, rows: &mut RowDigests) {
        rows.table("releases", &self.releases);
        rows.table("running", &self.running);
        rows.table("products", &self.products);
        rows.table("entries", &self.entries);
        rows.table("schemas", &self.schemas);
        rows.value("adoptions", String::new(), &self.adoptions);
    }
}

#[cfg(test)]
mod tests {
    use slapledger_core::domain::Command;
    use slapledger_core::domain::id::PartyId;
    use slapledger_core::domain::instance::{RequestInstance, RequestedState, Requester};
    use slapledger_core::domain::software::{ReportSoftware, SupplySoftware, SupplyState};

    use super::*;
    use crate::testing::{Story, computer, release, request};

    const ONE: &str = "http://example.com/one.cfg";
    const TWO: &str = "http://example.com/two.cfg";

    fn counts(story: &Story, url: &str) -> Option<(u64, usize)> {
        story.view.catalogue.release(url).map(|release| (release.instances, release.supplies.len()))
    }

    #[test]
    fn releases_are_counted_and_never_forgotten() {
        let mut story = Story::begin();
        let first_seen = story.now;
        let supply = |state| {
            let (computer, release) = (computer("COMP-1"), release(ONE));
            Command::SupplySoftware(SupplySoftware { computer, release, state })
        };
        assert_eq!(counts(&story, ONE), None);
        story.then(supply(SupplyState::Available));
        assert_eq!(counts(&story, ONE), Some((0, 1)));
        story.passes(1);
        let wish = request(Requester::Party(PartyId(1)), "a");
        story.request(wish.clone());
        story.request(request(Requester::Party(PartyId(1)), "b"));
        assert_eq!(counts(&story, ONE), Some((2, 1)));
        let wish = RequestInstance { release: release(TWO), ..wish };
        story.request(wish.clone());
        assert_eq!((counts(&story, ONE), counts(&story, TWO)), (Some((1, 1)), Some((1, 0))));
        story.then(supply(SupplyState::Destroyed));
        assert_eq!(counts(&story, ONE), Some((1, 1)));
        let (computer, state) = (computer("COMP-1"), SoftwareState::Destroyed);
        let gone = ReportSoftware { computer, release: release(ONE), state, error: None };
        story.then(Command::ReportSoftware(gone));
        assert_eq!(counts(&story, ONE), Some((1, 0)));
        for _ in 0..3 {
            story.request(request(Requester::Party(PartyId(1)), &format!("more {}", story.events.len())));
        }
        // One that waits ends when it is asked away, without ever having run.
        let waiting = request(Requester::Party(PartyId(1)), "waits");
        story.request(waiting.clone());
        assert_eq!(counts(&story, ONE), Some((5, 0)));
        story.request(RequestInstance { state: Some(RequestedState::Destroyed), ..waiting });
        assert_eq!(counts(&story, ONE), Some((4, 0)));
        assert_eq!(story.view.catalogue.release(ONE).map(|release| release.first_seen), Some(first_seen));

        let page = story.view.catalogue.releases(|_| true, None, 1);
        assert_eq!((page.items[0].release.as_str(), page.next), (ONE, Some(release(ONE))));
        assert_eq!(story.view.catalogue.releases(|_| true, Some(ONE), 9).items.len(), 1);
        assert!(story.view.catalogue.releases(|_| false, None, 9).items.is_empty());
    }
}
