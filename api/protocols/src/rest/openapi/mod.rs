//! The routes that are ours and the document that describes them, made by one registration: what is not described
//! cannot be registered.
//!
//! The document is `OpenAPI` 3.1. Shapes come from the types that are written and read (`schemars`); what a route takes
//! and answers besides is told beside its handler, in the functions that the route map names.
//!
//! Not here: the routes of the SLAP tool, whose form others have described.

#[cfg(test)]
pub(crate) mod conformity;
mod descriptions;
pub(crate) mod operation;
pub(crate) mod rules;
pub(super) mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use serde_json::{Map, Value, json};
use slapledger_kit::code::{CODES, CodeRow};
use slapledger_kit::layer::FunctionLayer;
use slapledger_usecases::policy::Policy;

use crate::access::{Gateway, PROJECT, Refuse, as_problem, enforce, take_as_of};
use operation::{Components, Operation, PROBLEMS};

/// What describes a route.
pub(super) type Describe = fn(Operation) -> Operation;

/// Routes, and what each of them does.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<Arc<Gateway>>,
    operations: Vec<Operation>,
}

impl Routes {
    /// No routes.
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn get<H, T>(
        self,
        path: &'static str,
        policy: &'static Policy,
        handler: H,
        describe: Describe,
    ) -> Self
    where
        H: Handler<T, Arc<Gateway>>,
        T: 'static,
    {
        self.on((Method::GET, MethodFilter::GET), (path, policy), handler, describe)
    }

    pub(super) fn post<H, T>(
        self,
        path: &'static str,
        policy: &'static Policy,
        handler: H,
        describe: Describe,
    ) -> Self
    where
        H: Handler<T, Arc<Gateway>>,
        T: 'static,
    {
        self.on((Method::POST, MethodFilter::POST), (path, policy), handler, describe)
    }

    pub(super) fn put<H, T>(
        self,
        path: &'static str,
        policy: &'static Policy,
        handler: H,
        describe: Describe,
    ) -> Self
    where
        H: Handler<T, Arc<Gateway>>,
        T: 'static,
    {
        self.on((Method::PUT, MethodFilter::PUT), (path, policy), handler, describe)
    }

    pub(super) fn patch<H, T>(
        self,
        path: &'static str,
        policy: &'static Policy,
        handler: H,
        describe: Describe,
    ) -> Self
    where
        H: Handler<T, Arc<Gateway>>,
        T: 'static,
    {
        self.on((Method::PATCH, MethodFilter::PATCH), (path, policy), handler, describe)
    }

    pub(super) fn delete<H, T>(
        self,
        path: &'static str,
        policy: &'static Policy,
        handler: H,
        describe: Describe,
    ) -> Self
    where
        H: Handler<T, Arc<Gateway>>,
        T: 'static,
    {
        self.on((Method::DELETE, MethodFilter::DELETE), (path, policy), handler, describe)
    }

    fn on<H, T>(
        mut self,
        (method, filter): (Method, MethodFilter),
        (path, policy): (&'static str, &'static Policy),
        handler: H,
        describe: Describe,
    ) -> Self
    where
        H: Handler<T, Arc<Gateway>>,
        T: 'static,
    {
        let guard = FunctionLayer::new((policy, as_problem as Refuse), enforce);
        let operation = describe(Operation::new(method.clone(), path, policy));
        let mut route = on(filter, handler);
        let is_taken = operation.takes_as_of();
        // Other reads refuse it themselves, as every parameter that they do not know.
        if is_taken || method != Method::GET {
            route = route.layer(FunctionLayer::new(is_taken, take_as_of));
        }
        self.router = self.router.route(path, route.layer(guard));
        self.operations.push(operation);
        self
    }

    /// The routes, and their descriptions.
    pub(super) fn into_parts(self) -> (Router<Arc<Gateway>>, Vec<Operation>) {
        (self.router, self.operations)
    }
}

/// A row of the table of codes.
fn problem_code(row: &CodeRow) -> Value {
    let CodeRow { code, statuses, meaning, remedy } = row;
    json!({"code": code.as_str(), "type": code.urn(), "statuses": statuses, "meaning": meaning, "remedy": remedy})
}

/// The document that describes these operations.
pub(super) fn document(operations: &[Operation]) -> Value {
    let mut components = Components::new();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let method = operation.method.as_str().to_ascii_lowercase();
        // A path that goes on to the end is one parameter to its readers.
        let path = operation.path.replace("{*", "{");
        paths.entry(path).or_default().insert(method, operation.write(&mut components));
    }
    let project = components.sent::<schema::ProjectId>();
    let problems: Map<String, Value> =
        PROBLEMS.iter().map(|problem| (problem.name.to_owned(), problem.write(&mut components))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Slapledger",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The master of a distributed cloud, as a ledger",
            "description": "Everything is answered in JSON, and in XML to those who prefer it (`Accept`); bodies are read \
                in both where both are named. Amounts and quantities are texts. Every answer names the sequence of the \
                last event that it reflects. A write that carries an `Idempotency-Key` may be repeated: it is carried \
                out once and answered again, for 30 days. Errors are problem details (RFC 9457); `x-problem-codes` lists what their \
                `type` may be, and new ones may be added. Requests that write are refused when \
                they carry a foreign `Origin`.",
            "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"},
        },
        // Relative: the document does not know under which name it was asked for.
        "servers": [{"url": "/", "description": "The server that serves this document"}],
        "x-problem-codes": CODES.iter().map(problem_code).collect::<Vec<_>>(),
        "tags": [
            {"name": "computers", "description": "Computers, what they offer, and what they say of themselves"},
            {"name": "software", "description": "Software releases, and where they are to be"},
            {"name": "instances", "description": "Software instances and the trees they are in"},
            {"name": "usage", "description": "What was used: reported, read, and put right"},
            {"name": "prices", "description": "Price books"},
            {"name": "invoices", "description": "Invoice runs and invoices"},
            {"name": "parties", "description": "Who requests, sells and pays, and how they are taxed"},
            {"name": "books", "description": "The journal, its accounts, and what is closed"},
            {"name": "access", "description": "Projects, and the credentials that let somebody in"},
            {"name": "log", "description": "The events, and what is derived from them"},
            {"name": "health", "description": "How everything is doing"},
        ],
        "paths": paths,
        "components": {
            "schemas": components.into_schemas(),
            "responses": problems,
            "parameters": {
                "Project": {
                    "name": PROJECT.as_str(), "in": "header", "required": false,
                    "description": "In which project; that of the credential, if it is not said. Only a credential that \
                        reaches all projects may name another: 400 for a caller who may not, as where there is none.",
                    "schema": project,
                },
            },
            "securitySchemes": {
                "certificate": {"type": "mutualTLS", "description": "A client certificate of this master"},
                "token": {"type": "http", "scheme": "bearer", "description": "A token of this master"},
            },
        },
    })
}
