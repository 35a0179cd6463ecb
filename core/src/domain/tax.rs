//! Tax: who charges it, on whom, at which rate, since when. Categories and rules are those of EN 16931.
//!
//! A seller without a rate is outside the scope of tax. A customer without a treatment is charged the rate of the product,
//! which is that of the seller unless the product has one of its own.
//! Of effective-dated entries the one with the latest start counts that is not after the instant asked for, the end of
//! the time a line is about; of several with the same start the one recorded last.

mod product;

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::Serialize;

use super::Outcome;
use super::event::{Event, Stream};
use super::id::{InvalidText, PartyId, Sequence, check_text};
use super::money::{Amount, Currency, Exact, Rounding};
use super::party::Parties;
use super::quantity::{ONE, Quantity};
use super::time::{Period, Timestamp};

use product::ProductTaxes;
pub use product::{ProductTaxEntry, ProductTaxSet, SetProductTax, SoldProduct, TaxedProduct};

/// The category and rate of EN 16931 (BT-151, BT-152).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, JsonSchema)]
pub struct Tax {
    /// How it is taxed.
    pub category: TaxCategory,
    /// In percent; 0 in every category but S.
    pub rate: Quantity,
}

impl Tax {
    /// Outside the scope of tax.
    pub const NONE: Self = Self { category: TaxCategory::O, rate: Quantity::ZERO };

    /// The tax on the sum of the lines of this category and rate, rounded once: half a minor unit goes away from zero
    /// (EN 16931, BR-CO-17; categories without tax: BR-Z-09 and its kin). Nothing else rounds tax. `None`, if the sum
    /// has more digits than can be counted.
    pub fn round_on(self, base: Amount, currency: Currency) -> Option<Amount> {
        self.exact_on(base).map(|exact| exact.round(currency, Rounding::HalfUp))
    }

    /// The tax that the sum of the lines of this category and rate contains: sum x rate / (100 + rate), rounded once as
    /// any tax is. `None`, if the sum has more digits than can be counted.
    pub fn round_within(self, sum: Amount, currency: Currency) -> Option<Amount> {
        self.exact_within(sum).map(|exact| exact.round(currency, Rounding::HalfUp))
    }

    /// The same to 18 digits.
    pub fn exact_within(self, sum: Amount) -> Option<Exact> {
        let whole = Quantity::from_billionths(100 * ONE + self.rate.billionths())?;
        match self.category {
            TaxCategory::S => Exact::part_of(sum, self.rate, whole),
            _ => Some(Exact::ZERO),
        }
    }

    /// The same before it is rounded.
    pub fn exact_on(self, base: Amount) -> Option<Exact> {
        match self.category {
            TaxCategory::S => Exact::percentage(base, self.rate),
            _ => Some(Exact::ZERO),
        }
    }
}

/// Tax categories of EN 16931 (UNCL 5305).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, JsonSchema)]
pub enum TaxCategory {
    /// Outside the scope of tax.
    O,
    /// Standard rate.
    S,
    /// Zero rated.
    Z,
    /// Exempt.
    E,
    /// Reverse charge: the buyer owes it.
    AE,
    /// Intra-community supply.
    K,
    /// Export.
    G,
}

/// Why there is no tax: a text (BT-120) and, if there is one, a code of the VATEX list (BT-121).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
pub struct Exemption {
    /// For people.
    pub reason: Box<str>,
    /// Such as `VATEX-EU-AE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Box<str>>,
}

/// A seller charges this rate from an instant on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct TaxRateSet {
    /// Who charges it.
    pub seller: PartyId,
    /// In percent.
    pub rate: Quantity,
    /// Since when.
    pub valid_from: Timestamp,
    /// When somebody set it.
    pub at: Timestamp,
}

/// A customer is charged tax in this way from an instant on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct TaxTreatmentSet {
    /// Who is charged.
    pub customer: PartyId,
    /// How.
    pub category: TaxCategory,
    /// Why there is none, in every category but S and Z.
    pub exemption: Option<Exemption>,
    /// Since when.
    pub valid_from: Timestamp,
    /// When somebody set it.
    pub at: Timestamp,
}

