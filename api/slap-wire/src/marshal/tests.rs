use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::instance_xml::python_repr;
use super::super::xml;
use super::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/slap/marshal")
}

/// Every sample of `fixtures/slap/record_marshal.py` reads as what Python read and writes as what Python wrote.
#[test]
fn recorded_samples_both_ways() {
    let mut seen = 0;
    for entry in fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "xml") {
            continue;
        }
        seen += 1;
        let xml = fs::read(&path).unwrap();
        let value = read_bytes(&xml).unwrap();
        let repr = fs::read_to_string(path.with_extension("repr")).unwrap();
        assert_eq!(python_repr(&value), repr, "{}", path.display());
        let expanded = fs::read(path.with_extension("expanded")).unwrap_or(xml);
        assert_eq!(write(&value).unwrap(), String::from_utf8(expanded).unwrap(), "{}", path.display());
    }
    assert!(seen >= 19, "{seen}");
}

#[test]
fn random_samples_both_ways() {
    let lines = fs::read_to_string(fixtures().join("random.tsv")).unwrap();
    assert!(lines.lines().count() >= 300);
    for line in lines.lines() {
        let (xml, repr) = line.split_once('\t').unwrap();
        let value = read(xml).unwrap();
        assert_eq!(unicode_escape(&python_repr(&value)), repr);
        assert_eq!(write(&value).unwrap().replace('\n', "&#10;").replace('\t', "&#9;"), xml);
    }
}

/// Python's codec of that name, for what the samples have.
pub(in super::super) fn unicode_escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            _ => match u32::from(c) {
                code @ 0..=0xFF => drop(write!(out, "\\x{code:02x}")),
                code @ 0x100..=0xFFFF => drop(write!(out, "\\u{code:04x}")),
                code => drop(write!(out, "\\U{code:08x}")),
            },
        }
    }
    out
}

#[test]
fn refusals() {
    let check = |text: &str, expected: &str| {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    };
    let nested = |tag: &str, depth: usize| {
        let open = format!("<{tag}>").repeat(depth);
        format!("<marshal>{open}{}</marshal>", format!("</{tag}>").repeat(depth))
    };
    assert!(read(&nested("list", 63)).is_ok());
    check(&nested("list", 64), "deeper than 64");
    check("<string>a</string>", "unknown tag \"string\"");
    check("<marshal/>", "exactly one value");
    check("<marshal><none/><none/></marshal>", "exactly one value");
    check("<marshal>a<none/></marshal>", "must not have text");
    check("<marshal><m:string xmlns:m=''/></marshal>", "unknown tag \"m:string\"");
    check("<marshal>\n<code>x</code></marshal>", "line 2: unknown tag \"code\"");
    check("<marshal><complex>1 2</complex></marshal>", "unknown tag \"complex\"");
    check("<marshal><int>1.0</int></marshal>", "decimal integer");
    check("<marshal><int></int></marshal>", "decimal integer");
    check(&format!("<marshal><int>{}</int></marshal>", "9".repeat(4301)), "decimal integer");
    check("<marshal><bool>yes</bool></marshal>", "0 or 1");
    check("<marshal><float>1,5</float></marshal>", "must be a number");
    check("<marshal><string>a<b/></string></marshal>", "must not have elements");
    check("<marshal><dictionary><string>a</string></dictionary></marshal>", "a value for each key");
    check("<marshal><dictionary><list/><none/></dictionary></marshal>", "keys must be hashable");
    check("<marshal><set><dictionary/></set></marshal>", "members must be hashable");
    check("<marshal><object><tuple/><dictionary/></object></marshal>", "module and class");
    check("<marshal><object module='a' class='b'><tuple/></object></marshal>", "a tuple of arguments");
    check("<marshal><reference/></marshal>", "attribute id");
    check("<marshal><reference id='i2'/></marshal>", "reference to \"i2\"");
    check("<marshal><list id='i2'><reference id='i2'/></list></marshal>", "reference to \"i2\"");
    check("<!DOCTYPE marshal [<!ENTITY a 'b'>]><marshal><none/></marshal>", "document type");
}

