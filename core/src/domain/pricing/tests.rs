//! Price books that are published or refused: given, when, then.

use crate::domain::Answer;
use crate::domain::event::{Event, Stream};
use crate::domain::given::{Given, at, computer, register_party, release, software_type};
use crate::domain::id::{ComputerId, PartyId, SoftwareRelease, SoftwareType};
use crate::domain::instance::{InstanceType, RequestedState};

use super::*;

fn resource(name: &str) -> ResourceId {
    ResourceId::new(name).expect(name)
}

fn gauge(name: &str) -> Resource {
    let (kind, meter) = (ResourceKind::Gauge, Meter::TimeIntegral);
    let (conversion, group_by) = (Conversion::NONE, Vec::new());
    Resource {
        resource: resource(name),
        kind,
        meter,
        unit: "percent_hour".into(),
        conversion,
        group_by,
        most: None,
        carry_over: false,
    }
}

fn price(text: &str) -> Price {
    text.parse().expect(text)
}

fn fee_of(item: &str, (every, when): (Every, When)) -> Model {
    Model::Recurring {
        item: item.into(),
        price: price("10.00"),
        every,
        when,
        until: FeeEnd::default(),
        terms: FeeTerms::default(),
    }
}

fn fee(matching: Match) -> Rate {
    Rate { model: fee_of("", (Every::Month, When::Arrears)), trial: None, matching }
}

fn usage(name: &str, free: &str, tariff: Tariff) -> Model {
    Model::Usage { resource: resource(name), per: Per::Instance, free: free.parse().expect(free), tariff }
}

fn per_unit(name: &str, matching: Match) -> Rate {
    Rate { model: usage(name, "0", Tariff::PerUnit { price: price("0.002") }), trial: None, matching }
}

fn percentage(percent: &str, of: Of, matching: Match) -> Rate {
    Rate { model: Model::Percentage { percent: percent.parse().expect(percent), of }, trial: None, matching }
}

fn minimum(of: Of, matching: Match) -> Rate {
    Rate {
        model: Model::Minimum { price: price("5"), of, proration: Proration::default() },
        trial: None,
        matching,
    }
}

/// Tiers with these upper bounds.
fn tiers(bounds: &[Option<&str>]) -> Vec<Tier> {
    let tier = |bound: Option<&str>| Tier {
        up_to: bound.map(|bound| bound.parse().expect(bound)),
        price: price("0.1"),
        flat: price("0"),
    };
    bounds.iter().copied().map(tier).collect()
}

