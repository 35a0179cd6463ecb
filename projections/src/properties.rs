//! Live, rebuilt, and restored with a tail: byte for byte the same, over random histories.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use slapledger_core::domain::Command;
use slapledger_core::domain::id::{InstanceId, PartyId, ProjectId, Sequence};
use slapledger_core::domain::instance::{
    InstancePlace, InstanceType, ReportInstance, ReportedState, RequestedState, Requester,
    SetConnectionParameters,
};
use slapledger_core::domain::software::{ReportSoftware, SoftwareState, SupplySoftware, SupplyState};
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_core::domain::usage::{
    DismissSuspendedUsage, RecordUsage, ResolveSuspendedUsage, Revision, UsageId, UsageReport, VoidRequest,
    VoidUsage,
};
use slapledger_core::log::envelope::{Meta, Recorded};
use slapledger_core::log::frame::pack;
use slapledger_core::log::memory::MemoryStore;
use slapledger_core::log::merkle::Tree;
use slapledger_core::log::store::{Appended, EventStore};

use crate::instances::InstanceView;
use crate::metering::{Metering, Method};
use crate::projects::Projects;
use crate::replay::rebuild;
use crate::testing::{
    Everything, Story, computer, configure, fold, offer, partition, release, request, sealed,
};
use crate::view::View;

const MINUTE: i64 = 60_000_000;
const YEAR: i64 = 366 * 24 * 60 * MINUTE;
const COMPUTERS: [&str; 2] = ["COMP-1", "COMP-2"];
const PARTITIONS: [&str; 3] = ["slappart0", "slappart1", "slappart2"];
const RELEASES: [&str; 3] =
    ["http://example.com/one.cfg", "http://example.com/two.cfg", "http://example.com/3.cfg"];

/// Something that happens; every choice is one number, and wrong choices are refused.
#[derive(Debug, Clone, Copy)]
enum StoryStep {
    Configure {
        computer: usize,
        partitions: usize,
        address: u8,
    },
    Supply {
        computer: usize,
        release: usize,
        available: bool,
    },
    ReportSoftware {
        computer: usize,
        release: usize,
        state: usize,
    },
    Request {
        by: u64,
        name: u8,
        release: usize,
        parameters: u8,
        state: usize,
        testing: bool,
    },
    Report {
        computer: usize,
        partition: usize,
        state: usize,
    },
    Connect {
        computer: usize,
        partition: usize,
        content: u8,
    },
    Usage {
        computer: usize,
        id: u8,
        subject: usize,
        resource: u8,
        quantity: i64,
        since: i64,
        length: i64,
        replaces: Option<u8>,
        /// 0 is none.
        zone: u8,
    },
    Resolve {
        at: usize,
        quantity: i64,
    },
    Dismiss {
        at: usize,
    },
    Void {
        computer: usize,
        id: u8,
    },
    Wait {
        minutes: i64,
    },
    /// One tenant leaves a partition and another comes.
    Move {
        name: u8,
    },
}

fn steps() -> impl Strategy<Value = Vec<StoryStep>> {
    let amounts = (-1_i64..400, 0..300_i64, 0..250_i64);
    let subject = prop_oneof![8 => 0..3_usize, 1 => 3..7_usize];
    let replaces = prop::option::weighted(0.1, 0..40_u8);
    let usage = (0..2_usize, 0..40_u8, subject, 0..2_u8, amounts, replaces, 0..4_u8);
    let usage =
        usage.prop_map(|(computer, id, subject, resource, (quantity, since, length), replaces, zone)| {
            let length = length.min(since + 3);
            StoryStep::Usage { computer, id, subject, resource, quantity, since, length, replaces, zone }
        });
    let request = (0..6_u64, 0..5_u8, 0..3_usize, 0..3_u8, 0..4_usize, any::<bool>());
    let request = request.prop_map(|(by, name, release, parameters, state, testing)| {
        let by = by.saturating_sub(3);
        StoryStep::Request { by, name, release, parameters, state, testing }
    });
    let place = || (0..2_usize, 0..3_usize);
    let step = prop_oneof![
        1 => (place(), 0..2_u8).prop_map(|((computer, partitions), address)| {
            StoryStep::Configure { computer, partitions: partitions + 1, address }
        }),
        1 => (place(), any::<bool>())
            .prop_map(|((computer, release), available)| StoryStep::Supply { computer, release, available }),
        1 => (place(), 0..4_usize)
            .prop_map(|((computer, release), state)| StoryStep::ReportSoftware { computer, release, state }),
        4 => request,
        3 => (place(), 0..4_usize).prop_map(|((computer, partition), state)| StoryStep::Report { computer, partition, state }),
        1 => (place(), 0..3_u8)
            .prop_map(|((computer, partition), content)| StoryStep::Connect { computer, partition, content }),
        8 => usage,
        1 => (0..40_usize, 0..100_i64).prop_map(|(at, quantity)| StoryStep::Resolve { at, quantity }),
        1 => (0..40_usize).prop_map(|at| StoryStep::Dismiss { at }),
        2 => (0..2_usize, 0..40_u8).prop_map(|(computer, id)| StoryStep::Void { computer, id }),
        1 => (0..100_i64).prop_map(|minutes| StoryStep::Wait { minutes }),
        1 => (0..5_u8).prop_map(|name| StoryStep::Move { name }),
    ];
    prop::collection::vec(step, 0..150)
}

