//! Prices of quantities, each worked out by hand; and against a computation that knows nothing of steps.

use proptest::prelude::*;

use super::*;

fn q(text: &str) -> Quantity {
    text.parse().expect(text)
}

fn p(text: &str) -> Price {
    text.parse().expect(text)
}

fn tier(up_to: &str, price: &str, flat: &str) -> Tier {
    Tier { up_to: Some(up_to).filter(|bound| !bound.is_empty()).map(q), price: p(price), flat: p(flat) }
}

/// 1000 at 0.002 and 1.00 once, then 4000 at 0.001 and 0.50 once, then 0.0005.
fn tiers() -> Vec<Tier> {
    vec![tier("1000", "0.002", "1.00"), tier("5000", "0.001", "0.50"), tier("", "0.0005", "0")]
}

#[track_caller]
fn check(tariff: &Tariff, rows: &[(&str, &str, &str, Option<&str>)]) {
    for (quantity, free, formula, unit_price) in rows {
        let priced = price(q(quantity), q(free), tariff).expect("few packages");
        let Priced { steps, unit_price: one, exact } = &priced;
        assert_eq!(explain(q(quantity), *one, steps), *formula, "{quantity}, {free} free");
        assert_eq!(*one, unit_price.map(p), "{quantity}, {free} free");
        let sum = formula.rsplit(" = ").next().expect("a text has parts");
        assert_eq!(exact.to_string(), sum, "{quantity}, {free} free");
    }
}

#[test]
fn per_unit() {
    let tariff = Tariff::PerUnit { price: p("0.002") };
    check(
        &tariff,
        &[
            ("0", "0", "0 x 0.002 = 0", Some("0.002")),
            ("1500", "0", "1500 x 0.002 = 3", Some("0.002")),
            ("0.000000001", "0", "0.000000001 x 0.002 = 0.000000000002", Some("0.002")),
            ("1500", "100", "100 x 0 + 1400 x 0.002 = 2.8", None),
            ("100", "100", "100 x 0 = 0", Some("0")),
            ("100.000000001", "100", "100 x 0 + 0.000000001 x 0.002 = 0.000000000002", None),
            ("7", "100", "7 x 0 = 0", Some("0")),
            ("0", "100", "0 x 0 = 0", Some("0")),
        ],
    );
    assert_eq!(price(q("1500"), Quantity::ZERO, &tariff).expect("no packages").steps, []);
}

#[test]
fn graduated_at_every_bound() {
    check(
        &Tariff::Graduated { tiers: tiers() },
        &[
            ("0", "0", "0 x 0 = 0", Some("0")),
            ("0.000000001", "0", "0.000000001 x 0.002 + flat 1 = 1.000000000002", None),
            ("999.999999999", "0", "999.999999999 x 0.002 + flat 1 = 2.999999999998", None),
            ("1000", "0", "1000 x 0.002 + flat 1 = 3", None),
            (
                "1000.000000001",
                "0",
                "1000 x 0.002 + flat 1 + 0.000000001 x 0.001 + flat 0.5 = 3.500000000001",
                None,
            ),
            ("1500", "0", "1000 x 0.002 + flat 1 + 500 x 0.001 + flat 0.5 = 4", None),
            ("5000", "0", "1000 x 0.002 + flat 1 + 4000 x 0.001 + flat 0.5 = 7.5", None),
            (
                "5000.000000001",
                "0",
                "1000 x 0.002 + flat 1 + 4000 x 0.001 + flat 0.5 + 0.000000001 x 0.0005 = 7.5000000000005",
                None,
            ),
            ("7000", "0", "1000 x 0.002 + flat 1 + 4000 x 0.001 + flat 0.5 + 2000 x 0.0005 = 8.5", None),
            // Tiers count what is left after what is free.
            ("1100", "100", "100 x 0 + 1000 x 0.002 + flat 1 = 3", None),
            ("1600", "100", "100 x 0 + 1000 x 0.002 + flat 1 + 500 x 0.001 + flat 0.5 = 4", None),
            ("100", "100", "100 x 0 = 0", Some("0")),
        ],
    );
    let steps = price(q("7000"), q("100"), &Tariff::Graduated { tiers: tiers() }).expect("no packages").steps;
    let bounds: Vec<_> = steps.iter().map(|step| step.up_to).collect();
    assert_eq!(bounds, [None, Some(q("1000")), Some(q("5000")), None]);
}

