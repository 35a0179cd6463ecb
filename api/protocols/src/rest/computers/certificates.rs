//! Certificates of computers over REST, as SLAP issues and revokes them.
//!
//! A key is in the answer that issues it, and nowhere afterwards.

use axum::extract::Request;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::{ComputerId, Sequence};
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_usecases::certificates::{generated, revoked, revoked_with_instances};
use slapledger_usecases::reading::read;

use super::{ComputerResource, find, named};
use crate::access::Authorised;
use crate::rest::openapi::schema;
use crate::rest::query::{Named, Query};

/// A certificate and its key, shown once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ComputerCertificate")]
pub(crate) struct CertificateForm {
    computer: ComputerId,
    /// In text and in PEM.
    certificate: String,
    /// Its private key, in PEM. It is not kept, and cannot be shown again.
    key: String,
}

/// `POST /v1/computers/{id}/certificate`.
pub(crate) async fn issue(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<CertificateForm>, Problem> {
    let computer = named(&id)?;
    json_body::read_optional::<schema::Nothing>(request, json_body::MOST_BYTES).await?;
    let pair = generated(&ctx, &computer).await?;
    let form = CertificateForm {
        computer,
        certificate: pair.certificate.clone(),
        key: pair.key.as_str().to_owned(),
    };
    let sequence = ctx.access().read(|_, sequence| sequence);
    Ok(HttpAnswer::new(StatusCode::CREATED, sequence, form).not_stored())
}

/// `DELETE /v1/computers/{id}/certificate`: revokes the certificates of a computer; with `with_instances`, also those of its
/// instances.
pub(crate) async fn revoke(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    let computer = named(&id)?;
    let with_instances = Query::read(request.uri(), &["with_instances"])?.parse("with_instances")?;
    json_body::read_optional::<schema::Nothing>(request, json_body::MOST_BYTES).await?;
    if with_instances.unwrap_or(false) {
        revoked_with_instances(&ctx, &computer).await?;
    } else {
        revoked(&ctx, &computer).await?;
    }
    let found = read(&ctx, Sequence::ZERO, |view, at| (find(&ctx, view, &computer), at)).await?;
    Ok(HttpAnswer::ok(found.1, ComputerResource::of(ctx.keys(), &found.0?)))
}
