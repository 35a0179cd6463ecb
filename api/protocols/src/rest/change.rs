//! Writes that change one thing: carried out once under the name their sender gave them, and only if the thing is still
//! what its sender has seen (`If-Match`).
//!
//! What a change is made of is read first: what is left out stays as it is. If anything happens to the thing between the
//! look and the decision, the decision is not taken, and it is looked at again; so nobody's change is lost.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use slapledger_billing::BillingView;
use slapledger_core::domain::Command;
use slapledger_core::domain::event::Stream;
use slapledger_core::domain::id::{CommandId, Sequence};
use slapledger_core::ledger::{Accepted, Submission, SubmitError};
use slapledger_core::log::envelope::{Actor, Meta};
use slapledger_engine::ProjectView;
use slapledger_kit::answer::{HttpAnswer, precondition};
use slapledger_kit::body::ReceivedRequest;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_projections::runner::ReadFault;
use slapledger_projections::{SlapViews, View};
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::{ATTEMPTS, is_retry};

use super::query;

/// A view that things are looked at in before they are changed.
pub(super) trait Looked: View {
    /// The one of the project.
    fn of(ctx: &RequestContext) -> ProjectView<'_, Self>;
}

impl Looked for SlapViews {
    fn of(ctx: &RequestContext) -> ProjectView<'_, Self> {
        ctx.slap()
    }
}

impl Looked for BillingView {
    fn of(ctx: &RequestContext) -> ProjectView<'_, Self> {
        ctx.billing()
    }
}

/// Looks at a view that shows all that was acknowledged until now, and everything up to `min`.
async fn look<V: Looked, T>(
    ctx: &RequestContext,
    min: Sequence,
    find: impl Fn(&V) -> T,
) -> Result<(T, Sequence), ReadFault> {
    let min = ctx.ledger().head().last.max(min);
    V::of(ctx).read_at(min, |view, at| (find(view), at)).await
}

/// A change of one thing.
pub(super) struct ResourceChange<'a> {
    ctx: &'a RequestContext,
    meta: Arc<Meta>,
    headers: HeaderMap,
}

/// What is changed, how it is looked at, how it is shown, and what is to become of it.
pub(super) struct ChangedResource<F, S, C> {
    /// Its history.
    pub(super) stream: Stream,
    /// Finds it as it is.
    pub(super) find: F,
    /// Shows it as a reader gets it.
    pub(super) show: S,
    /// Makes the command.
    pub(super) command: C,
}

impl<'a> ResourceChange<'a> {
    /// What somebody sent.
    pub(super) fn new(
        ctx: &'a RequestContext,
        actor: Actor,
        sent: &ReceivedRequest,
    ) -> Result<Self, Problem> {
        let meta = query::meta(ctx, actor, &sent.headers, &sent.content())?;
        Ok(Self { ctx, meta, headers: sent.headers.clone() })
    }

    /// The same under a name that was made before.
    pub(super) fn named(ctx: &'a RequestContext, meta: Arc<Meta>, headers: HeaderMap) -> Self {
        Self { ctx, meta, headers }
    }

    /// The next step of a change that takes two: under a name of its own, which is made of that of the whole, so that what
    /// is repeated is neither done twice nor left half done. What its sender has seen was asked for before the first.
    pub(super) fn next_step(mut self) -> Self {
        let command = self.ctx.keys().command_digest(&[b"next step", &self.meta.command.0]);
        self.meta = Arc::new(Meta { command: CommandId(command), ..Meta::clone(&self.meta) });
        self.headers.remove(header::IF_MATCH);
        self
    }

    /// Carries it out.
    pub(super) async fn carry_out<V: Looked, T, R: Serialize>(
        &self,
        subject: ChangedResource<
            impl Fn(&V) -> Result<T, Problem>,
            impl Fn(&T) -> R,
            impl Fn(&T) -> Result<Command, Problem>,
        >,
    ) -> Result<Accepted, Problem> {
        let Self { ctx, meta, headers } = self;
        let ChangedResource { stream, find, show, command } = subject;
        // Done before, it is answered again: what its sender had seen then is gone by its own doing.
        if meta.named_by_sender
            && let Some(accepted) = ctx.ledger().answer_of(Arc::clone(meta)).await?
        {
            return Ok(accepted);
        }
        for _ in 0..ATTEMPTS {
            let (found, since) = look(ctx, Sequence::ZERO, &find).await?;
            let found = found?;
            precondition(headers, || show(&found))?;
            let submission = Submission { meta: Arc::clone(meta), command: command(&found)? };
            match ctx.ledger().submit_if_unmoved(submission, stream.clone(), since).await {
                Ok(accepted) => return Ok(accepted),
                Err(SubmitError::ModifiedConcurrently) => {}
                Err(error) if is_retry(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let detail = format!("{stream} changes all the time; send it again");
        Err(Problem::later(ProblemCode::ModifiedConcurrently, detail, 1))
    }

    /// The thing as it is after the change, with its tag.
    pub(super) async fn shown<V: Looked, T, R>(
        &self,
        min: Sequence,
        find: impl Fn(&V) -> Result<T, Problem>,
        show: impl Fn(&T) -> R,
    ) -> Result<HttpAnswer<R>, Problem> {
        let (found, sequence) = look(self.ctx, min, find).await?;
        Ok(HttpAnswer::tagged(StatusCode::OK, sequence, show(&found?)))
    }
}