fn happen(story: &mut Story, step: StoryStep) {
    let suspended = |story: &Story, at: usize| {
        let waiting: Vec<Sequence> = story
            .view
            .metering
            .suspense(|_| true, Sequence::ZERO, 100)
            .items
            .iter()
            .map(|(sequence, _)| *sequence)
            .collect();
        waiting.get(at % waiting.len().max(1)).copied().unwrap_or(Sequence(1))
    };
    let command = match step {
        StoryStep::Configure { computer, partitions, address } => {
            let offers =
                PARTITIONS.iter().take(partitions).map(|name| offer(name, &format!("10.0.0.{address}")));
            configure(COMPUTERS[computer], offers.collect())
        }
        StoryStep::Supply { computer: on, release: which, available } => {
            Command::SupplySoftware(SupplySoftware {
                computer: computer(COMPUTERS[on]),
                release: release(RELEASES[which]),
                state: if available { SupplyState::Available } else { SupplyState::Destroyed },
            })
        }
        StoryStep::ReportSoftware { computer: on, release: which, state } => {
            Command::ReportSoftware(ReportSoftware {
                computer: computer(COMPUTERS[on]),
                release: release(RELEASES[which]),
                state: [
                    SoftwareState::Building,
                    SoftwareState::Available,
                    SoftwareState::Destroyed,
                    SoftwareState::Error,
                ][state],
                error: (state == 3).then(|| sealed(4)),
            })
        }
        StoryStep::Request { by, name, release: which, parameters, state, testing } => {
            let requester =
                if by == 0 { Requester::Party(PartyId(1)) } else { Requester::Instance(InstanceId(by)) };
            let mut wish = request(requester, &format!("name {name}"));
            wish.release = release(RELEASES[which]);
            wish.parameters = sealed(parameters);
            wish.state = [
                None,
                Some(RequestedState::Started),
                Some(RequestedState::Stopped),
                Some(RequestedState::Destroyed),
            ][state];
            wish.instance_type = testing.then_some(InstanceType::Testing);
            Command::RequestInstance(wish)
        }
        StoryStep::Report { computer: on, partition: which, state } => {
            Command::ReportInstance(ReportInstance {
                place: InstancePlace::new(computer(COMPUTERS[on]), partition(PARTITIONS[which])),
                state: [
                    ReportedState::Started,
                    ReportedState::Destroyed,
                    ReportedState::Destroyed,
                    ReportedState::Error,
                ][state],
                error: (state == 3).then(|| sealed(5)),
            })
        }
        StoryStep::Connect { computer: on, partition: which, content } => {
            Command::SetConnectionParameters(SetConnectionParameters {
                place: InstancePlace::new(computer(COMPUTERS[on]), partition(PARTITIONS[which])),
                connection: sealed(content),
            })
        }
        StoryStep::Usage { computer: by, id, subject, resource, quantity, since, length, replaces, zone } => {
            let subject =
                ["slappart0", "slappart1", "slapuser0", "COMP-1", "SOFTINST-1", "SOFTINST-2", "nobody"]
                    [subject];
            // Some are beyond 64 bits in billionths.
            let quantity =
                if quantity > 390 { format!("{quantity}00000000000.5") } else { quantity.to_string() };
            let number =
                quantity.parse().map_err(|_| slapledger_core::domain::usage::Unmeterable::NotANumber);
            let start = story.now.plus_micros(-since * MINUTE);
            let report = UsageReport {
                id: UsageId::new(&format!("id {id}")).expect("an id"),
                revision: replaces.map_or(Revision::Latest, |other| {
                    Revision::Replaces(UsageId::new(&format!("id {other}")).expect("an id"))
                }),
                subject: subject.into(),
                resource: format!("resource {resource}").into(),
                quantity: (quantity.into(), number),
                start: Ok((since > 5).then_some(start)),
                stop: Ok(Some(start.plus_micros(length * MINUTE))),
                dimensions: (0..zone.min(1)).map(|_| ("zone".into(), zone.to_string().into())).collect(),
                node_sequence: (zone > 1).then_some(story.events.len() as u64 / 2),
            };
            Command::RecordUsage(RecordUsage { computer: computer(COMPUTERS[by]), reports: vec![report] })
        }
        StoryStep::Resolve { at, quantity } => Command::ResolveSuspendedUsage(ResolveSuspendedUsage {
            suspended: suspended(story, at),
            subject: Some("slappart0".into()),
            resource: None,
            quantity: quantity.to_string().parse().ok(),
            period: Period::new(story.now.plus_micros(-100 * MINUTE), story.now),
        }),
        StoryStep::Dismiss { at } => Command::DismissSuspendedUsage(DismissSuspendedUsage {
            suspended: suspended(story, at),
            reason: "it was a test".into(),
        }),
        StoryStep::Void { computer: by, id } => {
            let voids = UsageId::new(&format!("id {id}")).expect("an id");
            let voids = vec![VoidRequest { id: None, voids, reason: "it was a test".into() }];
            Command::VoidUsage(VoidUsage { computer: computer(COMPUTERS[by]), voids })
        }
        StoryStep::Wait { minutes } => return story.passes(minutes * MINUTE),
        StoryStep::Move { name } => {
            let by = 0;
            happen(
                story,
                StoryStep::Request { by, name, release: 0, parameters: 0, state: 3, testing: false },
            );
            for (computer, partition) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                happen(story, StoryStep::Report { computer, partition, state: 1 });
            }
            story.passes(MINUTE);
            return happen(
                story,
                StoryStep::Request { by, name, release: 1, parameters: 1, state: 0, testing: true },
            );
        }
    };
    let _refused_or_not = story.execute(command);
}

