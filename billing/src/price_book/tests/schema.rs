//! The schema names what the reader reads. That books satisfy it or do not is shown by `tests/clients/test_price_book.py`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::price_book::{PriceBookShown, SCHEMA, parse_toml, read};

fn schema() -> Value {
    serde_json::from_str(SCHEMA).expect("the schema is JSON")
}

#[test]
fn its_fields_are_those_that_are_read() {
    let schema = schema();
    let resource = [read::RESOURCE, read::UNIQUE_COUNT, read::PERCENTILE].concat();
    let rows = [
        ("", read::BOOK),
        ("/$defs/resource", &resource),
        ("/$defs/recurring", read::RECURRING),
        ("/$defs/per_unit", read::PER_UNIT),
        ("/$defs/tiered", read::TIERED),
        ("/$defs/package", read::PACKAGE),
        ("/$defs/percentage", read::PERCENTAGE),
        ("/$defs/minimum", read::MINIMUM),
        ("/$defs/base_fee", read::BASE_FEE),
        ("/$defs/maximum", read::MAXIMUM),
        ("/$defs/discount", read::DISCOUNT),
        ("/$defs/tier", read::TIER),
        ("/$defs/trial", read::TRIAL),
        ("/$defs/match", read::MATCH),
    ];
    for (place, fields) in rows {
        let form = schema.pointer(place).expect(place);
        assert_eq!(form["additionalProperties"], false, "{place}");
        let said: BTreeSet<&str> =
            form["properties"].as_object().expect(place).keys().map(String::as_str).collect();
        assert_eq!(said, fields.iter().copied().collect(), "{place}");
    }
}

/// A word that is not known is answered with those that are.
#[test]
fn its_words_are_those_that_are_read() {
    let schema = schema();
    let head = "name = \"n\"\ncurrency = \"EUR\"\nvalid_from = \"2026-01-01T00:00:00Z\"\n";
    let resource = |members: &str| format!("{head}[[resources]]\nresource = \"r\"\nunit = \"u\"\n{members}");
    let rate = |members: &str| format!("{head}[[rates]]\n{members}");
    let rows = [
        ("/properties/rounding", format!("{head}rounding = \"?\"")),
        ("/properties/on_change", format!("{head}on_change = \"?\"")),
        ("/properties/tax", format!("{head}tax = \"?\"")),
        ("/properties/zero_invoices", format!("{head}zero_invoices = \"?\"")),
        ("/$defs/resource/properties/meter", resource("kind = \"gauge\"\nmeter = \"?\"")),
        ("/$defs/resource/properties/kind", resource("meter = \"min\"\nkind = \"?\"")),
        ("/$defs/rate/properties/kind", rate("kind = \"?\"")),
        ("/$defs/every", rate("kind = \"recurring\"\nevery = \"?\"")),
        ("/$defs/recurring/properties/when", rate("kind = \"recurring\"\nevery = \"day\"\nwhen = \"?\"")),
        (
            "/$defs/recurring/properties/until",
            rate("kind = \"recurring\"\nevery = \"day\"\nwhen = \"arrears\"\nuntil = \"?\""),
        ),
        (
            "/$defs/fee_proration",
            rate("kind = \"base_fee\"\nevery = \"day\"\nprice = \"1\"\nproration = \"?\""),
        ),
        (
            "/$defs/base_fee/properties/owed",
            rate("kind = \"base_fee\"\nevery = \"day\"\nprice = \"1\"\nowed = \"?\""),
        ),
        ("/$defs/minimum/properties/proration", rate("kind = \"minimum\"\nprice = \"1\"\nproration = \"?\"")),
        (
            "/$defs/match/properties/state",
            rate("kind = \"minimum\"\nprice = \"1\"\nmatch = { state = \"?\" }"),
        ),
        ("/$defs/maximum/properties/per", rate("kind = \"maximum\"\nprice = \"1\"\nper = \"?\"")),
        (
            "/$defs/maximum/properties/proration",
            rate("kind = \"maximum\"\nprice = \"1\"\nper = \"line\"\nproration = \"?\""),
        ),
        ("/$defs/per", rate("kind = \"per_unit\"\nresource = \"r\"\nprice = \"1\"\nper = \"?\"")),
        ("/$defs/of", rate("kind = \"minimum\"\nprice = \"1\"\nof = \"?\"")),
        (
            "/$defs/match/properties/instance_type",
            rate("kind = \"minimum\"\nprice = \"1\"\nmatch = { instance_type = \"?\" }"),
        ),
    ];
    for (place, text) in rows {
        let told = parse_toml(&text).expect_err(place).message;
        let (_, known) = told.split_once("is not supported: it must be ").expect(&told);
        let known: BTreeSet<&str> = known.split(" or ").map(|word| word.trim_matches('"')).collect();
        let said = schema.pointer(place).expect(place)["enum"].as_array().expect(place);
        assert_eq!(said.iter().filter_map(Value::as_str).collect::<BTreeSet<_>>(), known, "{place}");
    }
    let kinds = &schema["$defs"]["tiered"]["properties"]["kind"]["enum"];
    assert_eq!(*kinds, serde_json::json!(["graduated", "volume"]));
}

/// What is described in `/openapi.json` is what is read.
#[test]
fn the_described_fields_are_those_that_are_read() {
    let described = schemars::schema_for!(PriceBookShown).to_value();
    let fields = |form: &Value| -> BTreeSet<String> {
        form["properties"].as_object().expect("an object").keys().cloned().collect()
    };
    let read_as =
        |fields: &[&str]| -> BTreeSet<String> { fields.iter().map(|&field| field.into()).collect() };
    assert_eq!(fields(&described), read_as(read::BOOK));
    let of = |name: &str| &described["$defs"][name];
    let resource = [read::RESOURCE, read::UNIQUE_COUNT, read::PERCENTILE].concat();
    for (name, known) in [
        ("MeasuredResource", &*resource),
        ("Tier", read::TIER),
        ("Trial", read::TRIAL),
        ("Match", read::MATCH),
    ] {
        assert_eq!(fields(of(name)), read_as(known), "{name}");
    }
    let rates = of("Rate")["oneOf"].as_array().expect("one for each kind");
    let kinds =
        rates.iter().map(|rate| (rate["properties"]["kind"]["const"].as_str().expect("a kind"), rate));
    let known = |kind| match kind {
        "recurring" => read::RECURRING,
        "per_unit" => read::PER_UNIT,
        "graduated" | "volume" => read::TIERED,
        "package" => read::PACKAGE,
        "percentage" => read::PERCENTAGE,
        "minimum" => read::MINIMUM,
        "base_fee" => read::BASE_FEE,
        "maximum" => read::MAXIMUM,
        "discount" => read::DISCOUNT,
        other => panic!("{other} is described and not read"),
    };
    for (kind, rate) in kinds {
        assert_eq!(fields(rate), read_as(known(kind)), "{kind}");
    }
    assert_eq!(rates.len(), 10);
}
