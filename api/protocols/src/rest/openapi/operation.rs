//! What is said of a route: what it takes, and what it may answer.

use std::collections::BTreeMap;

use axum::http::Method;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};
use slapledger_core::schema::NamesAsEnum;
use slapledger_kit::code::CODES;
use slapledger_kit::forms::xml;
use slapledger_kit::problem::ProblemDetails;
use slapledger_usecases::caller::Reach;
use slapledger_usecases::policy::Policy;

use super::descriptions;
use super::schema::{self, List};
use crate::access::{AS_OF, AsOfPending};

/// The media types that problems come in.
const PROBLEM_TYPES: [&str; 2] = ["application/problem+json", "application/problem+xml"];

/// A problem that many routes answer with.
pub(super) struct ProblemKind {
    pub(super) name: &'static str,
    status: u16,
    description: &'static str,
    retry: bool,
}

const fn kind(name: &'static str, status: u16, description: &'static str) -> ProblemKind {
    ProblemKind { name, status, description, retry: matches!(status, 429 | 503 | 507) }
}

/// The table of problems.
pub(super) const PROBLEMS: [ProblemKind; 14] = [
    kind("BadRequest", 400, "The request is wrong; `field` names the member to blame, where one is"),
    kind("Unauthorized", 401, "The request needs a credential, or its credential is not good"),
    kind(
        "Forbidden",
        403,
        "It is not for this caller; or it comes from a page of another site, or names a host that this is not",
    ),
    kind("NotFound", 404, "What the request is about does not exist"),
    kind("NotAcceptable", 406, "Neither JSON nor XML is acceptable to the client"),
    kind(
        "Conflict",
        409,
        "The state of things does not allow it, or the `Idempotency-Key` named something else before",
    ),
    kind(
        "PreconditionFailed",
        412,
        "The resource no longer matches `If-Match`: it was modified concurrently",
    ),
    kind("TooLarge", 413, "The body, or a member of it, is too large"),
    kind("MediaType", 415, "The body is of a type that is not read here"),
    kind("PreconditionRequired", 428, "The request has to say with `If-Match` what it changes"),
    kind("TooManyRequests", 429, "The sender sends more requests than it may, or too many wrong credentials"),
    kind("Fault", 500, "A fault of this server; its log says more"),
    kind("Unavailable", 503, "It may work later"),
    kind("NoSpace", 507, "The server keeps its last free disk space; it may work when there is more"),
];

impl ProblemKind {
    pub(super) fn write(&self, components: &mut Components) -> Value {
        let schema = components.answered::<ProblemDetails<'static>>();
        let content: Map<String, Value> = PROBLEM_TYPES
            .iter()
            .map(|media_type| ((*media_type).to_owned(), json!({"schema": schema})))
            .collect();
        let codes = CODES.iter().filter(|row| row.statuses.contains(&self.status));
        let codes: Vec<&str> = codes.map(|row| row.code.as_str()).collect();
        let mut written =
            json!({"description": self.description, "content": content, "x-problem-codes": codes});
        if self.retry {
            written["headers"]["Retry-After"] =
                header("Seconds until it may work", &json!({"type": "integer", "minimum": 0}));
        }
        written
    }
}

fn header(description: &str, schema: &Value) -> Value {
    json!({"description": description, "schema": schema})
}

/// Shapes that operations share. What is read and what is written of a type may differ, so a type is one or the other.
pub(super) struct Components {
    answers: SchemaGenerator,
    bodies: SchemaGenerator,
}

impl Components {
    pub(super) fn new() -> Self {
        let settings = || {
            let mut settings = SchemaSettings::draft2020_12();
            settings.definitions_path = "/components/schemas".into();
            settings = settings.with_transform(NamesAsEnum);
            settings
        };
        Self {
            answers: settings().for_serialize().into_generator(),
            bodies: settings().for_deserialize().into_generator(),
        }
    }

