//! The fee for each instance and month.
//!
//! October 2026 has 31 days, 744 hours, 2,678,400 seconds in UTC.

use slapledger_core::domain::event::Event;
use slapledger_core::domain::instance::InstanceType;

use crate::cloud::{BOOK, Cloud, PRODUCTION, Wanted};

const TESTING: Wanted = Wanted { kind: Some(InstanceType::Testing), ..PRODUCTION };

#[test]
fn a_whole_month_is_one() {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-20T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "db", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    assert_eq!(
        cloud.october(),
        [
            "PARTY-2: db on COMP-1 slappart0: monthly fee, production, 2026-10-01/2026-11-01: 1 month x 10 = 10.00 v1"
        ]
    );
}

#[test]
fn parts_of_a_month_are_its_share() {
    let mut cloud = Cloud::new(BOOK);
    let customer = cloud.customer("UTC");
    // From midnight of the 16th: 16/31 = 0.516 129 032 258...; x 10.00 = 5.161 290 32 -> 5.16
    cloud.clock("2026-10-16T00:00:00Z");
    cloud.request(customer, "web", &PRODUCTION);
    // One second: 1/2 678 400 = 0.000 000 373 357...; x 10.00 = 0.000 003 73 -> 0.00
    cloud.clock("2026-10-20T12:00:00Z");
    cloud.request(customer, "blink", &PRODUCTION);
    cloud.clock("2026-10-20T12:00:01Z");
    cloud.end(customer, "blink");
    // Twelve hours: 12/744 = 0.016 129 032 258...; x 4.00 = 0.064 516 128 -> 0.06
    cloud.clock("2026-10-21T06:00:00Z");
    cloud.request(customer, "job", &TESTING);
    cloud.clock("2026-10-21T18:00:00Z");
    cloud.end(customer, "job");
    // Not a microsecond in October.
    cloud.clock("2026-11-01T00:00:00Z");
    cloud.request(customer, "late", &PRODUCTION);
    assert_eq!(
        cloud.october(),
        [
            "PARTY-2: web on COMP-1 slappart0: monthly fee, production, 2026-10-16/2026-11-01: 0.516129032 month x 10 = 5.16 v1",
            "PARTY-2: blink on COMP-1 slappart1: monthly fee, production, 2026-10-20T12:00:00Z/2026-10-20T12:00:01Z: 0.000000373 month x 10 = 0.00 v1",
            "PARTY-2: job on COMP-1 slappart1: monthly fee, testing, 2026-10-21T06:00:00Z/2026-10-21T18:00:00Z: 0.016129032 month x 4 = 0.06 v1",
        ]
    );
}

#[test]
fn a_line_rests_on_the_events_that_made_its_time() {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-10-10T00:00:00Z");
    let customer = cloud.customer("UTC");
    let instance = cloud.request(customer, "db", &PRODUCTION);
    cloud.request(customer, "other", &PRODUCTION);
    cloud.clock("2026-10-20T00:00:00Z");
    cloud.request(customer, "db", &TESTING);
    cloud.clock("2026-10-25T00:00:00Z");
    cloud.end(customer, "db");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    let of_db = |wanted: fn(&Event) -> bool| {
        let name = format!("instance/{instance}");
        let events = cloud.log.iter().filter(move |r| r.stream.to_string() == name && wanted(&r.event));
        events.map(|recorded| recorded.sequence).collect::<Vec<_>>()
    };
    let asked = of_db(|event| matches!(event, Event::InstanceRequested(_) | Event::InstanceAllocated(_)));
    let changed = of_db(|event| matches!(event, Event::InstanceChanged(_)));
    let ended = of_db(|event| matches!(event, Event::InstanceEnded(_)));
    assert_eq!((asked.len(), changed.len(), ended.len()), (2, 2, 1), "a type and the wish to end it");
    let draft = format!("{run}-{customer}");
    // Until the 20th it was requested and allocated; then also changed, and ended on the 25th.
    assert_eq!(cloud.view.line_events(&draft, 1), Some(asked.clone()));
    assert_eq!(cloud.view.line_events(&draft, 2), Some([asked, changed, ended].concat()));
    assert_eq!(cloud.view.line_events(&draft, 4), None);
    assert_eq!(cloud.view.line_events("RUN-1-PARTY-9", 1), None);
}

