//! The tax of products: software releases and resources for which a seller charges another tax than its own rate.

use bincode::{Decode, Encode};
use serde::Serialize;

use super::{Exemption, Tax, TaxCategory, TaxRefusal, Taxes, check_exemption, is_percentage, known};
use crate::domain::Outcome;
use crate::domain::event::{Event, Stream};
use crate::domain::id::{PartyId, ResourceId, Sequence, SoftwareRelease};
use crate::domain::party::Parties;
use crate::domain::quantity::Quantity;
use crate::domain::time::Timestamp;

/// The most products that a seller has a tax for.
const MOST_PRODUCTS: usize = 1000;
/// The most times that the tax of a product may be set.
const MOST_CHANGES: usize = 1000;

/// A product: fees and usage of a release, usage of a resource, or usage of a resource by a release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize)]
pub struct TaxedProduct {
    /// The release of the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_release: Option<SoftwareRelease>,
    /// The resource that is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceId>,
}

/// What a line is about, as far as its tax depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SoldProduct<'a> {
    /// The release of the instance, if the line is about one instance.
    pub software_release: Option<&'a SoftwareRelease>,
    /// The resource, if the line is about usage.
    pub resource: Option<&'a ResourceId>,
}

impl TaxedProduct {
    fn covers(&self, sold: SoldProduct<'_>) -> bool {
        self.software_release.as_ref().is_none_or(|named| Some(named) == sold.software_release)
            && self.resource.as_ref().is_none_or(|named| Some(named) == sold.resource)
    }

    /// The one that says most wins; a resource says more than a release.
    fn rank(&self) -> (bool, bool) {
        (self.resource.is_some(), self.software_release.is_some())
    }
}

/// A seller charges this tax for a product from an instant on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ProductTaxSet {
    /// Who charges it.
    pub seller: PartyId,
    /// For what.
    #[serde(flatten)]
    pub product: TaxedProduct,
    /// How.
    pub category: TaxCategory,
    /// In percent, for category S; the rate of the seller, if there is none.
    pub rate: Option<Quantity>,
    /// Why there is none, in every category but S and Z.
    pub exemption: Option<Exemption>,
    /// Since when.
    pub valid_from: Timestamp,
    /// When somebody set it.
    pub at: Timestamp,
}

/// Have a seller charge a tax for a product from an instant on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetProductTax {
    /// Who charges it.
    pub seller: PartyId,
    /// For what.
    pub product: TaxedProduct,
    /// How.
    pub category: TaxCategory,
    /// In percent, for category S; the rate of the seller, if there is none.
    pub rate: Option<Quantity>,
    /// Why there is none.
    pub exemption: Option<Exemption>,
    /// Since when.
    pub valid_from: Timestamp,
}

/// The taxes that sellers set for products.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ProductTaxEntry {
    /// Since when it counts.
    pub valid_from: Timestamp,
    /// How.
    pub category: TaxCategory,
    /// The rate of the product, if it has its own.
    pub rate: Option<Quantity>,
    /// Why there is no tax.
    pub exemption: Option<Exemption>,
    pub(super) by: Sequence,
}

/// All that a seller said of its products, by product.
pub(super) type ProductTaxes = Vec<(TaxedProduct, Vec<ProductTaxEntry>)>;

impl Taxes {
    /// What a seller charges for a product at an instant, as it was known at an event; none, if that is its own rate.
    pub(super) fn of_product(
        &self,
        seller: PartyId,
        sold: SoldProduct<'_>,
        (at, as_of): (Timestamp, Sequence),
    ) -> Option<(&TaxedProduct, &ProductTaxEntry)> {
        let products = self.products.get(&seller)?.iter().filter(|(product, _)| product.covers(sold));
        let valid = products.filter_map(|(product, entries)| {
            let entries = entries.iter().filter(|entry| entry.by <= as_of && entry.valid_from <= at);
            Some((product, entries.max_by_key(|entry| entry.valid_from)?))
        });
        valid.max_by_key(|(product, _)| product.rank())
    }

    /// When what was said of products that a line is about begins to count.
    pub(super) fn product_changes(
        &self,
        seller: PartyId,
        sold: SoldProduct<'_>,
        as_of: Sequence,
    ) -> impl Iterator<Item = Timestamp> {
        let products = self.products.get(&seller).into_iter().flatten();
        let covering = products.filter(move |(product, _)| product.covers(sold));
        let entries = covering.flat_map(|(_, entries)| entries);
        entries.filter(move |entry| entry.by <= as_of).map(|entry| entry.valid_from)
    }

    /// Whether a seller has a tax for any product.
    pub fn has_products(&self, seller: PartyId) -> bool {
        self.products.contains_key(&seller)
    }