fn story_of(steps: Vec<StoryStep>) -> Story {
    let mut story = beginning(Story::begin());
    for step in steps {
        happen(&mut story, step);
    }
    story
}

/// Two stories that happen at the same time, each with what belongs to it alone, and all of it in one order: of the
/// projects that these are the stories of.
fn two_stories_of(steps: Vec<(usize, StoryStep)>) -> ([Story; 2], Vec<Recorded>) {
    let first = beginning(Story::begin_at(Sequence(1)));
    let second = beginning(Story::begin_at(first.next));
    let mut all: Vec<Recorded> = Vec::new();
    let mut stories = [first, second];
    for (story, project) in stories.iter().zip(PROJECTS) {
        all.extend(story.events.iter().map(|event| of_project(project, event)));
    }
    for (which, step) in steps {
        let story = &mut stories[which];
        story.next = Sequence(all.len() as u64 + 1);
        let known = story.events.len();
        happen(story, step);
        all.extend(story.events[known..].iter().map(|event| of_project(PROJECTS[which], event)));
    }
    (stories, all)
}

/// The later one first, and neither the one that a story alone is of.
const PROJECTS: [ProjectId; 2] = [ProjectId(7), ProjectId(3)];

fn of_project(project: ProjectId, event: &Recorded) -> Recorded {
    let meta = Arc::new(Meta { project, ..(*event.meta).clone() });
    Recorded { meta, ..event.clone() }
}

fn stored(events: &[Recorded], frames: usize) -> MemoryStore {
    let store = MemoryStore::new();
    let term = store.acquire().expect("a term");
    let mut tree = Tree::new();
    for (done, chunk) in events.chunks(frames).enumerate() {
        let bytes: Vec<Vec<u8>> = chunk.iter().map(Recorded::encode).collect();
        let packed = pack(&mut tree, &bytes).expect("small events");
        assert_eq!(store.append(term, Sequence((done * frames) as u64), &packed), Appended::Durable);
    }
    store
}

