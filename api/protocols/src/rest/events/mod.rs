//! The events of the log over REST: as a list, and as a stream.

pub(super) mod describe;
mod filter;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::Uri;
use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};
use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::log::envelope::Recorded;
use slapledger_core::log::store::EventStore;
use slapledger_engine::past::last_before;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::event_scope::sees_stream;

use super::log::{self, ReadOn};
use super::openapi::schema::List;
use super::period::{bound_in, period_instead_of_bounds};
use super::query::{self, Query};
use crate::access::Authorised;
use filter::EventFilter;
pub(super) use stream::follow;

/// The most bytes of a page of events, but for the last one.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The most events that are looked at for a page of them.
const MOST_LOOKED_AT: u64 = 20_000;
/// The most events that are read at a time from the end of the log on, in place of each for itself.
const MOST_AT_A_TIME: u64 = 4096;

/// Which events come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum EventOrder {
    #[default]
    Oldest,
    Newest,
}

impl FromStr for EventOrder {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
        Self::deserialize(text).map_err(|_| "must be oldest or newest")
    }
}

/// The time in which events were recorded; all of it, where nothing is said.
struct RecordedWithin {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl RecordedWithin {
    fn read(ctx: &RequestContext, query: &Query) -> Result<Self, Problem> {
        let (from, to) = match period_instead_of_bounds(query)? {
            Some(period) => (Some(period.start), Some(period.stop)),
            None => (bound_in(query, "from")?, bound_in(query, "to")?),
        };
        // Days begin where the first party is.
        let calendar = ctx.billing().read(|view, _| view.billing.calendar_of(FIRST_PARTY).cloned());
        let calendar = calendar.unwrap_or_else(|| Calendar::of(TimeZone::UTC));
        let [from, to] = [from, to].map(|bound| bound.map(|bound| bound.within(&calendar)));
        if from.zip(to).is_some_and(|(from, to)| to < from) {
            return Err(Problem::field("to", "must not be before from"));
        }
        Ok(Self { from, to })
    }
}

/// `GET /v1/events`: what happened in a project, in order. Sealed values show their key and digest.
///
/// What is of the ledger itself is shown in the first project, to those who reach all of them. A page that had to pass
/// over much may be short of its limit, or empty, and still have one after it.
pub(super) async fn list(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<RecordedEvent>>, Problem> {
    let known = ["after", "type", "stream", "actor", "period", "from", "to", "order"];
    let query = Query::read(&uri, &known)?;
    let filter = EventFilter::read(&query)?;
    let order: EventOrder = query.parse("order")?.unwrap_or_default();
    let within = RecordedWithin::read(&ctx, &query)?;
    let limit = query.limit()?;
    let after = query.sequence("after")?.unwrap_or(Sequence::ZERO);
    let cursor = query.cursor::<u64>()?.map(Sequence);
    let position = query.position(&ctx).await?;
    // How far a credential reaches is known of all that is shown.
    ctx.access().reach(position).await?;
    let store = Arc::clone(ctx.ledger().store());
    let found = tokio::task::spawn_blocking(move || -> Result<(Vec<RecordedEvent>, _), Problem> {
        let bound = |at: Option<Timestamp>, otherwise| match at {
            Some(at) => last_before(&*store, at, position).map_err(|fault| Problem::fault(&fault)),
            None => Ok(otherwise),
        };
        let after = after.max(bound(within.from, Sequence::ZERO)?);
        let until = bound(within.to, position)?;
        let is_shown = |recorded: &Recorded| {
            filter.fits(recorded) && sees_stream(&ctx, &recorded.stream, recorded.meta.project)
        };
        let page = EventPage { store: &*store, limit, is_shown };
        match order {
            EventOrder::Oldest => page.oldest(cursor.map_or(after, |cursor| cursor.max(after)), until),
            EventOrder::Newest => page.newest(after, cursor.map_or(until, |cursor| cursor.min(until))),
        }
    });
    let (items, next) = found.await.map_err(|error| Problem::fault(&error))??;
    Ok(query::list(items, next, position))
}

/// A page of events, and what to ask for as `cursor` for the next one.
type FoundEvents = (Vec<RecordedEvent>, Option<Sequence>);

/// How a page of events is read.
struct EventPage<'a, F> {
    store: &'a dyn EventStore,
    limit: usize,
    is_shown: F,
}

impl<F: Fn(&Recorded) -> bool> EventPage<'_, F> {
    /// Events after one and up to another, the oldest first. A cursor is the last event that was looked at.
    fn oldest(&self, after: Sequence, until: Sequence) -> Result<FoundEvents, Problem> {
        let mut items = Vec::new();
        let (mut bytes, mut looked_at, mut last, mut next) = (0, 0, after, None);
        log::each_after(self.store, after, |recorded| {
            if recorded.sequence > until {
                return Ok(ReadOn::Enough);
            }
            let is_shown = (self.is_shown)(recorded);
            if looked_at == MOST_LOOKED_AT || (is_shown && (items.len() == self.limit || bytes > PAGE_BYTES))
            {
                next = Some(last);
                return Ok(ReadOn::Enough);
            }
            (looked_at, last) = (looked_at + 1, recorded.sequence);
            if is_shown {
                let event = RecordedEvent(recorded.clone());
                bytes += event.bytes()?;
                items.push(event);
            }
            Ok(ReadOn::More)
        })?;
        Ok((items, next))
    }

    /// The same, the newest first. A cursor is the last event that was not looked at.
    fn newest(&self, after: Sequence, until: Sequence) -> Result<FoundEvents, Problem> {
        let mut items: Vec<RecordedEvent> = Vec::new();
        let (mut bytes, mut looked_at, mut end) = (0, 0, until);
        // What is read at a time grows: most pages are filled by the first of it.
        let mut size = (self.limit as u64).min(MOST_AT_A_TIME);
        while end > after && looked_at < MOST_LOOKED_AT && items.len() < self.limit {
            let begin = Sequence(end.0.saturating_sub(size)).max(after);
            let wanted = self.limit - items.len();
            let (mut shown, mut sum, mut left_out) = (VecDeque::new(), 0, None);
            log::each_after(self.store, begin, |recorded| {
                if recorded.sequence > end {
                    return Ok(ReadOn::Enough);
                }
                if (self.is_shown)(recorded) {
                    let event = RecordedEvent(recorded.clone());
                    let bytes = event.bytes()?;
                    sum += bytes;
                    shown.push_back((event, bytes));
                }
                // The last of them are wanted, and no more than a page has.
                while shown.len() > wanted
                    || shown.front().is_some_and(|(_, first)| bytes + sum - first > PAGE_BYTES)
                {
                    let Some((event, first)) = shown.pop_front() else { break };
                    (sum, left_out) = (sum - first, Some(event.0.sequence));
                }
                Ok(if recorded.sequence == end { ReadOn::Enough } else { ReadOn::More })
            })?;
            bytes += sum;
            items.extend(shown.into_iter().rev().map(|(event, _)| event));
            if left_out.is_some() {
                return Ok((items, left_out));
            }
            (looked_at, end) = (looked_at + (end.0 - begin.0), begin);
            size = (size * 2).min(MOST_AT_A_TIME);
        }
        Ok((items, Some(end).filter(|end| *end > after)))
    }
}

/// An event as it stands in the log: the core writes it.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct RecordedEvent(Recorded);

impl RecordedEvent {
    /// How long it is in JSON.
    fn bytes(&self) -> Result<usize, Problem> {
        let mut count = Count(0);
        serde_json::to_writer(&mut count, self).map_err(|error| Problem::fault(&error))?;
        Ok(count.0)
    }
}

/// Counts what is written.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
