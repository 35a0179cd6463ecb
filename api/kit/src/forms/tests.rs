//! JSON as XML and back.

use serde_json::{Value, json};

use super::*;

fn written(value: &Value) -> String {
    let document = xml::write(xml::XmlRoot::Plain("thing"), value);
    let (declaration, rest) = document.split_once('\n').unwrap();
    assert_eq!(declaration, "<?xml version=\"1.0\" encoding=\"utf-8\"?>");
    rest.to_owned()
}

#[test]
fn members_are_elements() {
    assert_eq!(written(&json!({})), "<thing>\n</thing>\n");
    let value = json!({"a": 1, "b": null, "c": ["x", {"d": true}], "e": {"f": "<&\"\n"}, "not a name": ""});
    let expected = "<thing>\n  <a>1</a>\n  <c>\n    <item>x</item>\n    <item>\n      <d>true</d>\n    </item>\n  </c>\n  \
        <e>\n    <f>&lt;&amp;&quot;&#10;</f>\n  </e>\n  <parameter id=\"not a name\"></parameter>\n</thing>\n";
    assert_eq!(written(&value), expected);
    assert_eq!(written(&json!({"a": "\u{1}"})), "<thing>\n  <a>\u{FFFD}</a>\n</thing>\n");
}

#[test]
fn what_was_written_is_read() {
    let value = json!({
        "title": "a <b> & \"c\"\r\n\t", "empty": "", "parameters": {"_": "{}", "not a name": "é", "item": "x"}, "sla": {},
        "partitions": [{"id": "slappart0", "addresses": []}, {"id": "slappart1", "addresses": [{"address": "10.0.0.1"}]}],
        "period": {"start": "2026-10-01", "stop": "2026-11-01"},
    });
    let document = xml::write(xml::XmlRoot::Plain("thing"), &value);
    assert_eq!(Value::Object(xml::read(document.as_bytes()).unwrap()), value);
}

#[test]
fn what_is_no_such_document_is_refused() {
    let check = |document: &str, status: u16, field: Option<&str>, detail: &str| {
        let problem = xml::read(document.as_bytes()).unwrap_err();
        let told = (problem.status.as_u16(), problem.field.as_deref(), problem.detail.as_str());
        assert_eq!(told, (status, field, detail), "{document}");
    };
    let start = "the body is not XML that is read here: ";
    check("<a>", 400, None, &format!("{start}line 1: not well-formed: element a is not closed"));
    let entity = "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><a><b>&e;</b></a>";
    check(
        entity,
        400,
        None,
        &format!("{start}line 1: a document type declaration with entities or an external subset is refused"),
    );
    check("<a><b>&e;</b></a>", 400, None, &format!("{start}line 1: unknown entity \"e\""));
    let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
    check(&deep, 400, None, &format!("{start}line 1: elements are nested deeper than 64"));
    check("<a>text</a>", 400, None, "the root element must have an element for each member");
    check("<a>text<b/></a>", 400, None, "the root element must be a text or elements, not both");
    check("<a><b>x</b><b>y</b></a>", 400, Some("b"), "must not be given more than once");
    check("<a><b><c>x<d/></c></b></a>", 400, Some("b.c"), "must be a text or elements, not both");
    let rule = "must have an element parameter with an id for each of its members";
    check("<a><parameters><b>x</b></parameters></a>", 400, Some("parameters"), rule);
    check("<a><parameters><parameter>x</parameter></parameters></a>", 400, Some("parameters"), rule);
    let rule = "must have an item for each of its members";
    check("<a><partitions><b>x</b></partitions></a>", 400, Some("partitions"), rule);
}
