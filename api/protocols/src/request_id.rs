//! Every answer has the id of its request, and so has what its handler logs.
//!
//! A client may choose the id, so that its log and ours can be read together.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use slapledger_engine::random_bytes;
use slapledger_kit::layer::Next;
use tracing::Instrument as _;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a client.
const MOST_BYTES: usize = 64;

/// Around everything.
pub(crate) async fn named((): (), request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).filter(|id| is_usable(id)).cloned().unwrap_or_else(new);
    let span = tracing::error_span!("request", id = id.to_str().unwrap_or_default());
    let mut response = next.run(request).instrument(span).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Whether an id of a client can stand in a line of a log as it is.
fn is_usable(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=MOST_BYTES).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte))
}

/// Ids are random: from two that follow each other, one reader would learn how many requests others made.
fn new() -> HeaderValue {
    let id = format!("{:016x}", u64::from_be_bytes(random_bytes::<8>()));
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("none"))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use slapledger_kit::layer::FunctionLayer;
    use slapledger_kit::problem::Problem;
    use tower::ServiceExt as _;

    use super::*;

    /// What is logged.
    #[derive(Clone, Default)]
    struct Logged(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Logged {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    async fn id(sent: Option<&str>) -> String {
        let fault = async || Problem::fault(&"the disk is on fire");
        let routes: Router = Router::new().route("/", get(fault)).layer(FunctionLayer::new((), named));
        let request = Request::get("/");
        let request = sent.map_or(Request::get("/"), |sent| request.header(REQUEST_ID, sent));
        let response =
            routes.oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
        response.headers()[REQUEST_ID].to_str().expect("a text").to_owned()
    }

    #[tokio::test]
    async fn an_answer_has_the_id_of_its_request_or_a_new_one() {
        assert_eq!(id(Some("Order-17.a_b")).await, "Order-17.a_b");
        let (first, second) = (id(None).await, id(None).await);
        assert!(first.len() == 16 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
        assert_ne!(first, second);
        let long = "x".repeat(MOST_BYTES + 1);
        for bad in ["", "two words", "{\"id\":1}", "\u{7}", &long] {
            if HeaderValue::from_str(bad).is_ok() {
                assert_ne!(id(Some(bad)).await, bad);
            }
        }
    }

    #[tokio::test]
    async fn what_is_logged_meanwhile_has_it_too() {
        let logged = Logged::default();
        let writer = logged.clone();
        let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::ERROR);
        let subscriber = subscriber.with_writer(move || writer.clone()).finish();
        // For all threads: with one of this thread alone, another test that comes first has the line left out for all.
        tracing::subscriber::set_global_default(subscriber).expect("no other test of this crate sets one");
        id(Some("Order-18")).await;
        let bytes = logged.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lines = str::from_utf8(&bytes).expect("text").lines();
        let lines =
            lines.map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line of JSON"));
        let own: Vec<_> = lines.filter(|line| line["span"]["id"] == "Order-18").collect();
        assert_eq!(own.len(), 1, "{own:?}");
        assert_eq!(own[0]["fields"]["cause"], "the disk is on fire");
    }
}
