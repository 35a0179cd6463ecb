//! Days and months of unusual length, and payers who change from one calendar to another.

use slapledger_core::domain::Command;
use slapledger_core::domain::party::SetPartyTimeZone;

use super::{BUYER, book, check, invoice, taxed};
use crate::cloud::{CPU, Cloud, PRODUCTION, REQUESTS};

/// A fee of 2.40 a day and one of 0.10 an hour, so that a day of 24 hours costs the same by both, and no other.
const BY_DAY_AND_HOUR: &str = r#"
    { kind = "recurring", item = "by day", every = "day", when = "arrears", price = "2.40" },
    { kind = "recurring", item = "by hour", every = "hour", when = "arrears", price = "0.10" },
    { kind = "per_unit", resource = "cpu", price = "0.003" },
    { kind = "per_unit", resource = "requests", price = "0.0005" }"#;

/// Somebody in Paris with an instance, 20 % of tax, and 48 hours of usage from noon (UTC) on: 50 percent of CPU and
/// 2,400 requests, which are 50 an hour.
fn two_days_in_paris(noon: &str, two_days_later: &str) -> Cloud {
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", BY_DAY_AND_HOUR));
    taxed(&mut cloud, "FR", "20");
    let customer = cloud.customer("Europe/Paris");
    cloud.request(customer, "web", &PRODUCTION);
    cloud.clock(two_days_later);
    for (resource, quantity) in [(CPU, "50"), (REQUESTS, "2400")] {
        cloud.usage(("slappart0", resource), quantity, (noon, two_days_later));
    }
    cloud
}

/// On 29 March 2026 clocks in Paris go from 02:00 to 03:00: midnight is 23:00 UTC of the 28th, the next one 22:00 UTC
/// of the 29th, 23 hours later.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | by day | 1 | x 2.40 = 2.40 |
/// | by hour | 23 | x 0.10 = 2.30 |
/// | cpu | 50 percent x 23 hours = 1,150 | x 0.003 = 3.45 |
/// | requests | 11 h of 48 are before (550), 34 h until the end (1,700): 1,150 | x 0.0005 = 0.575, so 0.58 |
///
/// 2.40 + 2.30 + 3.45 + 0.58 = 8.73; x 20 % = 1.746, so 1.75; 10.48 in all.
#[test]
fn the_day_of_23_hours() {
    let mut cloud = two_days_in_paris("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z");
    let invoice = invoice(&mut cloud, "2026-03-31T00:00:00Z", ("2026-03-29", "2026-03-30"));
    assert_eq!(invoice.period.to_string(), "2026-03-28T23:00:00Z/2026-03-29T22:00:00Z");
    let lines = [("1", "2.40"), ("23", "2.30"), ("1150", "3.45"), ("1150", "0.58")];
    check("the_day_of_23_hours", &invoice, &lines, ["8.73", "1.75", "10.48"]);
}

