//! A call: what comes in, the rules of its members, and what it is answered.
//!
//! Invariants: a member that the rules do not name is an error, as is one of another type; whatever is wrong is told
//! with the name of the member; every answer is JSON, and an error says its own status.

use std::collections::BTreeMap;
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};
use serde_json::{Map, Value, json};
use slapledger_core::domain::id::InvalidText;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body::unique;
use slapledger_kit::problem::Problem;
use slapledger_kit::text::{LARGE, SMALL, id, of_parameters};
use slapledger_kit::{body, conflict};
use slapledger_slap_wire::{instance_xml, marshal};
use slapledger_usecases::context::RequestContext;

use crate::access::{Authorised, Gateway};

/// What a call is answered.
pub(super) type CallResult = Result<Value, Problem>;

/// The longest title, in characters.
const TITLE_CHARACTERS: usize = 200;

/// What a member must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum MemberKind {
    /// A text.
    Text,
    /// A text that is a title: not too long.
    Title,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// True or false.
    Flag,
    /// An object of anything.
    Object,
    /// Where an instance may be: an object of texts, and one number.
    Filter,
    /// The partitions of a computer.
    Partitions,
}

/// A member of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    name: &'static str,
    kind: MemberKind,
    required: bool,
}

/// A member that must be there.
pub(super) const fn must(name: &'static str, kind: MemberKind) -> Rule {
    Rule { name, kind, required: true }
}

/// A member that may be left out.
pub(super) const fn may(name: &'static str, kind: MemberKind) -> Rule {
    Rule { name, kind, required: false }
}

/// A call whose members are as its rules want them.
pub(super) struct Call {
    /// The headers it came with.
    pub(super) headers: HeaderMap,
    /// What stands before its route.
    pub(super) gateway: Arc<Gateway>,
    /// Names its content in the log.
    pub(super) digest: [u8; 16],
    members: Map<String, Value>,
}

impl Call {
    async fn read(gateway: Arc<Gateway>, rules: &[Rule], request: Request) -> Result<Self, Problem> {
        if request.method() != Method::POST {
            return Err(Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                ProblemCode::MethodNotAllowed,
                "must be posted",
            ));
        }
        // Only two calls carry a document of a node.
        let large =
            rules.iter().any(|rule| matches!(rule.kind, MemberKind::Partitions) || rule.name == "tioxml");
        let carries = rules.iter().any(|rule| matches!(rule.kind, MemberKind::Object));
        let most = match (large, carries) {
            (true, _) => LARGE.into(),
            (false, true) => of_parameters(gateway.engine.most_parameter_bytes),
            (false, false) => SMALL.into(),
        };
        let sent = body::read(request, "application/json", most).await?;
        let value = unique::from_slice(&sent.body)
            .map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?;
        let Value::Object(members) = value else {
            return Err(Problem::bad_request("the body must be an object"));
        };
        check(rules, &members)?;
        let digest = gateway.engine.keys.command_digest(&sent.content());
        Ok(Self { digest, headers: sent.headers, gateway, members })
    }

    /// A text, if it is there.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<&str, Problem> {
        self.optional(name).ok_or_else(|| Problem::field(name, "is missing"))
    }

    /// An identity.
    pub(super) fn id<T: FromStr<Err = InvalidText>>(&self, name: &str) -> Result<T, Problem> {
        id(name, self.text(name)?)
    }

    /// A flag; false, if it is not there.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.members.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A list.
    pub(super) fn list(&self, name: &str) -> &[Value] {
        self.members.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// An object, as SLAP keeps one: values that are no texts through Python's `str()`. Empty, if it is not there.
    pub(super) fn texts(&self, name: &str) -> BTreeMap<String, String> {
        let members = self.members.get(name).and_then(Value::as_object).into_iter().flatten();
        members.map(|(key, value)| (key.clone(), instance_xml::python_str(&python(value)))).collect()
    }

    /// An object as Python reads it; an empty one, if it is not there.
    pub(super) fn python(&self, name: &str) -> marshal::Value {
        self.members.get(name).map_or_else(|| marshal::Value::Dict(Vec::new()), python)
    }

    /// Those of its values that are no texts, marshalled.
    pub(super) fn typed(&self, name: &str) -> Result<BTreeMap<String, String>, Problem> {
        let Some(value) = self.members.get(name) else { return Ok(BTreeMap::new()) };
        instance_xml::typed(&python(value)).map_err(|error| Problem::field(name, error.to_string()))
    }
}

/// JSON as Python reads it.
fn python(value: &Value) -> marshal::Value {
    match value {
        Value::Null => marshal::Value::None,
        Value::Bool(value) => marshal::Value::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), _, _) => marshal::Value::Int(whole),
            // Between the longest integers that have a sign and those that have none.
            (None, Some(whole), _) => marshal::Value::Str(whole.to_string()),
            (None, None, float) => marshal::Value::Float(marshal::Float(float.unwrap_or_default())),
        },
        Value::String(text) => marshal::Value::Str(text.clone()),
        Value::Array(items) => marshal::Value::List(items.iter().map(python).collect()),
        Value::Object(members) => marshal::Value::Dict(
            members.iter().map(|(key, value)| (key.as_str().into(), python(value))).collect(),
        ),
    }
}