#[test]
fn prices_change_when_they_say() {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "db", &PRODUCTION);
    // Version 3 begins as version 2 does, and takes its place; version 4 begins when October is over.
    let dearer = |price: &str, from: &str| BOOK.replace("10.00", price).replace("2026-01-01T00:00:00Z", from);
    assert_eq!(cloud.publish(&dearer("99", "2026-10-11T00:00:00Z")), 2);
    assert_eq!(cloud.publish(&dearer("20", "2026-10-11T00:00:00Z")), 3);
    assert_eq!(cloud.publish(&dearer("50", "2026-11-01T00:00:00Z")), 4);
    cloud.clock("2026-11-02T00:00:00Z");
    // 10/31 = 0.322 580 645 161...; x 10 = 3.225 806 45 -> 3.23 21/31 = 0.677 419 354 838...; x 20 = 13.548 387 10 ->
    // 13.55
    let expected = [
        "PARTY-2: db on COMP-1 slappart0: monthly fee, production, 2026-10-01/2026-10-11: 0.322580645 month x 10 = 3.23 v1",
        "PARTY-2: db on COMP-1 slappart0: monthly fee, production, 2026-10-11/2026-11-01: 0.677419355 month x 20 = 13.55 v3",
    ];
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.lines(run), expected);
    // A version published after the cut-off, back-dated, is not one the run knows of.
    assert_eq!(cloud.publish(&dearer("1", "2026-10-01T00:00:00Z")), 5);
    assert_eq!(cloud.lines(run), expected);
    // To the run after it, it is: until the 11th, where a later beginning wins.
    assert_eq!(
        cloud.october(),
        [
            "PARTY-2: db on COMP-1 slappart0: monthly fee, production, 2026-10-01/2026-10-11: 0.322580645 month x 1 = 0.32 v5",
            expected[1],
        ]
    );
}

