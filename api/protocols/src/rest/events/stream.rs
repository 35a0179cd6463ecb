//! `GET /v1/events/stream`: events as they are recorded (server-sent events).
//!
//! A reader is a position in the log. Each piece that is sent is decided anew: the credential, the session and the
//! policy are asked, and what is the reader's own is looked up in views that show at least all that is sent. A reader
//! holds one piece at a time and nothing else; how fast it reads is its own affair, and that of the limit of bytes that
//! all readers share.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Uri};
use axum::response::Response;
use slapledger_core::domain::id::Sequence;
use slapledger_kit::problem::{Problem, ProblemDetails};
use slapledger_projections::SlapViews;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::event_scope::{
    StreamScope, own_scope, payer_of, sees_event, sees_instance, sees_stream,
};
use slapledger_usecases::policy;
use tokio::sync::watch;

use super::filter::EventFilter;
use crate::access::{Authorised, ContinuedRequest, Gateway};
use crate::rest::query::{self, Query};
use crate::streams::{
    EventGroup, EventRun, GroupEvents, ShownMembers, StreamBounds, StreamSeat, TICK, Tick, server_sent,
};

/// How long a stream is silent at most.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After how many milliseconds a browser connects again.
const RECONNECT_MILLISECONDS: u32 = 2000;
/// The least and the most bytes of a piece, if it is not a single event.
const PIECE_BYTES: std::ops::RangeInclusive<usize> = 16 * 1024..=256 * 1024;
/// What passing over a run, and reading an event from the log, count as, in bytes.
const RUN_COST: usize = 32;
const LOADED_EVENT_COST: usize = 100;
/// How many events of a piece are chosen at most.
const MOST_CHOSEN: usize = 1024;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// `GET /v1/events/stream`.
pub(crate) async fn follow(
    State(gateway): State<Arc<Gateway>>,
    Authorised(ctx): Authorised,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::read(&uri, &["after", "type", "stream", "actor"])?;
    let filter = EventFilter::read(&query)?;
    let head = query.position(&ctx).await?;
    let resumed = headers.get(LAST_EVENT_ID).map(|value| {
        let text = value.to_str().unwrap_or_default();
        query::sequence("last-event-id", text).map(|at| (at, "last-event-id"))
    });
    let after = query.sequence("after")?.map(|at| (at, "after"));
    let position = match resumed.transpose()?.or(after) {
        Some((at, field)) if at > head => {
            return Err(Problem::field(field, format!("must be at most {head}, the last event of the log")));
        }
        Some((at, _)) => at,
        None => head,
    };
    let continued = ContinuedRequest::of(&gateway, &ctx.caller, &headers);
    let holder = ctx.caller.principal().map(|principal| (principal.project, principal.holder.clone()));
    let limits = &gateway.limits;
    let bounds = StreamBounds { most: limits.most_streams, most_of_one: limits.most_streams_of_one };
    let place = gateway.streams.open(&gateway.engine, holder, bounds)?;
    let ticks = gateway.streams.ticks();
    let reader = EventReader {
        // It may be read for days.
        ctx: ctx.unleased(),
        continued,
        filter,
        position,
        sent_at: Instant::now(),
        paid_until: tokio::time::Instant::now(),
        is_begun: false,
        has_caught_up: false,
        is_over: false,
        ticks,
        gateway,
        _place: place,
    };
    let pieces = futures_util::stream::unfold(reader, async |mut reader| {
        reader.next().await.map(|piece| (Ok::<_, Infallible>(piece), reader))
    });
    Ok(server_sent(pieces, head))
}

/// A reader of a stream.
struct EventReader {
    gateway: Arc<Gateway>,
    ctx: RequestContext,
    continued: ContinuedRequest,
    filter: EventFilter,
    /// The last event that was looked at.
    position: Sequence,
    sent_at: Instant,
    /// Its share of bytes is used until then.
    paid_until: tokio::time::Instant,
    is_begun: bool,
    has_caught_up: bool,
    is_over: bool,
    ticks: watch::Receiver<Tick>,
    _place: StreamSeat,
}

