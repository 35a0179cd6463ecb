//! How many groups the usage of an instance has in a month.
//!
//! A price book may group usage by dimensions, and each combination of their values is a line of its own. A sender that
//! puts what is never the same into such a dimension would make lines without end, so what would be one more than are
//! allowed is suspended, and its sender is told. Grouped is by what the newest version of each price book says when the
//! usage comes; usage that nobody groups is not counted. Months are those of UTC, by the start of the usage.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;

use bincode::{Decode, Encode};
use chrono::Datelike;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::{Attribution, Usage};
use crate::domain::id::{InstanceId, ResourceId};
use crate::domain::pricing::PriceBooks;
use crate::domain::time::Timestamp;

/// How many groups an instance may have of a resource in a month, if nothing else is said.
pub const MOST_GROUPS: usize = 10_000;
/// For how many months groups are remembered, up to the newest month of an instance.
const MONTHS: i32 = 24;
/// Of how many older months and resources of an instance late usage is remembered.
const MOST_LATE: usize = 64;

/// The months since the year 0.
type MonthNumber = i32;

/// A group, by a digest of its values.
pub(super) type GroupDigest = u64;

/// The groups of a month and resource.
type Groups = BTreeMap<(MonthNumber, ResourceId), BTreeSet<GroupDigest>>;

/// The groups of each instance.
#[derive(Debug, Clone, Default, Encode, Decode)]
pub(super) struct UsageGroups {
    by_instance: BTreeMap<InstanceId, GroupsOfInstance>,
}

/// The groups of an instance. Months that are long ago are forgotten, so that memory is bounded. What comes late for
/// such a month is counted anew and never forgotten: otherwise it could be in any number of groups.
#[derive(Debug, Clone, Default, Encode, Decode)]
struct GroupsOfInstance {
    recent: Groups,
    late: Groups,
}

impl GroupsOfInstance {
    fn newest(&self) -> Option<MonthNumber> {
        self.recent.last_key_value().map(|((month, _), _)| *month)
    }

    fn add(&mut self, month: MonthNumber, resource: &ResourceId, group: GroupDigest) {
        let newest = self.newest().map_or(month, |newest| newest.max(month));
        if is_late(month, Some(newest)) {
            self.late.entry((month, resource.clone())).or_default().insert(group);
            return;
        }
        self.recent.entry((month, resource.clone())).or_default().insert(group);
        self.recent.retain(|(month, _), _| !is_late(*month, Some(newest)));
    }
}

/// Whether a month is too long before the newest one to be remembered.
fn is_late(month: MonthNumber, newest: Option<MonthNumber>) -> bool {
    newest.is_some_and(|newest| month <= newest - MONTHS)
}

impl UsageGroups {
    /// The groups of an instance in a month.
    fn of(
        &self,
        instance: InstanceId,
        month: MonthNumber,
        resource: &ResourceId,
    ) -> impl Iterator<Item = &BTreeSet<GroupDigest>> {
        let known = self.by_instance.get(&instance);
        let key = (month, resource.clone());
        let both = known.map(|known| [&known.recent, &known.late]).into_iter().flatten();
        both.filter_map(move |groups| groups.get(&key))
    }

    /// Notes the group of usage.
    pub(super) fn add(&mut self, usage: &Usage, group: GroupDigest) {
        let month = month_of(usage.period.start);
        for instance in instances(&usage.attribution) {
            self.by_instance.entry(instance).or_default().add(month, &usage.resource, group);
        }
    }

    /// Whether usage would be in one group more than so many, with those that the same command adds.
    pub(super) fn are_too_many(&self, usage: &Usage, group: GroupDigest, added: &Self, most: usize) -> bool {
        let month = month_of(usage.period.start);
        instances(&usage.attribution).any(|instance| {
            let sets = || {
                self.of(instance, month, &usage.resource).chain(added.of(instance, month, &usage.resource))
            };
            if sets().any(|groups| groups.contains(&group)) {
                return false;
            }
            sets().map(BTreeSet::len).sum::<usize>() >= most
                || (sets().next().is_none() && self.is_full(instance, month, added))
        })
    }

    /// Whether a month is long ago, and no more such months can be remembered.
    fn is_full(&self, instance: InstanceId, month: MonthNumber, added: &Self) -> bool {
        let both = [self, added].map(|groups| groups.by_instance.get(&instance));
        let newest = both.iter().flatten().filter_map(|groups| groups.newest()).max();
        let late: usize = both.iter().flatten().map(|groups| groups.late.len()).sum();
        is_late(month, newest) && late >= MOST_LATE
    }

