//! Why a line of a document says what it says, so that its arithmetic can be done again by hand.
//!
//! The line is rated once more as it was at the cut-off of its run, and what it was made of is told: the rate as it was
//! published, the quantity by hour or by day, the steps with what each costs, rounding and residue, the allocations with
//! the events that began and ended them, the tax of its document; and, if its usage has changed since, what it would be
//! now. Amounts are told as something charged: in a credit note they are turned round (`turned`).
//!
//! Everything is exact, and bounded: what is left out for its length is counted. Nothing is decided here.

mod adjusted;
mod base;
mod counted;
mod number;
mod taxed;
mod time;
mod trial;
mod usage;

use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::{
    ComputerId, InstanceId, InvoiceId, PartitionId, PriceBookName, Reference, ResourceId, Sequence,
};
use slapledger_core::domain::invoice::{
    DocumentKind, EventSet, Invoice, InvoiceLine, InvoiceRunOpened, LineKind, PriceStep,
};
use slapledger_core::domain::money::{Amount, Currency, Exact, Rounding};
use slapledger_core::domain::pricing::{Model, OverrideId, PriceBook, Rate, Resource, When};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Timestamp;
use slapledger_projections::metering::AsOf;

use crate::document::as_charged;
use crate::history::History;
use crate::price_book::{RateShown, ResourceShown};
use crate::rating::{Own, RatedLine, RatingSubject, key, new_events};
use crate::view::{Billing, BillingView, Document};
use crate::{behind, events, tariff};

pub use adjusted::{AdjustmentExplained, ChargedLine, RatedNow, TakenBackExplained};
pub use base::{BaseExplained, BaseLine, BeforeExplained, LeastExplained, LeastPartExplained};
pub use counted::{CountedEvent, CountedFor};
pub use number::Number;
pub use taxed::{ProductTaxExplained, TaxExplained};
pub use time::{TimeExplained, TimePart};
pub use trial::TrialExplained;
use usage::MeteredGroups;
pub use usage::{
    MeterValue, SampleValue, SamplesExplained, ShareExplained, StepsBy, UsageExplained, UsagePart, UsageStep,
};

/// The most allocations, parts or lines that an explanation tells one by one.
const MOST: usize = 100;
/// The most sequences that are told of a change.
const MOST_SEQUENCES: usize = 20;

/// Why a line says what it says.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Explanation {
    /// The last event it looks at: the cut-off of its run.
    pub as_of: Sequence,
    /// Whether the line was found again as it stands. What was issued elsewhere, or by hand, is told from the line alone.
    pub found: bool,
    /// Whether the document shows it turned round, as a credit note does.
    pub turned: bool,
    /// The arithmetic, step by step, for people.
    pub formula: Vec<String>,
    /// The rate, as it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceExplained>,
    /// Where the quantity comes from, or the amounts it rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<LineBasis>,
    /// Why some or all of it costs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<TrialExplained>,
    /// The parts of the quantity and what each costs; together they are `exact`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepExplained>,
    /// What it costs before it is rounded; none, if it is not a product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<Exact>,
    /// What it is rounded to, once.
    pub amount: Amount,
    /// What rounding added.
    pub residue: Exact,
    /// Where its instances were.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allocations: Vec<AllocationExplained>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub allocations_left_out: u64,
    /// The tax of its document that it is a part of.
    pub tax: TaxExplained,
    /// What it would be now, if that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<LineSince>,
    /// The lines of later documents that adjusted it or gave some of it back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<LineLater>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A rate, and the version of the price book that has it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PriceExplained {
    /// The book.
    pub name: PriceBookName,
    /// Its version.
    pub version: u32,
    /// Since when the version counts.
    pub valid_from: Timestamp,
    /// The event that published it.
    pub sequence: Sequence,
    /// What its prices are in.
    pub currency: Currency,
    /// How its amounts are rounded.
    pub rounding: Rounding,
    /// Which of its rates, from 1; 0, if it is a price of the customer that takes the place of one.
    pub number: u32,
    /// Which price of the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_override: Option<OverrideId>,
    /// The rate.
    pub rate: RateShown,
    /// How what it is for is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceShown>,
}

