//! Requests and answers, as the cloud is asked.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;
use serde_json::Value;
use tower::ServiceExt;

use crate::rest::openapi::conformity;
use crate::testing::streamed;

/// What somebody shows.
#[derive(Clone)]
pub(super) enum Key {
    Token(String),
    Certificate([u8; 32]),
}

/// A request.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    /// Where it comes from, if that makes a difference.
    pub(super) address: Option<IpAddr>,
}

impl Ask {
    pub(super) fn new(method: &str, path: &str) -> Self {
        let method = method.parse().expect("a method");
        Self { method, path: path.to_owned(), headers: Vec::new(), body: String::new(), address: None }
    }

    pub(super) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(super) fn json(method: &str, path: &str, body: &Value) -> Self {
        Self::new(method, path).with("content-type", "application/json").saying(body.to_string())
    }

    pub(super) fn form(path: &str, pairs: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Self::new("POST", path).with("content-type", "application/x-www-form-urlencoded").saying(body)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn from(self, address: &str) -> Self {
        Self { address: Some(address.parse().expect("an address")), ..self }
    }

    pub(super) fn saying(self, body: impl Into<String>) -> Self {
        Self { body: body.into(), ..self }
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The members of this name of the items of a list.
    pub(super) fn items(&self, name: &str) -> Vec<String> {
        let list = self.json();
        let items = list["items"].as_array().unwrap_or_else(|| panic!("no list: {self:?}"));
        items.iter().map(|item| item[name].as_str().map_or(item[name].to_string(), str::to_owned)).collect()
    }
}

/// A body that comes after something else has happened.
pub(super) struct After(pub(super) Option<Pin<Box<dyn Future<Output = Bytes> + Send>>>);

impl hyper::body::Body for After {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(first) = &mut self.0 else { return Poll::Ready(None) };
        let bytes = ready!(first.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

pub(super) async fn answered(router: Router, request: Request<Body>) -> Seen {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = router.oneshot(request).await.expect("a router always answers");
    let (parts, body) = response.into_parts();
    conformity::check(&method, &path, &parts);
    let body = if streamed::is_stream(&parts.headers) {
        // It has no end: what was recorded before is what is looked at.
        streamed::EventBody::of(body).read_until(": caught up").await.into()
    } else {
        body.collect().await.expect("a body").to_bytes()
    };
    conformity::check_problem(parts.status, &parts.headers, &body);
    // Files of a backup are no text.
    let body = String::from_utf8_lossy(&body).into_owned();
    Seen { status: StatusCode::as_u16(&parts.status), headers: parts.headers, body }
}