    /// The same as [`add`](Self::add), of what a command adds to what is recorded.
    pub(super) fn add_new(&mut self, usage: &Usage, group: GroupDigest, recorded: &Self) {
        let month = month_of(usage.period.start);
        let known =
            |instance| recorded.of(instance, month, &usage.resource).any(|known| known.contains(&group));
        if !instances(&usage.attribution).all(known) {
            self.add(usage, group);
        }
    }
}

/// The group that usage is in, if any price book groups its resource.
pub(super) fn group_of(books: &PriceBooks, usage: &Usage) -> Option<GroupDigest> {
    // Without dimensions it is in the one group that is always there.
    if usage.dimensions.is_empty() {
        return None;
    }
    let newest = books.names().filter_map(|name| books.versions(name.as_str()).last());
    let declared = newest.filter_map(|book| book.resource(&usage.resource));
    let keys: BTreeSet<&str> = declared.flat_map(|declared| &declared.group_by).map(|key| &**key).collect();
    if keys.is_empty() {
        return None;
    }
    // Any key will do: nobody gains by a collision.
    let mut hasher = SipHasher24::new();
    for key in keys {
        let value =
            usage.dimensions.iter().find(|(name, _)| **name == *key).map_or("", |(_, value)| &**value);
        hasher.write(&(value.len() as u64).to_le_bytes());
        hasher.write(value.as_bytes());
    }
    Some(hasher.finish128().h1)
}

fn month_of(instant: Timestamp) -> MonthNumber {
    let day = instant.to_utc();
    day.year() * 12 + i32::try_from(day.month0()).unwrap_or(0)
}

