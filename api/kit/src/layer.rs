//! Layers around routes that cost little for each request.
//!
//! A layer of `axum::middleware::from_fn` copies the rest of its route for each request, and that copies every layer
//! inside it: the cost grows with the square of the number of layers. Copies of a [`Layered`] share the rest of the
//! route, so that each layer costs the same, wherever it stands.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use axum::routing::Route;
use futures_util::FutureExt as _;
use futures_util::future::Map;
use tower::{Layer, Service};

/// The rest of a route: its handler, and the layers between.
#[derive(Debug, Clone)]
pub struct Next(Arc<Route>);

impl Next {
    /// Has a request answered.
    pub async fn run(self, request: Request) -> Response {
        match Route::clone(&self.0).call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// A layer made of a function, which gets the state, the request and the rest of the route.
///
/// The state is copied for each request: share it by an [`Arc`].
#[derive(Debug, Clone)]
pub struct FunctionLayer<T, F> {
    state: T,
    function: F,
}

impl<T, F> FunctionLayer<T, F> {
    /// A layer of this function.
    pub fn new<Fut>(state: T, function: F) -> Self
    where
        F: Fn(T, Request, Next) -> Fut,
        Fut: Future<Output = Response>,
    {
        Self { state, function }
    }
}

impl<T: Clone, F: Clone> Layer<Route> for FunctionLayer<T, F> {
    type Service = Layered<T, F>;

    fn layer(&self, inner: Route) -> Layered<T, F> {
        Layered { around: self.clone(), inner: Next(Arc::new(inner)) }
    }
}

/// A route with a layer around it.
#[derive(Debug, Clone)]
pub struct Layered<T, F> {
    around: FunctionLayer<T, F>,
    inner: Next,
}

impl<T, F, Fut> Service<Request> for Layered<T, F>
where
    T: Clone,
    F: Fn(T, Request, Next) -> Fut,
    Fut: Future<Output = Response>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Map<Fut, fn(Response) -> Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A route is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let FunctionLayer { state, function } = &self.around;
        function(state.clone(), request, self.inner.clone()).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::HeaderValue;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    async fn sign(name: &'static str, mut request: Request, next: Next) -> Response {
        request.headers_mut().append("inwards", HeaderValue::from_static(name));
        let mut response = next.run(request).await;
        response.headers_mut().append("outwards", HeaderValue::from_static(name));
        response
    }

    async fn refuse((): (), _: Request, _: Next) -> Response {
        Response::new(Body::from("refused"))
    }

    fn names(headers: &axum::http::HeaderMap, name: &str) -> Vec<String> {
        headers.get_all(name).iter().map(|value| value.to_str().expect("a text").to_owned()).collect()
    }

    #[tokio::test]
    async fn layers_stand_in_order_and_may_answer_themselves() {
        let handler = async |request: Request| names(request.headers(), "inwards").join(",");
        let refused = Router::new().route("/refused", get(handler)).layer(FunctionLayer::new((), refuse));
        let routes = Router::new()
            .route("/", get(handler).layer(FunctionLayer::new("inner", sign)))
            .merge(refused)
            .layer(FunctionLayer::new("middle", sign))
            .layer(FunctionLayer::new("outer", sign));
        for (path, body, outwards) in [
            ("/", "outer,middle,inner", ["inner", "middle", "outer"].as_slice()),
            ("/refused", "refused", ["middle", "outer"].as_slice()),
        ] {
            // Twice: one request leaves nothing to the next.
            for _ in 0..2 {
                let request = Request::get(path).body(Body::empty()).expect("a request");
                let response = routes.clone().oneshot(request).await.expect("an answer");
                assert_eq!(names(response.headers(), "outwards"), outwards);
                let answered = to_bytes(response.into_body(), 100).await.expect("a short body");
                assert_eq!(answered, body);
            }
        }
    }
}
