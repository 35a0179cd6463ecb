//! What all routes under `/v1` have in common: query strings, cursors, positions, names of commands, and answers.
//!
//! Invariants: a query parameter that a route does not know is an error, as is one that is given twice; every answer
//! names the sequence that it reflects, in its body where it has one for it and always in the header
//! `slapledger-sequence`; a read reflects every write that was acknowledged before it began.
//!
//! It knows nothing of what is asked for.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use serde::de::DeserializeOwned;
use slapledger_core::domain::id::{CommandId, PartyId, Sequence};
use slapledger_core::log::envelope::{Actor, Meta};
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_projections::{Page, SlapViews};
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::read;

use super::openapi::schema::List;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The most items of a page.
const MOST: usize = 1000;
/// The items of a page whose size nobody chose.
const USUAL: usize = 100;
/// How long a read waits for the sequence it is to reflect.
const PATIENCE: Duration = Duration::from_secs(10);

/// A place in a list that has several items of each party: the party, and how many of its items come before.
pub(crate) struct PlaceOfParty(pub(crate) (PartyId, u32));

impl Display for PlaceOfParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.0, self.0.1)
    }
}

impl FromStr for PlaceOfParty {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (party, n) = text.split_once('.').ok_or(())?;
        Ok(Self((party.parse().map_err(|_| ())?, n.parse().map_err(|_| ())?)))
    }
}

/// The query string of a request.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters, if they are among those known here and those of every read: `limit`, `cursor`,
    /// `min_sequence`.
    pub fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        const COMMON: [&str; 3] = ["limit", "cursor", "min_sequence"];
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) && !COMMON.contains(&&*name) {
                let names: Vec<&str> = known.iter().copied().chain(COMMON).collect();
                let rule = format!("is not a parameter here; there are {}", names.join(", "));
                return Err(Problem::field(name, rule));
            }
            if pairs.iter().any(|(other, _)| *other == *name) {
                return Err(Problem::field(name, "must not be given more than once"));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// A parameter as it was written.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter as what it means.
    pub fn parse<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parsed = self
            .text(name)
            .map(|text| text.parse().map_err(|rule: T::Err| Problem::field(name, rule.to_string())));
        parsed.transpose()
    }

    /// A parameter that cannot be left out.
    pub fn required<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, Problem> {
        self.parse(name)?.ok_or_else(|| Problem::field(name, "is missing"))
    }

    /// A parameter that is a sequence.
    pub fn sequence(&self, name: &str) -> Result<Option<Sequence>, Problem> {
        let parsed = self.text(name).map(|text| sequence(name, text));
        parsed.transpose()
    }

    /// How many items are wanted.
    pub fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.text("limit") else { return Ok(USUAL) };
        let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        limit.ok_or_else(|| Problem::field("limit", format!("must be a number from 1 to {MOST}")))
    }

    /// After which item they are wanted.
    pub fn cursor<T: FromStr>(&self) -> Result<Option<T>, Problem> {
        let rule = || Problem::field("cursor", "must be the next of an earlier answer");
        self.text("cursor").map(|text| text.parse().map_err(|_| rule())).transpose()
    }

    /// Answers with a page of a list that the views hold; `list` takes after which item it begins, and how many it has.
    pub(crate) async fn page<T, K: FromStr + Display>(
        &self,
        ctx: &RequestContext,
        list: impl FnOnce(&SlapViews, Option<&K>, usize) -> Page<T, K>,
    ) -> Result<HttpAnswer<List<T>>, Problem> {
        let (limit, after) = (self.limit()?, self.cursor::<K>()?);
        let position = self.position(ctx).await?;
        let read = read(ctx, position, |view, at| (list(view, after.as_ref(), limit), at));
        let (Page { items, next }, sequence) = read.await?;
        Ok(self::list(items, next, sequence))
    }

    /// The sequence that a read is to reflect: that of `as_of`, or all that was acknowledged before, and `min_sequence`
    /// if that is later; waits for it.
    pub async fn position(&self, ctx: &RequestContext) -> Result<Sequence, Problem> {
        let Some(wanted) = self.sequence("min_sequence")? else { return Ok(ctx.newest()) };
        if ctx.past.is_some() {
            return Err(Problem::field(
                "min_sequence",
                "cannot be combined with as_of; leave one of them out",
            ));
        }
        let mut head = ctx.ledger().feed().watch();
        // No longer than its sender waits for the answer.
        let left = ctx.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let patience = left.map_or(PATIENCE, |left| left.min(PATIENCE));
        let reached = tokio::time::timeout(patience, head.wait_for(|head| head.last >= wanted)).await;
        if let Ok(Ok(head)) = reached {
            return Ok(head.last);
        }
        let last = ctx.ledger().head().last;
        let detail = format!("the ledger is at sequence {last}, not yet at {wanted}");
        Err(Problem {
            field: Some("min_sequence".into()),
            ..Problem::later(ProblemCode::SequenceNotReached, detail, 1)
        })
    }
}

/// A sequence in its one spelling.
pub fn sequence(field: &str, text: &str) -> Result<Sequence, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = digits.then(|| text.parse().ok()).flatten();
    parsed.map(Sequence).ok_or_else(|| Problem::field(field, "must be a sequence: a number from 0"))
}

/// The parts of a path that name something. What is no text names nothing.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(named)| Self(named)).map_err(|rejection| Problem::not_found(rejection.body_text()))
    }
}

/// What is written around the events of a command: under the name of its `Idempotency-Key`, if it has one.
///
/// `content` is all that a repetition must have in common with it. Names are scoped by actor.
pub fn meta(
    ctx: &RequestContext,
    actor: Actor,
    headers: &HeaderMap,
    content: &[&[u8]],
) -> Result<Arc<Meta>, Problem> {
    let digest = ctx.keys().command_digest(content);
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (key, another) = (given.next(), given.next());
    let rule = "must be one text of 1 to 255 printable ASCII characters";
    let Some(key) = key else { return Ok(Arc::new(ctx.meta(actor, digest))) };
    let key = key.to_str().ok().filter(|key| another.is_none() && (1..=255).contains(&key.len()));
    let key = key.ok_or_else(|| Problem::field(IDEMPOTENCY_KEY, rule))?;
    let command = ctx.keys().command_digest(&[IDEMPOTENCY_KEY.as_bytes(), key.as_bytes()]);
    let named_by_sender = true;
    Ok(Arc::new(Meta { command: CommandId(command), named_by_sender, ..ctx.meta(actor, digest) }))
}

/// The same of a part of a request that is carried out as several commands of one actor: each has a name of its own.
pub fn meta_of_part(
    ctx: &RequestContext,
    actor: Actor,
    headers: &HeaderMap,
    content: &[&[u8]],
    part: &str,
) -> Result<Arc<Meta>, Problem> {
    let content: Vec<&[u8]> = content.iter().copied().chain([part.as_bytes()]).collect();
    let meta = meta(ctx, actor, headers, &content)?;
    if !meta.named_by_sender {
        return Ok(meta);
    }
    let command = ctx.keys().command_digest(&[&meta.command.0, part.as_bytes()]);
    Ok(Arc::new(Meta { command: CommandId(command), ..(*meta).clone() }))
}

/// An answer that is a page of a list.
pub(crate) fn list<T>(items: Vec<T>, next: Option<impl Display>, sequence: Sequence) -> HttpAnswer<List<T>> {
    let next = next.map(|next| next.to_string());
    HttpAnswer::ok(sequence, List { items, next, sequence })
}
