//! Any book that may be published is shown as a text that reads as the same book, in both forms.

use proptest::prelude::*;
use proptest::sample::select;
use slapledger_core::domain::id::{PartyId, PriceBookName, ResourceId};
use slapledger_core::domain::instance::{InstanceType, RequestedState};
use slapledger_core::domain::money::{Price, Rounding};
use slapledger_core::domain::pricing::{
    Anchor, BaseFeeTime, CapPer, Conversion, DiscountLimits, Every, FeeEnd, FeeProration, FeeTerms,
    InvoiceTerms, Match, Meter, Model, Of, OnChange, OnTaxChange, Per, PriceBook, PriceTax, Proration, Rate,
    Reduction, Resource, ResourceKind, Tariff, Tier, Trial, When, ZeroInvoices,
};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Date, Timestamp};

use crate::price_book::{PriceBookShown, parse_json, parse_toml, to_toml};

/// Resources are taken by number from those that are declared; a text may hold what either form has to escape.
fn word() -> impl Strategy<Value = Box<str>> {
    "[ -~é\u{2028}]{1,12}".prop_map(Into::into)
}

fn price() -> impl Strategy<Value = Price> {
    let all = prop_oneof![Just(0), 0..10_i128.pow(18), (0..100_i128).prop_map(|whole| whole * 1_000_000_000)];
    all.prop_map(|billionths| Price::from_billionths(billionths).expect("in range"))
}

fn quantity(least: i128) -> impl Strategy<Value = Quantity> {
    let all = prop_oneof![least..10_i128.pow(24), least..2_000_000_000];
    all.prop_map(|billionths| Quantity::from_billionths(billionths).expect("in range"))
}

fn meter() -> impl Strategy<Value = (ResourceKind, Meter)> {
    use ResourceKind::{Counter, Gauge};
    let minutes = (0..=1440_u16)
        .prop_filter("divides a day", |minutes| 1440_u16.checked_rem(*minutes).is_some_and(|rest| rest == 0));
    let percentile = (1..=100_u8, select(vec![1, 5, 15, 60, 1440]), minutes, any::<bool>());
    prop_oneof![
        Just((Counter, Meter::Sum)),
        Just((Gauge, Meter::TimeIntegral)),
        Just((Counter, Meter::Count)),
        Just((Gauge, Meter::Count)),
        Just((Gauge, Meter::Min)),
        Just((Gauge, Meter::Max)),
        Just((Gauge, Meter::Average)),
        Just((Gauge, Meter::Latest)),
        word().prop_map(|dimension| (Counter, Meter::UniqueCount { dimension })),
        percentile.prop_map(|(percent, usual, minutes, is_usual)| {
            let sample_minutes = if is_usual { usual } else { minutes };
            (Gauge, Meter::Percentile { percent, sample_minutes })
        }),
    ]
}

fn resource() -> impl Strategy<Value = Resource> {
    let factor = || prop_oneof![Just(1), 1..=1_000_000_000_000_u64];
    let groups = prop::collection::btree_set(word(), 0..4);
    let most = prop::option::of(quantity(1));
    (word(), meter(), word(), (factor(), factor()), groups, (most, any::<bool>())).prop_map(
        |(name, (kind, meter), unit, (multiply, divide), groups, (most, carried))| Resource {
            carry_over: carried
                && kind == ResourceKind::Gauge
                && !matches!(meter, Meter::Count | Meter::UniqueCount { .. }),
            most: most.filter(|_| !matches!(meter, Meter::Count | Meter::UniqueCount { .. })),
            resource: ResourceId::new(&name).expect("printable"),
            kind,
            meter,
            unit,
            conversion: Conversion { multiply, divide },
            group_by: groups.into_iter().rev().collect(),
        },
    )
}