#[test]
fn volume_at_every_bound() {
    check(
        &Tariff::Volume { tiers: tiers() },
        &[
            ("0", "0", "0 x 0 = 0", Some("0")),
            ("0.000000001", "0", "0.000000001 x 0.002 + flat 1 = 1.000000000002", None),
            ("1000", "0", "1000 x 0.002 + flat 1 = 3", None),
            ("1000.000000001", "0", "1000.000000001 x 0.001 + flat 0.5 = 1.500000000001", None),
            ("5000", "0", "5000 x 0.001 + flat 0.5 = 5.5", None),
            ("5000.000000001", "0", "5000.000000001 x 0.0005 = 2.5000000000005", Some("0.0005")),
            ("1100", "100", "100 x 0 + 1000 x 0.002 + flat 1 = 3", None),
            ("1100.000000001", "100", "100 x 0 + 1000.000000001 x 0.001 + flat 0.5 = 1.500000000001", None),
            ("100", "100", "100 x 0 = 0", Some("0")),
        ],
    );
}

#[test]
fn packages_are_paid_once_begun() {
    check(
        &Tariff::Package { size: q("100"), price: p("2.50") },
        &[
            ("0", "0", "0 x 0 = 0", Some("0")),
            ("0.000000001", "0", "1 x 2.5 = 2.5", None),
            ("100", "0", "1 x 2.5 = 2.5", None),
            ("100.000000001", "0", "2 x 2.5 = 5", None),
            ("250", "0", "3 x 2.5 = 7.5", None),
            ("250", "50", "50 x 0 + 2 x 2.5 = 5", None),
            ("250.000000001", "50", "50 x 0 + 3 x 2.5 = 7.5", None),
            ("50", "50", "50 x 0 = 0", Some("0")),
        ],
    );
    let of_halves = Tariff::Package { size: q("0.5"), price: p("1") };
    check(&of_halves, &[("1.2", "0", "3 x 1 = 3", None)]);
    let of_ones = Tariff::Package { size: q("1"), price: p("2") };
    check(&of_ones, &[("3", "0", "3 x 2 = 6", Some("2")), ("2.5", "0", "3 x 2 = 6", None)]);
}

const MOST: &str = "999999999999999.999999999";
const DEAREST: &str = "999999999.999999999";

#[test]
fn nothing_is_lost_at_the_extremes() {
    let product = "999999999999999998999999.000000000000000001";
    let both = [
        Tariff::PerUnit { price: p(DEAREST) },
        Tariff::Volume { tiers: vec![tier("", DEAREST, "0")] },
        Tariff::Graduated { tiers: vec![tier("0.000000001", DEAREST, "0"), tier("", DEAREST, "0")] },
    ];
    for tariff in both {
        let priced = price(q(MOST), Quantity::ZERO, &tariff).expect("no packages");
        assert_eq!(priced.exact.to_string(), product, "{tariff:?}");
    }
    let packages = |quantity, size| {
        price(q(quantity), Quantity::ZERO, &Tariff::Package { size: q(size), price: p(DEAREST) })
    };
    assert_eq!(
        packages("999999999999999", "1").expect("they can be written").exact.to_string(),
        "999999999999998999000000.000000001"
    );
    assert_eq!(packages(MOST, MOST).map(|priced| priced.exact.to_string()), Some(DEAREST.to_owned()));
    // One more package than can be written; and as many as there can be.
    assert_eq!(packages(MOST, "1"), None);
    assert_eq!(packages(MOST, "0.000000001"), None);
}

