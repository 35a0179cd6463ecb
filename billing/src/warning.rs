//! What an invoice run does not charge, and why: for the provider to see before anything becomes final.

use std::fmt;

use bincode::{Decode, Encode};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use slapledger_core::domain::id::{ComputerId, InstanceId, InvoiceId, PartyId, ResourceId};
use slapledger_core::domain::time::Period;
use slapledger_core::schema::one_object;

/// Something a run does not charge.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(transform = |schema: &mut Schema| one_object("type", schema))]
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
    /// All of this time has been invoiced: there is no draft.
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
    /// A computer did not report resources of started instances in hours in which it reported others.
    SilentResources {
        /// Which computer.
        computer: ComputerId,
        /// Of how many instances.
        instances: u64,
        /// Which resources.
        resources: Vec<ResourceId>,
        /// For how many hours, begun ones too, of the one that is missing for longest.
        hours: u64,
        /// The first of them.
        first: Period,
    },
    /// Several parts of the period are not invoiced to a payer: the draft charges the first with anything to pay.
    PartsLeft {
        /// Who.
        payer: PartyId,
        /// The part that the draft is about.
        period: Period,
        /// How many later parts it leaves to another run.
        left: u64,
    },
}

impl Warning {
    /// The computer it is about, if it is about one.
    pub fn computer(&self) -> Option<&ComputerId> {
        match self {
            Self::SilentComputer { computer, .. }
            | Self::MissingReports { computer, .. }
            | Self::SilentResources { computer, .. } => Some(computer),
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
            | Self::PartsLeft { payer, .. }
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

/// How much a warning matters. The most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Importance {
    /// Documents cannot become final.
    Blocks,
    /// Something that was used is not charged.
    NotCharged,
    /// Something may be missing.
    MayBeMissing,
}

impl Warning {
    /// How much it matters.
    pub fn importance(&self) -> Importance {
        match self {
            Self::ImplausibleUsage { .. }
            | Self::TooMuch { .. }
            | Self::TooMuchTogether { .. }
            | Self::MissingDetails { .. } => Importance::Blocks,
            Self::SuspendedUsage { .. }
            | Self::NoPeriod { .. }
            | Self::NoPrices { .. }
            | Self::NoRate { .. }
            | Self::Undeclared { .. }
            | Self::PartsLeft { .. }
            | Self::UsageNoRate { .. } => Importance::NotCharged,
            Self::Invoiced { .. }
            | Self::SilentComputer { .. }
            | Self::MissingReports { .. }
            | Self::SilentResources { .. }
            | Self::MoreComputers { .. } => Importance::MayBeMissing,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::ImplausibleUsage { .. } | Self::SuspendedUsage { .. } => {
                "look at `slapledger usage suspended`, resolve or dismiss the reports, then refresh the run"
            }
            Self::TooMuch { .. } | Self::TooMuchTogether { .. } => {
                "correct or void the usage, or declare the resource in a larger unit, then refresh the run"
            }
            Self::MissingDetails { .. } => "add the detail with `slapledger party set`, then refresh the run",
            Self::NoPeriod { .. } => "invoice a period that is longer where the customer is",
            Self::NoPrices { .. } => {
                "publish a version of the price book that is valid then, then refresh the run"
            }
            Self::NoRate { .. } => "add a rate that matches the instance to the price book, or leave it free",
            Self::Undeclared { .. } => {
                "declare the resource in the price book, or correct its name at the sender, then refresh the run"
            }
            Self::UsageNoRate { .. } => {
                "add a rate for the resource that matches the instance to the price book, or leave it free"
            }
            Self::PartsLeft { .. } => "finalise this run, then open another one for the same period",
            Self::Invoiced { .. } => "void that invoice to invoice the period again, or leave it as it is",
            Self::SilentComputer { .. }
            | Self::MissingReports { .. }
            | Self::SilentResources { .. }
            | Self::MoreComputers { .. } => {
                "look at `slapledger usage gaps PERIOD`, and have the computers report what is missing"
            }
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
                write!(f, "{payer}: {invoice} already covers this period; there is no draft")
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
            Self::SilentResources { computer, instances, resources, hours, first } => {
                let names: Vec<&str> = resources.iter().map(ResourceId::as_str).collect();
                let (hour, instance) = (plural(*hours, "hour"), plural(*instances, "instance"));
                write!(f, "{computer}: no {} for {instance} in {hour}, first in {first}", names.join(", "))
            }
            Self::ImplausibleUsage { payer, events } => {
                write!(
                    f,
                    "{payer}: {} implausible, not charged until resolved or dismissed",
                    Reports(*events)
                )
            }
            Self::PartsLeft { payer, period, left } => {
                let parts = if *left == 1 { "part is" } else { "parts are" };
                write!(f, "{payer}: the draft is about {period}; {left} later {parts} not invoiced")
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

fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
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