fn tiers() -> impl Strategy<Value = Vec<Tier>> {
    let bounds = prop::collection::btree_set(quantity(1), 0..4);
    (bounds, prop::collection::vec((price(), price()), 5)).prop_map(|(bounds, prices)| {
        let bounds = bounds.into_iter().map(Some).chain([None]);
        bounds.zip(prices).map(|(up_to, (price, flat))| Tier { up_to, price, flat }).collect()
    })
}

fn tariff() -> impl Strategy<Value = Tariff> {
    prop_oneof![
        price().prop_map(|price| Tariff::PerUnit { price }),
        tiers().prop_map(|tiers| Tariff::Graduated { tiers }),
        tiers().prop_map(|tiers| Tariff::Volume { tiers }),
        (quantity(1), price()).prop_map(|(size, price)| Tariff::Package { size, price }),
    ]
}

fn terms() -> impl Strategy<Value = FeeTerms> {
    let day = (-700_000..2_900_000_i64)
        .prop_map(|days| Anchor::Day(Date::epoch().plus_days(days).expect("in the years 1 to 9999")));
    let anchor = prop_oneof![3 => Just(Anchor::Calendar), 1 => Just(Anchor::Anniversary), 1 => day];
    let proration = select(vec![FeeProration::Time, FeeProration::Time, FeeProration::Whole]);
    let per = select(vec![Per::Instance, Per::Instance, Per::Customer]);
    (per, anchor, proration).prop_map(|(per, anchor, proration)| FeeTerms { per, anchor, proration })
}

/// Hours and days have no anchor.
fn anchored(every: Every, terms: FeeTerms) -> FeeTerms {
    let short = matches!(every, Every::Hour | Every::Day);
    if short { FeeTerms { anchor: Anchor::Calendar, ..terms } } else { terms }
}

/// What a rate is the price of; a resource by number.
fn model() -> impl Strategy<Value = (Model, usize)> {
    let resource = || ResourceId::new("to be chosen").expect("printable");
    let of = move || {
        prop_oneof![Just(Of::All), Just(Of::Recurring), Just(Of::Usage), Just(Of::Resource(resource()))]
    };
    let every = || {
        let short = select(vec![Every::Hour, Every::Day]);
        prop_oneof![short, select(vec![Every::Week, Every::Month, Every::Quarter, Every::Year])]
    };
    let item = || prop_oneof![Just("".into()), word()];
    let recurring = (item(), price(), (every(), terms()), any::<[bool; 2]>()).prop_map(
        |(item, price, (every, terms), [advance, late])| {
            let terms = anchored(every, terms);
            let usual = every == Every::Month && terms == FeeTerms::default();
            let when = if advance && usual { When::Advance } else { When::Arrears };
            let until = if late { FeeEnd::Destroyed } else { FeeEnd::DestroyRequested };
            Model::Recurring { item, price, every, when, until, terms }
        },
    );
    let owed = select(vec![BaseFeeTime::Allocated, BaseFeeTime::Always]);
    let base_fee = (item(), price(), every(), terms(), owed).prop_map(|(item, price, every, terms, owed)| {
        let terms = FeeTerms { per: Per::Instance, ..anchored(every, terms) };
        Model::BaseFee { item, price, every, terms, owed }
    });
    let per = select(vec![Per::Instance, Per::Customer]);
    let free = prop_oneof![Just(Quantity::ZERO), quantity(0)];
    let usage = (per, free, tariff()).prop_map(move |(per, free, tariff)| Model::Usage {
        resource: resource(),
        per,
        free,
        tariff,
    });
    let percent = (1..1_000_000_000_000_i128)
        .prop_map(|billionths| Quantity::from_billionths(billionths).expect("in range"));
    let percentage = (percent, of()).prop_map(|(percent, of)| Model::Percentage { percent, of });
    let proration = select(vec![Proration::Allocated, Proration::None]);
    let minimum =
        (price(), of(), proration).prop_map(|(price, of, proration)| Model::Minimum { price, of, proration });
    let per = select(vec![CapPer::Line, CapPer::Instance, CapPer::Customer]);
    let proration = select(vec![Proration::Allocated, Proration::None]);
    let maximum = (price(), of(), per, proration).prop_map(|(price, of, per, proration)| Model::Maximum {
        price,
        of,
        per,
        proration,
    });
    let percent = (1..=100_000_000_000_i128)
        .prop_map(|billionths| Quantity::from_billionths(billionths).expect("in range"));
    let reduction = prop_oneof![
        percent.prop_map(Reduction::Percent),
        price().prop_filter("above 0", |price| price.billionths() > 0).prop_map(Reduction::Amount),
    ];
    let item = prop_oneof![Just("".into()), word()];
    let number = || prop::option::of(1..=u16::MAX);
    let until = prop::option::of(
        (0..4_000_000_000_000_000_i64).prop_map(|at| Timestamp::from_micros(at).expect("in range")),
    );
    let limits = (number(), number(), until, prop::option::of(price())).prop_map(
        |(months, invoices, until, minimum_spend)| DiscountLimits { months, invoices, until, minimum_spend },
    );
    let discount = (item, reduction, of(), any::<u16>(), prop::option::of(word()), limits).prop_map(
        |(item, reduction, of, order, code, limits)| Model::Discount {
            item,
            reduction,
            of,
            order,
            code,
            limits,
        },
    );
    let rates = prop_oneof![
        2 => recurring, 4 => usage, 1 => percentage, 1 => minimum, 2 => maximum, 2 => discount,
        1 => base_fee,
    ];
    (rates, any::<usize>())
}