/// Whom usage belongs to, but for computers: they are not invoiced.
fn instances(attribution: &Attribution) -> impl Iterator<Item = InstanceId> {
    let (one, shares) = match attribution {
        Attribution::Computer => (None, &[][..]),
        Attribution::Instance(instance) => (Some(*instance), &[][..]),
        Attribution::Shares(shares) => (None, shares.as_slice()),
    };
    one.into_iter().chain(shares.iter().map(|share| share.instance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::given::{Given, request, usage};
    use crate::domain::id::{PriceBookName, Sequence};
    use crate::domain::money::{Currency, Rounding};
    use crate::domain::pricing::{
        Conversion, InvoiceTerms, Match, Meter, Model, OnChange, Per, PriceBook, PublishPriceBook, Rate,
        Resource, ResourceKind, Tariff,
    };
    use crate::domain::quantity::Quantity;
    use crate::domain::usage::{Unmeterable, UsageOutcome, UsageReport};
    use UsageOutcome::{Accepted, Suspended};

    /// Two books in one currency would be for the same customers.
    fn in_dollars(mut publish: PublishPriceBook) -> PublishPriceBook {
        publish.book.currency = "USD".parse().expect("a currency");
        publish
    }

    fn grouped_by(name: &str, key: &str) -> PublishPriceBook {
        let resource = ResourceId::new("cpu").expect("a name");
        let declared = Resource {
            resource: resource.clone(),
            kind: ResourceKind::Counter,
            meter: Meter::Sum,
            unit: "core_second".into(),
            conversion: Conversion::NONE,
            group_by: vec![key.into()],
            most: None,
            carry_over: false,
        };
        let tariff = Tariff::PerUnit { price: "0.002".parse().expect("a price") };
        let model = Model::Usage { resource, per: Per::Instance, free: Quantity::ZERO, tariff };
        let book = PriceBook {
            name: PriceBookName::new(name).expect("a name"),
            currency: Currency::EUR,
            valid_from: crate::domain::given::at("2026-01-01T00:00:00Z"),
            rounding: Rounding::HalfUp,
            on_change: OnChange::Continue,
            terms: InvoiceTerms::default(),
            resources: vec![declared],
            rates: vec![Rate { model, trial: None, matching: Match::default() }],
        };
        PublishPriceBook { book, retroactive: false }
    }

    /// Two groups are allowed; usage is grouped by region.
    fn given() -> Given {
        let mut given = Given::cloud().done(request("a")).done(grouped_by("standard", "region"));
        given.state.usage_limits.most_groups = 2;
        given.at("2026-10-01T12:00:00Z")
    }

    fn of(id: &str, pairs: &[(&str, &str)]) -> UsageReport {
        let dimensions = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        UsageReport { dimensions, ..usage(id, "1") }
    }

    fn in_region(id: &str, region: &str) -> UsageReport {
        of(id, &[("region", region)])
    }

    #[test]
    fn one_group_more_than_are_allowed_is_suspended() {
        let given = given();
        let next = |n| Sequence(given.next().0 + n);
        let too_many = Unmeterable::TooManyGroups;
        let expected =
            [Accepted(next(0)), Accepted(next(1)), Suspended(next(2), too_many), Accepted(next(3))];
        // In one command as in several, and what is known already is no group more.
        let reports = ["r1", "r2", "r3", "r1"].into_iter().zip(["1", "2", "3", "4"]);
        let reports: Vec<UsageReport> = reports.map(|(region, id)| in_region(id, region)).collect();
        let apart = given_one_by_one(&reports);
        assert_eq!(apart, expected);
        let given = given.when_reported(reports).answered_usage(expected).and();
        let sequence = given.next();
        given.when_reported([in_region("5", "r4")]).answered_usage([Suspended(sequence, too_many)]);
    }

    fn given_one_by_one(reports: &[UsageReport]) -> Vec<UsageOutcome> {
        let mut given = given();
        let mut outcomes = Vec::new();
        for report in reports {
            let command = crate::domain::given::record("COMP-1", [report.clone()]);
            match given.execute(command.into()).expect("a computer that is known").answer {
                crate::domain::Answer::Usage(told) => outcomes.extend(told),
                other => panic!("{other:?}"),
            }
        }
        outcomes
    }

    #[test]
    fn what_nobody_groups_by_is_no_group() {
        let given = given();
        let from = given.next().0;
        let reports = (0..9).map(|n| of(&n.to_string(), &[("region", "r1"), ("user", &n.to_string())]));
        let expected: Vec<_> = (from..from + 9).map(|n| Accepted(Sequence(n))).collect();
        let given = given.when_reported(reports).answered_usage(expected).and();
        // Until a book groups by it.
        let given = given.done(in_dollars(grouped_by("other", "user")));
        let next = given.next();
        let report = |id: &str, user: &str| of(id, &[("region", "r1"), ("user", user)]);
        let told = [Accepted(next), Suspended(Sequence(next.0 + 1), Unmeterable::TooManyGroups)];
        given.when_reported([report("a", "ann"), report("b", "bob")]).answered_usage(told);
    }

    fn usage_at(at: &str) -> Usage {
        let start = crate::domain::given::at(at);
        Usage {
            id: crate::domain::usage::UsageId::new("1").expect("an id"),
            subject: "a".into(),
            resource: ResourceId::new("cpu").expect("a name"),
            quantity: Quantity::ZERO,
            period: crate::domain::time::Period::new(start, start.plus_micros(1)).expect("a period"),
            start_found: false,
            attribution: Attribution::Instance(InstanceId(1)),
            dimensions: Vec::new(),
            node_sequence: None,
        }
    }

    #[test]
    fn each_month_has_its_groups_and_old_months_are_forgotten() {
        let (mut groups, none) = (UsageGroups::default(), UsageGroups::default());
        groups.add(&usage_at("2026-10-31T23:59:59Z"), 1);
        assert!(groups.are_too_many(&usage_at("2026-10-01T00:00:00Z"), 2, &none, 1));
        assert!(!groups.are_too_many(&usage_at("2026-11-01T00:00:00Z"), 2, &none, 1));
        groups.add(&usage_at("2028-10-01T00:00:00Z"), 1);
        assert!(!groups.are_too_many(&usage_at("2026-10-01T00:00:00Z"), 2, &none, 1));
    }

    /// A month that is long ago was forgotten with each report about it, so that it could have any number of groups.
    #[test]
    fn what_comes_late_for_a_month_that_is_forgotten_is_counted() {
        let (mut groups, none) = (UsageGroups::default(), UsageGroups::default());
        groups.add(&usage_at("2028-10-01T00:00:00Z"), 1);
        let old = usage_at("2026-10-05T00:00:00Z");
        for group in 1..=3 {
            assert!(!groups.are_too_many(&old, group, &none, 3));
            groups.add(&old, group);
        }
        assert!(groups.are_too_many(&old, 4, &none, 3));
        assert!(!groups.are_too_many(&old, 2, &none, 3));
        // So it is when time goes on.
        groups.add(&usage_at("2031-10-01T00:00:00Z"), 1);
        assert!(groups.are_too_many(&old, 4, &none, 3));
    }

    /// Nor can anybody have us remember any number of old months.
    #[test]
    fn late_usage_of_many_months_is_bounded() {
        let (mut groups, none) = (UsageGroups::default(), UsageGroups::default());
        groups.add(&usage_at("2028-10-01T00:00:00Z"), 1);
        let months = (2000..2020)
            .flat_map(|year| (1..=12).map(move |month| format!("{year}-{month:02}-01T00:00:00Z")));
        let accepted = months.filter(|at| {
            let usage = usage_at(at);
            let fits = !groups.are_too_many(&usage, 1, &none, 10);
            if fits {
                groups.add(&usage, 1);
            }
            fits
        });
        assert_eq!(accepted.count(), MOST_LATE);
        // Months that are not long ago are not affected.
        assert!(!groups.are_too_many(&usage_at("2028-09-01T00:00:00Z"), 1, &none, 10));
    }
}
