//! What is said of the routes of credentials.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{CredentialForm, RevokedForm, TokenForm};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called("listCredentials", "access", "Credentials that were issued, by id")
        .query::<schema::Instant>("expires_before", "Only active ones that expire before this")
        .lists::<CredentialForm>("A part of the list")
}

pub(crate) fn show(operation: Operation) -> Operation {
    operation
        .called("showCredential", "access", "Show a credential: holder, roles, expiry")
        .path::<schema::CredentialId>("id", "Which credential")
        .shows::<CredentialForm>("The credential")
}

pub(crate) fn revoke(operation: Operation) -> Operation {
    operation
        .called("revokeCredential", "access", "Revoke a credential")
        .description(
            "Who has had a token in their hands may have issued others of its holder by it: `all_of_holder` revokes them all. By that of an admin they may have let in anybody: `issued_since` revokes what it issued from then on, and what that issued in turn; where a computer got a certificate so, also those of what is on it.",
        )
        .path::<schema::CredentialId>("id", "Which credential")
        .body::<Revocation>(json!({}))
        .optional_body()
        .writes::<RevokedForm>(200, "The credential as it is now, and those that were revoked")
}

/// What is revoked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revocation {
    /// Whether every other credential of its holder is revoked with it.
    pub(super) all_of_holder: Option<bool>,
    /// For admins. From this instant on, what it issued is revoked too, and what was issued by that in turn; with
    /// `all_of_holder`, by any credential of its holder.
    pub(super) issued_since: Option<schema::Instant>,
}

/// A token to be issued.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// A party, or the name of an operator; the caller, if it is not said.
    pub(super) holder: Option<schema::ShortText>,
    /// What it lets them act as; the roles of the caller, if it is for them.
    pub(super) roles: Option<schema::Texts<schema::Role>>,
    /// Whether it reaches all projects.
    pub(super) all_projects: Option<bool>,
    pub(super) purpose: Option<schema::Purpose>,
    /// For people.
    pub(super) label: Option<schema::ShortText>,
    /// Until when. If it is not said: a day, of one that is good once; as long as the credential that it is issued by,
    /// if it is for its holder, who cannot have it for longer; else for ever.
    pub(super) expires_at: Option<schema::Instant>,
}

pub(crate) fn issue(operation: Operation) -> Operation {
    operation
        .called("issueToken", "access", "Issue a token: it is in the answer, and nowhere afterwards")
        .body::<NewToken>(json!({"holder": "PARTY-2", "roles": ["customer"], "label": "a laptop"}))
        .answers::<TokenForm>(201, "It is issued")
        .problem(404)
        .problem(409)
        .problem(413)
        .problem(415)
}
