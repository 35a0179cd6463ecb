//! What is said of the routes for events.

use super::{EventOrder, RecordedEvent};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

fn filtered(operation: Operation) -> Operation {
    operation
        .query::<schema::Text>("type", "Events of these types alone, with commas between them")
        .query::<schema::Text>(
            "stream",
            "Events of this stream (`usage/COMP-1`), or of this kind of stream (`usage`)",
        )
        .query::<schema::Text>("actor", "Events caused by the actor with this id")
}

pub(crate) fn list(operation: Operation) -> Operation {
    filtered(
        operation
            .called("listEvents", "log", "What happened, in order")
            .query::<schema::Sequence>("after", "Events after this sequence. Default: 0")
            .query::<schema::StartStop>("period", "Events recorded in it, instead of `from` and `to`")
            .query::<schema::BoundText>("from", "Events recorded at it or later")
            .query::<schema::BoundText>("to", "Events recorded before it")
            .query::<EventOrder>("order", "Which events come first. Default: oldest"),
    )
    .lists::<RecordedEvent>("A part of the log")
}

pub(crate) fn follow(operation: Operation) -> Operation {
    filtered(
        operation
            .called("followEvents", "log", "Events as they are recorded, for as long as the connection is open")
            .description(
                "Server-sent events: `id` is the sequence, `event` the type, `data` the event as the list has it; \
                 `actor.credential` is shown to those alone who reach all of the project. A reader sees what it may \
                 read at that moment; when its credential or its session ends, a last event of type `end` has the \
                 problem as its data, and the stream ends. A comment comes at least every 15 seconds, and the first \
                 one when the stream has caught up with the log. docs/event-stream.md describes the limits.",
            )
            .query::<schema::Sequence>("after", "Events after this one; from now on, if it is not said")
            .header::<schema::Sequence>("Last-Event-ID", "The same, as browsers send it; it goes before `after`"),
    )
    .answers_events::<RecordedEvent>(200, "Events, without an end")
}