fn matching() -> impl Strategy<Value = Match> {
    fn maybe<T: Clone + std::fmt::Debug + 'static>(
        of: impl Strategy<Value = T> + 'static,
    ) -> impl Strategy<Value = Option<T>> {
        prop::option::weighted(0.3, of)
    }
    let text = || maybe(word());
    let types = select(vec![InstanceType::Production, InstanceType::Testing]);
    let states = select(vec![RequestedState::Started, RequestedState::Stopped, RequestedState::Destroyed]);
    let customer = (1..1000_u64).prop_map(PartyId);
    (text(), text(), text(), text(), maybe(types), maybe(customer), maybe(states)).prop_map(
        |(release, software_type, computer, region, instance_type, customer, state)| Match {
            software_release: release.map(|text| text.parse().expect("printable")),
            software_type: software_type.map(|text| text.parse().expect("printable")),
            computer: computer.map(|text| text.parse().expect("printable")),
            instance_type,
            customer,
            region,
            state,
            dimensions: Vec::new(),
        },
    )
}

/// Only what may be published with what is there already.
fn book() -> impl Strategy<Value = PriceBook> {
    let trial = prop_oneof![(1..=u16::MAX).prop_map(Trial::Days), quantity(1).prop_map(Trial::Quantity),];
    let trial = prop::option::of(trial);
    let rate_of = (model(), matching(), prop::collection::vec(word(), 3), trial);
    let rates = prop::collection::vec(rate_of, 1..8);
    let half_up = any::<[bool; 2]>();
    let valid_from = 0..4_000_000_000_000_000_i64;
    let currency = select(vec!["EUR", "JPY", "TND"]);
    let threshold =
        prop::option::of((1..=1_000_000_u32).prop_map(|cents| format!("{}.{:02}", cents / 100, cents % 100)));
    let terms =
        (any::<[bool; 3]>(), threshold).prop_map(|([skip, inclusive, cut], threshold)| InvoiceTerms {
            tax: if inclusive { PriceTax::Inclusive } else { PriceTax::Exclusive },
            on_tax_change: if cut { OnTaxChange::Cut } else { OnTaxChange::LastInstant },
            zero_invoices: if skip { ZeroInvoices::Skip } else { ZeroInvoices::Issue },
            threshold: threshold.map(|text| text.parse().expect("a price")),
        });
    (word(), currency, valid_from, half_up, terms, prop::collection::vec(resource(), 0..4), rates).prop_map(
        |(name, currency, valid_from, [half_up, restart], terms, resources, rates)| {
            let mut book = PriceBook {
                name: PriceBookName::new(&name).expect("printable"),
                currency: currency.parse().expect("a currency"),
                valid_from: Timestamp::from_micros(valid_from).expect("in range"),
                rounding: if half_up { Rounding::HalfUp } else { Rounding::HalfEven },
                on_change: if restart && terms.on_tax_change == OnTaxChange::LastInstant {
                    OnChange::Restart
                } else {
                    OnChange::Continue
                },
                terms,
                resources: Vec::new(),
                rates: Vec::new(),
            };
            for resource in resources {
                if book.resource(&resource.resource).is_none() {
                    book.resources.push(resource);
                }
            }
            for ((model, number), matching, values, trial) in rates {
                if let Some(rate) = rate(&book, model, number, matching, values) {
                    let tried = matches!(rate.model, Model::Recurring { .. } | Model::Usage { .. });
                    book.rates.push(Rate { trial: trial.filter(|_| tried), ..rate });
                    if book.check().is_err() {
                        book.rates.pop();
                    }
                }
            }
            book
        },
    )
}

