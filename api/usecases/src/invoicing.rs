//! Making the drafts of an invoice run final.
//!
//! Each invoice is a command of its own, so that a run that is interrupted goes on where it stopped, and two who
//! finalise one run at the same time make one set of invoices: what the other has issued is done. Several commands are
//! under way at a time: while the writer waits for the disk, what it writes next is got ready. A run that was opened
//! before its period was over issues nothing. Names are sealed anew, under a retention key of each invoice, so that a
//! person can be erased and the document still be kept, or the other way round.
//!
//! What a draft says, and whether it may become final, is not decided here.

pub mod due;
pub mod threshold;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slapledger_billing::BillingView;
use slapledger_billing::doubt;
use slapledger_billing::run::{self, OpenedEarly};
use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::id::{InvoiceId, PartyId, RunId, Sequence};
use slapledger_core::domain::invoice::{
    FinaliseInvoice, FinaliseInvoiceRun, GiveBack, Invoice, InvoiceRefusal, IssueCreditNote,
};
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::domain::time::TimeZone;
use slapledger_core::domain::{Answer, Command, Refusal};
use slapledger_core::keyring::{KeyRing, KeyRingFault, UnreadableValue};
use slapledger_core::ledger::{Submission, SubmitError, UnderWay};
use slapledger_core::log::envelope::{Actor, Meta};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::conflict;
use slapledger_kit::problem::Problem;
use slapledger_projections::runner::ReadFault;

use crate::context::RequestContext;

/// How many invoices are under way at most, and how many drafts are copied at once.
const AT_A_TIME: usize = 64;

/// Who waits for drafts looks so often whether they can still come.
const LOOK_FOR_FAULTS: Duration = Duration::from_secs(1);

/// What stands for a name whose key was destroyed.
pub const ERASED: &str = "(erased)";

/// What stands for a name that the caller may not read.
const WITHHELD: &str = "(sealed)";

/// A name, opened. What nobody can open any more was erased, and so is the name of nobody.
pub fn open_name(keys: &KeyRing, name: Option<&Sealed>) -> String {
    match name.map(|name| keys.open_sealed(name)) {
        Some(Err(UnreadableValue::Withheld)) => WITHHELD.to_owned(),
        Some(Ok(name)) => String::from_utf8(name).unwrap_or_else(|_| ERASED.to_owned()),
        Some(Err(_)) | None => ERASED.to_owned(),
    }
}

/// A run whose invoices are final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalisedRun {
    /// Which.
    pub run: RunId,
    /// Its invoices, by payer.
    pub invoices: Vec<InvoiceId>,
    /// The last event of it.
    pub sequence: Sequence,
}

