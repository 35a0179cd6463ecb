//! Every rule of the domain, told of the place in the text where it is broken; each row puts one thing in the place of another.

use crate::price_book::parse_toml;

const WIDE: &str = r#"name = "wide"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"

[[resources]]
resource = "memory"
kind = "gauge"
meter = "percentile"
percent = 95
sample_minutes = 5
unit = "GiB"
multiply_by = 1
divide_by = 1024

[[resources]]
resource = "logins"
kind = "counter"
meter = "unique_count"
dimension = "user"
unit = "user"
group_by = ["zone", "tier"]

[[rates]]
kind = "recurring"
item = "support"
every = "month"
when = "advance"
price = "10.00"

[[rates]]
kind = "graduated"
resource = "memory"
per = "customer"
free = "100"
tiers = [
    { up_to = "1000", price = "0.002", flat = "1.00" },
    { up_to = "5000", price = "0.001" },
    { price = "0.0005" },
]

[[rates]]
kind = "package"
resource = "logins"
size = "100"
price = "2.50"
match = { dimensions = { zone = "eu" }, customer = "PARTY-2" }

[[rates]]
kind = "percentage"
percent = "10"
of = "usage"

[[rates]]
kind = "minimum"
resource = "memory"
price = "25.00"
match = { customer = "PARTY-2" }
"#;

const FEE: &str = "kind = \"recurring\"\nitem = \"support\"\nevery = \"month\"\nwhen = \"advance\"";

#[test]
fn the_wide_book_is_one() {
    parse_toml(WIDE).expect("a book");
}

