//! The model: what everything costs if it is rated once, in whole cents and hours, and what was given or charged by hand.

use std::collections::BTreeMap;

/// What a line of an invoice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Usage of an instance in a month.
    Usage(usize, usize),
    /// Seats of an instance in a month.
    Seats(usize, usize),
    /// The percentage of a month.
    Percent(usize),
    /// The fee of a month, charged before it.
    Advance(usize),
    /// The fee of a month, charged after it.
    Cost(usize),
    /// The hours of all instances in a month; or the weeks of the customer that begin in it.
    Fee(usize, bool),
    /// A charge by hand.
    Charge(usize),
}

/// What was given of a line by hand: by a credit note, or by a part of a charge that corrects it.
#[derive(Debug, Clone)]
struct Credit {
    /// The document of the line.
    document: String,
    key: Key,
    cents: i64,
    /// The document that has the part of the charge.
    on: Option<String>,
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
    /// The quantity of each report, by month and instance, and whether it is of a trial.
    reports: Vec<(usize, usize, i64, bool)>,
    /// Of each report of seats, by its place among all: instance, hour, seats, and when it was said last.
    seats: BTreeMap<usize, (usize, i64, i64, usize)>,
    said: usize,
    credits: Vec<Credit>,
    charges: Vec<Charge>,
    /// Whether the prices are the further ones.
    further: bool,
    /// The month in which the code of a discount was redeemed.
    redeemed: Option<usize>,
}

