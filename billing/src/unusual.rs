//! What is unusual about the drafts of a run, for people who approve them; the most unusual draft first.
//!
//! The order: usage that is missing or suspended, and what blocks a draft; the change against the period before; a first
//! invoice; late or adjusted usage; instances that ended; amounts of zero; nothing. A pure reading of the view.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::{ComputerId, InstanceId, PartyId, ResourceId, RunId};
use slapledger_core::domain::invoice::{Invoice, LineKind, as_charged};
use slapledger_core::domain::money::Amount;
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_projections::stop;

use crate::gaps::{Gap, may_be_within};
use crate::history::AllocationHistory;
use crate::view::{BillingView, Document};
use crate::warning::Warning;

/// A change is unusual from this part of the earlier amount on.
const UNUSUAL_CHANGE_DIVISOR: i128 = 5;
/// The most instances and resources that a finding names.
const MOST_NAMED: usize = 20;

/// What kind of thing is unusual. The order is that of their rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Nothing was reported of a resource of an instance while its computer reported other things.
    MissingUsage,
    /// Usage of an instance of the buyer waits for somebody to resolve or dismiss it.
    SuspendedUsage,
    /// The run warns of something that is about the buyer.
    Warning,
    /// The buyer was charged much more or less for the period before.
    Change,
    /// The buyer has no invoice yet.
    FirstInvoice,
    /// Usage came after the drafts were made.
    LateUsage,
    /// Lines adjust earlier documents.
    Adjustment,
    /// Instances ended in the period.
    EndedInstance,
    /// Lines, or the whole document, come to zero.
    Zero,
}

impl FindingKind {
    /// Its rank among the reasons to look at a draft; 0 is looked at first.
    pub fn rank(self) -> u8 {
        match self {
            Self::MissingUsage | Self::SuspendedUsage | Self::Warning => 0,
            Self::Change => 1,
            Self::FirstInvoice => 2,
            Self::LateUsage | Self::Adjustment => 3,
            Self::EndedInstance => 4,
            Self::Zero => 5,
        }
    }
}

/// The rank of a draft without findings.
pub const NOTHING_UNUSUAL: u8 = 6;

/// Something unusual about a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "DraftFinding")]
pub struct DraftFinding {
    /// What.
    pub kind: FindingKind,
    /// How many: hours of missing usage, reports that are suspended or late, lines, or instances.
    pub count: u64,
    /// Which instances, the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceId>,
    /// Which resources, the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceId>,
    /// On which computer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computer: Option<ComputerId>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Timestamp>,
    /// What the run warns of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<&'static str>,
}

impl DraftFinding {
    fn new(kind: FindingKind, count: u64) -> Self {
        Self {
            kind,
            count,
            instances: Vec::new(),
            resources: Vec::new(),
            computer: None,
            start: None,
            stop: None,
            message: None,
            remedy: None,
        }
    }
}

/// A draft, or the document it became, and what is unusual about it.
#[derive(Debug, Clone)]
pub struct RankedDraft<'a> {
    /// The document.
    pub document: &'a Document,
    /// What the buyer was charged for the period before, in the same currency and without tax; none, if nothing.
    pub before: Option<Amount>,
    /// What is unusual, in the order of the kinds.
    pub findings: Vec<DraftFinding>,
}

impl RankedDraft<'_> {
    /// The rank of what is most unusual about it.
    pub fn rank(&self) -> u8 {
        self.findings.iter().map(|finding| finding.kind.rank()).min().unwrap_or(NOTHING_UNUSUAL)
    }

    /// What it is more than the document of the period before.
    pub fn difference(&self) -> Amount {
        let net = net_of(&self.document.invoice);
        self.before.and_then(|before| net.checked_sub(before)).unwrap_or(net)
    }
}

fn net_of(invoice: &Invoice) -> Amount {
    as_charged(invoice.document, invoice.net)
}

/// Missing usage by owner and computer.
type MissingOf = BTreeMap<(PartyId, ComputerId), DraftFinding>;

