//! What lines about earlier documents rest on: fees in advance that are settled, what is given back, adjustments.

use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::{InvoiceId, RunId, Sequence};
use slapledger_core::domain::invoice::{DocumentKind, InvoiceLine, InvoiceRunOpened, LineRef};
use slapledger_core::domain::money::{Amount, Exact};
use slapledger_core::domain::quantity::Quantity;

use super::base::of;
use super::{Bench, ExplainDesk, ExplanationParts, LineBasis, StepExplained, resource_of, usage};
use crate::behind;
use crate::document::{as_charged, line_of};
use crate::rating::{counts, key};
use crate::view::{Document, DocumentPlace};

/// A line of an earlier document that is taken back, or that some is given back of.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TakenBackExplained {
    /// Which line.
    pub cites: LineRef,
    /// What it charged.
    pub charged: Amount,
    /// What of that had been given back before.
    pub given_back: Amount,
    /// What was left.
    pub left: Amount,
}

/// What an earlier document said, and what it would say by now: the line is the difference, but never gives back more than
/// is left.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AdjustmentExplained {
    /// The run that is adjusted.
    pub run: RunId,
    /// The last event it looked at.
    pub then: Sequence,
    /// What it would say by now.
    pub now: RatedNow,
    /// The lines that charged for it before: of its document, and earlier adjustments.
    pub charged: Vec<ChargedLine>,
    /// The sum of their amounts.
    pub charged_amount: Amount,
    /// What of that was given back by hand.
    pub given_back: Amount,
}

/// A line as it would be by now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RatedNow {
    /// How much.
    pub quantity: Quantity,
    /// Of what.
    pub unit: Box<str>,
    /// Where the quantity comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<usage::UsageExplained>,
    /// What the lines come to by now that a percentage or a minimum is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Amount>,
    /// What its parts cost.
    pub steps: Vec<StepExplained>,
    /// Before it is rounded.
    pub exact: Exact,
    /// What it would cost.
    pub amount: Amount,
    /// What rounding adds.
    pub residue: Exact,
}

/// A line that charged something.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChargedLine {
    /// In which document.
    pub invoice: InvoiceId,
    /// Its number.
    pub line: u32,
    /// How much it said, as something charged.
    pub quantity: Quantity,
    /// What it charged.
    pub amount: Amount,
    /// What of that was given back by hand.
    pub given_back: Amount,
    /// What rounding had added.
    pub residue: Exact,
}