/// What was chosen of a group.
struct Chosen {
    /// Events, by their places in the group.
    events: Vec<usize>,
    /// The last event that was looked at.
    position: Sequence,
    /// How many runs were looked at.
    runs: usize,
    /// Its events are needed, and are not in memory.
    is_missing: bool,
}

impl EventReader {
    /// What is sent next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        if !self.is_begun {
            // The head of the answer goes out at once, before anything happens.
            self.is_begun = true;
            return Some(format!("retry: {RECONNECT_MILLISECONDS}\n\n").into());
        }
        match self.wait().await {
            Ok(Some(piece)) => {
                self.sent_at = Instant::now();
                Some(piece)
            }
            Ok(None) => None,
            Err(problem) => {
                self.is_over = true;
                Some(last_event(&problem))
            }
        }
    }

    /// Waits until there is something to send.
    async fn wait(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let tick = *self.ticks.borrow_and_update();
            if tick.is_over {
                return Ok(None);
            }
            let silent_until = self.sent_at + HEARTBEAT;
            if Instant::now() >= silent_until {
                self.ctx.caller = self.continued.check(&self.gateway, &policy::LOG_FOLLOW)?;
                return Ok(Some(self.comment("open")));
            }
            if tick.head <= self.position {
                if !self.has_caught_up && tick.head > Sequence::ZERO {
                    self.has_caught_up = true;
                    return Ok(Some(self.comment("caught up")));
                }
                tokio::select! {
                    changed = self.ticks.changed() => if changed.is_err() { return Ok(None) },
                    () = tokio::time::sleep_until(silent_until.into()) => {}
                }
                continue;
            }
            // Not past the next heartbeat: who waits for their share is alive.
            tokio::time::sleep_until(self.paid_until.min(silent_until.into())).await;
            if self.paid_until > tokio::time::Instant::now() {
                continue;
            }
            // After the head was read: views show more than it, never less.
            self.ctx.caller = self.continued.check(&self.gateway, &policy::LOG_FOLLOW)?;
            if let Some(piece) = self.piece(tick).await? {
                return Ok(Some(piece));
            }
        }
    }

    /// A comment, which also tells how far the reader is.
    fn comment(&self, text: &str) -> Bytes {
        format!(": {text}\nid: {}\n\n", self.position).into()
    }

    /// What of the next group is for the reader; `None`, if nothing is.
    async fn piece(&mut self, tick: Tick) -> Result<Option<Bytes>, Problem> {
        let share = self.share(tick.readers);
        let most = share.clamp(*PIECE_BYTES.start(), *PIECE_BYTES.end());
        let engine = &self.gateway.engine;
        let (group, mut is_loaded) = self.gateway.streams.group_after(engine, self.position).await?;
        let mut events = group.events();
        let mut chosen = self.choose(&group, events.as_deref(), tick.head);
        if chosen.is_missing {
            let (read, is_new) = self.gateway.streams.events_of(engine, &group).await?;
            is_loaded |= is_new;
            chosen = self.choose(&group, Some(&read), tick.head);
            events = Some(read);
        }
        let shown =
            if self.ctx.caller.reaches_all() { ShownMembers::Whole } else { ShownMembers::WithoutCredential };
        let mut piece = Vec::new();
        if let Some(events) = events {
            for at in chosen.events {
                let written = events.written(at, shown).map_err(|error| Problem::fault(&error))?;
                if !piece.is_empty() && piece.len() + written.len() > most {
                    // The rest comes with the next piece.
                    chosen.position = Sequence(group.first.0 + at as u64 - 1);
                    break;
                }
                piece.extend_from_slice(&written);
            }
        }
        self.position = chosen.position;
        let loaded = if is_loaded { group.len() * LOADED_EVENT_COST } else { 0 };
        self.pay(piece.len() + chosen.runs * RUN_COST + loaded, share);
        Ok((!piece.is_empty()).then(|| piece.into()))
    }

    /// Of the bytes of a tick, those of one reader.
    fn share(&self, readers: usize) -> usize {
        let ticks = usize::try_from(1000 / TICK.as_millis()).unwrap_or(1);
        let all = self.gateway.limits.most_stream_bytes_per_second / ticks;
        (all / readers.max(1)).max(1)
    }

    /// What was sent and looked at is paid for by waiting.
    fn pay(&mut self, cost: usize, share: usize) {
        let tick = u64::try_from(TICK.as_micros()).unwrap_or(u64::MAX);
        let micros = tick.saturating_mul(cost as u64) / share as u64;
        let now = tokio::time::Instant::now();
        // A tick that was not used counts, no more.
        let from = self.paid_until.max(now.checked_sub(TICK).unwrap_or(now));
        self.paid_until = from + Duration::from_micros(micros);
    }

    fn choose(&self, group: &EventGroup, events: Option<&GroupEvents>, head: Sequence) -> Chosen {
        if self.ctx.caller.reaches_all() {
            return self.choose_as(group, events, head, |run| {
                if sees_stream(&self.ctx, &run.stream, run.meta.project) {
                    StreamScope::All
                } else {
                    StreamScope::None
                }
            });
        }
        self.ctx.slap().read(|view, _| {
            let of_run = |run: &EventRun| self.own_scope(view, run);
            let mut chosen = self.choose_as(group, events, head, of_run);
            if let Some(events) = events {
                let mut run = group.runs.iter().peekable();
                chosen.events.retain(|at| {
                    while run.peek().is_some_and(|run| run.until <= *at) {
                        run.next();
                    }
                    let Some(run) = run.peek() else { return false };
                    let scope = self.own_scope(view, run);
                    let event = &events.recorded[*at].event;
                    sees_event(&self.ctx.caller, view, (scope, event), || payer_of(&events.recorded, *at))
                });
            }
            chosen
        })
    }

    /// What a reader who sees their own things alone may see of a run.
    fn own_scope(&self, view: &SlapViews, run: &EventRun) -> StreamScope {
        if run.stream.home(run.meta.project) != self.ctx.project {
            return StreamScope::None;
        }
        let scope = own_scope(&self.ctx.caller, view, &run.stream);
        let sees = |id: &_| sees_instance(&self.ctx.caller, view, *id);
        match scope {
            StreamScope::UsageOfInstances
                if run.instances.as_ref().is_some_and(|instances| !instances.iter().any(sees)) =>
            {
                StreamScope::None
            }
            scope => scope,
        }
    }

    fn choose_as(
        &self,
        group: &EventGroup,
        events: Option<&GroupEvents>,
        head: Sequence,
        scope: impl Fn(&EventRun) -> StreamScope,
    ) -> Chosen {
        let place = |sequence: Sequence| usize::try_from(sequence.0 - group.first.0).unwrap_or(usize::MAX);
        let from = place(self.position.next());
        let until = place(head.min(group.last)) + 1;
        let position = |place: usize| Sequence(group.first.0 + place as u64 - 1);
        let mut chosen = Chosen { events: Vec::new(), position: position(until), runs: 0, is_missing: false };
        let first = group.runs.partition_point(|run| run.until <= from);
        for run in group.runs[first..].iter().take_while(|run| run.from < until) {
            chosen.runs += 1;
            if !self.filter.may_fit(run) || scope(run) == StreamScope::None {
                continue;
            }
            let Some(events) = events else {
                chosen.is_missing = true;
                return chosen;
            };
            for at in run.from.max(from)..run.until.min(until) {
                if chosen.events.len() == MOST_CHOSEN {
                    chosen.position = position(at);
                    return chosen;
                }
                if self.filter.fits_type(events.recorded[at].event.name()) {
                    chosen.events.push(at);
                }
            }
        }
        chosen
    }
}

/// Why a stream ends.
fn last_event(problem: &Problem) -> Bytes {
    let details = ProblemDetails::new(problem.status, problem.code, problem.detail.as_str().into());
    let details = serde_json::to_string(&details).unwrap_or_default();
    format!("event: end\ndata: {details}\n\n").into()
}
