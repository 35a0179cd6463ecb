//! The document: every route is in it, and everything in it is said.

use std::collections::BTreeSet;

use serde_json::Value;

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