/// Have a seller charge a rate from an instant on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTaxRate {
    /// Who charges it.
    pub seller: PartyId,
    /// In percent.
    pub rate: Quantity,
    /// Since when.
    pub valid_from: Timestamp,
}

/// Set the tax category of a customer from an instant on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTaxTreatment {
    /// Who is charged.
    pub customer: PartyId,
    /// How.
    pub category: TaxCategory,
    /// Why there is no tax.
    pub exemption: Option<Exemption>,
    /// Since when.
    pub valid_from: Timestamp,
}

/// The longest text that says why there is no tax, in bytes.
pub const MAX_REASON: usize = 500;
/// The longest code that says why there is no tax, in bytes.
pub const MAX_CODE: usize = 50;

/// Why a command about tax is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaxRefusal {
    /// The seller or customer is no party.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Who.
        party: PartyId,
    },
    /// The rate is no percentage.
    #[error("rate must be from 0 to 100")]
    BadRate,
    /// Where there is no tax, the reason must be said.
    #[error("category {category:?} needs a reason why there is no tax")]
    NoReason {
        /// How.
        category: TaxCategory,
    },
    /// What is taxed is not exempt.
    #[error("category {category:?} has neither reason nor code: it is taxed")]
    NotExempt {
        /// How.
        category: TaxCategory,
    },
    /// The reason is empty, too long, or has control characters.
    #[error("reason {0}")]
    BadReason(InvalidText),
    /// The code is empty, too long, or has control characters.
    #[error("code {0}")]
    BadCode(InvalidText),
    /// A tax of a product names no product.
    #[error("software_release or resource must be given: they say which product is taxed")]
    NoProduct,
    /// The category depends on the customer.
    #[error("category {category:?} is that of a customer: a product has S, Z, E or O")]
    CategoryOfCustomers {
        /// Which.
        category: TaxCategory,
    },
    /// A category without tax has no rate.
    #[error("rate must be left out in category {category:?}, which has no tax")]
    RateWithoutTax {
        /// How.
        category: TaxCategory,
    },
    /// The seller has a tax for too many products.
    #[error("a seller has a tax for at most {most} products")]
    TooManyProducts {
        /// How many there can be.
        most: usize,
    },
    /// The tax of the product was set too often.
    #[error("the tax of a product can be set at most {most} times")]
    TooManyChanges {
        /// How often it can be.
        most: usize,
    },
}

/// A setting of a tax: the instant from which it counts, the setting, and the event that made it.
type TaxEntry<T> = (Timestamp, T, Sequence);

/// A category, and why there is no tax, if there is none.
type TaxReason = (TaxCategory, Option<Exemption>);

/// All rates and treatments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Taxes {
    rates: BTreeMap<PartyId, Vec<TaxEntry<Quantity>>>,
    treatments: BTreeMap<PartyId, Vec<TaxEntry<TaxReason>>>,
    products: BTreeMap<PartyId, ProductTaxes>,
}

/// Every event so far.
const BY_NOW: Sequence = Sequence(u64::MAX);

impl Taxes {
    /// How what a customer bought is taxed at an instant, and why not, if it is not.
    pub fn on(
        &self,
        parties: (PartyId, PartyId),
        sold: SoldProduct<'_>,
        at: Timestamp,
    ) -> (Tax, Option<&Exemption>) {
        self.as_of(parties, sold, (at, BY_NOW))
    }

    /// How what a customer bought is taxed at an instant, as it was known at an event.
    pub fn known_on(
        &self,
        parties: (PartyId, PartyId),
        sold: SoldProduct<'_>,
        at: (Timestamp, Sequence),
    ) -> Tax {
        self.as_of(parties, sold, at).0
    }

    fn as_of(
        &self,
        (seller, customer): (PartyId, PartyId),
        sold: SoldProduct<'_>,
        at: (Timestamp, Sequence),
    ) -> (Tax, Option<&Exemption>) {
        let Some(rate) = counting(self.rates.get(&seller), at) else { return (Tax::NONE, None) };
        if let Some((_, product)) = self.deciding((seller, customer), sold, at) {
            return (product.tax(*rate), product.exemption.as_ref());
        }
        match counting(self.treatments.get(&customer), at) {
            None | Some((TaxCategory::S, _)) => (Tax { category: TaxCategory::S, rate: *rate }, None),
            Some((category, exemption)) => {
                (Tax { category: *category, rate: Quantity::ZERO }, exemption.as_ref())
            }
        }
    }

