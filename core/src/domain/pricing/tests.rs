//! Price books that are published or refused: given, when, then.

use crate::domain::Answer;
use crate::domain::given::{Given, at, computer, release, software_type};

use super::*;

fn resource(name: &str) -> ResourceId {
    ResourceId::new(name).expect(name)
}

fn gauge(name: &str) -> Resource {
    let (kind, meter) = (ResourceKind::Gauge, Meter::TimeIntegral);
    Resource { resource: resource(name), kind, meter, unit: "percent_hour".into() }
}

fn price(text: &str) -> Price {
    text.parse().expect(text)
}

fn fee(matching: Match) -> Rate {
    Rate::Recurring { price: price("10.00"), matching }
}

fn per_unit(name: &str, matching: Match) -> Rate {
    Rate::PerUnit { resource: resource(name), price: price("0.002"), matching }
}

fn book() -> PriceBook {
    PriceBook {
        name: PriceBookName::new("standard").expect("a name"),
        currency: Currency::EUR,
        valid_from: at("2026-01-01T00:00:00Z"),
        rounding: Rounding::HalfUp,
        resources: vec![gauge("cpu")],
        rates: vec![fee(Match::default()), per_unit("cpu", Match::default())],
    }
}

fn of_release(name: &str) -> Match {
    Match { software_release: Some(release(name)), ..Match::default() }
}

fn of_type(name: &str) -> Match {
    Match { software_type: Some(software_type(name)), ..Match::default() }
}

fn of_computer(name: &str) -> Match {
    Match { computer: Some(computer(name)), ..Match::default() }
}

fn of_instances(instance_type: InstanceType) -> Match {
    Match { instance_type: Some(instance_type), ..Match::default() }
}

fn of_customer(party: u64) -> Match {
    Match { customer: Some(PartyId(party)), ..Match::default() }
}

fn publish(book: PriceBook) -> PublishPriceBook {
    PublishPriceBook { book }
}

fn answer(version: u32) -> Answer {
    Answer::PriceBook { name: book().name, version }
}

#[test]
fn versions_are_numbered_and_what_counts_already_is_not_published_again() {
    let published = |version, book| {
        let stream = Stream::PriceBook(PriceBookName::new("standard").expect("a name"));
        [(stream, Event::PriceBookPublished(PriceBookPublished { version, book }))]
    };
    let dearer = PriceBook {
        rates: vec![Rate::Recurring { price: price("11"), matching: Match::default() }],
        ..book()
    };
    let given = Given::nothing()
        .when(publish(book()))
        .then(published(1, book()))
        .answered(&answer(1))
        .and()
        .when(publish(book()))
        .then([])
        .answered(&answer(1))
        .and()
        .when(publish(dearer.clone()))
        .then(published(2, dearer))
        .answered(&answer(2))
        .and()
        // Going back is another version.
        .when(publish(book()))
        .then(published(3, book()))
        .and();
    assert_eq!(given.state.price_books.versions("standard").len(), 3);
    assert_eq!(given.state.price_books.names().count(), 1);
    assert!(given.state.price_books.versions("other").is_empty());
}

#[test]
fn books_that_contradict_themselves_are_refused() {
    let of = |resources: Vec<Resource>, rates: Vec<Rate>| PriceBook { resources, rates, ..book() };
    let unit = |unit: &str| of(vec![Resource { unit: unit.into(), ..gauge("cpu") }], book().rates);
    let meter = |kind, meter| of(vec![Resource { kind, meter, ..gauge("cpu") }], book().rates);
    let (bad_unit, no_fit) = (
        PricingRefusal::BadUnit { resource: resource("cpu") },
        PricingRefusal::MeterDoesNotFit { resource: resource("cpu") },
    );
    let undeclared = |rate, name| PricingRefusal::UndeclaredResource { rate, resource: resource(name) };
    let rows = [
        (
            of(vec![gauge("cpu"), gauge("cpu")], vec![]),
            PricingRefusal::ResourceTwice { resource: resource("cpu") },
        ),
        (meter(ResourceKind::Counter, Meter::TimeIntegral), no_fit.clone()),
        (meter(ResourceKind::Gauge, Meter::Sum), no_fit),
        (unit(""), bad_unit.clone()),
        (unit("\n"), bad_unit.clone()),
        (unit(&"x".repeat(101)), bad_unit),
        (of(vec![gauge("cpu")], vec![per_unit("memory", Match::default())]), undeclared(1, "memory")),
        (of(vec![], vec![fee(Match::default()), per_unit("cpu", Match::default())]), undeclared(2, "cpu")),
        (of(vec![gauge("cpu")], vec![]), PricingRefusal::NoRates),
    ];
    for (book, refusal) in rows {
        Given::nothing().when(publish(book)).refused(refusal);
    }
}

