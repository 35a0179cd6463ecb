//! The document: every route is in it, and everything in it is said.

use std::collections::BTreeSet;

use serde_json::Value;
use slapledger_kit::code::CODES;

use crate::rest::routes::operations;

fn document() -> Value {
    super::document(&operations())
}

fn each_operation(document: &Value, mut each: impl FnMut(&str, &Value)) {
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            each(&format!("{method} {path}"), operation);
        }
    }
}

#[test]
fn every_route_is_described() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    let mut count = 0;
    let tags: BTreeSet<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    each_operation(&document, |name, operation| {
        count += 1;
        let text = |member: &str| operation[member].as_str().filter(|text| !text.is_empty());
        assert!(text("summary").is_some(), "{name} has no summary");
        assert!(ids.insert(text("operationId").unwrap().to_owned()), "{name} is called as another one");
        assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{name} has no tag");
        let statuses = operation["responses"].as_object().unwrap();
        assert!(statuses.keys().any(|status| status.starts_with('2')), "{name} never succeeds");
        assert!(statuses.contains_key("500") && statuses.contains_key("503"), "{name}");
        if name.starts_with("post") || name.starts_with("put") || name.starts_with("patch") {
            assert!(operation["requestBody"].is_object(), "{name} has no body");
        }
        // What is handed out once takes no name to be handed out again by; revoking is the same however often it is done.
        let unnamed = ["post /v1/tokens", "post /v1/parties/{id}/revoke-credentials"];
        let unnamed = unnamed.contains(&name) || name.ends_with("/v1/computers/{id}/certificate");
        if !name.starts_with("get") && !unnamed {
            let headers = operation["parameters"].as_array().unwrap().iter();
            assert!(headers.clone().any(|header| header["name"] == "Idempotency-Key"), "{name}");
        }
    });
    assert_eq!(count, operations().len());
    assert!(count > 20, "{count}");
}

#[test]
fn every_shape_that_is_named_is_there() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 40, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a place in the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

/// What generators of clients cannot use, or what their users would miss.
fn faults(document: &Value) -> Vec<String> {
    fn mixed(value: &Value, place: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                let choice = ["oneOf", "anyOf", "allOf"].into_iter().find(|word| members.contains_key(*word));
                // A schema with a choice of schemas; examples and names of members are no schemas, but have none either.
                if let Some(choice) = choice.filter(|_| members.contains_key("properties")) {
                    found.push(format!("{place} has {choice} beside properties"));
                }
                members.iter().for_each(|(name, value)| mixed(value, &format!("{place}/{name}"), found));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, value)| mixed(value, &format!("{place}/{n}"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    let servers = document["servers"].as_array();
    if servers.is_none_or(|servers| !servers.iter().any(|server| server["url"].is_string())) {
        found.push("there are no servers".to_owned());
    }
    each_operation(document, |name, operation| {
        for member in ["summary", "description"] {
            if operation[member].as_str().is_none_or(|text| text.trim().is_empty()) {
                found.push(format!("{name} has no {member}"));
            }
        }
    });
    mixed(&document["components"]["schemas"], "schemas", &mut found);
    mixed(&document["paths"], "paths", &mut found);
    found
}

#[test]
fn generators_can_use_the_document() {
    assert_eq!(faults(&document()), [""; 0]);
}

#[test]
fn each_fault_is_found_once_it_is_planted() {
    let planted = |plant: &dyn Fn(&mut Value)| {
        let mut document = document();
        plant(&mut document);
        faults(&document)
    };
    let invoices = |document: &mut Value, member: &str, text: Value| {
        document["paths"]["/v1/invoices"]["get"][member] = text;
    };
    let none = ["there are no servers"];
    assert_eq!(planted(&|document| document["servers"] = Value::Array(Vec::new())), none);
    assert_eq!(planted(&|document| drop(document.as_object_mut().unwrap().remove("servers"))), none);
    let found = planted(&|document| invoices(document, "description", " ".into()));
    assert_eq!(found, ["get /v1/invoices has no description"]);
    let found = planted(&|document| invoices(document, "description", Value::Null));
    assert_eq!(found, ["get /v1/invoices has no description"]);
    assert_eq!(
        planted(&|document| invoices(document, "summary", "".into())),
        ["get /v1/invoices has no summary"]
    );
    for choice in ["oneOf", "anyOf", "allOf"] {
        let found = planted(&|document| {
            document["components"]["schemas"]["LineForm"][choice] = Value::Array(Vec::new());
        });
        assert_eq!(found, [format!("schemas/LineForm has {choice} beside properties")]);
    }
    let found = planted(&|document| {
        let line = &mut document["components"]["schemas"]["LineForm"];
        line["properties"]["nested"] = serde_json::json!({"properties": {}, "oneOf": []});
    });
    assert_eq!(found, ["schemas/LineForm/properties/nested has oneOf beside properties"]);
}

#[test]
fn every_description_is_of_an_operation_that_has_no_other() {
    let all = operations();
    let mut names = BTreeSet::new();
    for (name, _) in super::descriptions::DESCRIPTIONS {
        assert!(names.insert(name), "{name} is described twice");
        let mut of = all.iter().filter(|operation| operation.name() == *name).peekable();
        assert!(of.peek().is_some(), "{name} is no operation");
        assert!(of.all(|operation| !operation.describes_itself()), "{name} is described beside its handler");
    }
}

#[test]
fn all_codes_of_problems_are_listed() {
    let document = document();
    let listed = document["x-problem-codes"].as_array().unwrap();
    assert_eq!(listed.len(), CODES.len());
    for (row, listed) in CODES.iter().zip(listed) {
        assert_eq!(listed["type"], row.code.urn());
        let pattern = document["components"]["schemas"]["Problem"]["properties"]["type"]["pattern"].as_str();
        assert_eq!(pattern, Some("^urn:slapledger:problem:[a-z-]+$"));
        assert!(row.code.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
    }
    // And each status lists its own.
    let of = |name: &str| document["components"]["responses"][name]["x-problem-codes"].as_array().unwrap();
    assert!(of("Conflict").contains(&"run-final".into()) && !of("NotFound").contains(&"run-final".into()));
}
