use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

use super::*;
use crate::code::ProblemCode;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    name: Short,
    amount: Option<u32>,
    paid: Option<bool>,
    lines: Option<Vec<Line>>,
    #[serde(default)]
    note: Replaced<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    n: u16,
}

#[derive(Debug, PartialEq)]
struct Short(String);

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(
            deserializer,
            |text| {
                if text.len() < 5 { Ok(Self(text.to_owned())) } else { Err("must be short") }
            },
        )
    }
}

async fn sent(media_type: &str, bytes: &str) -> ReceivedRequest {
    let request = Request::post("/").header("content-type", media_type).body(Body::from(bytes.to_owned()));
    body::read_any(request.unwrap(), MOST_BYTES).await.unwrap()
}

async fn parsed(media_type: &str, bytes: &str) -> Result<Order, Problem> {
    parse(&sent(media_type, bytes).await)
}

#[tokio::test]
async fn a_fault_names_its_member_and_its_rule() {
    let rows = [
        (json!({}), Some("name"), "is missing"),
        (json!({"name": null}), Some("name"), "is missing"),
        (json!({"name": 7}), Some("name"), "must be a string, not a number"),
        (json!({"name": "longer"}), Some("name"), "must be short"),
        (json!({"name": "a", "amount": -1}), Some("amount"), "must be a whole number from 0 to 4294967295"),
        (json!({"name": "a", "amount": 1.5}), Some("amount"), "must be a whole number from 0 to 4294967295"),
        (json!({"name": "a", "amount": "1"}), Some("amount"), "must be a whole number from 0 to 4294967295"),
        (json!({"name": "a", "paid": "true"}), Some("paid"), "must be true or false, not a string"),
        (json!({"name": "a", "lines": {}}), Some("lines"), "must be a list, not an object"),
        (json!({"name": "a", "lines": [7]}), Some("lines[0]"), "must be an object, not a number"),
        (json!({"name": "a", "lines": [{"n": 1}, {}]}), Some("lines[1].n"), "is missing"),
        (json!({"name": "a", "lines": [{"n": 1, "m": 1}]}), Some("lines[0].m"), "is not a field here"),
        (json!({"name": "a", "nickname": "b"}), Some("nickname"), "is not a field here"),
        (json!([]), None, "the body must be a JSON object, not a list"),
    ];
    for (body, field, rule) in rows {
        let problem = parsed("application/json", &body.to_string()).await.unwrap_err();
        let seen = (problem.status, problem.field.as_deref(), &*problem.detail);
        assert_eq!(seen, (StatusCode::BAD_REQUEST, field, rule), "{body}");
    }
    assert_eq!(parsed("text/plain", "a").await.unwrap_err().status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_fault_has_the_code_of_its_kind() {
    for (media_type, body, code) in [
        ("application/json", "{", ProblemCode::BodyMalformed),
        ("application/json", "[]", ProblemCode::BadRequest),
        ("application/json", r#"{"name": 7}"#, ProblemCode::BadRequest),
        ("application/json", "{}", ProblemCode::BadRequest),
        ("application/json", r#"{"name": "a", "nickname": "b"}"#, ProblemCode::UnknownField),
        ("application/json", r#"{"name": "a", "lines": [{"n": 1, "m": 1}]}"#, ProblemCode::UnknownField),
        ("text/plain", "a", ProblemCode::MediaType),
    ] {
        assert_eq!(parsed(media_type, body).await.unwrap_err().code, code, "{body}");
    }
}

#[tokio::test]
async fn of_several_faults_the_first_one_described_is_told() {
    let body = json!({"also": 1, "amount": "x", "lines": 7});
    let problem = parsed("application/json", &body.to_string()).await.unwrap_err();
    assert_eq!((problem.field.as_deref(), &*problem.detail), (Some("name"), "is missing"));
    let body = json!({"also": 1, "lines": 7, "name": "a"});
    let problem = parsed("application/json", &body.to_string()).await.unwrap_err();
    assert_eq!(problem.field.as_deref(), Some("lines"));
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cup {
    size: Size,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Size {
    Small,
    Middle,
    Large,
}

#[tokio::test]
async fn a_word_is_one_of_those_named() {
    let cup =
        async |body: serde_json::Value| parse::<Cup>(&sent("application/json", &body.to_string()).await);
    assert_eq!(cup(json!({"size": "large"})).await.unwrap(), Cup { size: Size::Large });
    for (body, rule) in [
        (json!({"size": "huge"}), "must be small, middle or large"),
        (json!({"size": 7}), "must be a string, not a number"),
        (json!({}), "is missing"),
    ] {
        let problem = cup(body).await.unwrap_err();
        assert_eq!((problem.field.as_deref(), &*problem.detail), (Some("size"), rule));
    }
}

#[tokio::test]
async fn null_removes_what_absence_leaves_alone() {
    let note = async |bytes: &str| parsed("application/json", bytes).await.unwrap().note;
    assert_eq!(note(r#"{"name": "a"}"#).await, Replaced::Not);
    assert_eq!(note(r#"{"name": "a", "note": null}"#).await, Replaced::By(None));
    assert_eq!(note(r#"{"name": "a", "note": "b"}"#).await, Replaced::By(Some("b".into())));
    assert_eq!(Replaced::<String>::Not.or(Some("b".to_owned())), Some("b".to_owned()));
    assert_eq!(Replaced::<String>::By(None).or(Some("b".to_owned())), None);
}

#[tokio::test]
async fn flags_and_numbers_of_xml_are_read_from_texts() {
    let xml = "<order><name>a</name><amount>7</amount><paid>true</paid></order>";
    let order = parsed("application/xml", xml).await.unwrap();
    assert_eq!((order.amount, order.paid), (Some(7), Some(true)));
    let xml = "<order><name>a</name><paid>yes</paid></order>";
    assert_eq!(parsed("application/xml", xml).await.unwrap_err().field.as_deref(), Some("paid"));
}

#[tokio::test]
async fn no_body_is_an_empty_object_where_it_is_optional() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    let parsed = parse_optional::<Nothing>(&sent("text/plain", "").await);
    parsed.unwrap();
    let problem = parse_optional::<Nothing>(&sent("application/json", "{\"a\": 1}").await).unwrap_err();
    assert_eq!(problem.field.as_deref(), Some("a"));
}
