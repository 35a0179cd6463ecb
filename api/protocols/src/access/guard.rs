//! Routes whose form others have described, each behind its rule, and what stands around every route.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use slapledger_kit::layer::{FunctionLayer, Next};
use slapledger_kit::problem::Problem;
use slapledger_usecases::policy::Policy;

use super::Gateway;

/// The answer to a sender whom a rule does not admit, in the form of the routes around it.
pub type Refuse = fn(Problem) -> Response;

/// Around each route: admits the callers that its rule is for.
pub async fn enforce(
    (policy, refuse): (&'static Policy, Refuse),
    mut request: Request,
    next: Next,
) -> Response {
    // Where nobody has to say who they are, nobody was asked.
    let Some(asked) = request.extensions().get::<crate::access::authenticate::Authentication>() else {
        return next.run(request).await;
    };
    let known = match &asked.0 {
        Ok(known) => known.as_ref(),
        // One that is wrong is told so even where none is needed: its owner has to learn of it.
        Err(problem) => return refuse(problem.clone()),
    };
    match policy.admit(known) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => refuse(problem),
    }
}

/// Routes whose form others have described, each with its rule. Of those that are ours `rest::openapi` keeps the rules.
pub struct Guarded {
    router: Router<Arc<Gateway>>,
    refuse: Refuse,
    rules: Vec<(&'static str, &'static Policy)>,
}

impl Guarded {
    /// No routes; senders who are not admitted are answered in this form.
    pub fn new(refuse: Refuse) -> Self {
        Self { router: Router::new(), refuse, rules: Vec::new() }
    }

    /// With another route.
    #[must_use]
    pub fn route(
        mut self,
        path: &'static str,
        policy: &'static Policy,
        methods: MethodRouter<Arc<Gateway>>,
    ) -> Self {
        let guard = FunctionLayer::new((policy, self.refuse), enforce);
        self.router = self.router.route(path, methods.layer(guard));
        self.rules.push((path, policy));
        self
    }

    /// All of them.
    pub fn into_router(self) -> Router<Arc<Gateway>> {
        self.router
    }

    /// Their paths and rules.
    pub fn rules(&self) -> &[(&'static str, &'static Policy)] {
        &self.rules
    }
}

/// A problem as problem details.
pub fn as_problem(problem: Problem) -> Response {
    problem.into_response()
}