    /// The product whose tax is that of what is sold; none, if it is the customer or the rate of the seller that decides.
    fn deciding(
        &self,
        (seller, customer): (PartyId, PartyId),
        sold: SoldProduct<'_>,
        at: (Timestamp, Sequence),
    ) -> Option<(&TaxedProduct, &ProductTaxEntry)> {
        let product = self.of_product(seller, sold, at)?;
        let treatment = counting(self.treatments.get(&customer), at);
        let of_customer = treatment.is_some_and(|(category, _)| *category != TaxCategory::S);
        (!of_customer || product.1.is_for_all()).then_some(product)
    }

    /// The same as it is known now, and the tax that it makes.
    pub fn product_on(
        &self,
        (seller, customer): (PartyId, PartyId),
        sold: SoldProduct<'_>,
        at: Timestamp,
    ) -> Option<(&TaxedProduct, Timestamp, Tax)> {
        let rate = counting(self.rates.get(&seller), (at, BY_NOW))?;
        let (product, entry) = self.deciding((seller, customer), sold, (at, BY_NOW))?;
        Some((product, entry.valid_from, entry.tax(*rate)))
    }

    /// The instants within a period at which something that was said by an event about the tax of a line begins to count,
    /// in order.
    pub fn changes(
        &self,
        (seller, customer): (PartyId, PartyId),
        sold: SoldProduct<'_>,
        (period, as_of): (Period, Sequence),
    ) -> Vec<Timestamp> {
        let rates = self.rates.get(&seller).into_iter().flatten().map(|(since, _, by)| (*since, *by));
        let treatments = self.treatments.get(&customer).into_iter().flatten();
        let treatments = treatments.map(|(since, _, by)| (*since, *by));
        let known = rates.chain(treatments).filter(|(_, by)| *by <= as_of).map(|(since, _)| since);
        let all = known.chain(self.product_changes(seller, sold, as_of));
        let mut changes: Vec<Timestamp> = all.filter(|at| period.start < *at && *at < period.stop).collect();
        changes.sort_unstable();
        changes.dedup();
        changes
    }

    /// Why a customer is not charged tax in a category, as it was said last: of the customer, or else of a product.
    pub fn exemption(
        &self,
        (seller, customer): (PartyId, PartyId),
        category: TaxCategory,
    ) -> Option<&Exemption> {
        let treatments = self.treatments.get(&customer).into_iter().flatten();
        let of_customer = treatments.rev().find(|(_, (of, _), _)| *of == category);
        let of_customer = of_customer.and_then(|(_, (_, exemption), _)| exemption.as_ref());
        let of_product = || {
            let entries = self.products_of(seller).map(|(_, entry)| entry);
            let of_category = entries.filter(|entry| entry.category == category);
            of_category.max_by_key(|entry| entry.by).and_then(|entry| entry.exemption.as_ref())
        };
        of_customer.or_else(of_product)
    }

    /// What a seller charges, each since when, in the order it was said.
    pub fn rates_of(&self, seller: PartyId) -> impl Iterator<Item = (Timestamp, Quantity)> {
        self.rates.get(&seller).into_iter().flatten().map(|(since, rate, _)| (*since, *rate))
    }

    /// How a customer is taxed, each since when, in the order it was said.
    pub fn treatments_of(
        &self,
        customer: PartyId,
    ) -> impl Iterator<Item = (Timestamp, TaxCategory, Option<&Exemption>)> {
        let treatments = self.treatments.get(&customer).into_iter().flatten();
        treatments.map(|(since, (category, exemption), _)| (*since, *category, exemption.as_ref()))
    }

    pub(crate) fn set_rate(
        parties: &Parties,
        command: &SetTaxRate,
        now: Timestamp,
    ) -> Result<Outcome<()>, TaxRefusal> {
        let SetTaxRate { seller, rate, valid_from } = *command;
        known(parties, seller)?;
        if !is_percentage(rate) {
            return Err(TaxRefusal::BadRate);
        }
        let event = TaxRateSet { seller, rate, valid_from, at: now };
        Ok(Outcome::of((), [(Stream::Party(seller), Event::TaxRateSet(event))]))
    }