/// Why a run was not made final. What it has issued by then stays issued.
#[derive(Debug, thiserror::Error)]
pub enum FinaliseError {
    /// It was refused, or could not be carried out.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// Some drafts were refused; the others are final.
    #[error("{refused} of {drafts} drafts were not finalised; {first}")]
    Drafts {
        /// Why the first was.
        first: Box<SubmitError>,
        /// How many were.
        refused: usize,
        /// Of how many.
        drafts: usize,
    },
    /// The run is one for looking at.
    #[error(transparent)]
    OpenedEarly(#[from] OpenedEarly),
    /// Names could not be sealed.
    #[error("seal the names of an invoice")]
    Keys(#[from] KeyRingFault),
    /// The drafts could not be read.
    #[error("read the drafts: {0}")]
    View(String),
}

impl From<FinaliseError> for Problem {
    fn from(error: FinaliseError) -> Self {
        match error {
            FinaliseError::Submit(error) => error.into(),
            FinaliseError::Drafts { first, refused, drafts } => {
                let problem = Self::from(*first);
                let detail = format!("{refused} of {drafts} drafts were not finalised; {}", problem.detail);
                Self { detail, ..problem }
            }
            FinaliseError::OpenedEarly(early) => {
                let problem = conflict::of_code(ProblemCode::PeriodNotOver, early.to_string());
                Self { field: Some("period".into()), ..problem }
            }
            FinaliseError::Keys(fault) => Self::fault(&fault),
            FinaliseError::View(fault) => Self::fault(&fault),
        }
    }
}

fn refused(refusal: InvoiceRefusal) -> FinaliseError {
    FinaliseError::Submit(SubmitError::Refused(Refusal::Invoice(refusal)))
}

/// Makes all drafts of a run final, and then the run. Done again it changes nothing.
pub async fn finalise(
    ctx: &Arc<RequestContext>,
    actor: Actor,
    run: RunId,
) -> Result<FinalisedRun, FinaliseError> {
    // It goes on if the requester does not wait any more, and for long: it follows the live view.
    let ctx = ctx.unleased();
    let done = tokio::task::spawn_blocking(move || finalise_blocking(&ctx, &actor, run)).await;
    done.unwrap_or_else(|error| Err(FinaliseError::View(error.to_string())))
}

/// The same from a thread without a runtime.
pub fn finalise_blocking(
    ctx: &RequestContext,
    actor: &Actor,
    run: RunId,
) -> Result<FinalisedRun, FinaliseError> {
    wait_for_drafts(ctx, run)?;
    let (close, RunExceptions { in_doubt, held }) = check(ctx, run)?;
    let (mut under_way, mut tally) = (VecDeque::new(), DraftTally::default());
    let issued = issue_all(
        ctx,
        actor,
        (run, &|payer| in_doubt.contains_key(&payer) || held.contains_key(&payer)),
        (&mut under_way, &mut tally),
    );
    // What was handed over is carried out: nothing of it is left open when this returns.
    let rest = under_way.into_iter().map(|command| tally.done(command)).fold(Ok(()), Result::and);
    issued.and(rest)?;
    // Those without a draft too: as all that they used is in doubt, there may be nothing else to charge.
    for (payer, what) in in_doubt {
        tally.refused(InvoiceRefusal::UsageInDoubt { payer, what });
    }
    for (payer, reason) in held {
        tally.refused(InvoiceRefusal::DraftHeld { run, payer, reason });
    }
    tally.check()?;
    let sequence = ctx.submit_own(actor.clone(), Command::FinaliseInvoiceRun(close))?.sequence;
    let invoices = ctx.billing_now(|view| {
        let documents = view.billing.documents_of(run);
        documents
            .filter(|document| document.issued.is_some())
            .map(|document| document.invoice.id.clone())
            .collect()
    });
    let invoices = invoices.map_err(|error| FinaliseError::View(format!("{error:#}")))?;
    Ok(FinalisedRun { run, invoices, sequence })
}

/// Makes an approved draft final, alone. Returns the document and the event that issued it.
pub async fn finalise_one(
    ctx: &Arc<RequestContext>,
    meta: Arc<Meta>,
    (run, payer): (RunId, PartyId),
) -> Result<(InvoiceId, Sequence), FinaliseError> {
    // It goes on if whoever asked for it does not wait any more.
    let ctx = ctx.unleased();
    let done = tokio::task::spawn_blocking(move || {
        wait_for_drafts(&ctx, run)?;
        let draft = ctx.billing().read(|view, _| {
            let billing = &view.billing;
            run::check_over(billing, run)?;
            if let Some(what) = doubt::in_doubt(billing, run).remove(&payer) {
                return Err(refused(InvoiceRefusal::UsageInDoubt { payer, what }));
            }
            let mut drafts = billing.drafts_after(run, None);
            Ok(drafts.find(|draft| draft.buyer.party == payer).cloned())
        });
        let Some(mut draft) = draft? else {
            return Err(refused(InvoiceRefusal::DraftNotApproved { run, payer }));
        };
        // Before keys are taken for what would not be issued.
        ctx.ledger().check_issuing()?;
        reseal(&ctx, &mut draft)?;
        let command = Command::FinaliseInvoice(Box::new(FinaliseInvoice { draft, alone: true }));
        let accepted = ctx.ledger().begin_blocking(Submission { meta, command })?.wait()?;
        match accepted.answer {
            Answer::Invoice(invoice) => Ok((invoice, accepted.sequence)),
            _ => Err(FinaliseError::View("an invoice was answered with something else".to_owned())),
        }
    });
    done.await.unwrap_or_else(|error| Err(FinaliseError::View(error.to_string())))
}

/// Gives back what an invoice charged: all that is left of it, or something of some lines. Returns the credit note and
/// the event that issued it.
pub async fn credit(
    ctx: &Arc<RequestContext>,
    meta: Arc<Meta>,
    (invoice, give_back, reason): (&str, GiveBack, Box<str>),
    as_of: Option<Sequence>,
) -> Result<(InvoiceId, Sequence), CreditError> {
    let head = ctx.ledger().head().last;
    let read = ctx.billing().read_at(head, |view, _| {
        let document = view.billing.document(invoice).filter(|document| document.issued.is_some())?;
        Some(document.invoice.clone())
    });
    let mut original = read.await?.ok_or(CreditError::Unknown)?;
    // Before keys are taken for what would not be issued.
    ctx.ledger().check_issuing()?;
    reseal(ctx, &mut original)?;
    let command = Command::IssueCreditNote(Box::new(IssueCreditNote { original, give_back, reason, as_of }));
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    match accepted.answer {
        Answer::Invoice(note) => Ok((note, accepted.sequence)),
        _ => Err(CreditError::Answer),
    }
}

/// Why nothing was given back.
#[derive(Debug, thiserror::Error)]
pub enum CreditError {
    /// There is no such document that is final.
    #[error("there is no final invoice of this number")]
    Unknown,
    /// It was refused, or could not be carried out.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// Names could not be sealed.
    #[error("seal the names of a credit note")]
    Keys(#[from] KeyRingFault),
    /// The document could not be read.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// The ledger answered something else.
    #[error("a credit note was answered with something else")]
    Answer,
}

impl From<CreditError> for Problem {
    fn from(error: CreditError) -> Self {
        match error {
            CreditError::Unknown => Self::unknown(ProblemCode::InvoiceUnknown, error.to_string()),
            CreditError::Submit(error) => error.into(),
            CreditError::Read(fault) => fault.into(),
            CreditError::Keys(_) | CreditError::Answer => Self::fault(&error),
        }
    }
}

/// Payers, and why their drafts are left out.
type PayersLeftOut = BTreeMap<PartyId, Box<str>>;

/// What of a run does not become final with it.
struct RunExceptions {
    /// The payers for whom nothing can become final.
    in_doubt: PayersLeftOut,
    /// Those whose drafts are held, and whose usage is not in doubt.
    held: PayersLeftOut,
}

/// Hands over one draft after the other, never more than may be under way.
fn issue_all<'a>(
    ctx: &'a RequestContext,
    actor: &Actor,
    (run, is_left_out): (RunId, &dyn Fn(PartyId) -> bool),
    (under_way, tally): (&mut VecDeque<UnderWay<'a>>, &mut DraftTally),
) -> Result<(), FinaliseError> {
    let mut payer = None;
    loop {
        // Copied: sealing does not hold the view up, which follows the writer meanwhile.
        let drafts: Vec<Invoice> = ctx
            .billing()
            .read(|view, _| view.billing.drafts_after(run, payer).take(AT_A_TIME).cloned().collect());
        let Some(last) = drafts.last() else { return Ok(()) };
        // Before keys are taken for what would not be issued.
        ctx.ledger().check_issuing()?;
        payer = Some(last.buyer.party);
        for mut draft in drafts.into_iter().filter(|draft| !is_left_out(draft.buyer.party)) {
            if under_way.len() >= AT_A_TIME
                && let Some(first) = under_way.pop_front()
            {
                tally.done(first)?;
            }
            reseal(ctx, &mut draft)?;
            let content = bincode::encode_to_vec(&draft, bincode::config::standard());
            let content = content.map_err(|error| FinaliseError::View(error.to_string()))?;
            let command = Command::FinaliseInvoice(Box::new(FinaliseInvoice { draft, alone: false }));
            under_way.push_back(ctx.ledger().begin_blocking(ctx.own(actor.clone(), command, &content))?);
        }
    }
}

/// What became of the drafts that were handed over.
#[derive(Default)]
struct DraftTally {
    drafts: usize,
    refusals: Vec<SubmitError>,
}

impl DraftTally {
    /// One is not handed over.
    fn refused(&mut self, refusal: InvoiceRefusal) {
        self.drafts += 1;
        self.refusals.push(SubmitError::Refused(Refusal::Invoice(refusal)));
    }

    /// Waits for one.
    fn done(&mut self, command: UnderWay<'_>) -> Result<(), FinaliseError> {
        self.drafts += 1;
        match command.wait() {
            // If it is issued already, somebody else finalises the run too, and was faster.
            Ok(_)
            | Err(SubmitError::Refused(Refusal::Invoice(
                InvoiceRefusal::AlreadyInvoiced { .. } | InvoiceRefusal::RunFinal { .. },
            ))) => {}
            // What is wrong with one keeps none of the others.
            Err(refused @ SubmitError::Refused(_)) => self.refusals.push(refused),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Whether all of them are final.
    fn check(self) -> Result<(), FinaliseError> {
        let Self { drafts, refusals } = self;
        let refused = refusals.len();
        match refusals.into_iter().next() {
            None => Ok(()),
            Some(only) if drafts == 1 => Err(only.into()),
            Some(first) => Err(FinaliseError::Drafts { first: Box::new(first), refused, drafts }),
        }
    }
}

/// Waits until the drafts of a run are there, however long they take: the caller has left it to this thread.
fn wait_for_drafts(ctx: &RequestContext, run: RunId) -> Result<(), FinaliseError> {
    ctx.billing_now(|_| ()).map_err(|error| FinaliseError::View(error.to_string()))?;
    let there = |view: &BillingView, _| (!view.is_drafting(run)).then_some(());
    while ctx.billing().read_when_blocking(LOOK_FOR_FAULTS, there).is_none() {
        if let Some(cause) = ctx.billing().fault() {
            return Err(FinaliseError::View(cause.to_string()));
        }
    }
    Ok(())
}

/// Whether a run may become final; returns what says that it is, and the payers for whom it may not.
fn check(ctx: &RequestContext, run: RunId) -> Result<(FinaliseInvoiceRun, RunExceptions), FinaliseError> {
    let read = ctx.billing_now(|view| {
        let billing = &view.billing;
        let known = billing.run(run).ok_or_else(|| refused(InvoiceRefusal::UnknownRun { run }))?;
        // Where nobody has anything to pay, a run ends where its seller is.
        let seller = billing.calendar_of(known.opened.seller).cloned();
        let stop = known.opened.period.stop.within(&seller.unwrap_or_else(|| Calendar::of(TimeZone::UTC)));
        if billing.documents_of(run).next().is_none() && known.drawn_up_at < stop {
            return Err(OpenedEarly { run, stop }.into());
        }
        run::check_over(billing, run)?;
        let in_doubt = doubt::in_doubt(billing, run);
        let mut held = billing.held(run);
        held.retain(|payer, _| !in_doubt.contains_key(payer));
        Ok((run::finalise_run(billing, run), RunExceptions { in_doubt, held }))
    });
    read.map_err(|error| FinaliseError::View(format!("{error:#}")))?
}

/// Seals what a document says of its parties anew, under a key of its own.
fn reseal(ctx: &RequestContext, invoice: &mut Invoice) -> Result<(), KeyRingFault> {
    let key = ctx.keys().fresh()?;
    for party in [&mut invoice.seller, &mut invoice.buyer] {
        let name = ctx.keys().open_sealed(&party.name).unwrap_or_else(|_| ERASED.as_bytes().to_vec());
        party.name = ctx.keys().seal(key, &name)?;
        let details = party.details.take().and_then(|details| ctx.keys().open_sealed(&details).ok());
        party.details = details.map(|details| ctx.keys().seal(key, &details)).transpose()?;
    }
    Ok(())
}