#[test]
fn what_has_no_price_has_no_formula() {
    assert_eq!(explain(q("3"), None, &[]), "");
}

fn quantity(least: i128) -> impl Strategy<Value = Quantity> {
    let all = prop_oneof![
        least..10_i128.pow(24),
        least..100 * ONE,
        (1..100_i128).prop_map(|whole| whole * ONE),
        least..20,
    ];
    all.prop_map(|billionths| Quantity::from_billionths(billionths).expect("in range"))
}

fn a_price() -> impl Strategy<Value = Price> {
    let all = prop_oneof![0..10_i128.pow(18), 0..100 * ONE, Just(0)];
    all.prop_map(|billionths| Price::from_billionths(billionths).expect("in range"))
}

fn some_tiers() -> impl Strategy<Value = Vec<Tier>> {
    let bounds = prop::collection::btree_set(quantity(1), 0..5);
    (bounds, prop::collection::vec((a_price(), a_price()), 6)).prop_map(|(bounds, prices)| {
        let bounds = bounds.into_iter().map(Some).chain([None]);
        bounds.zip(prices).map(|(up_to, (price, flat))| Tier { up_to, price, flat }).collect()
    })
}

fn some_tariff() -> impl Strategy<Value = Tariff> {
    prop_oneof![
        a_price().prop_map(|price| Tariff::PerUnit { price }),
        some_tiers().prop_map(|tiers| Tariff::Graduated { tiers }),
        some_tiers().prop_map(|tiers| Tariff::Volume { tiers }),
        (quantity(1), a_price()).prop_map(|(size, price)| Tariff::Package { size, price }),
    ]
}