/// Where the quantity of a line comes from, or the amounts it rests on.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LineBasis {
    /// The time of a fee.
    Time(TimeExplained),
    /// What was used.
    Usage(UsageExplained),
    /// Other lines of its document.
    Lines(BaseExplained),
    /// A fee charged in advance, or a line of the document that a credit note is about.
    TakenBack(TakenBackExplained),
    /// What an earlier document said, and what it would say by now.
    Adjustment(AdjustmentExplained),
    /// Somebody said so.
    ByHand {
        /// The event that recorded it.
        sequence: Option<Sequence>,
    },
}

/// A part of a quantity and what it costs: `quantity x price + flat`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StepExplained {
    /// The part.
    #[serde(flatten)]
    pub step: PriceStep,
    /// What it costs, exactly.
    pub cost: Exact,
}

impl StepExplained {
    /// The steps of a line: one, if all units cost the same.
    fn all(line: &InvoiceLine) -> Vec<Self> {
        let whole = line.unit_price.filter(|_| line.steps.is_empty());
        let whole = whole.map(|price| tariff::alike(line.quantity, price));
        let steps = whole.into_iter().chain(line.steps.iter().cloned());
        steps.map(|step| Self { cost: tariff::cost(&step), step }).collect()
    }
}

/// Where an instance was.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AllocationExplained {
    /// Which instance.
    pub instance: InstanceId,
    /// Its name.
    pub reference: Reference,
    /// On which computer.
    pub computer: ComputerId,
    /// In which partition.
    pub partition: PartitionId,
    /// Since when.
    pub start: Timestamp,
    /// Until when, if it has ended as far as the line knows.
    pub stop: Option<Timestamp>,
    /// The event that began it.
    pub began: Sequence,
    /// The event that ended it.
    pub ended: Option<Sequence>,
}

/// What a line would be by now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LineSince {
    /// The last event that is looked at.
    pub as_of: Sequence,
    /// How much it would be.
    pub quantity: Quantity,
    /// What it would cost.
    pub amount: Amount,
    /// What that is more than it was.
    pub difference: Amount,
    /// The events that came since and make it so.
    pub events: EventSet,
    /// The first of them.
    pub sequences: Vec<Sequence>,
}

/// A line of a later document that is about a line.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LineLater {
    /// The document.
    pub invoice: InvoiceId,
    /// Its line.
    pub line: u32,
    /// What the document says.
    pub document: DocumentKind,
    /// How much.
    pub amount: Amount,
}

/// A document explained: some of its lines, and its sums.
#[derive(Debug)]
pub struct Explained<'a> {
    /// The document.
    pub document: &'a Document,
    /// The lines that were asked for, each with its explanation.
    pub lines: Vec<(&'a InvoiceLine, Explanation)>,
    /// Whether there are more.
    pub more: bool,
    /// The tax of the document, by category and rate.
    pub tax: Vec<TaxExplained>,
}

impl BillingView {
    /// Explains lines of a document after one; none, if there is no such document. `now` is the last event of the view.
    pub fn explain(&self, invoice: &str, after: u32, limit: usize, now: Sequence) -> Option<Explained<'_>> {
        let document = self.billing.document(invoice)?;
        let mut rest = document.invoice.lines.iter().filter(|line| line.n > after);
        let wanted: Vec<&InvoiceLine> = rest.by_ref().take(limit).collect();
        let more = rest.next().is_some();
        let desk = ExplainDesk { view: self, document, now };
        let explanations = desk.explain(&wanted);
        let lines = wanted.into_iter().zip(explanations).collect();
        let tax = document
            .invoice
            .tax
            .iter()
            .map(|subtotal| TaxExplained::of(&document.invoice, subtotal))
            .collect();
        Some(Explained { document, lines, more, tax })
    }

    /// Explains one line; none, if there is no such document or line.
    pub fn explain_line(
        &self,
        invoice: &str,
        n: u32,
        now: Sequence,
    ) -> Option<(&Document, &InvoiceLine, Explanation)> {
        let Explained { document, lines, .. } = self.explain(invoice, n.checked_sub(1)?, 1, now)?;
        let (line, explanation) = lines.into_iter().next().filter(|(line, _)| line.n == n)?;
        Some((document, line, explanation))
    }
}

/// Everything at hand to explain lines of one document.
#[derive(Clone, Copy)]
struct ExplainDesk<'v> {
    view: &'v BillingView,
    document: &'v Document,
    now: Sequence,
}

/// What a document was rated from, rated again.
struct Bench<'b, 's> {
    subject: &'b RatingSubject<'s>,
    instances: &'b [(InstanceId, &'b History)],
    own: &'b Own<'b>,
    /// Those of `own`, what is charged in advance for it, and the fees for the time to come.
    lines: Vec<&'b RatedLine>,
    metered: MeteredGroups,
}

