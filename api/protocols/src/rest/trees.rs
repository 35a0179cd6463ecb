//! Instance trees as resources: a root that a party requested, and all that was requested from inside it.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::{InstanceId, Sequence};
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_projections::instances::{InstanceCondition, InstanceView, TreeFilter};
use slapledger_projections::{Page, SlapViews};
use slapledger_usecases::caller::Caller;
use slapledger_usecases::reading::read;

use super::instances::{InstanceItem, InstanceResource};
use super::openapi::schema::List;
use super::query::{Named, Query};
use crate::access::Authorised;

/// A tree in a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "InstanceTreeItem")]
pub(crate) struct TreeItem {
    #[serde(flatten)]
    root: InstanceItem,
    /// How many instances live in it, its root among them.
    instances: usize,
}

/// A single tree.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "InstanceTree")]
pub(crate) struct TreeResource {
    #[serde(flatten)]
    root: InstanceResource,
    /// How many instances live in it, its root among them.
    instances: usize,
    /// Where they are listed.
    instances_at: String,
}

fn roots(view: &SlapViews, after: Option<InstanceId>) -> impl Iterator<Item = &InstanceView> {
    let is_root = move |instance: &&InstanceView| {
        instance.root == instance.id && after.is_none_or(|after| instance.id > after)
    };
    view.instances.iter().filter(is_root)
}

/// How many live in a tree that somebody may know of.
fn members(caller: &Caller, view: &SlapViews, root: InstanceId) -> usize {
    view.instances.tree(root).filter(|member| caller.sees_instance(view, member)).count()
}

/// What a list of trees is filtered by, beside the state that is looked at.
const FILTERS: [&str; 3] = ["owner", "state", "q"];
/// The longest text that is sought, in bytes.
const MOST_SOUGHT: usize = 255;

/// The trees that a query asks for.
fn filter(query: &Query) -> Result<TreeFilter<'_>, Problem> {
    let sought = query.text("q");
    if sought.is_some_and(|sought| sought.len() > MOST_SOUGHT) {
        return Err(Problem::field("q", format!("must have at most {MOST_SOUGHT} bytes")));
    }
    let filter = TreeFilter { owner: query.parse("owner")?, sought, ..TreeFilter::default() };
    let of = |condition| Ok(TreeFilter { condition: Some(condition), ..filter });
    match query.text("state") {
        None => Ok(filter),
        Some("wrong") => Ok(TreeFilter { wrong: Some(true), ..filter }),
        Some("started") => of(InstanceCondition::Started),
        Some("stopped") => of(InstanceCondition::Stopped),
        Some("destroyed") => of(InstanceCondition::Destroyed),
        Some("ended") => of(InstanceCondition::Ended),
        Some("lost") => of(InstanceCondition::Lost),
        Some("unplaced") => of(InstanceCondition::Unplaced),
        Some(_) => Err(Problem::field(
            "state",
            "must be wrong, started, stopped, destroyed, ended, lost or unplaced",
        )),
    }
}

/// How many trees there are, by what is seen of their roots.
#[derive(Serialize, JsonSchema)]
pub(crate) struct InstanceCounts {
    /// Of which somebody has to look after the root.
    wrong: u64,
    started: u64,
    stopped: u64,
    destroyed: u64,
    ended: u64,
    lost: u64,
    unplaced: u64,
    all: u64,
    sequence: Sequence,
}

/// `GET /v1/instance-counts`: of the trees that somebody may see, all of them.
pub(super) async fn counts(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<InstanceCounts>, Problem> {
    let query = Query::read(&uri, &["owner", "q"])?;
    let filter = filter(&query)?;
    let position = query.position(&ctx).await?;
    let count = |view: &SlapViews, at| {
        let mut counts = InstanceCounts {
            wrong: 0,
            started: 0,
            stopped: 0,
            destroyed: 0,
            ended: 0,
            lost: 0,
            unplaced: 0,
            all: 0,
            sequence: at,
        };
        let theirs = roots(view, None).filter(|root| ctx.caller.sees_instance(view, root));
        for root in theirs.filter(|root| filter.matches(root)) {
            counts.all += 1;
            counts.wrong += u64::from(root.is_wrong());
            let count = match root.condition() {
                InstanceCondition::Started => &mut counts.started,
                InstanceCondition::Stopped => &mut counts.stopped,
                InstanceCondition::Destroyed => &mut counts.destroyed,
                InstanceCondition::Ended => &mut counts.ended,
                InstanceCondition::Lost => &mut counts.lost,
                InstanceCondition::Unplaced => &mut counts.unplaced,
            };
            *count += 1;
        }
        counts
    };
    let counts = read(&ctx, position, count).await?;
    Ok(HttpAnswer::ok(counts.sequence, counts))
}

/// `GET /v1/instance-trees`, living and ended, by the id of their roots.
pub(super) async fn trees(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<TreeItem>>, Problem> {
    let query = Query::read(&uri, &FILTERS)?;
    let filter = filter(&query)?;
    let page = |view: &SlapViews, after: Option<&InstanceId>, limit| {
        let theirs = roots(view, after.copied()).filter(|root| ctx.caller.sees_instance(view, root));
        let theirs = theirs.filter(|root| filter.matches(root));
        Page::take(theirs, limit, |root| root.id).map(|root| TreeItem {
            root: InstanceItem::of(root),
            instances: members(&ctx.caller, view, root.id),
        })
    };
    query.page(&ctx, page).await
}

/// `GET /v1/instance-trees/{id}`.
pub(super) async fn tree(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<TreeResource>, Problem> {
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    let none = || Problem::unknown(ProblemCode::InstanceUnknown, format!("there is no instance tree {id}"));
    let root: InstanceId = id.parse().map_err(|_| none())?;
    let find = |view: &SlapViews, at| {
        let known = view.instances.get(root).filter(|known| known.root == root);
        let known = known.filter(|known| ctx.caller.sees_instance(view, known))?;
        Some((known.clone(), members(&ctx.caller, view, root), at))
    };
    let (known, instances, sequence) = read(&ctx, position, find).await?.ok_or_else(none)?;
    let resource = TreeResource {
        root: InstanceResource::of(&ctx, &known),
        instances,
        instances_at: format!("/v1/instances?root={root}"),
    };
    Ok(HttpAnswer::resource(sequence, resource))
}
