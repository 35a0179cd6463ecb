//! Instance trees as resources: a root that a party requested, and all that was requested from inside it.

pub(super) mod describe;

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::InstanceId;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_projections::instances::Instance;
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

fn roots(view: &SlapViews, after: Option<InstanceId>) -> impl Iterator<Item = &Instance> {
    let is_root = move |instance: &&Instance| {
        instance.root == instance.id && after.is_none_or(|after| instance.id > after)
    };
    view.instances.iter().filter(is_root)
}

/// How many live in a tree that somebody may know of.
fn members(caller: &Caller, view: &SlapViews, root: InstanceId) -> usize {
    view.instances.tree(root).filter(|member| caller.sees_instance(view, member)).count()
}

/// `GET /v1/instance-trees`, living and ended, by the id of their roots.
pub(super) async fn trees(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<TreeItem>>, Problem> {
    let page = |view: &SlapViews, after: Option<&InstanceId>, limit| {
        let theirs = roots(view, after.copied()).filter(|root| ctx.caller.sees_instance(view, root));
        Page::take(theirs, limit, |root| root.id).map(|root| TreeItem {
            root: InstanceItem::of(root),
            instances: members(&ctx.caller, view, root.id),
        })
    };
    Query::read(&uri, &[])?.page(&ctx, page).await
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