impl<'v> ExplainDesk<'v> {
    fn billing(&self) -> &'v Billing {
        &self.view.billing
    }

    fn invoice(&self) -> &'v Invoice {
        &self.document.invoice
    }

    fn explain(&self, wanted: &[&'v InvoiceLine]) -> Vec<Explanation> {
        let run = self.billing().run(self.invoice().run).filter(|_| !self.by_hand());
        let rated = run.and_then(|run| {
            let now = self.rated_now(&run.opened);
            behind::again(
                self.view,
                self.invoice(),
                (&run.opened, self.invoice().period.start),
                |subject, instances| {
                    let own = subject.rate(instances, &mut Vec::new());
                    let advance = subject.in_advance(instances);
                    let in_advance = own.in_advance.values().flatten();
                    let lines = own.lines.iter().chain(in_advance).chain(&advance).collect();
                    let bench =
                        Bench { subject, instances, own: &own, lines, metered: MeteredGroups::default() };
                    Some(wanted.iter().map(|line| self.line(line, Some((&bench, &now)))).collect())
                },
            )
        });
        rated.unwrap_or_else(|| wanted.iter().map(|line| self.line(line, None)).collect())
    }

    /// Whether it is a credit note that somebody wrote about a document.
    fn by_hand(&self) -> bool {
        self.invoice().cites.is_some()
            && self
                .billing()
                .notes_on(self.invoice().run, self.invoice().buyer.party)
                .any(|note| note.invoice.id == self.invoice().id)
    }

    /// All lines for what was in the period of a run, as of now; those that came to nothing too.
    fn rated_now(&self, run: &InvoiceRunOpened) -> Vec<RatedLine> {
        let opened = InvoiceRunOpened { cut_off: self.now, ..run.clone() };
        let rated = behind::again(
            self.view,
            self.invoice(),
            (&opened, self.invoice().period.start),
            |subject, instances| {
                let own = subject.rate(instances, &mut Vec::new());
                Some(own.lines.into_iter().chain(own.nothing).collect())
            },
        );
        rated.unwrap_or_default()
    }

    fn line(&self, line: &'v InvoiceLine, rated: Option<(&Bench<'_, '_>, &[RatedLine])>) -> Explanation {
        let invoice = self.invoice();
        let turned = invoice.document == DocumentKind::CreditNote && !self.by_hand();
        let charged = if turned { as_charged(invoice, line) } else { line.clone() };
        let bench = rated.map(|(bench, _)| bench);
        let again = bench.and_then(|bench| bench.find(&charged));
        // A credit note cannot show every step; the line it was made from has them.
        let shown = again.map_or(&charged, |again| &again.line);
        let price = self.price(line);
        let book = price.as_ref().and_then(|_| self.book(line));
        let mut found = again.is_some();
        let mut why = ExplanationParts::default();
        match (&line.kind, book, bench) {
            _ if self.by_hand() => {
                found = true;
                why = self.given_back(line);
            }
            (LineKind::Advance | LineKind::Adjustment, ..)
                if line.cites.is_some() && (line.kind == LineKind::Advance || self.settles_void(line)) =>
            {
                found = true;
                why = self.taken_back(&charged);
            }
            (LineKind::Recurring | LineKind::Advance, ..) if is_rest(line) => {
                why.formula
                    .push(format!("what later documents left of it to be charged: {}", charged.amount));
            }
            (LineKind::Correction { charge }, ..) => {
                found = true;
                why = self.taken_back(&charged);
                why.formula.insert(0, format!("{charge} corrects what is charged for a line"));
            }
            (LineKind::OneOff { .. }, ..) => {
                found = true;
                let sequence = Some(line.events.first_sequence).filter(|_| line.events.count > 0);
                why.formula.push(format!("{} {}, as it was recorded", charged.amount, invoice.currency));
                why.basis = Some(LineBasis::ByHand { sequence });
            }
            (LineKind::Adjustment, ..) => {
                if let Some(adjusted) = self.adjusted(&charged) {
                    (found, why) = (true, adjusted);
                }
            }
            (LineKind::Recurring | LineKind::Advance, Some((_, rate)), Some(bench)) => {
                why = time::explain(bench.subject, shown, again, rate);
            }
            (LineKind::Usage { resource }, Some((book, rate)), Some(bench)) => {
                why = usage::explain(bench, shown, (book, rate, resource));
            }
            (
                LineKind::Percentage | LineKind::Minimum | LineKind::Discount | LineKind::Maximum,
                Some((book, rate)),
                Some(bench),
            ) => {
                why = self.of_lines(bench.subject, (&charged, again), (book, rate));
            }
            _ => {}
        }
        let priced = matches!(line.kind, LineKind::Recurring | LineKind::Usage { .. } | LineKind::Advance)
            && line.cites.is_none();
        let trial = bench.zip(book).filter(|_| priced && !self.by_hand());
        let trial = trial.and_then(|(bench, (_, rate))| TrialExplained::of(bench, (&charged, again), rate));
        why.formula.extend(trial.as_ref().map(TrialExplained::formula));
        if priced && !self.by_hand() && !is_rest(line) {
            why.steps = StepExplained::all(shown);
            why.exact = Some(why.steps.iter().map(|step| step.cost).sum());
            why.formula.extend(
                Some(tariff::explain(shown.quantity, shown.unit_price, &shown.steps))
                    .filter(|text| !text.is_empty()),
            );
            why.formula.extend(why.exact.zip(book).map(|(exact, (book, _))| {
                rounded(exact, (charged.amount, charged.residue), (book.rounding, book.currency))
            }));
        }
        if turned {
            why.formula.push(format!("turned round on a credit note: {}", line.amount));
        }
        let (allocations, allocations_left_out) =
            bench.map_or((Vec::new(), 0), |bench| bench.allocations(&charged));
        let since = rated.and_then(|(bench, now)| self.since(&charged, again, (bench, now)));
        Explanation {
            as_of: self.billing().run(invoice.run).map_or(Sequence::ZERO, |run| run.opened.cut_off),
            found,
            turned,
            formula: why.formula,
            price,
            basis: why.basis,
            trial,
            steps: why.steps,
            exact: why.exact,
            amount: charged.amount,
            residue: charged.residue,
            allocations,
            allocations_left_out,
            tax: TaxExplained::of_line(self.billing(), invoice, line),
            since,
            later: self.later(line),
        }
    }

    /// The version and rate that priced a line.
    fn book(&self, line: &InvoiceLine) -> Option<(&'v PriceBook, &'v Rate)> {
        let priced = line.price_book.as_ref()?;
        let nth = |n: u32| usize::try_from(n).ok()?.checked_sub(1);
        let book = self.billing().books.versions(priced.name.as_str()).get(nth(priced.version)?)?;
        Some((book, self.billing().rate_of(line)?))
    }

    fn price(&self, line: &InvoiceLine) -> Option<PriceExplained> {
        let (book, rate) = self.book(line)?;
        let priced = line.price_book.as_ref()?;
        let published =
            self.billing().price_book(priced.name.as_str()).find(|known| known.version == priced.version)?;
        let resource = match &rate.model {
            Model::Usage { resource, .. } => book.resource(resource),
            _ => None,
        };
        Some(PriceExplained {
            name: priced.name.clone(),
            version: priced.version,
            valid_from: book.valid_from,
            sequence: published.sequence,
            currency: book.currency,
            rounding: book.rounding,
            number: line.rate,
            price_override: line.price_override,
            rate: RateShown::of(rate),
            resource: resource.map(ResourceShown::of),
        })
    }

    /// What a line would be by now, where that is something else.
    fn since(
        &self,
        charged: &InvoiceLine,
        then: Option<&RatedLine>,
        (bench, now): (&Bench<'_, '_>, &[RatedLine]),
    ) -> Option<LineSince> {
        // What fees in advance cost is compared with what was charged for them, by the run itself.
        let settled = self
            .book(charged)
            .is_some_and(|(_, rate)| matches!(rate.model, Model::Recurring { when: When::Advance, .. }));
        if !charged.kind.is_rated() || settled {
            return None;
        }
        let wanted = key(charged)?;
        let found = now.iter().find(|rated| key(&rated.line) == Some(wanted));
        let nothing = Amount::zero(self.invoice().currency);
        let (quantity, amount) =
            found.map_or((Quantity::ZERO, nothing), |rated| (rated.line.quantity, rated.line.amount));
        let amount = if quantity == Quantity::ZERO { nothing } else { amount };
        if (quantity, amount) == (charged.quantity, charged.amount) {
            return None;
        }
        let mut sequences = new_events(bench.subject.basis.metering, self.now, (found, then));
        sequences.retain(|sequence| *sequence > bench.subject.as_of);
        let events = events::event_set(&sequences);
        sequences.truncate(MOST_SEQUENCES);
        let difference = amount.checked_sub(charged.amount)?;
        Some(LineSince { as_of: self.now, quantity, amount, difference, events, sequences })
    }

    /// The lines of later documents of the payer that cite a line.
    fn later(&self, line: &InvoiceLine) -> Vec<LineLater> {
        let (billing, invoice) = (self.billing(), self.invoice());
        let places = billing.of_payer.get(&invoice.buyer.party).into_iter().flatten();
        let documents = places.filter_map(|place| billing.documents.get(place));
        let lines =
            documents.flat_map(|document| document.invoice.lines.iter().map(move |line| (document, line)));
        let about = lines.filter(|(_, later)| {
            later.cites.as_ref().is_some_and(|cited| (&cited.invoice, cited.line) == (&invoice.id, line.n))
        });
        let later = about.map(|(document, later)| LineLater {
            invoice: document.invoice.id.clone(),
            line: later.n,
            document: document.invoice.document,
            amount: later.amount,
        });
        later.take(MOST).collect()
    }
}

