//! Tax: who charges it, on whom, at which rate, since when. Categories and rules are those of EN 16931.
//!
//! A seller without a rate is outside the scope of tax. A customer without a treatment is charged the standard rate.
//! Of effective-dated entries the one with the latest start counts that is not after the instant asked for, the end of
//! the time a line is about; of several with the same start the one recorded last.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::id::PartyId;
use super::quantity::Quantity;
use super::time::Timestamp;

/// The category and rate of EN 16931 (BT-151, BT-152).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize)]
pub struct Tax {
    /// How it is taxed.
    pub category: TaxCategory,
    /// In percent; 0 in every category but S.
    pub rate: Quantity,
}

impl Tax {
    /// Outside the scope of tax.
    pub const NONE: Self = Self { category: TaxCategory::O, rate: Quantity::ZERO };
}

/// Tax categories of EN 16931 (UNCL 5305).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
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
    /// When it was said.
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
    /// When it was said.
    pub at: Timestamp,
}

/// All rates and treatments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Taxes {
    rates: BTreeMap<PartyId, Vec<(Timestamp, Quantity)>>,
    treatments: BTreeMap<PartyId, Vec<(Timestamp, TaxCategory, Option<Exemption>)>>,
}

impl Taxes {
    /// How what a customer bought is taxed at an instant, and why not, if it is not.
    pub fn on(&self, (seller, customer): (PartyId, PartyId), at: Timestamp) -> (Tax, Option<&Exemption>) {
        let rates = self.rates.get(&seller).into_iter().flatten();
        let Some((_, rate)) = rates.filter(|(since, _)| *since <= at).max_by_key(|(since, _)| *since) else {
            return (Tax::NONE, None);
        };
        let treatments = self.treatments.get(&customer).into_iter().flatten();
        let treatment = treatments.filter(|(since, ..)| *since <= at).max_by_key(|(since, ..)| *since);
        match treatment {
            None | Some((_, TaxCategory::S, _)) => (Tax { category: TaxCategory::S, rate: *rate }, None),
            Some((_, category, exemption)) => {
                (Tax { category: *category, rate: Quantity::ZERO }, exemption.as_ref())
            }
        }
    }

    /// Whether a seller charges tax at all.
    pub fn charged_by(&self, seller: PartyId) -> bool {
        self.rates.contains_key(&seller)
    }

    /// Takes a rate over: the fold that decisions and billing share.
    pub fn rate_set(&mut self, event: &TaxRateSet) {
        self.rates.entry(event.seller).or_default().push((event.valid_from, event.rate));
    }

    /// Takes a treatment over.
    pub fn treatment_set(&mut self, event: &TaxTreatmentSet) {
        let treatment = (event.valid_from, event.category, event.exemption.clone());
        self.treatments.entry(event.customer).or_default().push(treatment);
    }
}