    /// The taxes of one seller, by product, the oldest setting first.
    pub fn products_of(&self, seller: PartyId) -> impl Iterator<Item = (&TaxedProduct, &ProductTaxEntry)> {
        let products = self.products.get(&seller).into_iter().flatten();
        products.flat_map(|(product, entries)| entries.iter().map(move |entry| (product, entry)))
    }

    pub(crate) fn set_product(
        &self,
        parties: &Parties,
        command: &SetProductTax,
        now: Timestamp,
    ) -> Result<Outcome<()>, TaxRefusal> {
        let SetProductTax { seller, product, category, rate, exemption, valid_from } = command.clone();
        known(parties, seller)?;
        if product.rank() == (false, false) {
            return Err(TaxRefusal::NoProduct);
        }
        if !matches!(category, TaxCategory::S | TaxCategory::Z | TaxCategory::E | TaxCategory::O) {
            return Err(TaxRefusal::CategoryOfCustomers { category });
        }
        if rate.is_some() && category != TaxCategory::S {
            return Err(TaxRefusal::RateWithoutTax { category });
        }
        if rate.is_some_and(|rate| !is_percentage(rate)) {
            return Err(TaxRefusal::BadRate);
        }
        check_exemption(category, exemption.as_ref())?;
        let products = self.products.get(&seller).map_or(&[][..], Vec::as_slice);
        let of_product = products.iter().find(|(known, _)| *known == product);
        if of_product.is_none() && products.len() >= MOST_PRODUCTS {
            return Err(TaxRefusal::TooManyProducts { most: MOST_PRODUCTS });
        }
        if of_product.is_some_and(|(_, entries)| entries.len() >= MOST_CHANGES) {
            return Err(TaxRefusal::TooManyChanges { most: MOST_CHANGES });
        }
        let event = ProductTaxSet { seller, product, category, rate, exemption, valid_from, at: now };
        Ok(Outcome::of((), [(Stream::Party(seller), Event::ProductTaxSet(event))]))
    }

    /// Takes the tax of a product over.
    pub fn product_set(&mut self, event: &ProductTaxSet, by: Sequence) {
        let ProductTaxSet { seller, product, category, rate, exemption, valid_from, .. } = event;
        let (category, rate, exemption, valid_from) = (*category, *rate, exemption.clone(), *valid_from);
        let entry = ProductTaxEntry { valid_from, category, rate, exemption, by };
        let products = self.products.entry(*seller).or_default();
        match products.iter_mut().find(|(known, _)| known == product) {
            Some((_, entries)) => entries.push(entry),
            None => products.push((product.clone(), vec![entry])),
        }
    }
}

impl ProductTaxEntry {
    /// The tax that it makes of the rate of the seller.
    pub(super) fn tax(&self, seller_rate: Quantity) -> Tax {
        let rate = match self.category {
            TaxCategory::S => self.rate.unwrap_or(seller_rate),
            _ => Quantity::ZERO,
        };
        Tax { category: self.category, rate }
    }