/// By further prices, requests cost nothing in the 20 days after 20 September, when the instances were allocated.
const TRIAL_ENDS: i64 = 9 * 24;

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
    pub(super) fn new(further: bool) -> Self {
        Self { fees: [vec![(-1, 3000)], vec![(-1, 3000)]], further, ..Self::default() }
    }

    /// The customer has the code of a discount from a month on; false, if there is none or they have it.
    pub(super) fn redeem(&mut self, month: usize) -> bool {
        let first = self.further && self.redeemed.is_none();
        if first {
            self.redeemed = Some(month);
        }
        first
    }

    pub(super) fn fee(&self, instance: usize) -> i64 {
        self.fees[instance].last().map_or(0, |(_, cents)| *cents)
    }

    pub(super) fn change(&mut self, instance: usize, at: i64, cents: i64) {
        self.fees[instance].push((at, cents));
    }

    /// An instance used something from an hour on.
    pub(super) fn used(&mut self, (month, hour): (usize, i64), instance: usize, quantity: i64) -> usize {
        self.reports.push((month, instance, quantity, self.further && hour < TRIAL_ENDS));
        self.reports.len() - 1
    }

    /// An instance has so many seats from an hour on.
    pub(super) fn seats(&mut self, instance: usize, seats: i64, hour: i64) -> usize {
        self.said += 1;
        let report = self.used((0, 0), instance, 0);
        self.seats.insert(report, (instance, hour, seats, self.said));
        report
    }

    pub(super) fn is_of_seats(&self, report: usize) -> bool {
        self.seats.contains_key(&report)
    }

    pub(super) fn replaced(&mut self, report: usize, quantity: i64) {
        self.said += 1;
        match self.seats.get_mut(&report) {
            Some(known) => (known.2, known.3) = (quantity, self.said),
            None => self.reports[report].2 = quantity,
        }
    }

    pub(super) fn credited(&mut self, document: &str, key: Key, cents: i64) {
        self.credits.push(Credit { document: document.to_owned(), key, cents, on: None });
    }

    /// A document has a part of a charge, which takes so much of a line of another: that is credited, and the charge is less.
    pub(super) fn corrected(
        &mut self,
        (charge, on): (usize, &str),
        (document, key): (&str, Key),
        cents: i64,
    ) {
        self.charges[charge].cents += cents;
        let on = Some(on.to_owned());
        self.credits.push(Credit { document: document.to_owned(), key, cents, on });
    }

    /// A correction charges something; `gone`, if what it corrects is void already.
    pub(super) fn charged(&mut self, (document, key): (&str, Key), cents: i64, gone: bool) {
        let (mut about, mut months, mut gone) = (vec![document.to_owned()], Vec::new(), gone);
        match key {
            Key::Usage(month, _) | Key::Seats(month, _) | Key::Percent(month) | Key::Fee(month, _) => {
                months.push(month);
            }
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
                Key::Usage(of, _) | Key::Seats(of, _) | Key::Percent(of) | Key::Fee(of, _) => of == month,
                _ => false,
            };
            credit.document != document && credit.on.as_deref() != Some(document) && !of_month
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
            let seats = [0, 1].map(|instance| self.seats_in(month, instance));
            // At most 9.00 for the requests of each; ten percent of what is left, a fifth off it, and at most 25.00 for all.
            let capped = usage.map(|used| used.min(900));
            let all = capped[0] + capped[1] + seats[0] + seats[1];
            let percent = half_up(all, 10);
            let off =
                (usage[0] + usage[1] - capped[0] - capped[1]) + (all - self.discounted(month, all).min(2500));
            let fees: i64 = [0, 1].map(|instance| self.cost(month, instance)).iter().sum();
            let used: i64 = (0..2).map(|n| kept(usage[n], Key::Usage(month, n))).sum();
            let used = used + (0..2).map(|n| kept(seats[n], Key::Seats(month, n))).sum::<i64>();
            let weeks = kept(self.weeks(month), Key::Fee(month, true));
            let hours = kept(self.hours(month), Key::Fee(month, false));
            used + kept(percent, Key::Percent(month)) + fees + hours + weeks
                - off
                - credited(Key::Cost(month))
                - credited(Key::Advance(month))
        });
        let advance: i64 = [0, 1].map(|instance| self.advance(until, instance)).iter().sum();
        let charges = self.charges.iter().enumerate();
        let charges = charges.filter(|(_, charge)| !charge.gone && charge.on.is_some());
        let charges: i64 = charges.map(|(n, charge)| charge.cents - credited(Key::Charge(n))).sum();
        months.sum::<i64>() + advance - credited(Key::Advance(until)) + charges
    }

    /// What discounts leave of usage: a fifth off; of further prices then 2.00, and half for whoever has the code.
    fn discounted(&self, month: usize, all: i64) -> i64 {
        let left = all - half_up(all, 5);
        if !self.further {
            return left;
        }
        let left = left - left.min(200);
        if self.redeemed.is_some_and(|redeemed| redeemed <= month) { left - half_up(left, 2) } else { left }
    }

    /// 0.37 for each unit after the first ten, and nothing in a trial; by a price of the customer 0.20 from January on.
    fn usage(&self, month: usize, instance: usize) -> i64 {
        let of = self.reports.iter().filter(|(of, by, _, trial)| (*of, *by) == (month, instance) && !trial);
        let quantity: i64 = of.map(|(_, _, quantity, _)| quantity).sum();
        let price = if self.further && month >= 3 { 20 } else { 37 };
        price * (quantity - 10).max(0)
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

    /// A cent for each seat and hour: those that were reported for the hour, else those that were reported last for an hour
    /// before, until the instance ends.
    fn seats_in(&self, month: usize, instance: usize) -> i64 {
        if !self.further {
            return self.seat_hours(month, instance);
        }
        // The first 500 of each instance cost nothing.
        let before: i64 = (0..month).map(|month| self.seat_hours(month, instance)).sum();
        let until = before + self.seat_hours(month, instance);
        (until - 500).max(0) - (before - 500).max(0)
    }

    fn seat_hours(&self, month: usize, instance: usize) -> i64 {
        let until = self.ended[instance].unwrap_or(i64::MAX).min(start(month + 1));
        let own: Vec<_> = self.seats.values().filter(|(of, ..)| *of == instance).collect();
        let mut sum = 0;
        for hour in start(month)..until {
            let now: Vec<i64> =
                own.iter().filter(|(_, at, ..)| *at == hour).map(|(.., seats, _)| *seats).collect();
            let before =
                own.iter().filter(|(_, at, ..)| *at < hour).max_by_key(|(_, at, _, said)| (*at, *said));
            sum += if now.is_empty() { before.map_or(0, |(.., seats, _)| *seats) } else { now.iter().sum() };
        }
        sum
    }

    /// Half a cent for each hour of any instance, rounded once; by a price of the customer a cent from December on.
    fn hours(&self, month: usize) -> i64 {
        let (from, until) = (start(month), start(month + 1));
        let there = |ended: &Option<i64>| ended.map_or(until, |ended| ended.min(until)) - from;
        let hours: i64 = self.ended.iter().map(|ended| there(ended).max(0)).sum();
        if self.further && month >= 2 { hours } else { half_up(hours, 2) }
    }

    /// 5.00 for each week that begins in a month while there is an instance; the first begins on 20 September.
    fn weeks(&self, month: usize) -> i64 {
        let last = self.ended.iter().map(|ended| ended.unwrap_or(i64::MAX)).max().unwrap_or(0);
        let times = start(month)..start(month + 1);
        let begin = (0..60).map(|week| 7 * 24 * week - 11 * 24);
        500 * i64::try_from(begin.filter(|at| times.contains(at) && *at < last).count()).unwrap_or(0)
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
