//! What of a line costs nothing because its instance, or its customer, is new.

use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::invoice::InvoiceLine;
use slapledger_core::domain::pricing::{Rate, Trial};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Timestamp;

use super::Bench;
use crate::rating::{LineDetail, RatedLine};

/// A trial: so many days of an instance, or the first units. The members of the other are left out.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct TrialExplained {
    /// So many days of the customer's calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<u16>,
    /// When the instance was allocated.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Timestamp>,
    /// The same local time after these days.
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<Timestamp>,
    /// So many units.
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<Quantity>,
    /// How many of them were used before the month.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_before: Option<Quantity>,
}

impl TrialExplained {
    /// The trial of a line, if it has one that is not over.
    pub(super) fn of(
        bench: &Bench<'_, '_>,
        (line, again): (&InvoiceLine, Option<&RatedLine>),
        rate: &Rate,
    ) -> Option<Self> {
        match rate.trial? {
            Trial::Days(days) => {
                let (_, history) = bench.instances.iter().find(|(id, _)| line.instance == Some(*id))?;
                let start = history.allocation.as_ref()?.since();
                let stop = bench.subject.calendar.days_after(start, days);
                let of_days =
                    Self { days: Some(days), start: Some(start), stop: Some(stop), ..Self::default() };
                (line.period.stop <= stop).then_some(of_days)
            }
            Trial::Quantity(_) => match again?.detail {
                LineDetail::Usage(share) => {
                    let (quantity, used_before) = share.trial?;
                    let of_units =
                        Self { quantity: Some(quantity), used_before: Some(used_before), ..Self::default() };
                    (used_before < quantity).then_some(of_units)
                }
                _ => None,
            },
        }
    }

    /// In words.
    pub(super) fn formula(&self) -> String {
        if let (Some(days), Some(start), Some(stop)) = (self.days, self.start, self.stop) {
            return format!("a trial of {days} days, from {start} until {stop}, costs nothing");
        }
        let (quantity, used) = (self.quantity.unwrap_or_default(), self.used_before.unwrap_or_default());
        let left = Quantity::from_billionths(quantity.billionths() - used.billionths()).unwrap_or_default();
        format!("a trial of {quantity}, {used} used before: the first {left} cost nothing")
    }
}