#[test]
fn rates_that_could_both_win_are_refused() {
    let both = |one: &Match, other: &Match| Match {
        software_release: one.software_release.clone().or_else(|| other.software_release.clone()),
        software_type: one.software_type.clone().or_else(|| other.software_type.clone()),
        computer: one.computer.clone().or_else(|| other.computer.clone()),
        instance_type: one.instance_type.or(other.instance_type),
        customer: one.customer.or(other.customer),
    };
    let testing = of_instances(InstanceType::Testing);
    let tie = Err(PricingRefusal::Tie { one: 1, other: 2 });
    let rows = [
        (Match::default(), Match::default(), tie.clone()),
        (of_release("r"), of_release("r"), tie.clone()),
        (of_release("r"), of_release("s"), Ok(())),
        (of_type("t"), of_type("u"), Ok(())),
        (of_computer("COMP-1"), of_computer("COMP-2"), Ok(())),
        (of_customer(1), of_customer(2), Ok(())),
        (testing.clone(), of_instances(InstanceType::Production), Ok(())),
        (of_release("r"), of_type("t"), tie.clone()),
        (of_computer("COMP-1"), of_customer(1), tie.clone()),
        (of_customer(1), testing.clone(), tie.clone()),
        (of_release("r"), both(&of_release("r"), &of_type("t")), Ok(())),
        (both(&of_release("r"), &testing), both(&of_type("t"), &testing), tie),
        (both(&of_release("r"), &of_customer(1)), both(&of_type("t"), &of_customer(2)), Ok(())),
    ];
    for (one, other, expected) in rows {
        let rates = |rate: fn(Match) -> Rate| vec![rate(one.clone()), rate(other.clone())];
        let check = |rates| PriceBook { rates, ..book() }.check();
        assert_eq!(check(rates(fee)), expected, "{one:?} and {other:?}");
        assert_eq!(check(rates(|matching| per_unit("cpu", matching))), expected, "{one:?} and {other:?}");
        // A fee and a price of usage never compete.
        assert_eq!(check(vec![fee(one.clone()), per_unit("cpu", other.clone())]), Ok(()));
    }
}

#[test]
fn the_rate_that_names_most_members_wins() {
    let (small, large) = (release("http://release/small"), release("http://release/large"));
    let of_both = Match { customer: Some(PartyId(2)), ..of_release("http://release/large") };
    let rates = vec![fee(Match::default()), fee(of_both), fee(of_release("http://release/large"))];
    let book = PriceBook { rates, ..book() };
    assert_eq!(book.check(), Ok(()));
    let (computer, software_type) = (computer("COMP-1"), software_type("default"));
    let winner = |release, customer| {
        let matched = Matched {
            software_release: release,
            software_type: &software_type,
            computer: &computer,
            instance_type: InstanceType::Production,
            customer: PartyId(customer),
        };
        assert_eq!(book.rate(Some(&resource("cpu")), matched), None);
        book.rates.iter().position(|rate| Some(rate) == book.rate(None, matched))
    };
    assert_eq!(winner(&small, 2), Some(0));
    assert_eq!(winner(&large, 1), Some(2));
    assert_eq!(winner(&large, 2), Some(1));
}

/// Each rule is checked before the state of things, and the size before each rule.
#[test]
fn refusals_in_order() {
    let usd = PriceBook { currency: "USD".parse().expect("a currency"), ..book() };
    let many = (0..200).map(|n| fee(of_release(&format!("http://release/{n}/{}", "x".repeat(500)))));
    let large =
        PriceBook { rates: many.collect(), resources: vec![gauge("cpu"), gauge("cpu")], ..usd.clone() };
    Given::nothing()
        .done(publish(book()))
        .when(publish(large))
        .refused(PricingRefusal::TooLarge { max: 60_000 })
        .when(publish(PriceBook { rates: vec![], ..usd.clone() }))
        .refused(PricingRefusal::NoRates)
        .when(publish(usd))
        .refused(PricingRefusal::OtherCurrency { name: book().name, known: Currency::EUR });
}
