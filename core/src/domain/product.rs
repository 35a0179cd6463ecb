//! Software products: what people call a software, and the releases of it that its publisher published.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Outcome;
use super::event::{Event, Stream};
use super::id::{PartyId, Reference, SoftwareRelease};
use super::party::Parties;
use super::time::Timestamp;

/// A publisher published a release of a product: from now on it is the best there is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct SoftwareReleasePublished {
    /// The product.
    pub product: Reference,
    /// The release.
    pub release: SoftwareRelease,
    /// By whom.
    pub publisher: PartyId,
    /// When.
    pub at: Timestamp,
}

/// Publish a release of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishSoftwareRelease {
    /// The product.
    pub product: Reference,
    /// The release.
    pub release: SoftwareRelease,
    /// By whom.
    pub publisher: PartyId,
}

/// Why a command about a product is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProductRefusal {
    /// The publisher is no party.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Who.
        party: PartyId,
    },
    /// The product is somebody else's.
    #[error("product {product} is published by {publisher}")]
    OtherPublisher {
        /// Which.
        product: Reference,
        /// Whose it is.
        publisher: PartyId,
    },
}

/// What decisions need to know of a product: whose it is, and its best release.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct ProductRecord {
    publisher: PartyId,
    best: SoftwareRelease,
}

/// All products.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Products {
    by_reference: BTreeMap<Reference, ProductRecord>,
}

impl Products {
    /// A release that was published before becomes the best one again.
    pub(crate) fn publish(
        &self,
        parties: &Parties,
        command: &PublishSoftwareRelease,
        now: Timestamp,
    ) -> Result<Outcome<()>, ProductRefusal> {
        let PublishSoftwareRelease { product, release, publisher } = command.clone();
        if parties.get(publisher).is_none() {
            return Err(ProductRefusal::UnknownParty { party: publisher });
        }
        match self.by_reference.get(&product) {
            Some(known) if known.publisher != publisher => {
                Err(ProductRefusal::OtherPublisher { product, publisher: known.publisher })
            }
            Some(known) if known.best == release => Ok(Outcome::unchanged(())),
            _ => {
                let event = SoftwareReleasePublished { product, release, publisher, at: now };
                let stream = Stream::Product(event.product.clone());
                Ok(Outcome::of((), [(stream, Event::SoftwareReleasePublished(event))]))
            }
        }
    }

    pub(crate) fn published(&mut self, event: &SoftwareReleasePublished) {
        let product = ProductRecord { publisher: event.publisher, best: event.release.clone() };
        self.by_reference.insert(event.product.clone(), product);
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::given::{Given, reference, register_party, release};

    use super::*;

    fn publish(n: u8, publisher: u64) -> PublishSoftwareRelease {
        let release = release(&format!("http://release/{n}"));
        PublishSoftwareRelease { product: reference("kvm"), release, publisher: PartyId(publisher) }
    }

    #[test]
    fn the_newest_release_is_the_best_and_a_product_has_one_publisher() {
        let given = Given::nothing().done(register_party()).done(register_party());
        let event = |n| {
            let PublishSoftwareRelease { product, release, publisher } = publish(n, 1);
            let event = SoftwareReleasePublished { product, release, publisher, at: given.now };
            (Stream::Product(reference("kvm")), Event::SoftwareReleasePublished(event))
        };
        let (first, second) = (event(1), event(2));
        given
            .when(publish(1, 3))
            .refused(ProductRefusal::UnknownParty { party: PartyId(3) })
            .when(publish(1, 1))
            .then([first.clone()])
            .and()
            .when(publish(1, 1))
            .unchanged()
            .and()
            .when(publish(2, 1))
            .then([second])
            .and()
            .when(publish(1, 1))
            .then([first])
            .and()
            .when(publish(2, 2))
            .refused(ProductRefusal::OtherPublisher { product: reference("kvm"), publisher: PartyId(1) });
    }
}