    /// As it is sent.
    pub(super) fn sent<T: JsonSchema>(&mut self) -> Schema {
        of::<T>(&mut self.bodies)
    }

    fn answered<T: JsonSchema>(&mut self) -> Schema {
        self.answers.subschema_for::<T>()
    }

    /// All shapes by name, each with the name of its element in XML.
    pub(super) fn into_schemas(mut self) -> Map<String, Value> {
        let mut schemas = self.bodies.take_definitions(true);
        for (name, schema) in self.answers.take_definitions(true) {
            let other = schemas.insert(name.clone(), schema.clone());
            debug_assert!(other.is_none_or(|other| other == schema), "{name} is read and written otherwise");
        }
        for (name, schema) in &mut schemas {
            if let Some(schema) = schema.as_object_mut().filter(|schema| schema.contains_key("properties")) {
                schema.insert("xml".into(), json!({"name": xml::element(name)}));
            }
        }
        schemas
    }
}

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

struct ParameterDescription {
    name: &'static str,
    place: &'static str,
    required: bool,
    description: &'static str,
    schema: SchemaOf,
}

struct BodyForm {
    media_type: &'static str,
    schema: SchemaOf,
    example: Option<Value>,
}

pub(crate) struct AnswerDescription {
    description: &'static str,
    schema: Option<SchemaOf>,
    headers: Vec<(&'static str, &'static str, SchemaOf)>,
}

/// A route, described.
pub(crate) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    policy: &'static Policy,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: Option<&'static str>,
    parameters: Vec<ParameterDescription>,
    body_required: bool,
    bodies: Vec<BodyForm>,
    answers: BTreeMap<u16, AnswerDescription>,
    problems: Vec<u16>,
    only_json: bool,
    text_status: Option<u16>,
    bytes_status: Option<u16>,
    events_status: Option<u16>,
}

/// The members that are the same wherever a path names something.
fn named_in_path(name: &str) -> (&'static str, SchemaOf) {
    match name {
        "sequence" => ("The sequence of the event that suspended it", of::<schema::Sequence>),
        "n" => ("The number of a line, from 1", of::<schema::Number>),
        _ => ("What it is known by", of::<schema::Name>),
    }
}

impl Operation {
    /// A route of which nothing is said yet, but for what its path names.
    pub(super) fn new(method: Method, path: &'static str, policy: &'static Policy) -> Self {
        let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        // One that goes on to the end has a star.
        let names = names.map(|name| name.trim_start_matches('*'));
        let parameters: Vec<_> = names
            .map(|name| {
                let (description, schema) = named_in_path(name);
                ParameterDescription { name, place: "path", required: true, description, schema }
            })
            .collect();
        let mut problems = vec![400, 401, 403, 406, 429, 500, 503];
        if !parameters.is_empty() {
            problems.push(404);
        }
        Self {
            method,
            path,
            policy,
            id: "",
            tag: "",
            summary: "",
            description: None,
            parameters,
            body_required: false,
            bodies: Vec::new(),
            answers: BTreeMap::new(),
            problems,
            only_json: false,
            text_status: None,
            bytes_status: None,
            events_status: None,
        }
    }

    /// Its method and path.
    pub(crate) fn place(&self) -> (&Method, &'static str) {
        (&self.method, self.path)
    }

