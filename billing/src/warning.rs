//! What an invoice run does not charge, and why: for the provider to see before anything becomes final.

use std::fmt;

use bincode::{Decode, Encode};
use serde::Serialize;
use slapledger_core::domain::id::{ComputerId, InstanceId, InvoiceId, PartyId, ResourceId};
use slapledger_core::domain::time::Period;

/// Something a run does not charge.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Warning {
    /// Usage that ended in the period, or that may have, waits for somebody to resolve or dismiss it.
    SuspendedUsage {
        /// How many reports.
        events: u64,
    },
    /// The period of the run is empty or runs backwards where a payer lives.
    NoPeriod {
        /// Who.
        payer: PartyId,
    },
    /// Some of this time has been invoiced: there is no draft, as it could never become final.
    Invoiced {
        /// To whom.
        payer: PartyId,
        /// By which invoice.
        invoice: InvoiceId,
    },
    /// An instance was there before any version of the price book counted.
    NoPrices {
        /// Which.
        instance: InstanceId,
        /// When.
        period: Period,
    },
    /// No rate at all is for an instance as it was.
    NoRate {
        /// Which.
        instance: InstanceId,
        /// When.
        period: Period,
    },
    /// An instance used something that the price book does not declare.
    Undeclared {
        /// Which instance.
        instance: InstanceId,
        /// What.
        resource: ResourceId,
        /// When.
        period: Period,
        /// How many reports of it there are.
        events: u64,
    },
    /// An instance used something that has a price, but not for an instance as it was.
    UsageNoRate {
        /// Which instance.
        instance: InstanceId,
        /// What.
        resource: ResourceId,
        /// When.
        period: Period,
        /// How many reports of it there are.
        events: u64,
    },
    /// The usage of all instances of a payer together has more digits than a quantity.
    TooMuchTogether {
        /// Whose.
        payer: PartyId,
        /// Of what.
        resource: ResourceId,
        /// When.
        period: Period,
    },
    /// A draft cannot become final: its tax categories ask for something that is not known.
    MissingDetails {
        /// Whose draft.
        payer: PartyId,
        /// What is missing.
        what: Box<str>,
    },
    /// The usage of an instance has more digits than a quantity.
    TooMuch {
        /// Which instance.
        instance: InstanceId,
        /// Of what.
        resource: ResourceId,
        /// When.
        period: Period,
    },
    /// A computer reported nothing while instances were allocated on it: what they used then is not charged.
    SilentComputer {
        /// Which.
        computer: ComputerId,
        /// For how many hours.
        hours: u64,
        /// In how many pieces.
        times: u64,
        /// The first of them.
        first: Period,
    },
    /// A computer's own count of its reports has holes: usage that it reported, it seems, and that never came.
    MissingReports {
        /// Which.
        computer: ComputerId,
        /// How many never came.
        events: u64,
        /// The last number before the first hole.
        after: u64,
        /// The first number after the last hole.
        before: u64,
    },
    /// Of more computers something is missing.
    MoreComputers {
        /// How many.
        computers: u64,
    },
    /// Usage that is more than can be waits for somebody to resolve or dismiss it.
    ImplausibleUsage {
        /// Whose.
        payer: PartyId,
        /// How many reports.
        events: u64,
    },
}

impl Warning {
    /// The computer it is about, if it is about one.
    pub fn computer(&self) -> Option<&ComputerId> {
        match self {
            Self::SilentComputer { computer, .. } | Self::MissingReports { computer, .. } => Some(computer),
            _ => None,
        }
    }

    /// The payer it is about, if it is about one.
    pub fn payer(&self) -> Option<PartyId> {
        match self {
            Self::NoPeriod { payer }
            | Self::Invoiced { payer, .. }
            | Self::TooMuchTogether { payer, .. }
            | Self::MissingDetails { payer, .. }
            | Self::ImplausibleUsage { payer, .. } => Some(*payer),
            _ => None,
        }
    }

    /// The instance it is about, if it is about one.
    pub fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::NoPrices { instance, .. }
            | Self::NoRate { instance, .. }
            | Self::Undeclared { instance, .. }
            | Self::UsageNoRate { instance, .. }
            | Self::TooMuch { instance, .. } => Some(*instance),
            _ => None,
        }
    }
}

impl Warning {
    /// Who was not looked at, if it says so.
    pub(crate) fn passed_over(&self) -> Option<PartyId> {
        match self {
            Self::NoPeriod { payer } | Self::Invoiced { payer, .. } => Some(*payer),
            _ => None,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SuspendedUsage { events } => {
                write!(f, "{} suspended, not charged until resolved", Reports(*events))
            }
            Self::NoPeriod { payer } => write!(f, "{payer}: the period is empty in their time zone"),
            Self::Invoiced { payer, invoice } => {
                write!(f, "{payer}: {invoice} already covers part of this period; there is no draft")
            }
            Self::NoPrices { instance, period } => {
                write!(f, "{instance}: no version of the price book is valid in {period}")
            }
            Self::NoRate { instance, period } => write!(f, "{instance}: no rate is for it in {period}"),
            Self::Undeclared { instance, resource, period, events } => write!(
                f,
                "{instance}: {resource} is not declared in the price book; {} not charged in {period}",
                Reports(*events)
            ),
            Self::UsageNoRate { instance, resource, period, events } => write!(
                f,
                "{instance}: no rate for {resource} is for it; {} not charged in {period}",
                Reports(*events)
            ),
            Self::TooMuch { instance, resource, period } => write!(
                f,
                "{instance}: {resource} in {period} is too much for a quantity of 15 digits and is not charged"
            ),
            Self::TooMuchTogether { payer, resource, period } => write!(
                f,
                "{payer}: {resource} of all instances in {period} is too much for a quantity of 15 digits and is not charged"
            ),
            Self::MissingDetails { payer, what } => {
                write!(f, "{payer}: the draft cannot become final without {what}")
            }
            Self::SilentComputer { computer, hours, times, first } => {
                let more = if *times > 1 {
                    format!(" in {times} pieces, the first {first}")
                } else {
                    format!(", {first}")
                };
                let hour = if *hours == 1 { "hour" } else { "hours" };
                write!(
                    f,
                    "{computer}: no usage was reported for {hours} {hour} with instances allocated{more}"
                )
            }
            Self::MissingReports { computer, events, after, before } => {
                write!(
                    f,
                    "{computer}: by its own count {} between {after} and {before} never came",
                    Reports(*events)
                )
            }
            Self::ImplausibleUsage { payer, events } => {
                write!(
                    f,
                    "{payer}: {} implausible, not charged until resolved or dismissed",
                    Reports(*events)
                )
            }
            Self::MoreComputers { computers } => {
                write!(
                    f,
                    "of {computers} more computers usage is missing: the usage gaps of this period tell which"
                )
            }
        }
    }
}

struct Reports(u64);

impl fmt::Display for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 report of usage"),
            n => write!(f, "{n} reports of usage"),
        }
    }
}
