//! Trials, discounts and maximums, beside what else there is in a month.

use crate::cloud::{Cloud, PRODUCTION, REQUESTS, Wanted};

use super::{book, check, invoice, taxed};

/// Two instances with a fee of 10.00, requests at 0.01 each, at most 6.00 for the requests of an instance, and at least
/// 30.00 for everything. The second one came on 16 October at 00:00, so that it has 16/31 = 0.516129032 months.
///
/// - Requests of the first: 1000 x 0.01 = 10.00. At most 1 x 6 = 6.00: 4.00 is taken off.
/// - Fee of the second: 0.516129032 x 10 = 5.16129032, so 5.16.
/// - Requests of the second: 500 x 0.01 = 5.00. At most 0.516129032 x 6 = 3.096774192, so 3.10: 1.90 is taken off.
/// - 10.00 + 10.00 - 4.00 + 5.16 + 5.00 - 1.90 = 24.26. At least 30.00: 5.74.
/// - 20 percent of 30.00 are 6.00.
#[test]
fn a_maximum_and_a_minimum_in_one_month() {
    let rates = r#"{ kind = "recurring", every = "month", when = "arrears", price = "10.00" },
        { kind = "per_unit", resource = "requests", price = "0.01" },
        { kind = "maximum", price = "6.00", per = "line", resource = "requests" },
        { kind = "minimum", price = "30.00" }"#;
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    taxed(&mut cloud, "FR", "20");
    cloud.clock("2026-09-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-10-16T00:00:00Z");
    cloud.request(customer, "two", &Wanted { ..PRODUCTION });
    cloud.clock("2026-10-31T00:00:00Z");
    let days = ("2026-10-20T00:00:00Z", "2026-10-22T00:00:00Z");
    cloud.usage(("slappart0", REQUESTS), "1000", days);
    cloud.usage(("slappart1", REQUESTS), "500", days);
    let invoice = invoice(&mut cloud, "2026-11-02T00:00:00Z", ("2026-10-01", "2026-11-01"));
    let lines = [
        ("1", "10.00"),
        ("1000", "10.00"),
        ("0.516129032", "5.16"),
        ("500", "5.00"),
        ("1", "-4.00"),
        ("0.516129032", "-1.90"),
        ("1", "5.74"),
    ];
    check("a_maximum_and_a_minimum", &invoice, &lines, ["30.00", "6.00", "36.00"]);
}

/// A fee of 30.00 and requests at 0.01 each; ten percent off everything, then a third off what is left of usage.
///
/// - Requests: 1234 x 0.01 = 12.34.
/// - 10 percent of 42.34 are 4.234, so 4.23 is taken off: 4.23 x 30 / 42.34 = 2.997 of the fee, so 3.00, and the rest,
///   1.23, of the requests.
/// - 33.333 percent of the 11.11 that are left of the requests are 3.7032963, so 3.70 is taken off.
/// - 42.34 - 4.23 - 3.70 = 34.41, and 20 percent of it are 6.882, so 6.88.
#[test]
fn two_discounts_on_one_line() {
    let rates = r#"{ kind = "recurring", every = "month", when = "arrears", price = "30.00" },
        { kind = "per_unit", resource = "requests", price = "0.01" },
        { kind = "discount", item = "partner", percent = "33.333", of = "usage", order = 2 },
        { kind = "discount", item = "welcome", percent = "10", order = 1 }"#;
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    taxed(&mut cloud, "FR", "20");
    cloud.clock("2026-09-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-10-31T00:00:00Z");
    cloud.usage(("slappart0", REQUESTS), "1234", ("2026-10-20T00:00:00Z", "2026-10-22T00:00:00Z"));
    let invoice = invoice(&mut cloud, "2026-11-02T00:00:00Z", ("2026-10-01", "2026-11-01"));
    let lines = [("1", "30.00"), ("1234", "12.34"), ("10", "-4.23"), ("33.333", "-3.70")];
    check("two_discounts_on_one_line", &invoice, &lines, ["34.41", "6.88", "41.29"]);
}

/// In Paris, from 11 October at 12:00 (10:00 UTC) on: a fee of 31.00 a month with a trial of 14 days, and requests at 0.01
/// of which the first 100 cost nothing. Clocks are put back on 25 October: the trial ends at 12:00 there, which is 11:00
/// UTC, after 337 hours. October has 745 hours in Paris.
///
/// - The trial: 337 / 745 = 0.452348993 months cost nothing.
/// - From 25 October 12:00 to the end of the month are 156 hours: 156 / 745 = 0.209395973; x 31 = 6.491275163, so 6.49.
/// - 150 requests: 100 cost nothing, 50 x 0.01 = 0.50.
/// - 20 percent of 6.99 are 1.398, so 1.40.
#[test]
fn a_trial_that_ends_on_the_day_of_daylight_saving() {
    let rates = r#"{ kind = "recurring", every = "month", when = "arrears", price = "31.00", trial = { days = 14 } },
        { kind = "per_unit", resource = "requests", price = "0.01", trial = { quantity = "100" } }"#;
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    taxed(&mut cloud, "FR", "20");
    let customer = cloud.customer("Europe/Paris");
    cloud.clock("2026-10-11T10:00:00Z");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-10-31T00:00:00Z");
    cloud.usage(("slappart0", REQUESTS), "150", ("2026-10-20T00:00:00Z", "2026-10-27T00:00:00Z"));
    let invoice = invoice(&mut cloud, "2026-11-02T00:00:00Z", ("2026-10-01", "2026-11-01"));
    let lines = [("0.452348993", "0.00"), ("0.209395973", "6.49"), ("150", "0.50")];
    check("a_trial_and_daylight_saving", &invoice, &lines, ["6.99", "1.40", "8.39"]);
}