fn beginning(mut story: Story) -> Story {
    for name in 0..3 {
        happen(
            &mut story,
            StoryStep::Request { by: 0, name, release: 0, parameters: 0, state: 0, testing: false },
        );
    }
    story.passes(200 * MINUTE);
    story
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn live_is_rebuilt_is_snapshot_and_tail(steps in steps(), cut in any::<prop::sample::Index>(), frames in 1..50_usize) {
        let story = story_of(steps);
        let live: Everything = fold(&story.events);

        let cut = cut.index(story.events.len() + 1);
        let before: Everything = fold(&story.events[..cut]);
        let mut restored = Everything::restore(&before.snapshot()).expect("a snapshot");
        prop_assert_eq!(restored.snapshot(), before.snapshot());
        for event in &story.events[cut..] {
            restored.apply(event);
        }

        let store = stored(&story.events, frames);
        let rebuilt: Everything = rebuild(&store, Sequence(story.events.len() as u64), |_| ()).expect("readable");

        prop_assert_eq!(live.parts(), restored.parts());
        prop_assert_eq!(live.parts(), rebuilt.parts());
        prop_assert_eq!(live.snapshot(), restored.snapshot());
        prop_assert_eq!(live.snapshot(), rebuilt.snapshot());
    }

    /// Each project is shown what it would be shown if it were all there is; live, rebuilt, and restored with a tail.
    #[test]
    fn projects_are_as_they_would_be_alone(
        steps in steps(),
        turns in prop::collection::vec(0..2_usize, 150),
        cut in any::<prop::sample::Index>(),
        frames in 1..50_usize,
    ) {
        let (alone, all) = two_stories_of(turns.into_iter().zip(steps).collect());
        let live: Projects<Everything> = fold(&all);
        for (story, project) in alone.iter().zip(PROJECTS) {
            let alone: Everything = fold(&story.events);
            prop_assert!(live.of(project).snapshot() == alone.snapshot(), "{} is not what it is alone", project);
            prop_assert_eq!(live.of(project).parts(), alone.parts());
        }
        prop_assert_eq!(live.ids().collect::<Vec<_>>(), [PROJECTS[1], PROJECTS[0]]);
        prop_assert!(live.of(ProjectId::DEFAULT).snapshot() == Everything::default().snapshot());

        let cut = cut.index(all.len() + 1);
        let before: Projects<Everything> = fold(&all[..cut]);
        let mut restored = Projects::<Everything>::restore(&before.snapshot()).expect("a snapshot");
        prop_assert_eq!(restored.parts(), before.parts());
        for event in &all[cut..] {
            restored.apply(event);
        }
        let rebuilt: Projects<Everything> =
            rebuild(&stored(&all, frames), Sequence(all.len() as u64), |_| ()).expect("readable");
        prop_assert_eq!(live.parts(), restored.parts());
        prop_assert_eq!(live.parts(), rebuilt.parts());
        prop_assert!(live.snapshot() == restored.snapshot());
        prop_assert!(live.snapshot() == rebuilt.snapshot());
    }

    /// What was known at a sequence can be read for ever after, whatever is corrected later.
    #[test]
    fn readings_as_of_a_sequence_are_those_of_that_time(steps in steps(), from in -600_i64..0, length in 1..900_i64) {
        let story = story_of(steps);
        let last: Everything = fold(&story.events);
        let start = story.now.plus_micros(from * MINUTE + 1);
        let period = Period::new(start, start.plus_micros(length * MINUTE)).expect("a period");
        let mut then = Everything::default();
        for event in &story.events {
            then.apply(event);
            if event.sequence.0 % 7 != 0 {
                continue;
            }
            for target in then.metering.targets() {
                for resource in then.metering.series(&target) {
                    let resource = resource.as_str();
                    let known = last.metering.as_of(event.sequence).read(&target, resource, period);
                    prop_assert_eq!(known, then.metering.read(&target, resource, period));
                    let zones = ["zone".into()];
                    for method in [Method::Sum, Method::Count, Method::Latest] {
                        let meter = |metering: &Metering| {
                            metering.as_of(event.sequence).meter(&target, resource, period, method, &zones)
                        };
                        prop_assert_eq!(meter(&last.metering), meter(&then.metering));
                    }
                }
            }
        }
    }

    /// Readings change only where an event says that it touches them.
    #[test]
    fn what_is_not_touched_stays(steps in steps()) {
        let story = story_of(steps);
        let mut metering = Metering::new();
        let always = Period::new(Timestamp::MIN, Timestamp::MAX).expect("a period");
        let all = |metering: &Metering| {
            let mut all = BTreeMap::new();
            for target in metering.targets() {
                for resource in metering.series(&target) {
                    for interval in metering.intervals(&target, resource.as_str(), always) {
                        let key = (target.clone(), interval.period);
                        let (resource, gauge) = (resource.clone(), interval.gauge);
                        let counts: &mut Vec<_> = all.entry(key).or_default();
                        counts.push((resource, interval.sequence, interval.counter, gauge));
                    }
                }
            }
            all
        };
        let mut before = all(&metering);
        for event in &story.events {
            let mut touched: Vec<_> = metering.touched(event).collect();
            metering.apply(event);
            let after = all(&metering);
            let mut changed: Vec<_> = before.keys().chain(after.keys()).cloned().collect();
            changed.retain(|key| before.get(key) != after.get(key));
            for list in [&mut touched, &mut changed] {
                list.sort_unstable();
                list.dedup();
            }
            prop_assert_eq!(touched, changed);
            before = after;
        }
    }

    /// Nodes see the timestamp move forwards only, and not without an event that says why.
    #[test]
    fn timestamps_only_grow(steps in steps()) {
        let story = story_of(steps);
        let mut view = Everything::default();
        let mut before: Vec<InstanceView> = Vec::new();
        for event in &story.events {
            view.apply(event);
            let now: Vec<_> = view.instances.iter().cloned().collect();
            for (old, new) in before.iter().zip(&now) {
                prop_assert!(old.changed_at <= new.changed_at);
                prop_assert!(old == new || new.changed_by == event.sequence);
                let seen_by_node = |known: &InstanceView| {
                    let InstanceView { release, software_type, parameters, requested, .. } = known.clone();
                    (release, software_type, parameters, requested)
                };
                if old.allocation.is_some() && seen_by_node(old) != seen_by_node(new) {
                    prop_assert!(old.changed_at < new.changed_at);
                }
            }
            before = now;
        }
    }

    /// All of a counter goes to somebody, whatever instances shared the partition, and what was replaced to nobody.
    #[test]
    fn nothing_metered_is_lost(steps in steps()) {
        let story = story_of(steps);
        let mut metering = Metering::new();
        let mut expected = BTreeMap::new();
        for event in &story.events {
            let change = event.event.usage_change().unwrap_or_default();
            if let Some(replaced) = change.replaces {
                expected.remove(&metering.counts_as(replaced));
            }
            expected.extend(change.metered.map(|usage| (event.sequence, usage.quantity.billionths())));
            metering.apply(event);
        }
        let (start, stop) = (story.now.plus_micros(-YEAR), story.now.plus_micros(YEAR));
        let always = Period::new(start, stop).expect("a period");
        let mut sum = 0;
        for target in metering.targets() {
            for resource in metering.series(&target) {
                sum += metering.totals(&target, resource.as_str(), always).sum_billionths;
            }
        }
        prop_assert_eq!(sum, expected.values().sum::<i128>());
    }
}

/// The histories above are worth something only if all that matters happens in them.
#[test]
fn everything_happens_in_some_history() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    use slapledger_core::domain::usage::Attribution;

    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeMap::new();
    for _ in 0..200 {
        let steps = steps().new_tree(&mut runner).expect("steps").current();
        let story = story_of(steps);
        for event in &story.events {
            let usage = event.event.metered_usage();
            if let Some(Attribution::Shares(shares)) = usage.map(|usage| &usage.attribution) {
                *seen.entry(if shares.len() > 1 { "several shares" } else { "one share" }).or_insert(0) += 1;
            }
            *seen.entry(event.event.name()).or_insert(0) += 1;
        }
    }
    let kinds = [
        "InstanceEnded",
        "InstanceChanged",
        "ConnectionParametersSet",
        "SoftwareStateReported",
        "PartitionWithdrawn",
        "UsageCorrected",
        "UsageSuspended",
        "SuspendedUsageResolved",
        "SuspendedUsageDismissed",
        "UsageVoided",
        "several shares",
        "one share",
    ];
    for kind in kinds {
        assert!(seen.get(kind).is_some_and(|count| *count > 20), "{kind}: {seen:?}");
    }
}
