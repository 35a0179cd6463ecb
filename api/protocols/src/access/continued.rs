//! Requests that go on: what let them in is asked again, as often as something is sent.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use slapledger_core::domain::id::CredentialId;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::Caller;
use slapledger_usecases::policy::Policy;

use super::Gateway;
use super::authenticate::{PROJECT, known, unauthorized};

/// What of a request is asked again.
pub(crate) struct ContinuedRequest {
    credential: Option<CredentialId>,
    /// Its cookies and the project that it chose.
    headers: HeaderMap,
    /// Whether it ends with the session of its browser.
    has_session: bool,
}

impl ContinuedRequest {
    /// Of a request that a caller was admitted with.
    pub(crate) fn of(gateway: &Gateway, caller: &Caller, headers: &HeaderMap) -> Self {
        let credential = caller.principal().map(|principal| principal.credential);
        let kept = headers.iter().filter(|(name, _)| [header::COOKIE, PROJECT].contains(name));
        let headers = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        let has_session =
            credential.is_some() && gateway.sessions.peek(&headers, gateway.https()) == credential;
        Self { credential, headers, has_session }
    }

    /// Who it is for now, or why it ends: the credential expired or was revoked, the session has ended, or the role is
    /// another one.
    pub(crate) fn check(&self, gateway: &Gateway, policy: &Policy) -> Result<Caller, Problem> {
        let Some(credential) = self.credential else { return Ok(Caller::Local) };
        if self.has_session && gateway.sessions.peek(&self.headers, gateway.https()) != Some(credential) {
            return Err(unauthorized("the session has ended; sign in again"));
        }
        policy.admit(Some(&Arc::new(known(&gateway.engine, credential, &self.headers)?)))
    }
}