fn rate(
    book: &PriceBook,
    mut model: Model,
    number: usize,
    mut matching: Match,
    values: Vec<Box<str>>,
) -> Option<Rate> {
    let chosen = number.checked_rem(book.resources.len()).map(|at| &book.resources[at]);
    match &mut model {
        Model::Usage { resource, .. } => {
            *resource = chosen?.resource.clone();
            let mut groups = chosen?.group_by.clone();
            groups.sort_unstable();
            matching.dimensions = groups.into_iter().zip(values).take(number / 7 % 4).collect();
        }
        Model::Percentage { of, .. }
        | Model::Minimum { of, .. }
        | Model::Discount { of, .. }
        | Model::Maximum { of, .. } => {
            if let Of::Resource(resource) = of {
                *resource = chosen?.resource.clone();
            }
            if !matches!(model, Model::Maximum { per: CapPer::Line | CapPer::Instance, .. }) {
                matching = Match { customer: matching.customer, ..Match::default() };
            }
        }
        Model::BaseFee { .. } => matching = Match { customer: matching.customer, ..Match::default() },
        Model::Recurring { .. } => {}
    }
    Some(Rate { model, trial: None, matching })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_book_is_read_as_it_is_shown(book in book()) {
        prop_assume!(!book.rates.is_empty());
        prop_assert_eq!(book.check(), Ok(()));
        let shown = to_toml(&book);
        prop_assert_eq!(parse_toml(&shown), Ok(book.clone()), "{}", shown);
        let shown = serde_json::to_vec_pretty(&PriceBookShown::of(&book)).expect("it is shown");
        prop_assert_eq!(parse_json(&shown), Ok(book), "{}", String::from_utf8_lossy(&shown));
    }
}

/// A table of TOML is read sorted, an object of JSON as it was written.
#[test]
fn the_order_of_dimensions_makes_no_difference() {
    let json = |dimensions: &str| {
        let text = format!(
            r#"{{"name":"n","currency":"EUR","valid_from":"2026-01-01T00:00:00Z",
                "resources":[{{"resource":"r","kind":"counter","meter":"sum","unit":"u","group_by":["b","a"]}}],
                "rates":[{{"kind":"per_unit","resource":"r","price":"1","match":{{"dimensions":{dimensions}}}}}]}}"#
        );
        parse_json(text.as_bytes()).expect("a book")
    };
    let book = json(r#"{"b":"1","a":"2"}"#);
    assert_eq!(book, json(r#"{"a":"2","b":"1"}"#));
    assert_eq!(parse_toml(&to_toml(&book)), Ok(book));
}
