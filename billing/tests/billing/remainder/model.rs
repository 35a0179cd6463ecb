//! The model: what everything costs if it is rated once, in whole cents and hours, and what was given or charged by hand.

use std::collections::BTreeMap;

/// What a line of an invoice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Usage of an instance in a month.
    Usage(usize, usize),
    /// The percentage of a month.
    Percent(usize),
    /// The fee of a month, charged before it.
    Advance(usize),
    /// The fee of a month, charged after it.
    Cost(usize),
    /// A charge by hand.
    Charge(usize),
}

/// What was credited by hand.
#[derive(Debug, Clone)]
struct Credit {
    document: String,
    key: Key,
    cents: i64,
}

/// What a correction charged.
#[derive(Debug, Clone)]
struct Charge {
    cents: i64,
    /// The documents that take it with them when they are void: those of the lines it corrects.
    about: Vec<String>,
    /// The months whose void takes it along.
    months: Vec<usize>,
    /// The document it is on.
    on: Option<String>,
    gone: bool,
}

/// What happened, as far as it is about money. Times are in hours since the first of October 2026.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// When the fee of each instance changed, and to how many cents.
    fees: [Vec<(i64, i64)>; 2],
    pub(super) ended: [Option<i64>; 2],
    /// The quantity of each report, by month and instance.
    reports: Vec<(usize, usize, i64)>,
    credits: Vec<Credit>,
    charges: Vec<Charge>,
}

/// October 2026, and the months after it.
const HOURS: [i64; 9] = [744, 720, 744, 744, 672, 744, 720, 744, 720];

/// When a month begins.
pub(super) fn start(month: usize) -> i64 {
    HOURS[..month].iter().sum()
}

fn half_up(numerator: i64, denominator: i64) -> i64 {
    (2 * numerator + denominator).div_euclid(2 * denominator)
}

impl Model {
    pub(super) fn new() -> Self {
        Self { fees: [vec![(-1, 3000)], vec![(-1, 3000)]], ..Self::default() }
    }

    pub(super) fn fee(&self, instance: usize) -> i64 {
        self.fees[instance].last().map_or(0, |(_, cents)| *cents)
    }

    pub(super) fn change(&mut self, instance: usize, at: i64, cents: i64) {
        self.fees[instance].push((at, cents));
    }

    pub(super) fn used(&mut self, month: usize, instance: usize, quantity: i64) -> usize {
        self.reports.push((month, instance, quantity));
        self.reports.len() - 1
    }

    pub(super) fn replaced(&mut self, report: usize, quantity: i64) {
        self.reports[report].2 = quantity;
    }

    pub(super) fn credited(&mut self, document: &str, key: Key, cents: i64) {
        match key {
            Key::Charge(charge) => self.charges[charge].cents -= cents,
            _ => self.credits.push(Credit { document: document.to_owned(), key, cents }),
        }
    }

    /// A correction charges something; `gone`, if what it corrects is void already.
    pub(super) fn charged(&mut self, (document, key): (&str, Key), cents: i64, gone: bool) {
        let (mut about, mut months, mut gone) = (vec![document.to_owned()], Vec::new(), gone);
        match key {
            Key::Usage(month, _) | Key::Percent(month) => months.push(month),
            Key::Charge(charge) => {
                about.extend(self.charges[charge].about.iter().cloned());
                months.extend(&self.charges[charge].months);
                gone |= self.charges[charge].gone;
            }
            Key::Advance(_) | Key::Cost(_) => {}
        }
        self.charges.push(Charge { cents, about, months, on: None, gone });
    }

    /// A document has a charge.
    pub(super) fn invoiced(&mut self, charge: usize, document: &str) {
        self.charges[charge].on = Some(document.to_owned());
    }

    /// A run settles the fees of its month: what was credited of them before is charged again.
    pub(super) fn settled(&mut self, month: usize) {
        self.credits.retain(|credit| credit.key != Key::Advance(month));
    }

    /// The document of a month is void, and all that was done by hand about it.
    pub(super) fn void(&mut self, document: &str, month: usize) {
        self.credits.retain(|credit| {
            let of_month = match credit.key {
                Key::Usage(of, _) | Key::Percent(of) => of == month,
                _ => false,
            };
            credit.document != document && !of_month
        });
        for charge in &mut self.charges {
            let about = charge.about.iter().any(|about| about == document) || charge.months.contains(&month);
            charge.gone |= about || charge.on.as_deref() == Some(document);
        }
    }

    /// What is charged in all when every month before one is invoiced and nothing is late.
    pub(super) fn expected(&self, until: usize) -> i64 {
        let mut credits: BTreeMap<Key, i64> = BTreeMap::new();
        for credit in &self.credits {
            *credits.entry(credit.key).or_default() += credit.cents;
        }
        let credited = |key: Key| credits.get(&key).copied().unwrap_or(0);
        // What is rated again keeps no more of what was credited than it comes to.
        let kept = |rated: i64, key: Key| rated - credited(key).clamp(0, rated);
        let months = (0..until).map(|month| {
            let usage = [0, 1].map(|instance| self.usage(month, instance));
            let percent = half_up(usage[0] + usage[1], 10);
            let fees: i64 = [0, 1].map(|instance| self.cost(month, instance)).iter().sum();
            let used: i64 = (0..2).map(|n| kept(usage[n], Key::Usage(month, n))).sum();
            used + kept(percent, Key::Percent(month)) + fees
                - credited(Key::Cost(month))
                - credited(Key::Advance(month))
        });
        let advance: i64 = [0, 1].map(|instance| self.advance(until, instance)).iter().sum();
        let charges = self.charges.iter().filter(|charge| !charge.gone && charge.on.is_some());
        let charges: i64 = charges.map(|charge| charge.cents).sum();
        months.sum::<i64>() + advance - credited(Key::Advance(until)) + charges
    }

    /// 0.37 for each unit after the first ten.
    fn usage(&self, month: usize, instance: usize) -> i64 {
        let of = self.reports.iter().filter(|(of, by, _)| (*of, *by) == (month, instance));
        let quantity: i64 = of.map(|(.., quantity)| quantity).sum();
        37 * (quantity - 10).max(0)
    }

    /// The fee of each part of a month in which it did not change: a fraction of nine digits, then cents.
    fn cost(&self, month: usize, instance: usize) -> i64 {
        let (from, until) = (start(month), start(month + 1));
        let until = self.ended[instance].map_or(until, |ended| ended.min(until));
        let changes = &self.fees[instance];
        let stops = changes.iter().skip(1).map(|(at, _)| *at).chain([i64::MAX]);
        let parts = changes.iter().zip(stops).map(|((at, cents), stop)| {
            let hours = stop.min(until) - (*at).max(from);
            let quantity = half_up(hours.max(0) * 1_000_000_000, HOURS[month]);
            half_up(quantity * cents, 1_000_000_000)
        });
        parts.sum()
    }

    /// The whole fee of a month, if it is there when it begins.
    fn advance(&self, month: usize, instance: usize) -> i64 {
        let at = start(month);
        if self.ended[instance].is_some_and(|ended| ended <= at) {
            return 0;
        }
        let known = self.fees[instance].iter().rfind(|(since, _)| *since <= at);
        known.map_or(0, |(_, cents)| *cents)
    }
}