impl BillingView {
    /// The documents of a run, the most unusual first.
    pub fn ranked_drafts(&self, run: RunId) -> Vec<RankedDraft<'_>> {
        let documents: Vec<&Document> = self.billing.documents_of(run).collect();
        let starts = documents.iter().map(|document| document.invoice.period.start).min();
        let stops = documents.iter().map(|document| document.invoice.period.stop).max();
        let Some(period) = starts.zip(stops).and_then(|(start, stop)| Period::new(start, stop)) else {
            return Vec::new();
        };
        let missing = self.missing_by_owner(period);
        let suspended = self.suspended_by_owner(period);
        let mut ranked: Vec<RankedDraft<'_>> = documents
            .into_iter()
            .map(|document| {
                stop::check();
                let before = self.before(&document.invoice);
                let mut draft = RankedDraft { document, before, findings: Vec::new() };
                if document.issued.is_none() {
                    draft.findings = self.findings(&draft, &missing, &suspended);
                }
                draft
            })
            .collect();
        ranked.sort_by_cached_key(|draft| {
            let difference = std::cmp::Reverse(draft.difference().minor().abs());
            (draft.rank(), difference, draft.document.invoice.buyer.party)
        });
        ranked
    }

    fn findings(
        &self,
        draft: &RankedDraft<'_>,
        missing: &MissingOf,
        suspended: &BTreeMap<PartyId, DraftFinding>,
    ) -> Vec<DraftFinding> {
        let invoice = &draft.document.invoice;
        let payer = invoice.buyer.party;
        let mut findings: Vec<DraftFinding> = missing
            .iter()
            .filter(|((owner, _), _)| *owner == payer)
            .map(|(_, finding)| finding.clone())
            .collect();
        findings.extend(suspended.get(&payer).cloned());
        for warning in self.billing.warnings_of(draft.document) {
            // What is suspended anywhere is said of the run.
            if matches!(warning, Warning::SuspendedUsage { .. } | Warning::MoreComputers { .. }) {
                continue;
            }
            let (message, remedy) = (Some(warning.to_string()), Some(warning.remedy()));
            findings.push(DraftFinding {
                computer: warning.computer().cloned(),
                instances: warning.instance().into_iter().collect(),
                message,
                remedy,
                ..DraftFinding::new(FindingKind::Warning, 1)
            });
        }
        if let Some(before) = draft.before {
            let (change, before) = (draft.difference().minor().abs(), before.minor().abs());
            if change > 0 && change * UNUSUAL_CHANGE_DIVISOR >= before {
                findings.push(DraftFinding::new(FindingKind::Change, 1));
            }
        }
        if self.billing.of_payer.get(&payer).is_none_or(Vec::is_empty) {
            findings.push(DraftFinding::new(FindingKind::FirstInvoice, 1));
        }
        if let Some(late) = self.billing.late(invoice.run, payer) {
            findings.push(DraftFinding {
                remedy: Some("refresh the run, so that its drafts take it into account"),
                ..DraftFinding::new(FindingKind::LateUsage, late.events)
            });
        }
        let adjusting = invoice.lines.iter().filter(|line| line.kind == LineKind::Adjustment).count();
        if adjusting > 0 {
            findings.push(DraftFinding::new(FindingKind::Adjustment, adjusting as u64));
        }
        findings.extend(self.ended(payer, invoice.period));
        let zero = invoice.lines.iter().filter(|line| line.amount.minor() == 0).count();
        if zero > 0 || invoice.total.minor() == 0 {
            findings.push(DraftFinding::new(FindingKind::Zero, zero as u64));
        }
        findings.sort_by_key(|finding| finding.kind);
        findings
    }

    /// What a buyer was charged for the period that ends where this one begins.
    fn before(&self, invoice: &Invoice) -> Option<Amount> {
        let places = self.billing.of_payer.get(&invoice.buyer.party)?;
        let documents = places.iter().filter_map(|place| self.billing.documents.get(place));
        let earlier = documents.filter(|document| {
            let other = &document.invoice;
            other.period.stop == invoice.period.start
                && other.currency == invoice.currency
                && other.seller.party == invoice.seller.party
        });
        let mut amounts = earlier.map(|document| net_of(&document.invoice)).peekable();
        amounts.peek()?;
        Amount::sum(invoice.currency, amounts)
    }

    fn missing_by_owner(&self, period: Period) -> MissingOf {
        let mut found = MissingOf::new();
        for gap in self.gaps(period, |_| true, None, usize::MAX).items {
            let Gap::SilentResource { computer, instance, resource, hours, start, stop, .. } = gap else {
                continue;
            };
            let Some(owner) = self.billing.histories.get(instance).map(|history| history.owner) else {
                continue;
            };
            let finding = found.entry((owner, computer.clone())).or_insert_with(|| DraftFinding {
                computer: Some(computer),
                start: Some(start),
                stop: Some(stop),
                remedy: Some("have the computer report what is missing, then refresh the run"),
                ..DraftFinding::new(FindingKind::MissingUsage, 0)
            });
            // Several resources are missing in the same hours.
            finding.count = finding.count.max(hours);
            finding.start = finding.start.min(Some(start));
            finding.stop = finding.stop.max(Some(stop));
            add(&mut finding.instances, instance);
            add(&mut finding.resources, resource);
        }
        found
    }

    fn suspended_by_owner(&self, period: Period) -> BTreeMap<PartyId, DraftFinding> {
        let mut found: BTreeMap<PartyId, DraftFinding> = BTreeMap::new();
        let waiting = self.metering.waiting().map(|(_, suspense)| suspense);
        let waiting: Vec<_> = waiting.filter(|waiting| may_be_within(&waiting.usage, period)).collect();
        let places = self.instance_places(waiting.iter().copied());
        for suspense in waiting {
            for instance in self.may_be_of(&places, suspense) {
                let Some(history) = self.billing.histories.get(instance) else { continue };
                let finding = found.entry(history.owner).or_insert_with(|| DraftFinding {
                    remedy: Some("resolve or dismiss the reports, then refresh the run"),
                    ..DraftFinding::new(FindingKind::SuspendedUsage, 0)
                });
                finding.count += 1;
                add(&mut finding.instances, instance);
            }
        }
        found
    }

    fn ended(&self, payer: PartyId, period: Period) -> Option<DraftFinding> {
        let ended: Vec<InstanceId> = self
            .billing
            .histories
            .of(payer)
            .into_iter()
            .filter(|(_, history)| {
                let until = history.allocation.as_ref().and_then(AllocationHistory::until);
                until.is_some_and(|until| until >= period.start && until < period.stop)
            })
            .map(|(id, _)| id)
            .collect();
        let count = ended.len() as u64;
        (count > 0).then(|| DraftFinding {
            instances: ended.into_iter().take(MOST_NAMED).collect(),
            ..DraftFinding::new(FindingKind::EndedInstance, count)
        })
    }
}

fn add<T: PartialEq>(names: &mut Vec<T>, name: T) {
    if names.len() < MOST_NAMED && !names.contains(&name) {
        names.push(name);
    }
}
