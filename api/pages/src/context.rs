//! What a page knows besides the answers it shows: who reads it, in which language, and what its forms must carry.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde::{Serialize, Serializer};

use crate::language::Language;

/// The colours a reader has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the system says.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// The theme of this name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "light" => Some(Self::Light),
            "dark" => Some(Self::Dark),
            _ => None,
        }
    }
}

/// Who reads a page, as it names them and as its navigation needs them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked apart by templates")]
pub struct PageReader {
    /// Who it is; nobody, if no sign-in is needed or nobody has signed in.
    pub name: Option<String>,
    /// Whether a session can be ended.
    pub has_session: bool,
    /// Whether this server knows one user, who need not sign in.
    pub is_local: bool,
    /// Their roles, as the policies name them; all, for the local user.
    pub roles: Vec<&'static str>,
    /// Whether what is of all projects is for them.
    pub all_projects: bool,
    /// Whether they may write anything: an auditor may not.
    pub is_any_writer: bool,
}

impl PageReader {
    /// Whether they have one of these roles.
    pub fn is_any(&self, roles: &[&str]) -> bool {
        self.is_local || self.roles.iter().any(|role| roles.contains(role))
    }

    /// The same reader of the past, in which nobody writes.
    #[must_use]
    pub fn of_past(self) -> Self {
        Self { is_any_writer: false, ..self }
    }

    /// Whether somebody is there at all.
    pub fn is_known(&self) -> bool {
        self.is_local || self.name.is_some()
    }
}

/// What a page knows besides the answers it shows.
#[derive(Debug, Clone, Serialize)]
pub struct PageContext {
    /// The path of the page.
    pub path: String,
    /// Its query, as pairs.
    pub query: Vec<(String, String)>,
    /// The language.
    #[serde(serialize_with = "tag")]
    pub language: Language,
    /// The colours.
    pub theme: Theme,
    /// The zone in which the reader counts days.
    #[serde(serialize_with = "zone")]
    pub zone: Tz,
    /// Who reads it.
    pub reader: PageReader,
    /// What every form carries.
    pub csrf: String,
    /// An idempotency key for the forms of this page.
    pub key: String,
    /// What scripts and htmx attributes carry.
    pub nonce: String,
    /// The tags of the resources it shows, by the names of their answers: forms send them back as `if-match`.
    pub tags: BTreeMap<String, String>,
    /// The types that events have.
    pub event_types: &'static [&'static str],
    /// The last event that the page reflects.
    pub sequence: u64,
    /// When it was read, RFC 3339; of the past: when its last event was recorded.
    pub now: String,
    /// The event as of which it is read, where that is one of the past.
    pub as_of: Option<String>,
    /// The mode of the ledger.
    pub mode: &'static str,
    /// The host as the reader calls it.
    pub host: String,
    /// What a form was refused for, if one was.
    pub refused: Option<Refused>,
    /// What was just done, as the key of a text.
    pub done: Option<String>,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The code of the problem.
    pub code: String,
    /// What happened, and which rule it broke.
    pub detail: String,
    /// The field to blame.
    pub field: Option<String>,
    /// The fields of the form as they were sent.
    pub sent: Vec<(String, String)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn tag<S: Serializer>(language: &Language, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(language.tag())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn zone<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.name())
}
