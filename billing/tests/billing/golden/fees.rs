//! Fees from the day of an allocation, for all instances together, and of the customer.

use super::{book, check, invoice};
use crate::cloud::{Cloud, PRODUCTION};

/// An instance is allocated on 31 January 2026 at 06:00 in Paris, 05:00 UTC. Its months begin on the 31st, or on the last
/// day of a month that has none: 31 January to 28 February (28 days), to 31 March (31 days less an hour, because the clock
/// goes forward: 743 hours), to 30 April.
///
/// February is from 31 January 23:00 UTC to 28 February 23:00 UTC: 27 days until midnight of the 28th, and the 28th.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | desk | 27/28 + 24/743 = 0.964 285 714 2... + 0.032 301 480 4... = 0.996 587 195 | x 28.00 = 27.904 441 46, so 27.90 |
/// | licence, whole | the month from the 28th begins: 1 | x 50.00 = 50.00 |
///
/// 77.90. January, from midnight of the 31st on: the unit begins there, the instance six hours later.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | desk | 18 hours of 28 days = 0.75/28 = 0.026 785 714 | x 28.00 = 0.749 999 992, so 0.75 |
/// | licence, whole | 1 | x 50.00 = 50.00 |
///
/// 50.75. March has 719 hours of 743 until midnight of the 31st, and 24 hours of the next one, which has 30 days, 720 hours.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | desk | 719/743 + 24/720 = 0.967 698 519 5... + 0.033 333 333 3... = 1.001 031 853 | x 28.00 = 28.028 891 884, so 28.03 |
/// | licence, whole | the month from the 31st begins: 1 | x 50.00 = 50.00 |
///
/// 78.03.
#[test]
fn an_anniversary_on_the_31st() {
    let rates = r#"
        { kind = "recurring", item = "desk", every = "month", when = "arrears", price = "28.00", anchor = "anniversary" },
        { kind = "recurring", item = "licence", every = "month", when = "arrears", price = "50.00", anchor = "anniversary",
          proration = "whole" }"#;
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    let customer = cloud.customer("Europe/Paris");
    cloud.clock("2026-01-31T05:00:00Z");
    cloud.request(customer, "web", &PRODUCTION);
    let january = invoice(&mut cloud, "2026-02-01T00:00:00Z", ("2026-01-01", "2026-02-01"));
    check(
        "anniversary_january",
        &january,
        &[("0.026785714", "0.75"), ("1", "50.00")],
        ["50.75", "0.00", "50.75"],
    );
    let february = invoice(&mut cloud, "2026-03-01T00:00:00Z", ("2026-02-01", "2026-03-01"));
    let lines = [("0.996587195", "27.90"), ("1", "50.00")];
    check("anniversary_february", &february, &lines, ["77.90", "0.00", "77.90"]);
    let march = invoice(&mut cloud, "2026-04-01T00:00:00Z", ("2026-03-01", "2026-04-01"));
    check(
        "anniversary_march",
        &march,
        &[("1.001031853", "28.03"), ("1", "50.00")],
        ["78.03", "0.00", "78.03"],
    );
}

/// 200 jobs of half an hour each, one after the other, at 0.01 an hour: together they are 100 hours, which cost 1.00; each
/// alone would be rounded to 0.01, 2.00 in all. The customer has an account for 31.00 a month, owed while there is a job:
/// 100 hours of 744 are 0.134 408 602 months, x 31.00 = 4.166 666 662, so 4.17.
///
/// 1.00 + 4.17 = 5.17.
#[test]
fn two_hundred_half_hours() {
    let rates = r#"
        { kind = "recurring", every = "hour", when = "arrears", price = "0.01", per = "customer" },
        { kind = "base_fee", item = "account", every = "month", price = "31.00" }"#;
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    let customer = cloud.customer("UTC");
    for n in 0..200_u32 {
        let at =
            |half: u32| format!("2026-10-{:02}T{:02}:{:02}:00Z", 5 + half / 48, half % 48 / 2, half % 2 * 30);
        cloud.clock(&at(n));
        cloud.request(customer, &format!("job {n}"), &PRODUCTION);
        cloud.clock(&at(n + 1));
        cloud.end(customer, &format!("job {n}"));
    }
    let invoice = invoice(&mut cloud, "2026-11-01T00:00:00Z", ("2026-10-01", "2026-11-01"));
    let lines = [("100", "1.00"), ("0.134408602", "4.17")];
    check("two_hundred_half_hours", &invoice, &lines, ["5.17", "0.00", "5.17"]);
}