/// A billion laughs made of references: each list has the one before it ten times.
#[test]
fn references_cannot_fill_the_memory() {
    let mut xml = String::from("<marshal><list id='i0'><list id='i1'><string>ha</string></list>");
    for id in 1..12 {
        let reference = format!("<reference id='i{id}'/>").repeat(10);
        let _ = write!(xml, "<list id='i{}'>{reference}</list>", id + 1);
    }
    xml.push_str("</list></marshal>");
    assert_eq!(read(&xml), Err(MarshalError::TooLarge));
    // The same in depth: each list is one deeper than the one before it.
    let mut xml = String::from("<marshal><list id='i0'><list id='i1'/>");
    for id in 1..70 {
        let _ = write!(xml, "<list id='i{}'><reference id='i{id}'/></list>", id + 1);
    }
    xml.push_str("</list></marshal>");
    assert_eq!(read(&xml), Err(MarshalError::TooDeep));
}

#[test]
fn what_cannot_be_carried_is_not_written() {
    let error = write(&Value::List(vec!["a\u{0}b\u{1b}".into()])).unwrap_err();
    assert_eq!(error.to_string(), "text has characters that xml cannot carry: U+0000, U+001B");
    let deep = (0..64).fold(Value::None, |value, _| Value::List(vec![value]));
    assert_eq!(write(&deep), Err(MarshalError::TooDeep));
}

#[test]
fn truth() {
    let check = |xml: &str, expected: bool| {
        assert_eq!(read(&format!("<marshal>{xml}</marshal>")).unwrap().is_true(), expected, "{xml}");
    };
    check("<dictionary id='i2'/>", false);
    check("<bool>0</bool>", false);
    check("<bool>1</bool>", true);
    check("<none/>", false);
    check("<string></string>", false);
    check("<string>0</string>", true);
    check("<float>0.0</float>", false);
    check("<int>-0000000000000000000000000</int>", false);
}

fn values() -> impl Strategy<Value = Value> {
    let text = any::<String>().prop_filter("carriable", |text| xml::check_text(text).is_ok());
    let leaf = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        "-?[1-9][0-9]{19,40}".prop_map(|digits| Value::Long(Long(digits))),
        any::<f64>().prop_filter("one nan", |f| !f.is_nan()).prop_map(|f| Value::Float(Float(f))),
        text.clone().prop_map(Value::Str),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let items = prop::collection::vec(inner.clone(), 0..5);
        let pairs = prop::collection::btree_map(text.clone(), inner, 0..5)
            .prop_map(|map| map.into_iter().map(|(key, value)| (Value::Str(key), value)).collect::<Vec<_>>());
        let object = (text.clone(), items.clone(), pairs.clone()).prop_map(|(class, initargs, state)| {
            Value::Object(Box::new(Object { module: "m".to_owned(), class, initargs, state }))
        });
        prop_oneof![
            items.clone().prop_map(Value::List),
            items.prop_map(Value::Tuple),
            pairs.prop_map(Value::Dict),
            object
        ]
    })
}

proptest! {
    #[test]
    fn written_values_read_back(value in values()) {
        let xml = write(&value).unwrap();
        prop_assert!(xml.is_ascii());
        prop_assert_eq!(read(&xml).unwrap(), value);
    }

    #[test]
    fn never_panics(text in any::<String>(), parts in prop::collection::vec(prop::sample::select(vec![
        "<marshal>", "</marshal>", "<list id='i2'>", "</list>", "<tuple>", "</tuple>", "<set id='i3'>", "</set>",
        "<dictionary id='i2'>", "</dictionary>", "<object module='a' class='b' id='i4'>", "</object>",
        "<reference id='i2'/>", "<reference id='i3'/>", "<int>", "</int>", "<string>", "</string>", "1", "-", "&lt;", "&amp;lt;",
        "<none/>", "<bool>1</bool>", "<float>nan</float>"]), 0..30)) {
        let _ = read(&text);
        let _ = read(&parts.concat());
        let _ = read(&format!("<marshal><list>{}</list></marshal>", parts.concat()));
        let _ = read_bytes(text.as_bytes());
    }
}
