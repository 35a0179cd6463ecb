mod refusals;
mod round_trip;
mod schema;

use proptest::prelude::*;

use slapledger_core::domain::money::Price;
use slapledger_core::domain::pricing::{Every, FeeEnd, FeeTerms, Match, Model, Rate, When};

use super::*;

const STANDARD: &str = include_str!("../../../fixtures/price-books/standard.toml");

const SMALL: &str = r#"
name = "small"
currency = "EUR"
valid_from = 2026-01-01T00:00:00Z
resources = [{ resource = "r", kind = "counter", meter = "sum", unit = "request" }]

[[rates]]
kind = "recurring"
every = "month"
when = "arrears"
price = "10.00"

[[rates]]
kind = "per_unit"
resource = "r"
price = "0.002"
match = { instance_type = "testing", customer = "PARTY-2" }
"#;

#[test]
fn the_standard_book_is_one() {
    let book = parse_toml(STANDARD).expect("the book of the demo");
    assert_eq!((book.name.as_str(), book.resources.len(), book.rates.len()), ("standard", 5, 7));
    assert_eq!(parse_toml(&to_toml(&book)), Ok(book));
}

#[test]
fn toml_and_json_say_the_same() {
    let json = r#"{"name":"small","currency":"EUR","valid_from":"2026-01-01T01:00:00+01:00","rounding":"half_up",
        "resources":[{"resource":"r","kind":"counter","meter":"sum","unit":"request"}],
        "rates":[{"kind":"recurring","every":"month","when":"arrears","price":"10"},
                 {"kind":"per_unit","resource":"r","price":"0.002",
                  "match":{"instance_type":"testing","customer":"PARTY-2"}}]}"#;
    let book = parse_toml(SMALL).expect("a small book");
    assert_eq!(parse_json(json.as_bytes()).as_ref(), Ok(&book));
    let shown = serde_json::to_vec(&PriceBookShown::of(&book)).expect("it is shown");
    assert_eq!(parse_json(&shown), Ok(book));
}

/// The small book with one thing put in the place of another.
fn changed(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    SMALL.replacen(from, to, 1)
}

#[test]
fn errors_name_field_and_rule_and_place() {
    let rows = [
        ("name = \"small\"\n", "", "line 1, column 1: name is missing"),
        ("name = \"small\"", "name = \"\"", "line 2, column 8: name must not be empty"),
        ("\"EUR\"", "\"XXQ\"", "line 3, column 12: currency must be an ISO 4217 currency code such as EUR"),
        (
            "2026-01-01T00:00:00Z",
            "2026-01-01",
            "line 4, column 14: valid_from must be an RFC 3339 instant with its offset, such as 2026-01-01T00:00:00Z",
        ),
        (
            "currency",
            "rounding = \"sideways\"\ncurrency",
            "line 3, column 12: rounding \"sideways\" is not supported: it must be \"half_up\" or \"half_even\"",
        ),
        (
            "currency",
            "colour = 1\ncurrency",
            "line 3, column 1: colour is not a field here; there are name, currency, valid_from, rounding, \
             on_change, tax, on_tax_change, zero_invoices, threshold, resources, rates",
        ),
        (
            "unit = \"request\"",
            "unit = \"request\", colour = 1",
            "line 5, column 83: resources[0].colour is not a field here; there are resource, kind, meter, unit, \
             reported_in, multiply_by, divide_by, group_by, most, carry_over",
        ),
        (
            "every = \"month\"",
            "every = \"month\"\nresource = \"r\"",
            "line 10, column 1: rates[0].resource is not a field here; there are kind, item, every, when, until, \
             price, per, anchor, proration, match, trial",
        ),
        (
            "customer = \"PARTY-2\"",
            "zone = \"eu\"",
            "line 17, column 38: rates[1].match.zone is not a field here; there are software_release, \
             software_type, computer, instance_type, customer, region, state, dimensions",
        ),
        (
            "\"arrears\"",
            "\"later\"",
            "line 10, column 8: rates[0].when \"later\" is not supported: it must be \"arrears\" or \"advance\"",
        ),
        (
            "\"month\"",
            "\"fortnight\"",
            "line 9, column 9: rates[0].every \"fortnight\" is not supported: it must be \"month\" or \"hour\" or \"day\" or \
             \"week\" or \"quarter\" or \"year\"",
        ),
        (
            "\"sum\"",
            "\"median\"",
            "line 5, column 58: resources[0].meter \"median\" is not supported: it must be \"sum\" or \
             \"time_integral\" or \"count\" or \"min\" or \"max\" or \"average\" or \"latest\" or \"unique_count\" or \
             \"percentile\"",
        ),
        (
            "\"sum\"",
            "\"time_integral\"",
            "line 5, column 58: resources[0].meter does not fit the kind: sum is for counters; time_integral, min, \
             max, average, latest and percentile are for gauges; count and unique_count for both",
        ),
        (
            "\"request\"",
            "\"\"",
            "line 5, column 72: resources[0].unit must be 1 to 100 bytes without control characters",
        ),
        (
            "\"10.00\"",
            "10.00",
            "line 11, column 9: rates[0].price must be a string such as \"10.00\": a number could lose digits",
        ),
        (
            "\"10.00\"",
            "10",
            "line 11, column 9: rates[0].price must be a string such as \"10.00\": a number could lose digits",
        ),
        ("\"10.00\"", "\"-1\"", "line 11, column 9: rates[0].price must not be negative"),
        ("\"10.00\"", "\"NaN\"", "line 11, column 9: rates[0].price must be a decimal number such as 12.5"),
        ("\"10.00\"", "true", "line 11, column 9: rates[0].price must be a string, not true or false"),
        (
            "resource = \"r\"\nprice",
            "resource = \"other\"\nprice",
            "line 15, column 12: rates[1].resource other is not declared in resources",
        ),
        (
            "kind = \"per_unit\"",
            "kind = \"per_piece\"",
            "line 14, column 8: rates[1].kind \"per_piece\" is not supported: it must be \"recurring\" or \
             \"per_unit\" or \"graduated\" or \"volume\" or \"package\" or \"percentage\" or \"minimum\" or \
             \"base_fee\" or \"maximum\" or \"discount\"",
        ),
        (
            "\"arrears\"\nprice = \"10.00\"",
            "\"advance\"\nprice = \"10.00\"\nevery = \"year\"",
            "line 12, column 1: duplicate key",
        ),
        (
            "unit = \"request\"",
            "unit = \"request\", divide_by = 0",
            "line 5, column 95: resources[0].divide_by must be from 1 to 10^12",
        ),
        (
            "unit = \"request\"",
            "unit = \"GiB_hour\", reported_in = \"request\"",
            "line 5, column 98: resources[0].reported_in \"request\" is not a unit that is known, so that the factor must be \
             told by multiply_by and divide_by instead",
        ),
        (
            "kind = \"per_unit\"\nresource = \"r\"\nprice = \"0.002\"",
            "kind = \"graduated\"\nresource = \"r\"\ntiers = [{ price = \"1\", up_to = \"10\" }]",
            "line 16, column 9: rates[1].tiers must end with one that has no up_to",
        ),
        (
            "kind = \"per_unit\"\nresource = \"r\"\nprice = \"0.002\"",
            "kind = \"minimum\"\nresource = \"r\"\nprice = \"0.002\"",
            "line 17, column 9: rates[1].match may name customer alone: this is about all of a customer's lines",
        ),
        ("PARTY-2", "2", "line 17, column 49: rates[1].match.customer must look like PARTY-1"),
        (
            "[[rates]]\nkind = \"per_unit\"\nresource = \"r\"",
            "[[rates]]\nevery = \"month\"\nwhen = \"arrears\"\nkind = \"recurring\"",
            "",
        ),
        (
            "[[rates]]\nkind = \"per_unit\"\nresource = \"r\"\nprice = \"0.002\"\nmatch = { instance_type = \
             \"testing\", customer = \"PARTY-2\" }",
            "[[rates]]\nevery = \"month\"\nwhen = \"arrears\"\nkind = \"recurring\"\nprice = \"1\"",
            "line 13, column 1: rates[1] matches the same instances as rates[0] with as many members: neither would \
             win",
        ),
    ];
    for (from, to, expected) in rows {
        let told = parse_toml(&changed(from, to)).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(told, expected, "{from} -> {to}");
    }
}