/// Attos above 10^38 pass 128 bits: whole units and attos, carried by hand.
fn naive_sum(products: &[(i128, i128)]) -> String {
    const LIMB: i128 = 1_000_000_000;
    let limbs = |value: i128| [value % LIMB, value / LIMB % LIMB, value / LIMB / LIMB];
    let mut sum = [0_i128; 6];
    for (one, other) in products {
        for (i, a) in limbs(*one).into_iter().enumerate() {
            for (j, b) in limbs(*other).into_iter().enumerate() {
                sum[i + j] += a * b;
            }
        }
    }
    let mut carry = 0;
    for limb in &mut sum {
        let value = *limb + carry;
        (*limb, carry) = (value % LIMB, value / LIMB);
    }
    assert_eq!(carry, 0);
    let digits: Vec<String> = sum.iter().rev().map(|limb| format!("{limb:09}")).collect();
    let digits = digits.concat();
    let (whole, fraction) = digits.split_at(36);
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// The price of a quantity from the rules alone: each tier by how much of the quantity is above the one before it.
fn naive(quantity: Quantity, free: Quantity, tariff: &Tariff) -> String {
    let rest = (quantity.billionths() - free.billionths()).max(0);
    let products: Vec<(i128, i128)> = match tariff {
        _ if rest == 0 => vec![],
        Tariff::PerUnit { price } => vec![(rest, price.billionths())],
        Tariff::Package { size, price } => {
            vec![((rest + size.billionths() - 1) / size.billionths() * ONE, price.billionths())]
        }
        Tariff::Graduated { tiers } => {
            let lower =
                |at: usize| at.checked_sub(1).and_then(|at| tiers[at].up_to).map_or(0, Quantity::billionths);
            let parts = tiers.iter().enumerate().flat_map(|(at, tier)| {
                let upper = tier.up_to.map_or(i128::MAX, Quantity::billionths);
                let inside = (rest.min(upper) - lower(at)).max(0);
                let flat = if inside > 0 { ONE } else { 0 };
                [(inside, tier.price.billionths()), (flat, tier.flat.billionths())]
            });
            parts.collect()
        }
        Tariff::Volume { tiers } => {
            let at =
                tiers.iter().filter(|tier| tier.up_to.is_some_and(|bound| bound.billionths() < rest)).count();
            vec![(rest, tiers[at].price.billionths()), (ONE, tiers[at].flat.billionths())]
        }
    };
    naive_sum(&products)
}

fn exact(quantity: Quantity, free: Quantity, tariff: &Tariff) -> Exact {
    price(quantity, free, tariff).expect("no packages").exact
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_the_rules(quantity in quantity(0), free in quantity(0), tariff in some_tariff(), all in any::<bool>()) {
        let free = if all { Quantity::ZERO } else { free };
        let priced = price(quantity, free, &tariff);
        prop_assume!(priced.is_some());
        let Priced { steps, unit_price, exact } = priced.expect("assumed");
        prop_assert_eq!(exact.to_string(), naive(quantity, free, &tariff));
        // What the domain checks of a line.
        let by_steps: Exact = steps.iter().map(cost).sum();
        match unit_price {
            Some(unit_price) => prop_assert_eq!(exact, Exact::product(quantity, unit_price)),
            None => prop_assert!(!steps.is_empty()),
        }
        prop_assert!(steps.is_empty() || by_steps == exact);
        let parts: i128 = steps.iter().map(|step| step.quantity.billionths()).sum();
        let whole = steps.is_empty() || parts == quantity.billionths();
        prop_assert!(whole || matches!(tariff, Tariff::Package { .. }), "{quantity}");
        prop_assert!(steps.iter().all(|step| step.quantity > Quantity::ZERO));
        if free >= quantity && free > Quantity::ZERO {
            prop_assert_eq!(exact, Exact::ZERO);
        }
    }

    #[test]
    fn more_never_costs_less(one in quantity(0), other in quantity(0), free in quantity(0), tiers in some_tiers(),
                             package in (quantity(1), a_price())) {
        let (less, more) = (one.min(other), one.max(other));
        for tariff in [Tariff::Graduated { tiers }, Tariff::Package { size: package.0, price: package.1 }] {
            for free in [Quantity::ZERO, free] {
                let cost = |quantity| price(quantity, free, &tariff).map(|priced| priced.exact);
                if let (Some(less), Some(more)) = (cost(less), cost(more)) {
                    prop_assert!(less <= more);
                }
            }
        }
    }

    /// One billionth more costs a billionth of the price of its tier, but for the flat of a tier that begins with it.
    #[test]
    fn graduated_prices_do_not_jump(
        quantity in quantity(0), tiers in some_tiers(), at in any::<prop::sample::Index>(), bound in any::<bool>(),
    ) {
        let mut tiers = tiers;
        for tier in &mut tiers {
            tier.flat = nothing();
        }
        let bounds: Vec<Quantity> = tiers.iter().filter_map(|tier| tier.up_to).collect();
        let quantity = if bound && !bounds.is_empty() { *at.get(&bounds) } else { quantity };
        let Some(more) = Quantity::from_billionths(quantity.billionths() + 1) else { return Ok(()) };
        let tariff = Tariff::Graduated { tiers: tiers.clone() };
        let step = exact(more, Quantity::ZERO, &tariff).minus(exact(quantity, Quantity::ZERO, &tariff));
        let tier = tiers.iter().find(|tier| tier.up_to.is_none_or(|bound| more <= bound)).expect("the last");
        prop_assert_eq!(step, Exact::product(Quantity::from_billionths(1).expect("in range"), tier.price));
    }

    #[test]
    fn tiers_that_make_no_difference_make_none(
        quantity in quantity(0), free in quantity(0), price in a_price(), mut tiers in some_tiers(),
    ) {
        for tier in &mut tiers {
            (tier.price, tier.flat) = (price, nothing());
        }
        let one = vec![Tier { up_to: None, price, flat: nothing() }];
        for free in [Quantity::ZERO, free] {
            let expected = exact(quantity, free, &Tariff::PerUnit { price });
            for tiers in [one.clone(), tiers.clone()] {
                prop_assert_eq!(exact(quantity, free, &Tariff::Graduated { tiers: tiers.clone() }), expected);
                prop_assert_eq!(exact(quantity, free, &Tariff::Volume { tiers }), expected);
            }
        }
    }
}