#[test]
fn releases_change_when_they_are_changed() {
    let by_release = BOOK.replace(
        "rates = [",
        "rates = [
    { kind = \"recurring\", every = \"month\", when = \"arrears\", price = \"30\", match = { instance_type = \
         \"production\", software_release = \"http://example.org/v2\" } },",
    );
    let mut cloud = Cloud::new(&by_release);
    cloud.clock("2026-09-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "db", &PRODUCTION);
    cloud.clock("2026-10-16T00:00:00Z");
    cloud.request(customer, "db", &Wanted { release: "http://example.org/v2", ..PRODUCTION });
    // To another release at the same price: no new line.
    cloud.clock("2026-10-20T00:00:00Z");
    cloud.request(customer, "db", &Wanted { release: "http://example.org/v3", ..PRODUCTION });
    cloud.clock("2026-10-21T00:00:00Z");
    cloud.request(customer, "db", &Wanted { release: "http://example.org/v1", ..PRODUCTION });
    cloud.clock("2026-11-01T00:00:00Z");
    // 15/31 = 0.483 870 967 7...; x 10 = 4.838 709 68 -> 4.84
    //  4/31 = 0.129 032 258 0...; x 30 = 3.870 967 74 -> 3.87
    // 12/31 = 0.387 096 774 1...; x 10 = 3.870 967 74 -> 3.87
    assert_eq!(
        cloud.october(),
        [
            "PARTY-2: db on COMP-1 slappart0: monthly fee, production, 2026-10-01/2026-10-16: 0.483870968 month x 10 = 4.84 v1",
            "PARTY-2: db on COMP-1 slappart0: monthly fee, production, 2026-10-16/2026-10-20: 0.129032258 month x 30 = 3.87 v1",
            "PARTY-2: db on COMP-1 slappart0: monthly fee, production, 2026-10-20/2026-11-01: 0.387096774 month x 10 = 3.87 v1",
        ]
    );
}

#[test]
fn months_are_cut_where_the_payer_is() {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-01T00:00:00Z");
    let (paris, kathmandu) = (cloud.customer("Europe/Paris"), cloud.customer("Asia/Kathmandu"));
    cloud.request(paris, "always", &PRODUCTION);
    cloud.request(kathmandu, "always", &PRODUCTION);
    // Midnight of the 16th in Kathmandu (UTC+5:45): 16/31 = 0.516 129 032 -> 5.16
    cloud.clock("2026-10-15T18:15:00Z");
    cloud.request(kathmandu, "half", &PRODUCTION);
    // The 25th in Paris has 25 hours, October 745: 25/745 = 0.033 557 046 97...; x 10 = 0.335 570 47 -> 0.34
    cloud.clock("2026-10-24T22:00:00Z");
    cloud.request(paris, "day", &PRODUCTION);
    cloud.clock("2026-10-25T23:00:00Z");
    cloud.end(paris, "day");
    cloud.clock("2026-11-02T00:00:00Z");
    assert_eq!(
        cloud.october(),
        [
            "PARTY-2: always on COMP-1 slappart0: monthly fee, production, 2026-10-01/2026-11-01: 1 month x 10 = 10.00 v1",
            "PARTY-2: day on COMP-1 slappart3: monthly fee, production, 2026-10-25/2026-10-26: 0.033557047 month x 10 = 0.34 v1",
            "PARTY-3: always on COMP-1 slappart1: monthly fee, production, 2026-10-01/2026-11-01: 1 month x 10 = 10.00 v1",
            "PARTY-3: half on COMP-1 slappart2: monthly fee, production, 2026-10-16/2026-11-01: 0.516129032 month x 10 = 5.16 v1",
        ]
    );
    // Instants are the same for everybody. In Paris they are 743 of the 745 hours of October and one of the 720 of
    // November: 0.997 315 436 + 0.001 388 889; in Kathmandu 738.25/744 and 5.75/720: 0.992 271 505 + 0.007 986 111.
    let run = cloud.open_run("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z");
    let quantities: Vec<String> = cloud
        .view
        .billing
        .documents_of(run)
        .flat_map(|document| document.invoice.lines.iter().take(2).map(|line| line.quantity.to_string()))
        .collect();
    assert_eq!(quantities, ["0.997315436", "0.001388889", "0.992271505", "0.007986111"]);
}

#[test]
fn several_months_are_several() {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-10-16T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "db", &PRODUCTION);
    cloud.clock("2027-01-01T00:00:00Z");
    let run = cloud.open_run("2026-10-01", "2027-01-01");
    // 16/31 of October, all of November and December: what three runs would charge.
    assert_eq!(
        cloud.lines(run),
        [
            "PARTY-2: db on COMP-1 slappart0: monthly fee, production, 2026-10-16/2026-11-01: 0.516129032 month x 10 = 5.16 v1",
            "PARTY-2: db on COMP-1 slappart0: monthly fee, production, 2026-11-01/2026-12-01: 1 month x 10 = 10.00 v1",
            "PARTY-2: db on COMP-1 slappart0: monthly fee, production, 2026-12-01/2027-01-01: 1 month x 10 = 10.00 v1",
        ]
    );
}

#[test]
fn amounts_are_rounded_once_as_the_book_says() {
    // 15 days of 30 are exactly half of November.
    let rows = [
        ("EUR", "half_up", "0.01", "0.01"),
        ("EUR", "half_even", "0.01", "0.00"),
        ("EUR", "half_even", "0.03", "0.02"),
        ("JPY", "half_up", "1001", "501"),
        ("JPY", "half_even", "1001", "500"),
        ("JPY", "half_up", "1000.9", "500"),
        ("TND", "half_up", "0.001", "0.001"),
    ];
    for (currency, rounding, price, expected) in rows {
        let book = BOOK
            .replace("\"EUR\"", &format!("\"{currency}\"\nrounding = \"{rounding}\""))
            .replace("10.00", price);
        let mut cloud = Cloud::new(&book);
        cloud.clock("2026-11-16T00:00:00Z");
        let customer = cloud.customer("UTC");
        cloud.request(customer, "db", &PRODUCTION);
        cloud.clock("2026-12-01T00:00:00Z");
        let run = cloud.open_run("2026-11-01", "2026-12-01");
        let draft = &cloud.view.billing.documents_of(run).next().expect("a draft").invoice;
        assert_eq!(draft.total.to_string(), expected, "0.5 x {price} {currency} {rounding}");
        assert_eq!((draft.lines[0].amount, draft.net), (draft.total, draft.total));
    }
}

#[test]
fn what_has_no_price_is_told_of() {
    let mut cloud = Cloud::new(
        r#"
name = "standard"
currency = "EUR"
valid_from = "2026-10-11T00:00:00Z"
rates = [
    { kind = "recurring", every = "month", when = "arrears", price = "10", match = { software_release = "http://example.org/v1" } },
]"#,
    );
    cloud.clock("2026-10-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "db", &PRODUCTION);
    cloud.request(customer, "odd", &Wanted { release: "http://example.org/odd", ..PRODUCTION });
    cloud.clock("2026-11-01T00:00:00Z");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(
        cloud.lines(run),
        [
            "PARTY-2: db on COMP-1 slappart0: monthly fee, production, 2026-10-11/2026-11-01: 0.677419355 month x 10 = 6.77 v1"
        ]
    );
    assert_eq!(
        cloud.warnings(run),
        [
            "SOFTINST-1: no version of the price book is valid in 2026-10-01T00:00:00Z/2026-10-11T00:00:00Z",
            "SOFTINST-2: no version of the price book is valid in 2026-10-01T00:00:00Z/2026-10-11T00:00:00Z",
            "SOFTINST-2: no rate is for it in 2026-10-11T00:00:00Z/2026-11-01T00:00:00Z",
        ]
    );
}
