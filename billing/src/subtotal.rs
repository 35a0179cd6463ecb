//! What of a document is about each instance tree: a customer may have many.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::{InstanceId, Reference};
use slapledger_core::domain::invoice::Invoice;
use slapledger_core::domain::money::Amount;

use crate::net::line_nets;
use crate::view::Billing;

/// What of the net of a document is about one instance tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TreeSubtotal {
    /// The root of the tree; null for lines about all instances of the customer.
    pub tree: Option<InstanceId>,
    /// The name of the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// The sum of its lines, without tax. All subtotals add up to the net of the document.
    pub net: Amount,
}

impl Billing {
    /// The subtotals of a document by instance tree, those about no instance last.
    pub fn subtotals(&self, invoice: &Invoice) -> Vec<TreeSubtotal> {
        let mut by_tree: BTreeMap<(bool, Option<InstanceId>), Amount> = BTreeMap::new();
        for (line, net) in invoice.lines.iter().zip(line_nets(invoice)) {
            let history = line.instance.and_then(|instance| self.histories.get(instance));
            let tree = history.map(|history| history.root).or(line.instance);
            let sum = by_tree.entry((tree.is_none(), tree)).or_insert(Amount::zero(invoice.currency));
            *sum = sum.checked_add(net).unwrap_or(*sum);
        }
        let subtotals = by_tree.into_iter().map(|((_, tree), net)| {
            let root = tree.and_then(|tree| self.histories.get(tree));
            TreeSubtotal { tree, reference: root.map(|root| root.reference.clone()), net }
        });
        subtotals.collect()
    }
}