impl ExplainDesk<'_> {
    /// What a line about a fee in advance takes back.
    pub(super) fn taken_back(&self, line: &InvoiceLine) -> ExplanationParts {
        let before = self.billing().run(self.invoice().run).map_or(Sequence::ZERO, |run| run.opened.cut_off);
        self.about(line, before)
    }

    /// What a line of a credit note gives back.
    pub(super) fn given_back(&self, line: &InvoiceLine) -> ExplanationParts {
        let before = self.document.issued.map_or(Sequence(u64::MAX), |issued| Sequence(issued.0 - 1));
        self.about(line, before)
    }

    fn about(&self, line: &InvoiceLine, before: Sequence) -> ExplanationParts {
        let known = line.cites.as_ref().and_then(|cites| {
            let document = self.billing().document(cites.invoice.as_str())?;
            Some((cites, document, line_of(&document.invoice, cites.line)?))
        });
        let Some((cites, document, earlier)) = known else { return ExplanationParts::default() };
        let charged = as_charged(&document.invoice, earlier).amount;
        let Some(given_back) = self.taken_by(document, earlier.n, before) else {
            return ExplanationParts::default();
        };
        let Some(left) = charged.checked_sub(given_back) else { return ExplanationParts::default() };
        let formula = format!(
            "{} line {} charged {charged}, {given_back} taken of it before, {left} left; this line: {}",
            cites.invoice, cites.line, line.amount
        );
        let taken = TakenBackExplained { cites: cites.clone(), charged, given_back, left };
        ExplanationParts {
            formula: vec![formula],
            basis: Some(LineBasis::TakenBack(taken)),
            ..ExplanationParts::default()
        }
    }

    /// Whether a line takes back what is still charged of a void document: it rests on the event that issued the document
    /// it cites, as no line about usage can.
    pub(super) fn settles_void(&self, line: &InvoiceLine) -> bool {
        let cited = line.cites.as_ref().and_then(|cites| self.billing().document(cites.invoice.as_str()));
        let issued = cited.and_then(|document| document.issued);
        line.events.count == 1 && issued == Some(line.events.first_sequence)
    }

    /// What all documents up to an event took of a line, as something charged.
    fn taken_by(&self, document: &Document, n: u32, before: Sequence) -> Option<Amount> {
        let settled = self.settled_by(document, n, (before, false))?;
        settled.checked_add(self.given_by_hand(document, n, before)?)
    }

    /// What lines of later runs took of a line, likewise: those of charges by hand, or the others.
    fn settled_by(&self, document: &Document, n: u32, (before, by_hand): (Sequence, bool)) -> Option<Amount> {
        let (billing, invoice) = (self.billing(), &document.invoice);
        let about = LineRef { invoice: invoice.id.clone(), line: n };
        let places = billing.of_payer.get(&invoice.buyer.party).into_iter().flatten();
        let documents = places.filter_map(|place| billing.documents.get(place));
        let known = documents.filter(|later| later.issued.is_some_and(|issued| issued <= before));
        let takers = known.flat_map(|later| later.invoice.lines.iter().map(move |line| (later, line)));
        let takers = takers.filter(|(later, line)| {
            let (remainders, invoice) = (&billing.remainders, &later.invoice.id);
            remainders.takes(invoice, line.n) == Some(&about)
                && remainders.takes_by_hand(invoice, line.n) == by_hand
        });
        let settled = takers.map(|(later, line)| {
            let given_back = self.given_back_by(later, line.n, before);
            as_charged(&later.invoice, line).amount.checked_sub(given_back).map(Amount::negated)
        });
        Amount::sum(invoice.currency, settled.collect::<Option<Vec<_>>>()?)
    }

    /// What was given of a line by hand up to an event, as something charged: by credit notes, and by charges that correct it.
    fn given_by_hand(&self, document: &Document, n: u32, before: Sequence) -> Option<Amount> {
        let corrected = self.settled_by(document, n, (before, true))?;
        corrected.checked_add(self.given_back_by(document, n, before))
    }

    /// What credit notes up to an event gave back of a line, as something charged.
    fn given_back_by(&self, document: &Document, n: u32, before: Sequence) -> Amount {
        let invoice = &document.invoice;
        let notes = self.billing().notes_on(invoice.run, invoice.buyer.party);
        let notes = notes.filter(|note| note.issued.is_some_and(|issued| issued <= before));
        let lines = notes.flat_map(|note| &note.invoice.lines).filter(|line| {
            line.cites.as_ref().is_some_and(|cited| (&cited.invoice, cited.line) == (&invoice.id, n))
        });
        let given = Amount::sum(invoice.currency, lines.map(|line| line.amount));
        let given = given.unwrap_or_else(|| Amount::zero(invoice.currency));
        // A credit note has the signs of the document it cites.
        match invoice.document {
            DocumentKind::Invoice => given,
            DocumentKind::CreditNote => given.negated(),
        }
    }

    /// What an adjustment compares; none, if it cannot be rated again.
    pub(super) fn adjusted(&self, line: &InvoiceLine) -> Option<ExplanationParts> {
        let invoice = self.invoice();
        let about = self.billing().run(self.billing().run_about(invoice, line)?)?;
        let cut_off = self.billing().run(invoice.run)?.opened.cut_off;
        let charged = self.charged_before(about.opened.run, line, cut_off);
        let opened = InvoiceRunOpened { cut_off, ..about.opened.clone() };
        let now = behind::again(self.view, invoice, (&opened, line.period.start), |subject, instances| {
            let own = subject.rate(instances, &mut Vec::new());
            let bench = Bench {
                subject,
                instances,
                own: &own,
                lines: Vec::new(),
                metered: usage::MeteredGroups::default(),
            };
            self.now(&bench, line)
        })?;
        let nothing = Amount::zero(invoice.currency);
        let sum = |amounts: &mut dyn Iterator<Item = Amount>| Amount::sum(invoice.currency, amounts);
        let charged_amount = sum(&mut charged.iter().map(|line| line.amount))?;
        let given_back = sum(&mut charged.iter().map(|line| line.given_back))?;
        let difference = now.amount.checked_sub(charged_amount)?;
        let left = charged_amount.checked_sub(given_back)?.max(nothing);
        let mut formula = vec![format!("now {} {}: {}", now.quantity, now.unit, now.amount)];
        formula.extend(charged.iter().map(|line| {
            format!("{} line {} charged {} for {}", line.invoice, line.line, line.amount, line.quantity)
        }));
        formula.push(format!("{} - {charged_amount} = {difference}", now.amount));
        if difference.minor() < -left.minor() {
            formula.push(format!("no more than {left} is left to be given back"));
        }
        if let Some(cites) = line.cites.as_ref().filter(|_| line.amount != difference.max(left.negated())) {
            formula.push(format!("{} of it is of {} line {}", line.amount, cites.invoice, cites.line));
        }
        let (run, then) = (about.opened.run, about.opened.cut_off);
        let adjusted = AdjustmentExplained { run, then, now, charged, charged_amount, given_back };
        Some(ExplanationParts {
            formula,
            basis: Some(LineBasis::Adjustment(adjusted)),
            ..ExplanationParts::default()
        })
    }

    fn now(&self, bench: &Bench<'_, '_>, line: &InvoiceLine) -> Option<RatedNow> {
        let wanted = key(line)?;
        let found = bench.own.lines.iter().find(|rated| key(&rated.line) == Some(wanted));
        let (book, rate) = self.book(line)?;
        let Some(rated) = found.map(|rated| &rated.line) else {
            return Some(RatedNow {
                quantity: Quantity::ZERO,
                unit: line.unit.clone(),
                usage: None,
                base: None,
                steps: Vec::new(),
                exact: Exact::ZERO,
                amount: Amount::zero(self.invoice().currency),
                residue: Exact::ZERO,
            });
        };
        let usage = resource_of(rated, rate).and_then(|resource| {
            let why = usage::explain(bench, rated, (book, rate, &resource));
            match why.basis {
                Some(LineBasis::Usage(parts)) => Some(parts),
                _ => None,
            }
        });
        let exact = Exact::from(rated.amount).minus(rated.residue);
        let base = of(rate).and_then(|(of, percentages)| {
            let name = &rated.price_book.as_ref()?.name;
            let lines = bench.own.lines.iter().map(|rated| &rated.line);
            let counted = lines.filter(|line| {
                counts(line, (name, rated.period), of, percentages)
                    && bench.subject.prices.is_reduced(rated, line)
            });
            Amount::sum(self.invoice().currency, counted.map(|line| line.amount))
        });
        Some(RatedNow {
            quantity: rated.quantity,
            unit: rated.unit.clone(),
            usage,
            base,
            steps: StepExplained::all(rated),
            exact,
            amount: rated.amount,
            residue: rated.residue,
        })
    }

    /// The lines that charged for the same before an adjustment was made.
    fn charged_before(&self, run: RunId, line: &InvoiceLine, cut_off: Sequence) -> Vec<ChargedLine> {
        let billing = self.billing();
        let payer = self.invoice().buyer.party;
        let of_run = billing.documents.get(&DocumentPlace::of(run, payer));
        let of_run = of_run.filter(|document| document.issued.is_some());
        let same = |other: &InvoiceLine| key(other).is_some() && key(other) == key(line);
        let own = of_run.into_iter().flat_map(|document| {
            let lines = document.invoice.lines.iter();
            lines.map(move |line| (document, line))
        });
        let own = own.filter(|(_, other)| other.kind.is_rated() && !billing.is_in_advance(other));
        let later = billing.adjusted.get(&(run, payer)).into_iter().flatten().filter_map(|(place, n)| {
            let document = billing.documents.get(place)?;
            let known = document.issued.is_some_and(|issued| issued <= cut_off);
            known.then(|| Some((document, line_of(&document.invoice, *n)?))).flatten()
        });
        let charged = own.chain(later).filter(|(_, other)| same(other)).map(|(document, other)| {
            let as_charged = as_charged(&document.invoice, other);
            ChargedLine {
                invoice: document.invoice.id.clone(),
                line: other.n,
                quantity: as_charged.quantity,
                amount: as_charged.amount,
                given_back: self
                    .given_by_hand(document, other.n, cut_off)
                    .unwrap_or_else(|| Amount::zero(document.invoice.currency)),
                residue: as_charged.residue,
            }
        });
        charged.collect()
    }
}
