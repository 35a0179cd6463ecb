//! The descriptions of the routes of generations.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{GenerationsForm, RebuiltForm};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema::{self, Nothing};

/// How a projection is rebuilt.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RebuildWish {
    /// Whether the server swaps the new generation in when it is equal to the live one. Default: true
    pub(super) swap: Option<bool>,
    /// How many events a second are read at most. Default: the setting `rebuild.most_events_per_second`
    pub(super) most_events_per_second: Option<EventsPerSecond>,
}

/// A number of events.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct EventsPerSecond(pub(super) NonZeroU32);

fn of_projection(operation: Operation) -> Operation {
    operation.path::<schema::Projection>("name", "Which projection").problem(404)
}

pub(crate) fn rebuild(operation: Operation) -> Operation {
    of_projection(operation.called(
        "rebuildProjection",
        "log",
        "Derive a projection again from the first event, beside the one in use",
    ))
    .body::<RebuildWish>(json!({"swap": true}))
    .optional_body()
    .writes::<RebuiltForm>(200, "It was derived and compared; `swapped` says whether it has taken its place")
    .answers::<GenerationsForm>(202, "It is being derived; the generations say how far it is")
    .location(202)
    .retry_after(202)
}

pub(crate) fn generations(operation: Operation) -> Operation {
    of_projection(operation.called("listGenerations", "log", "The generations of a projection"))
        .reads::<GenerationsForm>("The live one, and the one aside, if there is one")
        .only_now()
}

pub(crate) fn follow(operation: Operation) -> Operation {
    of_projection(operation.called("followGenerations", "log", "How far a rebuild is, as it goes on"))
        .description(
            "Server-sent events: `event` is `generations`, `data` is what the list of generations says. One comes each \
             second and with each change, and the stream ends when the rebuild has ended or waits for a decision. When the \
             credential or the session of its reader ends, a last event of type `end` has the problem as its data.",
        )
        .query::<schema::Sequence>("min_sequence", "Wait until at least this sequence is reflected")
        .answers_events::<GenerationsForm>(200, "Progress, until the rebuild ends or waits for a swap")
}

fn change(operation: Operation, id: &'static str, summary: &'static str) -> Operation {
    of_projection(operation.called(id, "log", summary))
        .body::<Nothing>(json!({}))
        .optional_body()
        .writes::<GenerationsForm>(200, "The generations now")
}

pub(crate) fn cancel(operation: Operation) -> Operation {
    change(operation, "cancelRebuild", "Stop a rebuild, or discard a generation that is ready")
}

pub(crate) fn swap(operation: Operation) -> Operation {
    change(operation, "swapRebuilt", "Let the generation that is ready take the place of the live one")
}

pub(crate) fn confirm(operation: Operation) -> Operation {
    change(operation, "confirmRebuilt", "Discard the previous generation")
}

pub(crate) fn swap_back(operation: Operation) -> Operation {
    change(operation, "swapBack", "Let the previous generation take its place again")
}