fn book() -> PriceBook {
    PriceBook {
        name: PriceBookName::new("standard").expect("a name"),
        currency: Currency::EUR,
        valid_from: at("2026-01-01T00:00:00Z"),
        rounding: Rounding::HalfUp,
        on_change: OnChange::default(),
        terms: InvoiceTerms::default(),
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

fn of_region(region: &str) -> Match {
    Match { region: Some(region.into()), ..Match::default() }
}

fn of_dimensions(pairs: &[(&str, &str)]) -> Match {
    let dimensions = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    Match { dimensions, ..Match::default() }
}

fn of_customer(party: u64) -> Match {
    Match { customer: Some(PartyId(party)), ..Match::default() }
}

/// 8.00 a month for PARTY-2 instead of the fee of the book, in November.
fn own_fee() -> SetPriceOverride {
    let rate =
        Rate { model: fee_of("", (Every::Month, When::Advance)), trial: None, matching: Match::default() };
    SetPriceOverride {
        price_book: book().name,
        customer: PartyId(2),
        valid_from: at("2026-11-01T00:00:00Z"),
        valid_until: Some(at("2026-12-01T00:00:00Z")),
        rate: Box::new(rate),
        retroactive: false,
    }
}

fn with_book() -> Given {
    Given::nothing().done(register_party()).done(register_party()).done(publish(book()))
}

#[test]
fn a_customer_has_a_price_of_their_own() {
    let given = with_book();
    let wanted = own_fee();
    let mut rate = wanted.rate.clone();
    rate.matching.customer = Some(PartyId(2));
    let price_override = PriceOverride {
        id: OverrideId(1),
        price_book: book().name,
        customer: PartyId(2),
        valid_from: wanted.valid_from,
        valid_until: wanted.valid_until,
        rate,
    };
    let stream = || Stream::PriceBook(book().name);
    let now = given.now;
    let set = PriceOverrideSet { price_override, at: now };
    let ended = |until: &str| {
        let (id, price_book) = (OverrideId(1), book().name);
        Event::PriceOverrideEnded(PriceOverrideEnded { id, price_book, valid_until: at(until), at: now })
    };
    let end = |until: Option<&str>| EndPriceOverride {
        price_book: book().name,
        id: OverrideId(1),
        valid_until: until.map(at),
        retroactive: false,
    };
    let known = Answer::PriceOverride(OverrideId(1));
    let later = SetPriceOverride { valid_from: at("2026-12-01T00:00:00Z"), valid_until: None, ..own_fee() };
    let given = given
        .when(wanted)
        .then([(stream(), Event::PriceOverrideSet(set))])
        .answered(&known)
        .and()
        .when(own_fee())
        .then([])
        .answered(&known)
        .and()
        .when(later)
        .answered(&Answer::PriceOverride(OverrideId(2)))
        .and();
    let (field, rule) = ("valid_until", "must not be after the end that the override has");
    let given =
        given.when(end(Some("2026-12-02T00:00:00Z"))).refused(PricingRefusal::BadOverride { field, rule });
    // An end that is stated is never moved without a word.
    let rule = "must not be before the valid_from of the override";
    let given =
        given.when(end(Some("2026-10-31T00:00:00Z"))).refused(PricingRefusal::BadOverride { field, rule });
    given
        .when(end(Some("2026-12-01T00:00:00Z")))
        .then([])
        .and()
        .when(end(Some("2026-11-16T00:00:00Z")))
        .then([(stream(), ended("2026-11-16T00:00:00Z"))])
        .answered(&known)
        .and()
        // What has not begun never counts.
        .when(end(None))
        .then([(stream(), ended("2026-11-01T00:00:00Z"))])
        .and()
        .when(EndPriceOverride { id: OverrideId(3), ..end(None) })
        .refused(PricingRefusal::UnknownOverride { id: OverrideId(3) });
}

fn many_tiers() -> Tariff {
    let tier =
        |n: u32| Tier { up_to: n.to_string().parse().ok(), price: price("0.123456789"), flat: price("9") };
    Tariff::Volume { tiers: (1..10_000).map(tier).collect() }
}

#[test]
fn an_override_must_fit_the_book() {
    let bad = |field, rule| PricingRefusal::BadOverride { field, rule };
    let with = |rate: Rate| SetPriceOverride { rate: Box::new(rate), ..own_fee() };
    let unknown = PriceBookName::new("other").expect("a name");
    let rows = [
        (
            SetPriceOverride { price_book: unknown.clone(), ..own_fee() },
            PricingRefusal::UnknownBook { name: unknown },
        ),
        (
            SetPriceOverride { customer: PartyId(9), ..own_fee() },
            PricingRefusal::UnknownCustomer { customer: PartyId(9) },
        ),
        (
            SetPriceOverride { valid_until: Some(own_fee().valid_from), ..own_fee() },
            bad("valid_until", "must be after valid_from"),
        ),
        (
            SetPriceOverride {
                valid_from: at("2020-01-01T00:00:00Z"),
                valid_until: Some(at("2020-02-01T00:00:00Z")),
                ..own_fee()
            },
            bad("valid_until", "must be after the first version of the book begins"),
        ),
        (with(fee(of_customer(1))), bad("rate", "must not name another customer in match")),
        (
            with(per_unit("disk", Match::default())),
            PricingRefusal::UndeclaredByBook { resource: resource("disk"), name: book().name },
        ),
        (
            with(percentage("0", Of::All, Match::default())),
            PricingRefusal::BadOverrideRate { field: "percent", rule: "must be above 0 and at most 1000" },
        ),
        (
            with(Rate { model: usage("cpu", "0", many_tiers()), trial: None, matching: Match::default() }),
            PricingRefusal::OverrideTooLarge { max: 60_000 },
        ),
    ];
    for (command, refusal) in rows {
        with_book().when(command).refused(refusal);
    }
    // Of one subject, with as many members, at one time.
    let of_type = |kind: &str| SetPriceOverride { valid_until: None, ..with(fee(of_type(kind))) };
    let given = with_book().done(own_fee()).done(of_type("a")).done(of_type("b"));
    let tie = SetPriceOverride { valid_from: at("2026-11-30T00:00:00Z"), valid_until: None, ..own_fee() };
    let given = given.when(tie).refused(PricingRefusal::OverrideTie { other: OverrideId(1) });
    given.done(SetPriceOverride { customer: PartyId(1), ..own_fee() });
}

#[test]
fn a_version_keeps_what_overrides_need() {
    let own = per_unit("cpu", Match::default());
    let given = with_book().done(SetPriceOverride { rate: Box::new(own), ..own_fee() });
    let without = |valid_from: &str| {
        let all = book();
        let rates = vec![fee(Match::default())];
        PriceBook { valid_from: at(valid_from), resources: Vec::new(), rates, ..all }
    };
    let refusal = PricingRefusal::BreaksOverride {
        id: OverrideId(1),
        customer: PartyId(2),
        field: "resources",
        what: "resource cpu is not declared".into(),
    };
    let given = given.when(publish(without("2026-11-30T00:00:00Z"))).refused(refusal);
    given.done(publish(without("2026-12-01T00:00:00Z")));
}

/// A refusal says which override, which field and what to do.
#[test]
fn refusals_of_overrides_name_field_and_remedy() {
    let tie = PricingRefusal::OverrideTie { other: OverrideId(3) };
    let broken = PricingRefusal::BreaksOverride {
        id: OverrideId(3),
        customer: PartyId(2),
        field: "resources",
        what: "resource cpu is not declared".into(),
    };
    let large = PricingRefusal::OverrideTooLarge { max: 60_000 };
    for (refusal, field, parts) in [
        (tie, "rate", vec!["OVERRIDE-3", "end OVERRIDE-3 first", "valid_from and valid_until", "match"]),
        (broken, "resources", vec!["OVERRIDE-3", "PARTY-2", "resource cpu", "or end OVERRIDE-3"]),
        (large, "rate", vec!["60000 bytes", "fewer tiers"]),
    ] {
        let text = refusal.to_string();
        assert_eq!(refusal.field(), field, "{text}");
        assert!(text.starts_with(field), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}: {parts:?}");
    }
}

fn publish(book: PriceBook) -> PublishPriceBook {
    PublishPriceBook { book, retroactive: false }
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
    let dearer = PriceBook { rates: vec![percentage("11", Of::All, Match::default())], ..book() };
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
    assert_eq!(given.project().price_books.versions("standard").len(), 3);
    assert_eq!(given.project().price_books.names().count(), 1);
    assert!(given.project().price_books.versions("other").is_empty());
}

/// A book with this resource alone.
fn declaring(declared: Resource) -> PriceBook {
    PriceBook { resources: vec![declared], ..book() }
}

/// A book that declares `cpu`, in groups by `zone`, and has this rate alone.
fn charging(model: Model, matching: Match) -> PriceBook {
    let resources = vec![Resource { group_by: vec!["zone".into()], ..gauge("cpu") }];
    PriceBook { resources, rates: vec![Rate { model, trial: None, matching }], ..book() }
}

#[test]
fn resources_are_declared_once_with_a_unit_and_for_rates_that_exist() {
    let of = |resources: Vec<Resource>, rates: Vec<Rate>| PriceBook { resources, rates, ..book() };
    let unit = |unit: &str| declaring(Resource { unit: unit.into(), ..gauge("cpu") });
    let bad_unit = PricingRefusal::BadUnit { resource: resource("cpu") };
    let undeclared = |rate, name| PricingRefusal::UndeclaredResource { rate, resource: resource(name) };
    let rows = [
        (
            of(vec![gauge("cpu"), gauge("cpu")], vec![]),
            PricingRefusal::ResourceTwice { resource: resource("cpu") },
        ),
        (unit(""), bad_unit.clone()),
        (unit("\n"), bad_unit.clone()),
        (unit(&"x".repeat(101)), bad_unit),
        (of(vec![gauge("cpu")], vec![per_unit("memory", Match::default())]), undeclared(1, "memory")),
        (of(vec![], vec![fee(Match::default()), per_unit("cpu", Match::default())]), undeclared(2, "cpu")),
        (
            of(vec![], vec![percentage("1", Of::Resource(resource("cpu")), Match::default())]),
            undeclared(1, "cpu"),
        ),
        (of(vec![], vec![minimum(Of::Resource(resource("cpu")), Match::default())]), undeclared(1, "cpu")),
        (of(vec![gauge("cpu")], vec![]), PricingRefusal::NoRates),
    ];
    for (book, refusal) in rows {
        Given::nothing().when(publish(book)).refused(refusal);
    }
    Given::nothing().done(publish(unit(&"x".repeat(100))));
}

#[test]
fn meters_suit_the_kind_and_are_told_what_makes_sense() {
    use ResourceKind::{Counter, Gauge};
    let unique = |dimension: &str| Meter::UniqueCount { dimension: dimension.into() };
    let percentile = |percent, sample_minutes| Meter::Percentile { percent, sample_minutes };
    let no_fit = Err(PricingRefusal::MeterDoesNotFit { resource: resource("cpu") });
    let bad = |rule| Err(PricingRefusal::BadMeter { resource: resource("cpu"), rule });
    let (dimension, percent, sample) = (
        "dimension must be 1 to 100 bytes without control characters",
        "percent must be from 1 to 100",
        "sample_minutes must divide a day of 1440",
    );
    let rows = [
        (Meter::Sum, Ok(()), no_fit.clone()),
        (Meter::Count, Ok(()), Ok(())),
        (unique("user"), Ok(()), Ok(())),
        (Meter::TimeIntegral, no_fit.clone(), Ok(())),
        (Meter::Min, no_fit.clone(), Ok(())),
        (Meter::Max, no_fit.clone(), Ok(())),
        (Meter::Average, no_fit.clone(), Ok(())),
        (Meter::Latest, no_fit.clone(), Ok(())),
        (percentile(95, 5), no_fit.clone(), Ok(())),
        // Whether it suits comes before what it is told.
        (percentile(0, 0), no_fit.clone(), bad(percent)),
        (percentile(0, 5), no_fit.clone(), bad(percent)),
        (percentile(1, 1), no_fit.clone(), Ok(())),
        (percentile(100, 1440), no_fit.clone(), Ok(())),
        (percentile(101, 5), no_fit.clone(), bad(percent)),
        (percentile(95, 0), no_fit.clone(), bad(sample)),
        (percentile(95, 7), no_fit.clone(), bad(sample)),
        (percentile(95, 2880), no_fit, bad(sample)),
        (unique(""), bad(dimension), bad(dimension)),
        (unique("\t"), bad(dimension), bad(dimension)),
        (unique(&"x".repeat(101)), bad(dimension), bad(dimension)),
        (unique(&"x".repeat(100)), Ok(()), Ok(())),
    ];
    for (meter, of_counter, of_gauge) in rows {
        for (kind, expected) in [(Counter, of_counter), (Gauge, of_gauge)] {
            let declared = Resource { kind, meter: meter.clone(), ..gauge("cpu") };
            assert_eq!(declaring(declared).check(), expected, "{meter:?} of a {kind:?}");
        }
    }
}

#[test]
fn factors_and_groups_are_bounded() {
    const MOST: u64 = 1_000_000_000_000;
    let bad = Err(PricingRefusal::BadConversion { resource: resource("cpu") });
    for (multiply, divide, expected) in [
        (1, 1, Ok(())),
        (MOST, MOST, Ok(())),
        (0, 1, bad.clone()),
        (1, 0, bad.clone()),
        (MOST + 1, 1, bad.clone()),
        (1, MOST + 1, bad),
    ] {
        let declared = Resource { conversion: Conversion { multiply, divide }, ..gauge("cpu") };
        assert_eq!(declaring(declared).check(), expected, "{multiply} / {divide}");
    }
    let names = |count: usize| (0..count).map(|n| n.to_string().into()).collect::<Vec<Box<str>>>();
    let bad = Err(PricingRefusal::BadGroups { resource: resource("cpu") });
    for (group_by, expected) in [
        (names(8), Ok(())),
        (names(9), bad.clone()),
        (vec!["zone".into(), "zone".into()], bad.clone()),
        (vec!["".into()], bad.clone()),
        (vec!["\u{7f}".into()], bad.clone()),
        (vec!["x".repeat(101).into()], bad),
        (vec!["x".repeat(100).into()], Ok(())),
    ] {
        let declared = Resource { group_by: group_by.clone(), ..gauge("cpu") };
        assert_eq!(declaring(declared).check(), expected, "{group_by:?}");
    }
}

#[test]
fn what_is_plausible_is_above_nothing_and_measured() {
    let most = |text: &str| Some(text.parse().expect(text));
    let counts = Meter::UniqueCount { dimension: "user".into() };
    for (most, meter, right) in [
        (most("0.000000001"), Meter::Max, true),
        (most("0"), Meter::Max, false),
        (most("-1"), Meter::Max, false),
        (most("1"), Meter::Count, false),
        (most("1"), counts.clone(), false),
        (None, counts, true),
    ] {
        let declared = Resource { most, meter: meter.clone(), ..gauge("cpu") };
        let expected =
            if right { Ok(()) } else { Err(PricingRefusal::BadMost { resource: resource("cpu") }) };
        assert_eq!(declaring(declared).check(), expected, "{most:?} of {meter:?}");
    }
}

/// At most 10 of the unit in an hour: of a counter for each hour that has begun, of a gauge as a level.
#[test]
fn what_is_more_than_can_be_is_implausible() {
    let seconds = |seconds: i64| {
        Period::new(at("2026-10-01T00:00:00Z"), at("2026-10-01T00:00:00Z").plus_micros(seconds * 1_000_000))
    };
    let [none, in_kib] = [Conversion::NONE, Conversion { multiply: 1, divide: 1024 }];
    let rows = [
        (ResourceKind::Counter, none, "10", 1, false),
        (ResourceKind::Counter, none, "10.000000001", 1, true),
        (ResourceKind::Counter, none, "10.000000001", 3600, true),
        (ResourceKind::Counter, none, "20", 3601, false),
        (ResourceKind::Counter, none, "20.000000001", 7200, true),
        (ResourceKind::Counter, none, "240", 86_400, false),
        (ResourceKind::Counter, in_kib, "10240", 3600, false),
        (ResourceKind::Counter, in_kib, "10240.000000001", 3600, true),
        (ResourceKind::Gauge, none, "10", 86_400, false),
        (ResourceKind::Gauge, none, "10.000000001", 1, true),
        (ResourceKind::Gauge, in_kib, "10240", 86_400, false),
        (ResourceKind::Gauge, none, "999999999999999.999999999", 1, true),
        (ResourceKind::Gauge, none, "0", 1, false),
    ];
    for (kind, conversion, reported, length, expected) in rows {
        let most = Some("10".parse().expect("a quantity"));
        let declared = Resource { kind, conversion, most, ..gauge("cpu") };
        let period = seconds(length).expect("not empty");
        let found = declared.is_implausible(reported.parse().expect(reported), period);
        assert_eq!(found, expected, "{reported} in {length} s, {kind:?}, {conversion:?}");
    }
    let most = Some("999999999999999.999999999".parse().expect("the largest"));
    let conversion = Conversion { multiply: 1, divide: 1_000_000_000_000 };
    let largest = Resource { most, conversion, kind: ResourceKind::Counter, ..gauge("cpu") };
    let always = Period::new(Timestamp::MIN, Timestamp::MAX).expect("not empty");
    assert!(!largest.is_implausible("999999999999999".parse().expect("a quantity"), always));
}

#[test]
fn rates_say_what_makes_sense() {
    let bad = |field, rule| Err(PricingRefusal::BadRate { rate: 1, field, rule });
    let item = bad("item", "must be at most 100 bytes without control characters");
    let advance = bad("when", "can be advance for a price every month alone");
    let percent = bad("percent", "must be above 0 and at most 1000");
    let rising = bad("tiers", "must have rising bounds above 0");
    let bounded = bad("tiers", "must have an up_to, all but the last");
    let fee = |item: &str| fee_of(item, (Every::Month, When::Arrears));
    let percentage = |percent| percentage(percent, Of::All, Match::default()).model;
    let package = |size: &str| Tariff::Package { size: size.parse().expect(size), price: price("1") };
    let mut rows = vec![
        (fee(""), Ok(())),
        (fee(&"x".repeat(100)), Ok(())),
        (fee(&"x".repeat(101)), item.clone()),
        (fee("\n"), item),
        (percentage("0"), percent.clone()),
        (percentage("-1"), percent.clone()),
        (percentage("0.000000001"), Ok(())),
        (percentage("1000"), Ok(())),
        (percentage("1000.000000001"), percent),
        (
            usage("cpu", "-0.000000001", Tariff::PerUnit { price: price("1") }),
            bad("free", "must not be negative"),
        ),
        (usage("cpu", "10", Tariff::PerUnit { price: price("1") }), Ok(())),
        (usage("cpu", "0", package("0")), bad("size", "must be above 0")),
        (usage("cpu", "0", package("-1")), bad("size", "must be above 0")),
        (usage("cpu", "0", package("0.000000001")), Ok(())),
    ];
    for every in [Every::Hour, Every::Day, Every::Month, Every::Year] {
        let expected = if every == Every::Month { Ok(()) } else { advance.clone() };
        rows.push((fee_of("", (every, When::Advance)), expected));
        rows.push((fee_of("", (every, When::Arrears)), Ok(())));
    }
    for (bounds, expected) in [
        (&[][..], bad("tiers", "must not be empty")),
        (&[None][..], Ok(())),
        (&[Some("1"), None][..], Ok(())),
        (&[Some("0.5"), Some("1"), None][..], Ok(())),
        (&[Some("1")][..], bad("tiers", "must end with one that has no up_to")),
        (&[None, None][..], bounded.clone()),
        (&[Some("1"), None, None][..], bounded),
        (&[Some("0"), None][..], rising.clone()),
        (&[Some("2"), Some("2"), None][..], rising.clone()),
        (&[Some("2"), Some("1"), None][..], rising),
    ] {
        rows.push((usage("cpu", "0", Tariff::Graduated { tiers: tiers(bounds) }), expected.clone()));
        rows.push((usage("cpu", "0", Tariff::Volume { tiers: tiers(bounds) }), expected));
    }
    for (model, expected) in rows {
        assert_eq!(charging(model.clone(), Match::default()).check(), expected, "{model:?}");
    }
}

#[test]
fn rates_match_by_what_they_can_know() {
    let bad = |rule| Err(PricingRefusal::BadRate { rate: 1, field: "match", rule });
    let groups = bad("may name those dimensions alone by which the resource groups");
    let usage_alone = bad("may name dimensions for usage alone");
    let customers = bad("may name customer alone: this is about all of a customer's lines");
    let (fee, per_unit) = (fee(Match::default()).model, per_unit("cpu", Match::default()).model);
    let percentage = percentage("1", Of::All, Match::default()).model;
    let minimum = minimum(Of::Usage, Match::default()).model;
    let eu = of_dimensions(&[("zone", "eu")]);
    let customer_and_region = Match { region: Some("eu".into()), ..of_customer(2) };
    let rows = [
        (&per_unit, eu.clone(), Ok(())),
        (&per_unit, of_dimensions(&[("rack", "1")]), groups.clone()),
        (&per_unit, of_dimensions(&[("zone", "eu"), ("rack", "1")]), groups),
        (&per_unit, of_dimensions(&[("zone", "eu"), ("zone", "us")]), bad("names a dimension twice")),
        (&fee, of_dimensions(&[("zone", "eu"), ("zone", "us")]), bad("names a dimension twice")),
        (&fee, eu.clone(), usage_alone.clone()),
        (&fee, of_region("eu"), Ok(())),
        (&percentage, eu, usage_alone),
        (&percentage, of_customer(2), Ok(())),
        (&percentage, of_region("eu"), customers.clone()),
        (&percentage, customer_and_region.clone(), customers.clone()),
        (&percentage, of_release("r"), customers.clone()),
        (&minimum, of_customer(2), Ok(())),
        (&minimum, of_type("t"), customers.clone()),
        (&minimum, of_computer("COMP-1"), customers.clone()),
        (&minimum, of_instances(InstanceType::Testing), customers.clone()),
        (&minimum, customer_and_region, customers),
    ];
    for (model, matching, expected) in rows {
        assert_eq!(charging(model.clone(), matching.clone()).check(), expected, "{model:?} for {matching:?}");
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
        region: one.region.clone().or_else(|| other.region.clone()),
        state: one.state.or(other.state),
        dimensions: [one.dimensions.as_slice(), &other.dimensions].concat(),
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
        (of_region("eu"), of_region("us"), Ok(())),
        (of_region("eu"), of_region("eu"), tie.clone()),
        (of_region("eu"), of_customer(1), tie.clone()),
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
fn only_rates_about_the_same_subject_compete() {
    let any = Match::default;
    let rate = |model| Rate { model, trial: None, matching: any() };
    let fee = |item: &str, every| rate(fee_of(item, (every, When::Arrears)));
    let flat = Tariff::PerUnit { price: price("1") };
    let together =
        Model::Usage { resource: resource("cpu"), per: Per::Customer, free: Quantity::ZERO, tariff: flat };
    let tie = Err(PricingRefusal::Tie { one: 1, other: 2 });
    let (cpu, eu) = (Of::Resource(resource("cpu")), of_dimensions(&[("zone", "eu")]));
    let of_cpu = |matching| per_unit("cpu", matching);
    let rows = [
        (fee("", Every::Month), fee("support", Every::Month), Ok(())),
        (fee("support", Every::Month), fee("support", Every::Day), tie.clone()),
        (of_cpu(any()), rate(together), tie.clone()),
        (of_cpu(any()), per_unit("memory", any()), Ok(())),
        (percentage("1", Of::All, any()), percentage("2", Of::All, any()), tie.clone()),
        (percentage("1", Of::All, any()), percentage("2", Of::Usage, any()), Ok(())),
        (percentage("1", Of::All, any()), percentage("2", Of::All, of_customer(2)), Ok(())),
        (percentage("1", cpu.clone(), any()), percentage("2", cpu.clone(), any()), tie.clone()),
        (percentage("1", Of::All, any()), minimum(Of::All, any()), Ok(())),
        (minimum(cpu.clone(), of_customer(2)), minimum(cpu, of_customer(2)), tie.clone()),
        // A dimension is a member as any other.
        (of_cpu(eu.clone()), of_cpu(any()), Ok(())),
        (of_cpu(eu.clone()), of_cpu(of_customer(2)), tie.clone()),
        (of_cpu(eu.clone()), of_cpu(of_dimensions(&[("zone", "us")])), Ok(())),
        (of_cpu(eu.clone()), of_cpu(of_dimensions(&[("rack", "1")])), tie),
        (of_cpu(eu), of_cpu(of_dimensions(&[("zone", "eu"), ("rack", "1")])), Ok(())),
    ];
    let grouped = |name| Resource { group_by: vec!["zone".into(), "rack".into()], ..gauge(name) };
    for (one, other, expected) in rows {
        let resources = vec![grouped("cpu"), grouped("memory")];
        let book = PriceBook { resources, rates: vec![one, other], ..book() };
        assert_eq!(book.check(), expected, "{:?}", book.rates);
    }
}

/// An instance of PARTY-1 in production on COMP-1, in no region, and usage in no group.
fn matched(names: &(SoftwareRelease, SoftwareType, ComputerId)) -> Matched<'_> {
    Matched {
        software_release: &names.0,
        software_type: &names.1,
        computer: &names.2,
        instance_type: InstanceType::Production,
        customer: PartyId(1),
        region: None,
        state: RequestedState::Started,
        dimensions: &[],
    }
}

#[test]
fn the_rate_that_names_most_members_wins() {
    let (small, large) = (release("http://release/small"), release("http://release/large"));
    let of_both = Match { customer: Some(PartyId(2)), ..of_release("http://release/large") };
    let rates = vec![fee(Match::default()), fee(of_both), fee(of_release("http://release/large"))];
    let book = PriceBook { rates, ..book() };
    assert_eq!(book.check(), Ok(()));
    let winner = |release: &SoftwareRelease, customer| {
        let names = (release.clone(), software_type("default"), computer("COMP-1"));
        let matched = Matched { customer: PartyId(customer), ..matched(&names) };
        assert_eq!(book.rate(RateSubject::Resource(&resource("cpu")), matched), None);
        assert_eq!(book.rate(RateSubject::Fee("support"), matched), None);
        let (number, rate) = book.rate(RateSubject::Fee(""), matched).expect("one covers all");
        assert_eq!(*rate, book.rates[number as usize - 1]);
        number
    };
    assert_eq!(winner(&small, 2), 1);
    assert_eq!(winner(&large, 1), 3);
    assert_eq!(winner(&large, 2), 2);
}

#[test]
fn regions_and_dimensions_are_matched_as_they_are_said() {
    let names = (release("http://release/1"), software_type("default"), computer("COMP-1"));
    let pairs = |pairs: &[(&str, &str)]| of_dimensions(pairs).dimensions;
    let group = pairs(&[("rack", "1"), ("zone", "eu")]);
    let grouped = Matched { region: Some("europe"), dimensions: &group, ..matched(&names) };
    let rows = [
        (of_region("europe"), true, false),
        (of_region("eur"), false, false),
        (of_region("Europe"), false, false),
        (of_dimensions(&[("zone", "eu")]), true, false),
        (of_dimensions(&[("zone", "eu"), ("rack", "1")]), true, false),
        (of_dimensions(&[("zone", "us")]), false, false),
        // A dimension that an event lacks is empty in its group, and no group at all has none.
        (of_dimensions(&[("host", "")]), false, false),
        (Match::default(), true, true),
        (Match { region: Some("europe".into()), ..of_dimensions(&[("zone", "us")]) }, false, false),
    ];
    for (matching, with, without) in rows {
        assert_eq!(matching.covers(grouped), with, "{matching:?}");
        assert_eq!(matching.covers(matched(&names)), without, "{matching:?} of nowhere");
    }
    assert_eq!(Match { region: Some("eu".into()), dimensions: group, ..of_customer(1) }.members(), 4);
}

#[test]
fn subjects_are_listed_once() {
    let cpu = resource("cpu");
    let of = Of::Resource(cpu.clone());
    let rates = vec![
        minimum(of.clone(), Match::default()),
        per_unit("cpu", Match::default()),
        fee(Match::default()),
        per_unit("cpu", of_customer(2)),
        percentage("1", Of::All, Match::default()),
    ];
    let expected = [
        RateSubject::Fee(""),
        RateSubject::Resource(&cpu),
        RateSubject::Percentage(&Of::All),
        RateSubject::Minimum(&of),
    ];
    assert_eq!(PriceBook { rates, ..book() }.subjects(), expected);
}

#[test]
fn two_books_in_one_currency_are_for_different_customers() {
    let name = |name: &str| PriceBookName::new(name).expect(name);
    let of = |book_name: &str, customers: &[Option<u64>]| {
        let matching = |customer: &Option<u64>| customer.map_or_else(Match::default, of_customer);
        let rates = customers.iter().map(|customer| fee(matching(customer))).collect();
        PriceBook { name: name(book_name), rates, ..book() }
    };
    let refused = |other: &str| PricingRefusal::SameCustomers { other: name(other), currency: Currency::EUR };
    let dollars = PriceBook { currency: "USD".parse().expect("a currency"), ..of("dollars", &[None]) };
    let given = Given::nothing()
        .done(publish(of("two", &[Some(2)])))
        .done(publish(of("three", &[Some(3), Some(4)])))
        .when(publish(of("four", &[Some(4)])))
        .refused(refused("three"))
        .when(publish(of("all", &[Some(9), None])))
        .refused(refused("three"))
        .done(publish(dollars))
        // A version that adds a customer of another book is refused as a new book is.
        .when(publish(of("two", &[Some(2), Some(3)])))
        .refused(refused("three"))
        .done(publish(of("two", &[Some(2), Some(5)])));
    assert_eq!(given.project().price_books.names().count(), 3);
}

/// Each rule is checked before the state of things, and the size before each rule.
#[test]
fn refusals_in_order() {
    let usd = PriceBook { currency: "USD".parse().expect("a currency"), ..book() };
    let many = (0..200).map(|n| fee(of_release(&format!("http://release/{n}/{}", "x".repeat(500)))));
    let large =
        PriceBook { rates: many.collect(), resources: vec![gauge("cpu"), gauge("cpu")], ..usd.clone() };
    let mut given = Given::nothing()
        .done(publish(book()))
        .when(publish(large))
        .refused(PricingRefusal::TooLarge { max: 60_000 })
        .when(publish(PriceBook { rates: vec![], ..usd.clone() }))
        .refused(PricingRefusal::NoRates);
    // One with all that can be wrong, put right one after the other.
    let cpu = || resource("cpu");
    let nothing = Conversion { multiply: 0, divide: 0 };
    let twice = vec!["zone".into(), "zone".into()];
    let mut wrong = PriceBook {
        resources: vec![Resource {
            kind: ResourceKind::Counter,
            meter: Meter::Percentile { percent: 0, sample_minutes: 7 },
            unit: "".into(),
            conversion: nothing,
            group_by: twice,
            ..gauge("cpu")
        }],
        rates: vec![
            per_unit("memory", of_dimensions(&[("rack", "1"), ("rack", "1")])),
            per_unit("cpu", Match::default()),
        ],
        ..usd.clone()
    };
    let mut refuse = |book: &PriceBook, refusal: PricingRefusal| {
        let now = std::mem::replace(&mut given, Given::nothing());
        given = now.when(publish(book.clone())).refused(refusal);
    };
    refuse(&wrong, PricingRefusal::MeterDoesNotFit { resource: cpu() });
    wrong.resources[0].kind = ResourceKind::Gauge;
    refuse(&wrong, PricingRefusal::BadMeter { resource: cpu(), rule: "percent must be from 1 to 100" });
    wrong.resources[0].meter = Meter::Percentile { percent: 95, sample_minutes: 7 };
    let rule = "sample_minutes must divide a day of 1440";
    refuse(&wrong, PricingRefusal::BadMeter { resource: cpu(), rule });
    wrong.resources[0].meter = Meter::TimeIntegral;
    refuse(&wrong, PricingRefusal::BadUnit { resource: cpu() });
    wrong.resources[0].unit = "percent_hour".into();
    refuse(&wrong, PricingRefusal::BadConversion { resource: cpu() });
    wrong.resources[0].conversion = Conversion::NONE;
    refuse(&wrong, PricingRefusal::BadGroups { resource: cpu() });
    wrong.resources[0].group_by = vec!["zone".into()];
    refuse(&wrong, PricingRefusal::UndeclaredResource { rate: 1, resource: resource("memory") });
    wrong.rates[0].model = usage("cpu", "-1", Tariff::Graduated { tiers: vec![] });
    let bad = |field, rule| PricingRefusal::BadRate { rate: 1, field, rule };
    refuse(&wrong, bad("free", "must not be negative"));
    wrong.rates[0].model = usage("cpu", "0", Tariff::Graduated { tiers: vec![] });
    refuse(&wrong, bad("tiers", "must not be empty"));
    wrong.rates[0].model = usage("cpu", "0", Tariff::PerUnit { price: price("1") });
    refuse(&wrong, bad("match", "may name those dimensions alone by which the resource groups"));
    wrong.rates[0].matching = of_dimensions(&[("zone", "eu"), ("zone", "eu")]);
    refuse(&wrong, bad("match", "names a dimension twice"));
    wrong.rates[0].matching = Match::default();
    refuse(&wrong, PricingRefusal::Tie { one: 1, other: 2 });
    wrong.rates.pop();
    refuse(&wrong, PricingRefusal::OtherCurrency { name: book().name, known: Currency::EUR });
}