    /// Whether a seller charges no tax for it to any customer.
    pub(super) fn is_for_all(&self) -> bool {
        matches!(self.category, TaxCategory::E | TaxCategory::O)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::event::{Event, Stream};
    use crate::domain::given::{Given, at, register_party};
    use crate::domain::id::{PartyId, ResourceId, Sequence, SoftwareRelease};
    use crate::domain::tax::{Exemption, SetTaxRate, SetTaxTreatment, Tax, TaxCategory, TaxRefusal};

    use super::{ProductTaxSet, SetProductTax, SoldProduct, TaxedProduct};

    const JANUARY: &str = "2026-01-01T00:00:00Z";
    const JULY: &str = "2026-07-01T00:00:00Z";

    fn release(name: &str) -> SoftwareRelease {
        SoftwareRelease::new(name).expect(name)
    }

    fn resource(name: &str) -> ResourceId {
        ResourceId::new(name).expect(name)
    }

    fn product(of_release: Option<&str>, of_resource: Option<&str>) -> TaxedProduct {
        TaxedProduct { software_release: of_release.map(release), resource: of_resource.map(resource) }
    }

    fn set(product: TaxedProduct, category: TaxCategory, rate: Option<&str>, since: &str) -> SetProductTax {
        let reason = || Exemption { reason: "exempt by law".into(), code: None };
        SetProductTax {
            seller: PartyId(1),
            product,
            category,
            rate: rate.map(|rate| rate.parse().expect(rate)),
            exemption: (category == TaxCategory::E).then(reason),
            valid_from: at(since),
        }
    }

    fn with_rate() -> Given {
        let rate =
            SetTaxRate { seller: PartyId(1), rate: "20".parse().expect("a rate"), valid_from: at(JANUARY) };
        Given::nothing().done(register_party()).done(register_party()).done(rate)
    }

    fn tax(given: &Given, sold: (Option<&str>, Option<&str>), when: &str) -> (TaxCategory, String) {
        let (of_release, of_resource) = (sold.0.map(release), sold.1.map(resource));
        let sold = SoldProduct { software_release: of_release.as_ref(), resource: of_resource.as_ref() };
        let Tax { category, rate } = given.project().taxes.on((PartyId(1), PartyId(2)), sold, at(when)).0;
        (category, rate.to_string())
    }

    #[test]
    fn the_product_that_says_most_counts() {
        use TaxCategory::{E, S, Z};
        let given = with_rate()
            .done(set(product(Some("book"), None), S, Some("5.5"), JANUARY))
            .done(set(product(None, Some("cpu")), Z, None, JANUARY))
            .done(set(product(Some("book"), Some("cpu")), E, None, JULY));
        let rows = [
            ((None, None), JULY, (S, "20")),
            ((Some("other"), None), JULY, (S, "20")),
            ((Some("book"), None), JULY, (S, "5.5")),
            ((Some("book"), Some("disk")), JULY, (S, "5.5")),
            ((Some("other"), Some("cpu")), JULY, (Z, "0")),
            ((None, Some("cpu")), JULY, (Z, "0")),
            ((Some("book"), Some("cpu")), "2026-06-30T00:00:00Z", (Z, "0")),
            ((Some("book"), Some("cpu")), JULY, (E, "0")),
        ];
        for (sold, when, (category, rate)) in rows {
            assert_eq!(tax(&given, sold, when), (category, rate.to_owned()), "{sold:?} {when}");
        }
        // Back to the rate of the seller, whatever that is by then.
        let given = given.done(set(product(Some("book"), None), S, None, JULY));
        assert_eq!(tax(&given, (Some("book"), None), JULY), (S, "20".to_owned()));
        assert_eq!(tax(&given, (Some("book"), None), JANUARY), (S, "5.5".to_owned()));
    }

    #[test]
    fn how_a_customer_is_taxed_counts_for_what_is_taxed() {
        use TaxCategory::{AE, E, S};
        let treatment = SetTaxTreatment {
            customer: PartyId(2),
            category: AE,
            exemption: Some(Exemption { reason: "Reverse charge".into(), code: None }),
            valid_from: at(JANUARY),
        };
        let given = with_rate()
            .done(set(product(Some("book"), None), S, Some("5.5"), JANUARY))
            .done(set(product(Some("loan"), None), E, None, JANUARY))
            .done(treatment);
        assert_eq!(tax(&given, (Some("book"), None), JULY).0, AE);
        assert_eq!(tax(&given, (Some("loan"), None), JULY).0, E);
        let taxes = &given.project().taxes;
        let why = taxes.exemption((PartyId(1), PartyId(2)), E).expect("a reason");
        assert_eq!(&*why.reason, "exempt by law");
    }

    #[test]
    fn what_was_said_later_was_not_known() {
        let given = with_rate();
        let before = Sequence(given.log.len() as u64);
        let given = given.done(set(product(Some("book"), None), TaxCategory::S, Some("5.5"), JANUARY));
        let book = release("book");
        let sold = SoldProduct { software_release: Some(&book), resource: None };
        let taxes = &given.project().taxes;
        let known = |as_of: Sequence| {
            taxes.known_on((PartyId(1), PartyId(2)), sold, (at(JULY), as_of)).rate.to_string()
        };
        assert_eq!((known(before), known(before.next())), ("20".to_owned(), "5.5".to_owned()));
    }

    #[test]
    fn a_tax_of_a_product_is_recorded_or_refused() {
        use TaxCategory::{AE, E, S, Z};
        let given = with_rate();
        let now = given.now;
        let wanted = set(product(Some("book"), None), S, Some("5.5"), JANUARY);
        let SetProductTax { seller, product: of, category, rate, exemption, valid_from } = wanted.clone();
        let event = ProductTaxSet { seller, product: of, category, rate, exemption, valid_from, at: now };
        let given =
            given.when(wanted.clone()).then([(Stream::Party(PartyId(1)), Event::ProductTaxSet(event))]).and();
        let rows = [
            (set(product(None, None), S, None, JANUARY), TaxRefusal::NoProduct),
            (
                set(product(Some("book"), None), AE, None, JANUARY),
                TaxRefusal::CategoryOfCustomers { category: AE },
            ),
            (
                set(product(Some("book"), None), Z, Some("0"), JANUARY),
                TaxRefusal::RateWithoutTax { category: Z },
            ),
            (set(product(Some("book"), None), S, Some("100.1"), JANUARY), TaxRefusal::BadRate),
            (
                SetProductTax { exemption: None, ..set(product(Some("book"), None), E, None, JANUARY) },
                TaxRefusal::NoReason { category: E },
            ),
            (SetProductTax { seller: PartyId(9), ..wanted }, TaxRefusal::UnknownParty { party: PartyId(9) }),
        ];
        rows.into_iter().fold(given, |given, (command, refusal)| given.when(command).refused(refusal));
    }
}
