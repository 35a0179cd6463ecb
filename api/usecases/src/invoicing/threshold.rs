//! Invoices of customers whose charges reach the threshold of their price book before the month is over.
//!
//! To know what is charged, a customer is rated. So every look takes the next few of them, and a round of all takes an
//! hour at most: an invoice is up to an hour late, and a cloud of any size spends the time of one rating an hour on it.
//! The run is opened here; `due` makes it final, as any run that becomes final by itself.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Duration;

use slapledger_billing::threshold::ReachedThreshold;
use slapledger_core::domain::Command;
use slapledger_core::domain::id::{PartyId, PriceBookName, ProjectId};
use slapledger_core::domain::invoice::{Bound, OpenInvoiceRun, RunPeriod, RunReason};
use slapledger_core::log::envelope::Actor;
use slapledger_kit::problem::Problem;

use crate::caller::FIRST_PARTY;
use crate::context::RequestContext;

/// How often some customers are looked at.
const EVERY: Duration = Duration::from_secs(10);

/// After so many looks every customer was looked at once: in an hour.
const LOOKS_OF_A_ROUND: usize = 360;

/// The customer that was looked at last, for each price book of a project.
pub type ThresholdRounds = BTreeMap<(ProjectId, PriceBookName), PartyId>;

/// Looks for charges that reach a threshold, as long as the program runs.
pub async fn watch(ctx: Arc<RequestContext>) {
    let mut rounds = ThresholdRounds::new();
    loop {
        tokio::time::sleep(EVERY).await;
        for ctx in ctx.of_all_projects() {
            if let Err(problem) = look(&Arc::new(ctx), &mut rounds).await {
                tracing::warn!(detail = %problem.detail, "charges were not compared with their threshold");
            }
        }
    }
}

/// Opens runs for those of the next customers of a project whose charges have reached a threshold. What fails for one of them,
/// or for a price book, leaves the others as they are: the first failure is returned in the end.
pub async fn look(ctx: &Arc<RequestContext>, rounds: &mut ThresholdRounds) -> Result<(), Problem> {
    let now = ctx.now();
    let books = ctx.billing().read(|view, _| view.billing.with_threshold(now, FIRST_PARTY));
    let mut done = Ok(());
    for (book, seller) in books {
        let round = (ctx.project, book.clone());
        let after = rounds.get(&round).copied();
        let (last, reached) = match next(ctx, (book.clone(), seller), after).await {
            Ok(found) => found,
            Err(problem) => {
                done = done.and(Err(problem));
                continue;
            }
        };
        match last {
            Some(last) => rounds.insert(round, last),
            None => rounds.remove(&round),
        };
        for (payer, reached) in reached {
            done = done.and(open(ctx, (&book, seller, payer), reached).await);
        }
    }
    done
}

async fn open(
    ctx: &Arc<RequestContext>,
    (book, seller, payer): (&PriceBookName, PartyId, PartyId),
    ReachedThreshold { period, .. }: ReachedThreshold,
) -> Result<(), Problem> {
    let open = OpenInvoiceRun {
        seller,
        period: RunPeriod { start: Bound::Instant(period.start), stop: Bound::Instant(period.stop) },
        price_book: Some(book.clone()),
        payers: vec![payer],
        reason: RunReason::Threshold,
        grace_hours: 0,
        finalise: true,
    };
    let content = format!("threshold {payer} {period}");
    let own = ctx.own(Actor::system(), Command::OpenInvoiceRun(open), content.as_bytes());
    let accepted = ctx.ledger().submit(own).await?;
    // The next look knows of it.
    Ok(ctx.billing().reach(accepted.sequence).await?)
}

/// The last of the next customers, unless the round ends with them, and those who have reached the threshold.
async fn next(
    ctx: &Arc<RequestContext>,
    (book, seller): (PriceBookName, PartyId),
    after: Option<PartyId>,
) -> Result<(Option<PartyId>, Vec<(PartyId, ReachedThreshold)>), Problem> {
    ctx.rate(ctx.ledger().head().last, move |ctx, view, sequence| {
        let (now, customers) = (ctx.now(), view.billing.customers());
        let share = customers.len().div_ceil(LOOKS_OF_A_ROUND).max(1);
        let from = after.map_or(Unbounded, Excluded);
        let some: Vec<PartyId> = customers.range((from, Unbounded)).copied().take(share).collect();
        let last = some.last().copied().filter(|last| customers.last() != Some(last));
        let waiting = some.into_iter().filter(|payer| !view.billing.awaits_document(*payer));
        let reached = waiting.filter_map(|payer| {
            Some((payer, view.reached_threshold((seller, payer), &book, (sequence, now))?))
        });
        Ok((last, reached.collect()))
    })
    .await
}
