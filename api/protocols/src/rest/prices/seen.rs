//! The newest version of a price book as its readers have seen it, and publishing only what follows that.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use serde::{Serialize, Serializer};
use slapledger_billing::{BillingView, PublishedBook};
use slapledger_core::domain::Command;
use slapledger_core::domain::event::Stream;
use slapledger_core::domain::id::PriceBookName;
use slapledger_core::ledger::{Accepted, Submission};
use slapledger_core::log::envelope::Meta;
use slapledger_kit::answer::json_tag;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::Caller;
use slapledger_usecases::context::RequestContext;

use super::{VersionForm, VersionShown};
use crate::rest::change::{ChangedResource, ResourceChange};

/// What a reader has seen.
#[derive(Clone)]
struct SeenBook(Arc<VersionShown>);

impl Serialize for SeenBook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The newest version of a book, as reading it alone shows it.
fn newest(view: &BillingView, name: &PriceBookName, caller: &Caller) -> Option<VersionShown> {
    let all: Vec<PublishedBook<'_>> = view.billing.price_book(name.as_str()).collect();
    let newest = all.last().copied()?;
    Some(VersionShown::of(newest, caller, all.iter().map(VersionForm::of).collect()))
}

/// The tag of the newest version of a book; none, if there is no version.
pub(super) fn tag(
    view: &BillingView,
    name: &PriceBookName,
    caller: &Caller,
) -> Result<Option<String>, Problem> {
    let tag = newest(view, name, caller).map(|shown| json_tag(&shown)).transpose();
    tag.map_err(|error| Problem::fault(&error))
}

/// Publishes a book; if its sender says which version they have seen, only if that is still the newest one.
pub(super) async fn publish(
    ctx: &RequestContext,
    (meta, headers): (Arc<Meta>, &HeaderMap),
    (name, command): (PriceBookName, Command),
) -> Result<Accepted, Problem> {
    if !headers.contains_key(header::IF_MATCH) {
        return Ok(ctx.ledger().submit(Submission { meta, command }).await?);
    }
    let change = ResourceChange::named(ctx, meta, headers.clone());
    let unseen = || Problem::precondition_failed(format!("there is no price book {name} yet"));
    let subject = ChangedResource {
        stream: Stream::PriceBook(name.clone()),
        find: |view: &BillingView| {
            newest(view, &name, &ctx.caller).map(|shown| SeenBook(Arc::new(shown))).ok_or_else(unseen)
        },
        show: SeenBook::clone,
        command: |_: &SeenBook| Ok(command.clone()),
    };
    change.carry_out(subject).await
}