/// A route that answers a call whose members keep these rules.
pub(super) fn call<H, F>(rules: &'static [Rule], handle: H) -> MethodRouter<Arc<Gateway>>
where
    H: Fn(Arc<RequestContext>, Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = CallResult> + Send,
{
    any(async move |State(gateway): State<Arc<Gateway>>, Authorised(ctx): Authorised, request: Request| {
        let answer = match Call::read(gateway, rules, request).await {
            Ok(call) => handle(ctx, call).await,
            Err(problem) => Err(problem),
        };
        match answer {
            Ok(document) => respond(StatusCode::OK, &document),
            Err(problem) => refuse(problem),
        }
    })
}

fn respond(status: StatusCode, document: &Value) -> Response {
    let mut response = (status, document.to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What is not there, or not to be had, is forbidden on this wire.
pub(super) fn refuse(problem: Problem) -> Response {
    let Problem { status, field, detail, retry_after_seconds, .. } = problem;
    let status = conflict::rpc_status(status);
    let title = field.map_or_else(|| detail.clone(), |field| format!("{field}: {detail}"));
    let reason = status.canonical_reason().unwrap_or("Unknown Error");
    let document = json!({"status": status.as_u16(), "type": reason, "title": title});
    let mut response = respond(status, &document);
    let headers = response.headers_mut();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    if let Some(seconds) = retry_after_seconds {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn check(rules: &[Rule], members: &Map<String, Value>) -> Result<(), Problem> {
    if let Some(unknown) = members.keys().find(|name| rules.iter().all(|rule| rule.name != name.as_str())) {
        let known: Vec<_> = rules.iter().map(|rule| rule.name).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Problem::field(unknown, format!("is not a member of this call; there are {known}")));
    }
    for Rule { name, kind, required } in rules {
        match members.get(*name) {
            Some(value) => check_kind(name, *kind, value)?,
            None if *required => return Err(Problem::field(*name, "is missing")),
            None => {}
        }
    }
    Ok(())
}

fn check_kind(path: &str, kind: MemberKind, value: &Value) -> Result<(), Problem> {
    let rule = |holds: bool, rule: &str| {
        if holds { Ok(()) } else { Err(Problem::field(path, rule)) }
    };
    match kind {
        MemberKind::Text => rule(value.is_string(), "must be a text"),
        MemberKind::Title => {
            rule(value.is_string(), "must be a text")?;
            let characters = value.as_str().unwrap_or_default().chars().count();
            rule(characters <= TITLE_CHARACTERS, "must not be longer than 200 characters")
        }
        MemberKind::OneOf(texts) => {
            let known = value.as_str().is_some_and(|text| texts.contains(&text));
            rule(known, &format!("must be one of {}", texts.join(", ")))
        }
        MemberKind::Flag => rule(value.is_boolean(), "must be true or false"),
        MemberKind::Object => rule(value.is_object(), "must be an object"),
        MemberKind::Filter => {
            rule(value.is_object(), "must be an object")?;
            for (key, value) in value.as_object().into_iter().flatten() {
                let (holds, what) = match key.as_str() {
                    "retention_delay" => (value.is_number(), "must be a number"),
                    _ => (value.is_string(), "must be a text"),
                };
                if !holds {
                    return Err(Problem::field(format!("{path}.{key}"), what));
                }
            }
            Ok(())
        }
        MemberKind::Partitions => {
            rule(value.is_array(), "must be a list")?;
            let mut all = value.as_array().into_iter().flatten().enumerate();
            all.try_for_each(|(at, partition)| check_partition(&format!("{path}[{at}]"), partition))
        }
    }
}

fn check_partition(path: &str, partition: &Value) -> Result<(), Problem> {
    texts_of(path, partition, &["partition_id"], &[])?;
    let Some(list) = partition.get("ip_list") else { return Ok(()) };
    let addresses =
        list.as_array().ok_or_else(|| Problem::field(format!("{path}.ip_list"), "must be a list"))?;
    let optional = ["gateway-ip-address", "network-address", "netmask", "network-interface"];
    for (at, address) in addresses.iter().enumerate() {
        texts_of(&format!("{path}.ip_list[{at}]"), address, &["ip-address"], &optional)?;
    }
    Ok(())
}

/// An object whose members of these names are texts; what else it has does not matter.
fn texts_of(path: &str, object: &Value, required: &[&str], optional: &[&str]) -> Result<(), Problem> {
    let members = object.as_object().ok_or_else(|| Problem::field(path, "must be an object"))?;
    if let Some(name) = required.iter().find(|name| !members.contains_key(**name)) {
        return Err(Problem::field(format!("{path}.{name}"), "is missing"));
    }
    let told = required.iter().chain(optional).filter_map(|name| Some((name, members.get(*name)?)));
    match told.into_iter().find(|(_, value)| !value.is_string()) {
        Some((name, _)) => Err(Problem::field(format!("{path}.{name}"), "must be a text")),
        None => Ok(()),
    }
}

/// It is done.
pub(super) fn success(title: impl Into<String>) -> Value {
    json!({"type": "success", "title": title.into()})
}
