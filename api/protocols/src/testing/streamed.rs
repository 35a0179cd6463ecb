//! Answers without an end: read until something is in them. For tests alone.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde_json::Value;

/// How long something may take that is sure to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether an answer is a stream of events.
pub(crate) fn is_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|told| told == "text/event-stream")
}

/// The body of such an answer, as far as it was read.
pub(crate) struct EventBody {
    body: Body,
    read: String,
    is_over: bool,
}

/// An event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamedEvent {
    pub(crate) id: u64,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl EventBody {
    pub(crate) fn of(body: Body) -> Self {
        Self { body, read: String::new(), is_over: false }
    }

    /// Reads until a text is there, or the end; all that was read.
    pub(crate) async fn read_until(mut self, text: &str) -> String {
        self.wait_for(text).await;
        self.read
    }

    /// Reads until a text is there, or the end.
    pub(crate) async fn wait_for(&mut self, text: &str) {
        while !self.is_over && !self.read.contains(text) {
            self.frame(text).await;
        }
    }

    /// Reads until so many events are there, or the end.
    pub(crate) async fn wait_for_events(&mut self, count: usize) -> Vec<StreamedEvent> {
        let mut blocks = self.read.matches("\ndata: ").count();
        while !self.is_over && blocks < count {
            let from = self.read.len();
            self.frame("another event").await;
            blocks += self.read[from..].matches("\ndata: ").count();
        }
        self.events()
    }

    async fn frame(&mut self, awaited: &str) {
        let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await;
        let frame = frame.unwrap_or_else(|_| panic!("{awaited} does not come after: {}", self.read));
        match frame.map(|frame| frame.expect("it goes on").into_data()) {
            Some(Ok(bytes)) => self.read.push_str(std::str::from_utf8(&bytes).expect("whole events")),
            Some(Err(_)) => {}
            None => self.is_over = true,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(crate) fn text(&self) -> &str {
        &self.read
    }

    /// The events that were read.
    pub(crate) fn events(&self) -> Vec<StreamedEvent> {
        parse(&self.read)
    }
}

/// The events of a stream.
pub(crate) fn parse(text: &str) -> Vec<StreamedEvent> {
    let blocks = text.split("\n\n");
    let event = |block: &str| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let data = serde_json::from_str(field("data")?).expect("JSON");
        Some(StreamedEvent {
            id: field("id")?.parse().expect("a sequence"),
            kind: field("event")?.into(),
            data,
        })
    };
    blocks.filter_map(event).collect()
}