/// What is told of the wide book with one thing in the place of another.
#[track_caller]
fn told(from: &str, to: &str) -> String {
    assert_eq!(WIDE.matches(from).count(), 1, "{from}");
    let told = parse_toml(&WIDE.replacen(from, to, 1));
    told.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn every_rule_has_a_place() {
    let no_number = "must be a whole number such as 5, not a string";
    let advance = "can be advance for a price of each instance alone, by the time of calendar months: per, anchor and proration must be left out";
    let anchor = "must be \"calendar\", \"anniversary\" or a day such as \"2026-01-31\"";
    let in_quotes = "must be a string such as \"10.00\": a number could lose digits";
    let rows = [
        // Resources.
        ("resource = \"logins\"\nkind", "resource = \"memory\"\nkind", "line 16, column 12: resources[1].resource memory is declared more than once".to_owned()),
        ("kind = \"gauge\"", "kind = \"counter\"", "line 8, column 9: resources[0].meter does not fit the kind: sum is for counters; time_integral, min, max, average, latest and percentile are for gauges; count and unique_count for both".to_owned()),
        ("percent = 95", "percent = 0", "line 9, column 11: resources[0].percent must be from 1 to 100".to_owned()),
        ("percent = 95", "percent = 101", "line 9, column 11: resources[0].percent must be from 1 to 100".to_owned()),
        ("percent = 95", "percent = 1000", "line 9, column 11: resources[0].percent is too large".to_owned()),
        ("percent = 95", "percent = \"95\"", format!("line 9, column 11: resources[0].percent {no_number}")),
        ("percent = 95", "percent = 95.5", "line 9, column 11: resources[0].percent must be a whole number such as 5".to_owned()),
        ("percent = 95", "percent = -95", "line 9, column 11: resources[0].percent must be a whole number such as 5".to_owned()),
        ("sample_minutes = 5", "sample_minutes = 7", "line 10, column 18: resources[0].sample_minutes must divide a day of 1440".to_owned()),
        ("sample_minutes = 5", "sample_minutes = 0", "line 10, column 18: resources[0].sample_minutes must divide a day of 1440".to_owned()),
        ("meter = \"percentile\"", "meter = \"max\"", "line 9, column 1: resources[0].percent is not a field here; there are resource, kind, meter, unit, reported_in, multiply_by, divide_by, group_by, most, carry_over".to_owned()),
        ("dimension = \"user\"\n", "", "line 15, column 1: resources[1].dimension is missing".to_owned()),
        ("dimension = \"user\"", "dimension = \"\"", "line 19, column 13: resources[1].dimension must be 1 to 100 bytes without control characters".to_owned()),
        ("unit = \"GiB\"", "unit = \"\"", "line 11, column 8: resources[0].unit must be 1 to 100 bytes without control characters".to_owned()),
        ("multiply_by = 1", "multiply_by = 0", "line 12, column 15: resources[0].multiply_by must be from 1 to 10^12".to_owned()),
        ("divide_by = 1024", "divide_by = 1_000_000_000_001", "line 13, column 13: resources[0].divide_by must be from 1 to 10^12".to_owned()),
        ("divide_by = 1024", "divide_by = \"1024\"", format!("line 13, column 13: resources[0].divide_by {no_number}")),
        ("multiply_by = 1\n", "reported_in = \"MiB\"\n", "line 13, column 13: resources[0].divide_by cannot stand beside reported_in: the factor follows from the units".to_owned()),
        ("multiply_by = 1\ndivide_by = 1024", "reported_in = \"hour\"", "line 12, column 15: resources[0].reported_in \"hour\" cannot be brought to \"GiB\"".to_owned()),
        ("multiply_by = 1\ndivide_by = 1024", "reported_in = \"MiB_hour\"", "line 12, column 15: resources[0].reported_in \"MiB_hour\" cannot be brought to \"GiB\"".to_owned()),
        ("meter = \"percentile\"\npercent = 95\nsample_minutes = 5\nunit = \"GiB\"\nmultiply_by = 1\ndivide_by = 1024", "meter = \"time_integral\"\nreported_in = \"MiB\"\nunit = \"GiB\"", "line 9, column 15: resources[0].reported_in \"MiB\" cannot be brought to \"GiB\": the meter makes it \"MiB_hour\"".to_owned()),
        ("unit = \"user\"", "reported_in = \"1\"\nunit = \"thousand\"", "line 20, column 15: resources[1].reported_in makes no difference to a meter that counts: it must be left out".to_owned()),
        ("[\"zone\", \"tier\"]", "[\"zone\", \"zone\"]", "line 21, column 12: resources[1].group_by must be at most 8 different names of 1 to 100 bytes".to_owned()),
        ("[\"zone\", \"tier\"]", "[\"zone\", \"\"]", "line 21, column 12: resources[1].group_by must be at most 8 different names of 1 to 100 bytes".to_owned()),
        ("[\"zone\", \"tier\"]", "[\"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", \"8\", \"9\"]", "line 21, column 12: resources[1].group_by must be at most 8 different names of 1 to 100 bytes".to_owned()),
        ("[\"zone\", \"tier\"]", "[\"zone\", 5]", "line 21, column 21: resources[1].group_by[1] must be a string, not a number".to_owned()),
        ("[\"zone\", \"tier\"]", "\"zone\"", "line 21, column 12: resources[1].group_by must be a list, not a string".to_owned()),
        ("unit = \"GiB\"", "most = \"0\"\nunit = \"GiB\"", "line 11, column 8: resources[0].most must be above 0, and is not for count and unique_count: they do not look at quantities".to_owned()),
        ("unit = \"user\"", "most = \"5\"\nunit = \"user\"", "line 20, column 8: resources[1].most must be above 0, and is not for count and unique_count: they do not look at quantities".to_owned()),
        ("unit = \"GiB\"", "most = 5\nunit = \"GiB\"", format!("line 11, column 8: resources[0].most {in_quotes}")),
        ("unit = \"GiB\"", "carry_over = \"yes\"\nunit = \"GiB\"", "line 11, column 14: resources[0].carry_over must be true or false, not a string".to_owned()),
        ("unit = \"user\"", "carry_over = true\nunit = \"user\"", "line 20, column 14: resources[1].carry_over is for gauges, and not for count and unique_count".to_owned()),
        // Fees.
        ("item = \"support\"", "item = \"\\n\"", "line 25, column 8: rates[0].item must be at most 100 bytes without control characters".to_owned()),
        ("every = \"month\"", "every = \"year\"", "line 27, column 8: rates[0].when can be advance for a price every month alone".to_owned()),
        ("when = \"advance\"", "when = \"advance\"\nper = \"customer\"", format!("line 27, column 8: rates[0].when {advance}")),
        ("when = \"advance\"", "when = \"advance\"\nanchor = 2026-01-31", format!("line 27, column 8: rates[0].when {advance}")),
        ("every = \"month\"\nwhen = \"advance\"", "every = \"day\"\nwhen = \"arrears\"\nanchor = \"anniversary\"", "line 28, column 10: rates[0].anchor is for a price every week, month, quarter or year".to_owned()),
        ("when = \"advance\"", "when = \"arrears\"\nanchor = \"2026-02-30\"", format!("line 28, column 10: rates[0].anchor {anchor}")),
        ("when = \"advance\"", "when = \"arrears\"\nanchor = \"birthday\"", format!("line 28, column 10: rates[0].anchor {anchor}")),
        ("when = \"advance\"", "when = \"arrears\"\nanchor = \"0000-01-31\"", "line 28, column 10: rates[0].anchor must be a day of the years 1 to 9999".to_owned()),
        ("when = \"advance\"", "when = \"arrears\"\nper = \"customer\"\ntrial = { days = 7 }", "line 29, column 9: rates[0].trial is for a price of each instance alone: leave out trial, or per".to_owned()),
        ("when = \"advance\"", "when = \"arrears\"\nproration = \"none\"", "line 28, column 13: rates[0].proration \"none\" is not supported: it must be \"time\" or \"whole\"".to_owned()),
        (FEE, "kind = \"base_fee\"\nitem = \"support\"\nevery = \"month\"\nwhen = \"advance\"", "line 27, column 1: rates[0].when is not a field here; there are kind, item, every, price, anchor, proration, owed, match".to_owned()),
        (FEE, "match = { region = \"eu\" }\nkind = \"base_fee\"\nevery = \"month\"", "line 24, column 9: rates[0].match may name customer alone: this is about all of a customer's lines".to_owned()),
        (FEE, "match = {}\nkind = \"base_fee\"\nevery = \"month\"\nowed = \"always\"", "line 24, column 9: rates[0].match must name the customer who owes the fee always".to_owned()),
        (FEE, "match = { customer = \"PARTY-2\" }\nkind = \"base_fee\"\nevery = \"month\"\nowed = \"always\"\nanchor = \"anniversary\"", "line 28, column 10: rates[0].anchor can be anniversary for a fee that is owed while instances are allocated".to_owned()),
        ("price = \"10.00\"", "price = \"10.00\"\nmatch = { dimensions = { zone = \"eu\" } }", "line 29, column 9: rates[0].match may name dimensions for usage alone".to_owned()),
        // Usage.
        ("resource = \"memory\"\nper", "resource = \"disk\"\nper", "line 32, column 12: rates[1].resource disk is not declared in resources".to_owned()),
        ("per = \"customer\"", "per = \"seller\"", "line 33, column 7: rates[1].per \"seller\" is not supported: it must be \"instance\" or \"customer\"".to_owned()),
        ("free = \"100\"", "free = \"-1\"", "line 34, column 8: rates[1].free must not be negative".to_owned()),
        ("free = \"100\"", "free = 100", format!("line 34, column 8: rates[1].free {in_quotes}")),
        ("free = \"100\"", "free = \"1000000000000000\"", "line 34, column 8: rates[1].free must have at most 15 digits before the point".to_owned()),
        ("{ up_to = \"5000\", price = \"0.001\" }", "{ up_to = \"1000\", price = \"0.001\" }", "line 35, column 9: rates[1].tiers must have rising bounds above 0".to_owned()),
        ("{ up_to = \"1000\",", "{ up_to = \"0\",", "line 35, column 9: rates[1].tiers must have rising bounds above 0".to_owned()),
        ("up_to = \"5000\", ", "", "line 35, column 9: rates[1].tiers must have an up_to, all but the last".to_owned()),
        ("    { price = \"0.0005\" },\n", "", "line 35, column 9: rates[1].tiers must end with one that has no up_to".to_owned()),
        ("price = \"0.001\"", "price = 0.001", format!("line 37, column 31: rates[1].tiers[1].price {in_quotes}")),
        ("flat = \"1.00\"", "fee = \"1.00\"", "line 36, column 40: rates[1].tiers[0].fee is not a field here; there are up_to, price, flat".to_owned()),
        ("tiers = [\n", "levels = [\n", "line 35, column 1: rates[1].levels is not a field here; there are kind, resource, tiers, match, free, per, trial".to_owned()),
        ("size = \"100\"", "size = \"0\"", "line 44, column 8: rates[2].size must be above 0".to_owned()),
        ("size = \"100\"\n", "", "line 41, column 1: rates[2].size is missing".to_owned()),
        ("{ zone = \"eu\" }", "{ country = \"fr\" }", "line 46, column 9: rates[2].match may name those dimensions alone by which the resource groups".to_owned()),
        ("{ zone = \"eu\" }", "{ zone = 1 }", "line 46, column 33: rates[2].match.dimensions.zone must be a string, not a number".to_owned()),
        // Percentages and minimums.
        ("percent = \"10\"", "percent = \"0\"", "line 50, column 11: rates[3].percent must be above 0 and at most 1000".to_owned()),
        ("percent = \"10\"", "percent = \"1000.000000001\"", "line 50, column 11: rates[3].percent must be above 0 and at most 1000".to_owned()),
        ("percent = \"10\"", "percent = 10", format!("line 50, column 11: rates[3].percent {in_quotes}")),
        ("of = \"usage\"", "of = \"fees\"", "line 51, column 6: rates[3].of \"fees\" is not supported: it must be \"all\" or \"recurring\" or \"usage\"".to_owned()),
        ("of = \"usage\"", "of = \"usage\"\nresource = \"memory\"", "line 52, column 12: rates[3].resource cannot stand beside of: it is of one or of the other".to_owned()),
        ("of = \"usage\"", "of = \"usage\"\nmatch = { region = \"eu\" }", "line 52, column 9: rates[3].match may name customer alone: this is about all of a customer's lines".to_owned()),
        ("resource = \"memory\"\nprice = \"25.00\"", "resource = \"disk\"\nprice = \"25.00\"", "line 55, column 12: rates[4].resource disk is not declared in resources".to_owned()),
        ("{ customer = \"PARTY-2\" }", "{ computer = \"COMP-1\" }", "line 57, column 9: rates[4].match may name customer alone: this is about all of a customer's lines".to_owned()),
    ];
    for (from, to, expected) in rows {
        assert_eq!(told(from, to), expected, "{from} -> {to}");
    }
}

/// Rates compete about the same subject alone.
#[test]
fn ties_are_by_subject() {
    let fee =
        |item| format!("kind = \"recurring\"\n{item}\nevery = \"day\"\nwhen = \"arrears\"\nprice = \"1\"");
    let rows = [
        (fee("item = \"support\""), Some(0)),
        (fee("item = \"backup\""), None),
        (fee(""), None),
        ("kind = \"per_unit\"\nresource = \"memory\"\nprice = \"1\"".to_owned(), Some(1)),
        ("kind = \"volume\"\nresource = \"memory\"\ntiers = [{ price = \"1\" }]\nmatch = { region = \"eu\" }".to_owned(), None),
        ("kind = \"per_unit\"\nresource = \"logins\"\nprice = \"1\"\nmatch = { dimensions = { tier = \"a\", zone = \"eu\" } }".to_owned(), Some(2)),
        ("kind = \"per_unit\"\nresource = \"logins\"\nprice = \"1\"\nmatch = { dimensions = { tier = \"a\", zone = \"us\" } }".to_owned(), None),
        ("kind = \"percentage\"\npercent = \"5\"\nof = \"usage\"".to_owned(), Some(3)),
        ("kind = \"percentage\"\npercent = \"5\"".to_owned(), None),
        ("kind = \"percentage\"\npercent = \"5\"\nresource = \"memory\"".to_owned(), None),
        ("kind = \"minimum\"\nprice = \"5\"\nresource = \"memory\"\nmatch = { customer = \"PARTY-2\" }".to_owned(), Some(4)),
        ("kind = \"minimum\"\nprice = \"5\"\nresource = \"memory\"".to_owned(), None),
        ("kind = \"minimum\"\nprice = \"5\"\nof = \"usage\"\nmatch = { customer = \"PARTY-2\" }".to_owned(), None),
    ];
    let lines = WIDE.lines().count();
    for (rate, tie) in rows {
        let told = parse_toml(&format!("{WIDE}[[rates]]\n{rate}\n")).err().map(|error| error.to_string());
        let rule = "with as many members: neither would win";
        let line = lines + 1;
        let expected = tie.map(|other| {
            format!("line {line}, column 1: rates[5] matches the same instances as rates[{other}] {rule}")
        });
        assert_eq!(told, expected, "{rate}");
    }
}
