//! The tax that a line is a part of, and the product whose tax it is.

use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::{ResourceId, SoftwareRelease};
use slapledger_core::domain::invoice::{Invoice, InvoiceLine, TaxSubtotal};
use slapledger_core::domain::money::{Amount, Exact};
use slapledger_core::domain::pricing::PriceTax;
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::tax::{TaxCategory, TaxedProduct};
use slapledger_core::domain::time::Timestamp;

use super::MOST;
use crate::rating::sold_in;
use crate::view::Billing;

/// The tax that a line is a part of: `base x rate / 100`, rounded half up, once for all of its lines. If prices contain
/// tax, it is taken out of the sum of the lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TaxExplained {
    /// How it is taxed.
    pub category: TaxCategory,
    /// In percent.
    pub rate: Quantity,
    /// The product whose tax the line has, if it is not that of the seller or of the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductTaxExplained>,
    /// The lines of this category and rate; the first hundred.
    pub lines: Vec<u32>,
    /// How many more there are.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub lines_left_out: u64,
    /// Their sum without tax.
    pub base: Amount,
    /// Their sum, if it contains the tax: `contained_in x rate / (100 + rate)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contained_in: Option<Amount>,
    /// Before it is rounded; cut after 18 digits.
    pub exact: Exact,
    /// The tax of the document.
    pub amount: Amount,
    /// What rounding added.
    pub residue: Exact,
}

/// A product that has a tax of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProductTaxExplained {
    /// The release that the instance ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_release: Option<SoftwareRelease>,
    /// The resource that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceId>,
    /// Since when it has this tax.
    pub valid_from: Timestamp,
}

impl TaxExplained {
    /// A tax of a document.
    pub(super) fn of(invoice: &Invoice, subtotal: &TaxSubtotal) -> Self {
        let mut lines = invoice.lines.iter().filter(|line| line.tax == subtotal.tax).map(|line| line.n);
        let told: Vec<u32> = lines.by_ref().take(MOST).collect();
        let (contained_in, exact) = match invoice.price_tax {
            PriceTax::Exclusive => (None, subtotal.tax.exact_on(subtotal.base)),
            PriceTax::Inclusive => {
                let sum = subtotal.base.checked_add(subtotal.amount);
                (sum, sum.and_then(|sum| subtotal.tax.exact_within(sum)))
            }
        };
        let exact = exact.unwrap_or(Exact::ZERO);
        Self {
            category: subtotal.tax.category,
            rate: subtotal.tax.rate,
            product: None,
            lines: told,
            lines_left_out: lines.count() as u64,
            base: subtotal.base,
            contained_in,
            exact,
            amount: subtotal.amount,
            residue: Exact::from(subtotal.amount).minus(exact),
        }
    }

    /// The tax of a line.
    pub(super) fn of_line(billing: &Billing, invoice: &Invoice, line: &InvoiceLine) -> Self {
        let subtotal = invoice.tax.iter().find(|subtotal| subtotal.tax == line.tax);
        let nothing = Amount::zero(invoice.currency);
        let none = TaxSubtotal { tax: line.tax, base: nothing, amount: nothing, exemption: None };
        let tax = Self::of(invoice, subtotal.unwrap_or(&none));
        Self { product: product_of(billing, invoice, line), ..tax }
    }
}

/// The product whose tax a line has.
fn product_of(billing: &Billing, invoice: &Invoice, line: &InvoiceLine) -> Option<ProductTaxExplained> {
    let history = line.instance.and_then(|instance| billing.histories.get(instance));
    let parties = (invoice.seller.party, invoice.buyer.party);
    let last = line.period.stop.plus_micros(-1);
    let (product, valid_from, tax) = billing.taxes.product_on(parties, sold_in(line, history), last)?;
    // What was said since does not explain it.
    (tax == line.tax).then(|| {
        let TaxedProduct { software_release, resource } = product.clone();
        ProductTaxExplained { software_release, resource, valid_from }
    })
}