/// What makes up an explanation beside what all have.
#[derive(Default)]
struct ExplanationParts {
    formula: Vec<String>,
    basis: Option<LineBasis>,
    steps: Vec<StepExplained>,
    exact: Option<Exact>,
}

impl<'b> Bench<'b, '_> {
    /// What was reported of a resource of an instance, as it is declared.
    fn usage_of<'d>(&'d self, instance: InstanceId, declared: &'d Resource) -> AsOf<'d> {
        let history = self.instances.iter().find(|(id, _)| *id == instance).map(|(_, history)| history);
        self.subject.usage_of(declared, history.and_then(|history| history.allocation.as_ref()))
    }

    /// A line rated again as it stands: the same quantity, amount and events.
    fn find(&self, line: &InvoiceLine) -> Option<&'b RatedLine> {
        let wanted = key(line)?;
        let same = |rated: &&&RatedLine| {
            let other = &rated.line;
            key(other) == Some(wanted)
                && (other.quantity, other.amount, &other.events) == (line.quantity, line.amount, &line.events)
        };
        self.lines.iter().find(same).copied()
    }

    /// Where the instances of a line were, and how many are left out.
    fn allocations(&self, line: &InvoiceLine) -> (Vec<AllocationExplained>, u64) {
        let about = |id: InstanceId| line.instance.is_none_or(|instance| instance == id);
        let mut there = self.instances.iter().filter(|(id, _)| about(*id)).filter_map(|(id, history)| {
            let allocation = history.allocation.as_ref()?;
            // A line about one instance tells where it was, also if that ended before its clock said so.
            if line.instance.is_none() {
                allocation.within(line.period)?;
            }
            Some(AllocationExplained {
                instance: *id,
                reference: history.reference.clone(),
                computer: allocation.computer.clone(),
                partition: allocation.partition.clone(),
                start: allocation.since(),
                stop: allocation.until(),
                began: allocation.began(),
                ended: allocation.ended(),
            })
        });
        let of_everybody = line.price_book.is_some();
        if !of_everybody {
            return (Vec::new(), 0);
        }
        let told: Vec<AllocationExplained> = there.by_ref().take(MOST).collect();
        (told, there.count() as u64)
    }
}

/// Whether a line is the rest of a fee, which is no quantity times a price.
fn is_rest(line: &InvoiceLine) -> bool {
    line.unit_price.is_none() && &*line.unit == "part"
}

/// The sentence about rounding.
fn rounded(
    exact: Exact,
    (amount, residue): (Amount, Exact),
    (rounding, currency): (Rounding, Currency),
) -> String {
    let rule = match rounding {
        Rounding::HalfUp => "half up",
        Rounding::HalfEven => "half to even",
    };
    format!("{exact} rounded {rule} = {amount} {currency}, which adds {residue}")
}

/// The resource of a usage line.
fn resource_of(line: &InvoiceLine, rate: &Rate) -> Option<ResourceId> {
    match (&line.kind, &rate.model) {
        (LineKind::Usage { resource }, _) | (LineKind::Adjustment, Model::Usage { resource, .. }) => {
            Some(resource.clone())
        }
        _ => None,
    }
}