    pub(crate) fn set_treatment(
        parties: &Parties,
        command: &SetTaxTreatment,
        now: Timestamp,
    ) -> Result<Outcome<()>, TaxRefusal> {
        let SetTaxTreatment { customer, category, exemption, valid_from } = command.clone();
        known(parties, customer)?;
        check_exemption(category, exemption.as_ref())?;
        let event = TaxTreatmentSet { customer, category, exemption, valid_from, at: now };
        Ok(Outcome::of((), [(Stream::Party(customer), Event::TaxTreatmentSet(event))]))
    }

    /// Takes a rate over: the fold that decisions and billing share.
    pub fn rate_set(&mut self, event: &TaxRateSet, by: Sequence) {
        self.rates.entry(event.seller).or_default().push((event.valid_from, event.rate, by));
    }

    /// Takes a treatment over.
    pub fn treatment_set(&mut self, event: &TaxTreatmentSet, by: Sequence) {
        let treatment = (event.valid_from, (event.category, event.exemption.clone()), by);
        self.treatments.entry(event.customer).or_default().push(treatment);
    }
}

/// Of what was known at an event the entry that counts at an instant: the latest start, of equal ones the one said last.
fn counting<T>(entries: Option<&Vec<TaxEntry<T>>>, (at, as_of): (Timestamp, Sequence)) -> Option<&T> {
    let valid = entries?.iter().filter(|(since, _, by)| *by <= as_of && *since <= at);
    valid.max_by_key(|(since, ..)| *since).map(|(_, entry, _)| entry)
}

fn is_percentage(rate: Quantity) -> bool {
    (0..=100 * ONE).contains(&rate.billionths())
}

fn known(parties: &Parties, party: PartyId) -> Result<(), TaxRefusal> {
    parties.get(party).map(drop).ok_or(TaxRefusal::UnknownParty { party })
}

