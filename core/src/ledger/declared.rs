//! The resources that price books declare, for readers that wait for nobody: neither for the writer nor for a fold.
//!
//! The writer adds what a published version declares before it answers who published it.

use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::{FxHashMap, FxHashSet};

use super::Sequencer;
use crate::domain::event::Event;
use crate::domain::id::{ProjectId, ResourceId};
use crate::log::envelope::Recorded;

/// The resources that any version of any price book of a project declares.
pub type DeclaredResources = FxHashSet<ResourceId>;

/// The declared resources of all projects that have price books. The lock is held to copy or replace a reference.
#[derive(Default)]
pub(super) struct PublishedResources(RwLock<FxHashMap<ProjectId, Arc<DeclaredResources>>>);

impl PublishedResources {
    /// Those of the price books that a state knows.
    pub(super) fn known_to(sequencer: &Sequencer) -> Self {
        let projects = sequencer.state().projects().filter_map(|(id, project)| {
            let books = &project.price_books;
            let versions = books.names().flat_map(|name| books.versions(name.as_str()));
            let declared = versions.flat_map(|book| &book.resources).map(|known| known.resource.clone());
            books.names().next().map(|_| (id, Arc::new(declared.collect())))
        });
        Self(RwLock::new(projects.collect()))
    }

    /// Adds what these events publish.
    pub(super) fn recorded(&self, events: &[Recorded]) {
        for recorded in events {
            let Event::PriceBookPublished(published) = &recorded.event else { continue };
            let project = recorded.meta.project;
            let mut declared = self.of(project).as_deref().cloned().unwrap_or_default();
            declared.extend(published.book.resources.iter().map(|known| known.resource.clone()));
            self.0.write().insert(project, Arc::new(declared));
        }
    }

    pub(super) fn of(&self, project: ProjectId) -> Option<Arc<DeclaredResources>> {
        self.0.read().get(&project).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::domain::Command;
    use crate::domain::event::Mode;
    use crate::domain::id::{PriceBookName, ProjectId, ResourceId};
    use crate::domain::money::{Currency, Rounding};
    use crate::domain::pricing::{
        Conversion, Every, FeeEnd, FeeTerms, InvoiceTerms, Match, Meter, Model, OnChange, PriceBook,
        PublishPriceBook, Rate, Resource, ResourceKind, When,
    };
    use crate::domain::time::Timestamp;
    use crate::ledger::Ledger;
    use crate::ledger::tests::{Noon, named, options};
    use crate::log::memory::MemoryStore;
    use crate::log::store::EventStore;

    fn publish(resource: &str) -> Command {
        let resource = Resource {
            resource: ResourceId::new(resource).expect("an id"),
            kind: ResourceKind::Counter,
            meter: Meter::Sum,
            unit: "piece".into(),
            conversion: Conversion { multiply: 1, divide: 1 },
            group_by: Vec::new(),
            most: None,
            carry_over: false,
        };
        let price = "10".parse().expect("a price");
        let (every, when, until) = (Every::Month, When::Arrears, FeeEnd::default());
        let fee = Model::Recurring { item: "".into(), price, every, when, until, terms: FeeTerms::default() };
        let book = PriceBook {
            name: PriceBookName::new("standard").expect("a name"),
            currency: Currency::EUR,
            valid_from: Timestamp::MIN,
            rounding: Rounding::HalfUp,
            on_change: OnChange::default(),
            terms: InvoiceTerms::default(),
            resources: vec![resource],
            rates: vec![Rate { model: fee, trial: None, matching: Match::default() }],
        };
        Command::PublishPriceBook(PublishPriceBook { book, retroactive: false })
    }

    #[test]
    fn what_price_books_declare_is_known_when_they_are_published_and_after_a_start() {
        let store = Arc::new(MemoryStore::new());
        let open = || {
            let store = Arc::clone(&store) as Arc<dyn EventStore>;
            Ledger::open(store, Arc::new(Noon), options(Mode::Proxy)).expect("opens")
        };
        let declared = |ledger: &Ledger| {
            let declared = ledger.declared_resources(ProjectId::DEFAULT)?;
            let mut names: Vec<_> = declared.iter().map(ToString::to_string).collect();
            names.sort();
            Some(names)
        };
        let ledger = open();
        assert_eq!(declared(&ledger), None);
        ledger.submit_blocking(named(None, 1, publish("disk"))).expect("the first version");
        assert_eq!(declared(&ledger), Some(vec!["disk".to_owned()]));
        // The first version still has prices for earlier usage.
        ledger.submit_blocking(named(None, 2, publish("cpu"))).expect("the second version");
        let both = Some(vec!["cpu".to_owned(), "disk".to_owned()]);
        assert_eq!(declared(&ledger), both);
        assert_eq!(ledger.declared_resources(ProjectId(2)), None, "those of another project");
        ledger.shut_down().expect("it shuts down");
        assert_eq!(declared(&open()), both);
    }
}