    /// Its name in clients that are generated.
    #[cfg(test)]
    pub(super) fn name(&self) -> &'static str {
        self.id
    }

    /// Whether its description stands beside its handler.
    #[cfg(test)]
    pub(super) fn describes_itself(&self) -> bool {
        self.description.is_some()
    }

    /// Whom it is for.
    #[cfg(test)]
    pub(crate) fn policy(&self) -> &'static Policy {
        self.policy
    }

    /// The name of the schema of what it says it answers with this status.
    #[cfg(test)]
    pub(crate) fn schema_name(&self, status: u16) -> Option<String> {
        let schema = self.answers.get(&status)?.schema?(&mut SchemaGenerator::default());
        let reference = schema.get("$ref")?.as_str()?;
        reference.rsplit('/').next().map(str::to_owned)
    }

    /// The statuses it says it answers with.
    #[cfg(test)]
    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.answers.keys().chain(&self.problems).copied().collect()
    }

    /// Its name in clients that are generated, what it is about, and what it does.
    pub(crate) fn called(mut self, id: &'static str, tag: &'static str, summary: &'static str) -> Self {
        (self.id, self.tag, self.summary) = (id, tag, summary);
        self
    }

    /// More about it.
    pub(crate) fn description(mut self, description: &'static str) -> Self {
        self.description = Some(description);
        self
    }

    /// What a part of its path looks like.
    pub(crate) fn path<T: JsonSchema>(mut self, name: &str, description: &'static str) -> Self {
        for parameter in
            self.parameters.iter_mut().filter(|known| known.place == "path" && known.name == name)
        {
            (parameter.schema, parameter.description) = (of::<T>, description);
        }
        self
    }

    fn parameter<T: JsonSchema>(
        mut self,
        (place, required): (&'static str, bool),
        name: &'static str,
        description: &'static str,
    ) -> Self {
        self.parameters.push(ParameterDescription { name, place, required, description, schema: of::<T> });
        self
    }

    /// A parameter of its query.
    pub(crate) fn query<T: JsonSchema>(self, name: &'static str, description: &'static str) -> Self {
        self.parameter::<T>(("query", false), name, description)
    }

    /// A parameter of its query that cannot be left out.
    pub(crate) fn required_query<T: JsonSchema>(self, name: &'static str, description: &'static str) -> Self {
        self.parameter::<T>(("query", true), name, description)
    }

    /// A header that it looks at.
    pub(crate) fn header<T: JsonSchema>(self, name: &'static str, description: &'static str) -> Self {
        self.parameter::<T>(("header", false), name, description)
    }

    /// It answers with a status, and this.
    pub(crate) fn answers<T: JsonSchema>(mut self, status: u16, description: &'static str) -> Self {
        let sequence =
            ("slapledger-sequence", "The last event that is reflected", of::<schema::Sequence> as SchemaOf);
        let answered = AnswerDescription { description, schema: Some(of::<T>), headers: vec![sequence] };
        self.answers.insert(status, answered);
        self
    }

    /// A header of the answer with this status.
    fn with_header<T: JsonSchema>(
        mut self,
        status: u16,
        name: &'static str,
        description: &'static str,
    ) -> Self {
        if let Some(answer) = self.answers.get_mut(&status) {
            answer.headers.push((name, description, of::<T>));
        }
        self
    }

    /// It reads, and reflects what the reader asks for.
    pub(crate) fn reads<T: JsonSchema>(self, description: &'static str) -> Self {
        let reads = self
            .query::<schema::Sequence>("min_sequence", "Wait until at least this sequence is reflected")
            .answers::<T>(200, description);
        if reads.method != Method::GET {
            return reads;
        }
        reads
            .query::<schema::AsOf>(AS_OF, "Read the ledger as it was at this event or instant")
            .answers::<AsOfPending>(202, "What `as_of` asks for is being derived; ask again")
            .location(202)
            .retry_after(202)
    }

    /// It shows what is so now, and knows nothing of the past.
    pub(crate) fn only_now(mut self) -> Self {
        self.parameters.retain(|parameter| parameter.name != AS_OF);
        self.answers.remove(&202);
        self
    }

    /// Whether it can be read as of an earlier event.
    pub(crate) fn takes_as_of(&self) -> bool {
        self.parameters.iter().any(|parameter| parameter.name == AS_OF)
    }

    /// It reads a part of a list.
    pub(crate) fn lists<T: JsonSchema>(self, description: &'static str) -> Self {
        self.query::<schema::Limit>("limit", "How many items, at most; 100, if it is not said")
            .query::<schema::Cursor>("cursor", "The `next` of an earlier answer: the items after those")
            .reads::<List<T>>(description)
    }

    /// It reads one resource, which has an `ETag`.
    pub(crate) fn shows<T: JsonSchema>(self, description: &'static str) -> Self {
        let mut operation = self
            .header::<schema::Tags>(
                "If-None-Match",
                "Tags that the client has: 304, if one of them still holds",
            )
            .reads::<T>(description)
            .with_header::<schema::Tag>(200, "ETag", "Of the resource in this form");
        let answered = AnswerDescription {
            description: "The client has it as it is",
            schema: None,
            headers: vec![("ETag", "Of the resource in this form", of::<schema::Tag>)],
        };
        operation.answers.insert(304, answered);
        operation.problem(404)
    }

    /// It writes: what it answers, and the header that makes it safe to repeat.
    pub(crate) fn writes<T: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        let known = self.parameters.iter().any(|known| known.name == "Idempotency-Key");
        let operation = if known {
            self
        } else {
            self.header::<schema::IdempotencyKey>(
                "Idempotency-Key",
                "A name for this write: repeated under it within 30 days, it is carried out once and answered again",
            )
        };
        operation.answers::<T>(status, description).problem(409).problem(413).problem(415).problem(507)
    }

    /// It changes a resource, if that is still the one that the client has seen.
    pub(crate) fn if_match(self) -> Self {
        self.header::<schema::Tags>(
            "If-Match",
            "Tags that the client has seen: 412, if none of them holds any more",
        )
        .problem(412)
    }

    /// The answer names where the resource is.
    pub(crate) fn location(self, status: u16) -> Self {
        self.with_header::<schema::Location>(status, "Location", "Where the resource is")
    }

    /// The answer has the tag of the resource as it is now.
    pub(crate) fn tagged(self, status: u16) -> Self {
        self.with_header::<schema::Tag>(status, "ETag", "Of the resource in this form")
    }

    /// The answer says when to ask again.
    pub(crate) fn retry_after(self, status: u16) -> Self {
        self.with_header::<schema::Number>(status, "Retry-After", "Seconds until it may have changed")
    }

    /// It reads a body, in JSON or in XML.
    pub(crate) fn body<T: JsonSchema>(self, example: Value) -> Self {
        self.body_as::<T>("application/json", Some(example)).body_as::<T>("application/xml", None)
    }

    /// The body may be left out.
    pub(crate) fn optional_body(mut self) -> Self {
        self.body_required = false;
        self
    }

    /// It reads a body of this type.
    pub(crate) fn body_as<T: JsonSchema>(mut self, media_type: &'static str, example: Option<Value>) -> Self {
        self.body_required = true;
        self.bodies.push(BodyForm { media_type, schema: of::<T>, example });
        self
    }

    /// It may answer with a problem of this status.
    pub(crate) fn problem(mut self, status: u16) -> Self {
        if !self.problems.contains(&status) {
            self.problems.push(status);
        }
        self
    }

    /// With this status it may also answer with a text, if it is asked for one.
    pub(crate) fn or_text(mut self, status: u16) -> Self {
        self.text_status = Some(status);
        self
    }

    /// With this status it answers with bytes that are neither JSON nor XML.
    pub(crate) fn answers_bytes(mut self, status: u16, description: &'static str) -> Self {
        self.answers.insert(status, AnswerDescription { description, schema: None, headers: Vec::new() });
        self.bytes_status = Some(status);
        self.only_json()
    }

    /// With this status it answers with server-sent events, whose data is this.
    pub(crate) fn answers_events<T: JsonSchema>(mut self, status: u16, description: &'static str) -> Self {
        self = self.answers::<T>(status, description);
        self.events_status = Some(status);
        self.only_json()
    }

    /// Whether it says that it answers with events.
    #[cfg(test)]
    pub(crate) fn is_events(&self, status: u16) -> bool {
        self.events_status == Some(status)
    }

    /// Whether it says that it answers with bytes.
    #[cfg(test)]
    pub(crate) fn is_bytes(&self, status: u16) -> bool {
        self.bytes_status == Some(status)
    }

    /// Whether it says that it may answer with a text.
    #[cfg(test)]
    pub(crate) fn is_text(&self, status: u16) -> bool {
        self.text_status == Some(status)
    }

    /// It answers in JSON alone, whatever the client prefers.
    pub(crate) fn only_json(mut self) -> Self {
        self.only_json = true;
        self.problems.retain(|status| *status != 406);
        self
    }

    pub(super) fn write(&self, components: &mut Components) -> Value {
        let mut parameters: Vec<Value> = self
            .parameters
            .iter()
            .map(|parameter| {
                let ParameterDescription { name, place, required, description, schema } = parameter;
                let schema = schema(&mut components.bodies);
                json!({"name": name, "in": place, "required": required, "description": description, "schema": schema})
            })
            .collect();
        let mut written = json!({
            "operationId": self.written_id(),
            "tags": [self.tag],
            "summary": self.summary,
            "responses": self.write_answers(components),
        });
        if let Some(rule) = self.policy.roles {
            if !self.policy.ledger_wide {
                parameters.push(json!({"$ref": "#/components/parameters/Project"}));
            }
            let roles = rule.iter().map(|(role, reach)| {
                let reach = if *reach == Reach::All { "all" } else { "own" };
                (role.to_string(), Value::from(reach))
            });
            written["security"] = json!([{"certificate": []}, {"token": []}]);
            written["x-roles"] = roles.collect::<Map<_, _>>().into();
            written["x-all-projects"] = self.policy.ledger_wide.into();
        }
        written["parameters"] = parameters.into();
        if let Some(description) = self.description.or_else(|| descriptions::of(self.id)) {
            written["description"] = description.into();
        }
        if !self.bodies.is_empty() {
            let contents: Map<String, Value> = self
                .bodies
                .iter()
                .map(|form| {
                    let mut content = json!({"schema": (form.schema)(&mut components.bodies)});
                    if let Some(example) = &form.example {
                        content["example"] = example.clone();
                    }
                    (form.media_type.to_owned(), content)
                })
                .collect();
            written["requestBody"] = json!({"required": self.body_required, "content": contents});
        }
        written
    }

    /// The documentary form has the operations of `/v1` under other paths.
    fn written_id(&self) -> String {
        let documentary = if self.path.contains("_module/") { "Documentary" } else { "" };
        format!("{}{documentary}", self.id)
    }

    fn write_answers(&self, components: &mut Components) -> Map<String, Value> {
        let mut responses = Map::new();
        for (status, answered) in &self.answers {
            let mut response = json!({"description": answered.description});
            if let (true, Some(schema)) = (self.events_status == Some(*status), answered.schema) {
                let data = schema(&mut components.answers);
                response["content"]["text/event-stream"] =
                    json!({"schema": {"type": "string"}, "x-data-schema": data});
            } else if let Some(schema) = answered.schema {
                let schema = schema(&mut components.answers);
                let kind = if *status < 400 { "application/" } else { "application/problem+" };
                let form = |form: &str| format!("{kind}{form}");
                response["content"][form("json").as_str()]["schema"] = schema.clone().into();
                if !self.only_json {
                    response["content"][form("xml").as_str()]["schema"] = schema.into();
                }
            }
            if self.text_status == Some(*status) {
                response["content"]["text/plain"]["schema"] = components.answered::<schema::Text>().into();
            }
            if self.bytes_status == Some(*status) {
                response["content"]["application/octet-stream"] = json!({});
            }
            for (name, description, schema) in &answered.headers {
                response["headers"][*name] = header(description, schema(&mut components.answers).as_value());
            }
            responses.insert(status.to_string(), response);
        }
        for problem in PROBLEMS.iter().filter(|problem| self.problems.contains(&problem.status)) {
            let written = json!({"$ref": format!("#/components/responses/{}", problem.name)});
            responses.entry(problem.status.to_string()).or_insert(written);
        }
        responses
    }
}