fn check_exemption(category: TaxCategory, exemption: Option<&Exemption>) -> Result<(), TaxRefusal> {
    match (category, exemption) {
        (TaxCategory::S | TaxCategory::Z, Some(_)) => Err(TaxRefusal::NotExempt { category }),
        (TaxCategory::S | TaxCategory::Z | TaxCategory::O, None) => Ok(()),
        (_, None) => Err(TaxRefusal::NoReason { category }),
        (_, Some(exemption)) => {
            check_text(&exemption.reason, MAX_REASON).map_err(TaxRefusal::BadReason)?;
            let code = exemption.code.as_deref();
            code.map_or(Ok(()), |code| check_text(code, MAX_CODE)).map_err(TaxRefusal::BadCode)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Answer;
    use crate::domain::event::{Event, Stream};
    use crate::domain::given::{Given, at, register_party};
    use crate::domain::id::{InvalidText, PartyId};

    use super::{
        Exemption, SetTaxRate, SetTaxTreatment, SoldProduct, Tax, TaxCategory, TaxRateSet, TaxRefusal,
        TaxTreatmentSet,
    };

    const JANUARY: &str = "2026-01-01T00:00:00Z";

    fn rate(seller: u64, rate: &str, since: &str) -> SetTaxRate {
        SetTaxRate { seller: PartyId(seller), rate: rate.parse().expect(rate), valid_from: at(since) }
    }

    fn treat(category: TaxCategory, reason: Option<(&str, Option<&str>)>) -> SetTaxTreatment {
        let exemption =
            reason.map(|(reason, code)| Exemption { reason: reason.into(), code: code.map(Into::into) });
        SetTaxTreatment { customer: PartyId(2), category, exemption, valid_from: at(JANUARY) }
    }

    fn two() -> Given {
        Given::nothing().done(register_party()).done(register_party())
    }

    fn on(given: &Given, when: &str) -> Tax {
        given.project().taxes.on((PartyId(1), PartyId(2)), SoldProduct::default(), at(when)).0
    }

    #[test]
    fn rates_and_treatments_are_recorded() {
        let given = two();
        let now = given.now;
        let SetTaxRate { seller, rate: percent, valid_from } = rate(1, "20", JANUARY);
        let rate_set = TaxRateSet { seller, rate: percent, valid_from, at: now };
        let SetTaxTreatment { customer, category, exemption, valid_from } =
            treat(TaxCategory::AE, Some(("Reverse charge", Some("VATEX-EU-AE"))));
        let treatment_set = TaxTreatmentSet { customer, category, exemption, valid_from, at: now };
        let given = given
            .when(rate(1, "20", JANUARY))
            .then([(Stream::Party(PartyId(1)), Event::TaxRateSet(rate_set))])
            .answered(&Answer::Done)
            .and()
            .when(treat(TaxCategory::AE, Some(("Reverse charge", Some("VATEX-EU-AE")))))
            .then([(Stream::Party(PartyId(2)), Event::TaxTreatmentSet(treatment_set))])
            .answered(&Answer::Done)
            .and();
        let (tax, exemption) =
            given.project().taxes.on((PartyId(1), PartyId(2)), SoldProduct::default(), now);
        assert_eq!((tax.category, tax.rate.billionths()), (TaxCategory::AE, 0));
        assert_eq!(exemption.and_then(|exemption| exemption.code.as_deref()), Some("VATEX-EU-AE"));
    }

    #[test]
    fn a_rate_is_a_percentage_of_a_known_seller() {
        let given = two();
        let given =
            given.when(rate(3, "101", JANUARY)).refused(TaxRefusal::UnknownParty { party: PartyId(3) });
        let given = given.when(rate(1, "100.000000001", JANUARY)).refused(TaxRefusal::BadRate);
        let given = given.when(rate(1, "-0.000000001", JANUARY)).refused(TaxRefusal::BadRate);
        given.done(rate(1, "0", JANUARY)).done(rate(1, "100", JANUARY));
    }

    #[test]
    fn what_is_not_taxed_says_why() {
        use TaxCategory::{AE, E, G, K, O, S, Z};
        let because = Some(("because", None));
        for category in [O, E, AE, K, G] {
            two().done(treat(category, because));
        }
        for category in [O, S, Z] {
            two().done(treat(category, None));
        }
        for category in [E, AE, K, G] {
            two().when(treat(category, None)).refused(TaxRefusal::NoReason { category });
        }
        for category in [S, Z] {
            two().when(treat(category, because)).refused(TaxRefusal::NotExempt { category });
        }
        let (long, longer, code) = ("x".repeat(500), "x".repeat(501), "x".repeat(51));
        two().done(treat(E, Some((&long, Some(&code[1..])))));
        let too_long = |max| InvalidText::TooLong { max };
        let rows = [
            (("", Some("")), TaxRefusal::BadReason(InvalidText::Empty)),
            ((longer.as_str(), None), TaxRefusal::BadReason(too_long(500))),
            (("a\nb", None), TaxRefusal::BadReason(InvalidText::Control { code: 10 })),
            (("a", Some("")), TaxRefusal::BadCode(InvalidText::Empty)),
            (("a", Some(&code)), TaxRefusal::BadCode(too_long(50))),
        ];
        for (reason, refusal) in rows {
            two().when(treat(E, Some(reason))).refused(refusal);
        }
        let stranger = SetTaxTreatment { customer: PartyId(3), ..treat(E, None) };
        two().when(stranger).refused(TaxRefusal::UnknownParty { party: PartyId(3) });
    }

    #[test]
    fn of_several_with_the_same_start_the_one_recorded_last_counts() {
        let given = two();
        assert_eq!(on(&given, JANUARY), Tax::NONE);
        let given = given
            .done(rate(1, "20", JANUARY))
            .done(rate(1, "19", "2026-06-01T00:00:00Z"))
            .done(rate(1, "21", JANUARY));
        let percent = |given: &Given, when| on(given, when).rate.to_string();
        assert_eq!(on(&given, "2025-12-31T23:59:59Z"), Tax::NONE);
        assert_eq!(percent(&given, JANUARY), "21");
        assert_eq!(percent(&given, "2026-06-01T00:00:00Z"), "19");
        let given = given.done(treat(TaxCategory::O, None)).done(treat(TaxCategory::Z, None));
        assert_eq!(on(&given, JANUARY).category, TaxCategory::Z);
        let given = given.done(treat(TaxCategory::S, None));
        assert_eq!(percent(&given, JANUARY), "21");
    }
}