#[test]
fn json_errors_name_the_field_too() {
    let rows = [
        ("{", "line 1, column 1: EOF while parsing an object"),
        ("[]", "must be a table, not a list"),
        ("{\"name\":null}", "name must be a string, not null"),
        ("{\"name\":\"a\",\"name\":\"b\"}", "line 1, column 18: name is named more than once"),
        (
            "{\"name\":\"a\",\"currency\":\"EUR\",\"valid_from\":\"2026-01-01T00:00:00Z\"}",
            "rates must not be empty",
        ),
        (
            "{\"name\":\"a\",\"currency\":\"EUR\",\"valid_from\":\"2026-01-01T00:00:00Z\",\"rates\":[{\"kind\":\
             \"recurring\",\"every\":\"month\",\"when\":\"arrears\",\"price\":0.002}]}",
            "rates[0].price must be a string such as \"10.00\": a number could lose digits",
        ),
    ];
    for (text, expected) in rows {
        let told = parse_json(text.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(told, Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn the_book_with_everything_is_one() {
    let book =
        parse_toml(include_str!("../../../fixtures/price-books/everything.toml")).expect("the example");
    assert_eq!(parse_toml(&to_toml(&book)), Ok(book.clone()));
    let shown = serde_json::to_vec(&PriceBookShown::of(&book)).expect("it is shown");
    assert_eq!(parse_json(&shown), Ok(book));
}

proptest! {
    #[test]
    fn no_text_brings_the_reader_down(text in ".{0,200}") {
        let _ = parse_toml(&text);
        let _ = parse_json(text.as_bytes());
    }

    #[test]
    fn what_is_shown_is_read_again(
        price in 0_i128..1_000_000_000_000_000_000,
        release in "[ -~]{1,40}",
        unit in "[ -~é]{1,40}",
    ) {
        let mut book = parse_toml(SMALL).expect("a small book");
        book.resources[0].unit = unit.into();
        let release = release.parse().expect("printable");
        let matching = Match { software_release: Some(release), ..Match::default() };
        let price = Price::from_billionths(price).expect("in range");
        let (item, every, when) = ("".into(), Every::Month, When::Arrears);
        let until = FeeEnd::default();
        let model = Model::Recurring { item, price, every, when, until, terms: FeeTerms::default() };
        book.rates.push(Rate { model, trial: None, matching });
        prop_assert_eq!(parse_toml(&to_toml(&book)), Ok(book.clone()));
        let shown = serde_json::to_vec(&PriceBookShown::of(&book)).expect("it is shown");
        prop_assert_eq!(parse_json(&shown), Ok(book));
    }
}