/// On 25 October 2026 the hour from 02:00 comes twice: midnight is 22:00 UTC of the 24th, the next one 23:00 UTC of the
/// 25th, 25 hours later.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | by day | 1 | x 2.40 = 2.40 |
/// | by hour | 25 | x 0.10 = 2.50 |
/// | cpu | 50 percent x 25 hours = 1,250 | x 0.003 = 3.75 |
/// | requests | 10 h of 48 are before (500), 35 h until the end (1,750): 1,250 | x 0.0005 = 0.625, so 0.63 |
///
/// 2.40 + 2.50 + 3.75 + 0.63 = 9.28; x 20 % = 1.856, so 1.86; 11.14 in all.
#[test]
fn the_day_of_25_hours() {
    let mut cloud = two_days_in_paris("2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
    let invoice = invoice(&mut cloud, "2026-10-27T00:00:00Z", ("2026-10-25", "2026-10-26"));
    assert_eq!(invoice.period.to_string(), "2026-10-24T22:00:00Z/2026-10-25T23:00:00Z");
    let lines = [("1", "2.40"), ("25", "2.50"), ("1250", "3.75"), ("1250", "0.63")];
    check("the_day_of_25_hours", &invoice, &lines, ["9.28", "1.86", "11.14"]);
}

/// February 2028 has 29 days. One instance is there for all of it, another from the 29th on.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | all, monthly fee | 1 | x 10.00 = 10.00 |
/// | all, support | 1 / 12 of a year = 0.083 333 333 | x 365.00 = 30.416 666 545, so 30.42 |
/// | leap, monthly fee | 1 / 29 = 0.034 482 759 | x 10.00 = 0.344 827 59, so 0.34 |
/// | leap, support | 1 / 29 / 12 = 0.002 873 563 | x 365.00 = 1.048 850 495, so 1.05 |
///
/// 10.00 + 30.42 + 0.34 + 1.05 = 41.81; no tax. To be paid within 30 days of 1 March: on the 31st.
#[test]
fn the_29th_of_february() {
    let rates = r#"
        { kind = "recurring", every = "month", when = "arrears", price = "10.00" },
        { kind = "recurring", item = "support", every = "year", when = "arrears", price = "365.00" }"#;
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    let customer = cloud.customer("UTC");
    cloud.request(customer, "all", &PRODUCTION);
    cloud.clock("2028-02-29T00:00:00Z");
    cloud.request(customer, "leap", &PRODUCTION);
    let invoice = invoice(&mut cloud, "2028-03-01T00:00:00Z", ("2028-02-01", "2028-03-01"));
    assert_eq!(invoice.id.as_str(), "INV-2028-000001");
    assert_eq!(invoice.due_at.to_string(), "2028-03-31T00:00:00Z");
    let lines = [("1", "10.00"), ("0.083333333", "30.42"), ("0.034482759", "0.34"), ("0.002873563", "1.05")];
    check("the_29th_of_february", &invoice, &lines, ["41.81", "0.00", "41.81"]);
}

/// Samoa went from UTC-10 to UTC+14 at the end of 29 December 2011: the 30th did not exist. The month is from 1
/// December 10:00 UTC to 31 December 10:00 UTC, 30 days. An instance is there from midnight of the 16th, 10:00 UTC, on:
/// 14 days until the 29th, and the 31st.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | by day | 15 | x 0.20 = 3.00 |
/// | by month | 15 / 30 = 0.5 | x 9.99 = 4.995, so 5.00 |
/// | cpu | 10 percent from 23:00 of the 29th to 01:00 of the 31st, two hours: 20 | x 0.05 = 1.00 |
///
/// 3.00 + 5.00 + 1.00 = 9.00; no tax.
#[test]
fn the_30th_of_december_2011_in_samoa() {
    let rates = r#"
        { kind = "recurring", item = "by day", every = "day", when = "arrears", price = "0.20" },
        { kind = "recurring", item = "by month", every = "month", when = "arrears", price = "9.99" },
        { kind = "per_unit", resource = "cpu", price = "0.05" }"#;
    let mut cloud = Cloud::since("2011-01-01T00:00:00Z", &book("WST", "2011-01-01T00:00:00Z", rates));
    let customer = cloud.customer("Pacific/Apia");
    cloud.clock("2011-12-16T10:00:00Z");
    cloud.request(customer, "web", &PRODUCTION);
    cloud.clock("2011-12-31T12:00:00Z");
    cloud.usage(("slappart0", CPU), "10", ("2011-12-30T09:00:00Z", "2011-12-30T11:00:00Z"));
    // There is nothing to invoice on a day that was not, and but one day from the 29th to the 31st.
    let nothing = cloud.open_run("2011-12-30", "2011-12-31");
    assert_eq!(cloud.warnings(nothing), ["PARTY-2: the period is empty in their time zone"]);
    assert_eq!(cloud.charges(nothing), Vec::<String>::new());
    let one = cloud.open_run("2011-12-29", "2011-12-31");
    assert_eq!(cloud.charges(one)[0], "PARTY-2: SOFTINST-1 recurring: 1 day = 0.20 (0)");

    let invoice = invoice(&mut cloud, "2012-01-01T00:00:00Z", ("2011-12-01", "2012-01-01"));
    assert_eq!(invoice.period.to_string(), "2011-12-01T10:00:00Z/2011-12-31T10:00:00Z");
    let lines = [("15", "3.00"), ("0.5", "5.00"), ("20", "1.00")];
    check("the_30th_of_december_2011_in_samoa", &invoice, &lines, ["9.00", "0.00", "9.00"]);
}

/// Midnight in Kathmandu is 18:15 UTC. One instance is there all October, another from midnight of the 31st on.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | all, monthly fee | 1 | x 1000.00 = 1000.00 |
/// | all, cpu | 40 percent from 18:00 to 19:00 UTC before the 1st: 45 minutes are in October, 30 | x 0.15 = 4.50 |
/// | all, requests | 60 from 18:00 to 18:30 UTC of the 31st: 15 minutes are in October, 30 | x 0.10 = 3.00 |
/// | last, monthly fee | 1 / 31 = 0.032 258 065 | x 1000.00 = 32.258 065, so 32.26 |
///
/// 1000.00 + 4.50 + 3.00 + 32.26 = 1039.76; x 13 % = 135.168 8, so 135.17; 1174.93 in all.
#[test]
fn midnight_at_a_quarter_past() {
    let rates = r#"
        { kind = "recurring", every = "month", when = "arrears", price = "1000.00" },
        { kind = "per_unit", resource = "cpu", price = "0.15" },
        { kind = "per_unit", resource = "requests", price = "0.10" }"#;
    let mut cloud = Cloud::new(&book("NPR", "2026-01-01T00:00:00Z", rates));
    taxed(&mut cloud, "NP", "13");
    let customer = cloud.customer("Asia/Kathmandu");
    cloud.request(customer, "all", &PRODUCTION);
    cloud.clock("2026-10-30T18:15:00Z");
    cloud.request(customer, "last", &PRODUCTION);
    cloud.clock("2026-10-31T19:00:00Z");
    cloud.usage(("slappart0", CPU), "40", ("2026-09-30T18:00:00Z", "2026-09-30T19:00:00Z"));
    cloud.usage(("slappart0", REQUESTS), "60", ("2026-10-31T18:00:00Z", "2026-10-31T18:30:00Z"));
    let invoice = invoice(&mut cloud, "2026-11-01T00:00:00Z", ("2026-10-01", "2026-11-01"));
    assert_eq!(invoice.period.to_string(), "2026-09-30T18:15:00Z/2026-10-31T18:15:00Z");
    let lines = [("1", "1000.00"), ("30", "4.50"), ("30", "3.00"), ("0.032258065", "32.26")];
    check("midnight_at_a_quarter_past", &invoice, &lines, ["1039.76", "135.17", "1174.93"]);
}

/// Somebody moves from Paris to Tokyo on 20 October 2026. October stays as it is in Paris: from 22:00 UTC of 30
/// September to 23:00 UTC of the 31st, 745 hours. November begins then, and ends where Tokyo has it, at 15:00 UTC of
/// the 30th: 29 days and 16 hours, 712 hours.
///
/// October, of one instance:
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | by hour | 745 | x 0.01 = 7.45 |
/// | by month | 1 | x 10.00 = 10.00 |
/// | requests | half of the 100 from 22:30 to 23:30 UTC of 31 October: 50 | x 0.01 = 0.50 |
///
/// 17.95. November, with a second one from midnight of the 16th in Tokyo, 15:00 UTC of the 15th, on: 15 days.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | one, by hour | 712 | x 0.01 = 7.12 |
/// | one, by month | 1 | x 10.00 = 10.00 |
/// | one, requests | the other half: 50 | x 0.01 = 0.50 |
/// | two, by hour | 360 | x 0.01 = 3.60 |
/// | two, by month | 360 / 712 = 0.505 617 978 | x 10.00 = 5.056 179 78, so 5.06 |
///
/// 7.12 + 10.00 + 0.50 + 3.60 + 5.06 = 26.28.
#[test]
fn from_one_calendar_to_another() {
    let rates = r#"
        { kind = "recurring", item = "by hour", every = "hour", when = "arrears", price = "0.01" },
        { kind = "recurring", item = "by month", every = "month", when = "arrears", price = "10.00" },
        { kind = "per_unit", resource = "requests", price = "0.01" }"#;
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    let customer = cloud.customer("Europe/Paris");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-10-20T12:00:00Z");
    let time_zone = "Asia/Tokyo".parse().expect("a zone");
    cloud.execute(Command::SetPartyTimeZone(SetPartyTimeZone { party: BUYER, time_zone }));
    cloud.clock("2026-10-31T23:30:00Z");
    cloud.usage(("slappart0", REQUESTS), "100", ("2026-10-31T22:30:00Z", "2026-10-31T23:30:00Z"));
    let october = invoice(&mut cloud, "2026-11-01T00:00:00Z", ("2026-10-01", "2026-11-01"));
    assert_eq!(october.period.to_string(), "2026-09-30T22:00:00Z/2026-10-31T23:00:00Z");
    let lines = [("745", "7.45"), ("1", "10.00"), ("50", "0.50")];
    check("from_one_calendar", &october, &lines, ["17.95", "0.00", "17.95"]);

    cloud.clock("2026-11-15T15:00:00Z");
    cloud.request(customer, "two", &PRODUCTION);
    let november = invoice(&mut cloud, "2026-12-01T00:00:00Z", ("2026-11-01", "2026-12-01"));
    assert_eq!(november.period.to_string(), "2026-10-31T23:00:00Z/2026-11-30T15:00:00Z");
    let lines = [("712", "7.12"), ("1", "10.00"), ("50", "0.50"), ("360", "3.60"), ("0.505617978", "5.06")];
    check("to_another", &november, &lines, ["26.28", "0.00", "26.28"]);
}
