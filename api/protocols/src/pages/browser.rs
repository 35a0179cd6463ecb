//! Who looks at a page, as far as their request says it.

use std::sync::Arc;

use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use slapledger_core::domain::access::Role;
use slapledger_pages::{Language, PageReader, Theme};
use slapledger_usecases::caller::Principal;

use crate::access::{Gateway, KnownAs, Sessions, cookie};

/// The cookie by which forms are known to be this browser's, and where clients come by TLS: browsers take that from this
/// host alone.
const BROWSER: [&str; 2] = ["slapledger-browser", "__Host-slapledger-browser"];
/// The cookies of what a reader prefers.
pub(super) const THEME: &str = "slapledger-theme";
pub(super) const LANGUAGE: &str = "slapledger-language";
/// Who asks, as far as a page is concerned.
#[expect(clippy::struct_excessive_bools, reason = "each is said apart by a request")]
pub(super) struct Browser {
    pub(super) id: String,
    /// Whether it has to be told its id.
    pub(super) is_new: bool,
    pub(super) https: bool,
    pub(super) nonce: String,
    pub(super) language: Language,
    pub(super) theme: Theme,
    pub(super) csrf: String,
    pub(super) has_session: bool,
    pub(super) is_local: bool,
    pub(super) known: Option<Arc<Principal>>,
    /// Whether it takes gzip.
    pub(super) gzip: bool,
}

impl Browser {
    pub(super) fn of(gateway: &Gateway, request: &Parts) -> Self {
        let headers = &request.headers;
        let https = gateway.https();
        let told = cookie(headers, BROWSER[usize::from(https)])
            .filter(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()));
        let id = told.map_or_else(Sessions::unguessable, str::to_owned);
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let language = cookie(headers, LANGUAGE).and_then(Language::of_tag);
        Self {
            is_new: told.is_none(),
            https,
            nonce: Sessions::unguessable(),
            language: language.unwrap_or_else(|| Language::preferred(text(header::ACCEPT_LANGUAGE))),
            theme: cookie(headers, THEME).and_then(Theme::of).unwrap_or_default(),
            csrf: gateway.sessions.form_token(&id, headers, https),
            has_session: Sessions::has_session(headers, https),
            is_local: gateway.access.is_none(),
            known: None,
            gzip: text(header::ACCEPT_ENCODING)
                .split(',')
                .any(|told| told.trim().split(';').next() == Some("gzip")),
            id,
        }
    }

    /// What keeps its id, until it is closed.
    pub(super) fn cookie(&self) -> String {
        let secure = if self.https { "; Secure" } else { "" };
        format!("{}={}; Path=/; HttpOnly; SameSite=Strict{secure}", BROWSER[usize::from(self.https)], self.id)
    }

    /// Takes over who an answer was for.
    pub(super) fn know(&mut self, response: &Response) {
        if let Some(KnownAs(principal)) = response.extensions().get() {
            self.known = Some(Arc::clone(principal));
        }
    }

    pub(super) fn reader(&self) -> PageReader {
        let known = self.known.as_deref();
        PageReader {
            name: known.map(|known| known.holder.to_string()),
            has_session: self.has_session && known.is_some(),
            is_local: self.is_local,
            roles: known.map_or_else(Vec::new, |known| known.roles.iter().map(Role::as_str).collect()),
            is_any_writer: self.is_local
                || known.is_some_and(|known| known.roles.iter().any(|role| role != Role::Auditor)),
            all_projects: self.is_local || known.is_some_and(|known| known.all_projects),
        }
    }
}
