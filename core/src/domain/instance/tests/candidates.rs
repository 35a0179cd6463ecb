//! The index of computers with room, beside its twin, which looks at every computer.

use proptest::prelude::*;

use super::*;
use crate::domain::Command;
use crate::domain::computer::{ConfigureComputer, NoticeSilence, Offer};
use crate::domain::event::Mode;
use crate::domain::given::{at, offer};
use crate::domain::id::{ComputerId, PartitionId};
use crate::domain::instance::room::{InstanceSurroundings, Wish, computers_for, fitting};

const COMPUTERS: [&str; 5] = ["COMP-1", "COMP-2", "COMP-3", "COMP-4", "COMP-5"];
const RELEASES: [&str; 2] = ["http://release/1", "http://release/2"];
const REGIONS: [&str; 4] = ["europe", "europe/france", "europe/france/lille", "asia"];
const CAPABILITIES: [&str; 2] = ["gpu", "tape"];
const PARTIES: u64 = 3;

/// What is done, to which computer, and how; out of small numbers, so that changes meet.
type Step = (u8, usize, usize, usize);

fn choose<T: Copy, const N: usize>(from: [T; N], which: usize) -> T {
    from[which % N]
}

fn wanted(region: usize, capability: usize, which: usize) -> Vec<(Box<str>, Box<str>)> {
    let all = [("region", choose(REGIONS, region)), ("capability", choose(CAPABILITIES, capability))];
    let some = match which % 4 {
        0 => &all[..],
        1 => &all[..1],
        2 => &all[1..],
        _ => &[],
    };
    some.iter().map(|&(key, value)| (key.into(), value.into())).collect()
}

fn command(n: usize, (what, which, one, other): Step) -> Command {
    let name = choose(COMPUTERS, which);
    match what % 9 {
        0 => {
            let scope = match one % 4 {
                0 => AllocationScope::Open,
                1 => AllocationScope::Personal,
                2 => AllocationScope::Group([PartyId(2), PartyId(3)][..other % 3].to_vec()),
                _ => AllocationScope::Closed,
            };
            let software = RELEASES[..other % 3].iter().map(|name| release(name)).collect();
            let capacity = (other > 5).then_some(1);
            SetAllocationScope { computer: computer(name), scope, software, capacity }.into()
        }
        1 => describe(name, &[("region", choose(REGIONS, one)), ("group", "g")][..other % 3]).into(),
        2 => {
            let offers = (0..one % 4).map(|n| {
                let capabilities = CAPABILITIES[..(n + other) % 3].iter().map(|&able| able.into()).collect();
                Offer { capabilities, ..offer(&format!("slappart{n}")) }
            });
            ConfigureComputer { offers: offers.collect(), ..configure(name, &[]) }.into()
        }
        3 => {
            let since = one.is_multiple_of(2).then(|| at("2026-09-30T00:00:00Z"));
            NoticeSilence { computer: computer(name), since }.into()
        }
        4 => SupplySoftware {
            computer: computer(name),
            release: release(choose(RELEASES, one)),
            state: SupplyState::Available,
        }
        .into(),
        5 => destroy(&format!("n{}", one % n.max(1))).into(),
        6 => {
            let state =
                choose([ReportedState::Error, ReportedState::Started, ReportedState::Destroyed], other);
            let place = in_partition(&format!("slappart{}", one % 3));
            let place = InstancePlace { computer: computer(name), ..place };
            ReportInstance { place, state, error: None }.into()
        }
        _ => RequestInstance {
            requester: Requester::Party(PartyId(one as u64 % PARTIES + 1)),
            release: release(choose(RELEASES, other)),
            filter: wanted(one, other, which),
            ..request(&format!("n{n}"))
        }
        .into(),
    }
}

/// The first place for a wish, among computers in this order.
fn first<'a>(
    around: &InstanceSurroundings<'a>,
    wish: &Wish<'_>,
    computers: impl Iterator<Item = &'a ComputerId>,
) -> Option<(ComputerId, PartitionId)> {
    let anywhere = BTreeSet::new();
    computers.into_iter().find_map(|id| {
        let known = around.computers.get(id.as_str())?;
        let mut free = fitting(around, wish, &anywhere, id, known);
        free.next().map(|partition| (id.clone(), partition.clone()))
    })
}

/// For whatever is wished, the narrowed look finds what looking at all finds.
fn check(given: &Given) -> Result<(), TestCaseError> {
    let project = given.project();
    let around = InstanceSurroundings {
        mode: Mode::Serve,
        parties: &project.parties,
        computers: &project.computers,
        supplies: &project.supplies,
    };
    let software_type = software_type("default");
    for (n, name) in RELEASES.iter().enumerate() {
        let release = release(name);
        let holds =
            |id: &&ComputerId| project.supplies.holders(&release).is_some_and(|all| all.contains(*id));
        for owner in (1..=PARTIES).map(PartyId) {
            for which in 0..16 {
                let filter = wanted(which / 4, which + n, which);
                let wish = Wish {
                    owner,
                    root: None,
                    release: &release,
                    software_type: &software_type,
                    filter: &filter,
                    shared: false,
                };
                let all = || project.computers.iter().map(|(id, _)| id);
                let slow = first(&around, &wish, all().filter(holds).chain(all()));
                prop_assert_eq!(first(&around, &wish, computers_for(&around, &wish)), slow, "{:?}", filter);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn narrowed_finds_what_looking_at_all_finds(
        steps in prop::collection::vec((0u8..18, 0usize..8, 0usize..8, 0usize..8), 1..60),
    ) {
        let mut given = Given::master().done(register_party()).done(register_party());
        for name in &COMPUTERS[1..] {
            given = given.done(register_computer(name));
        }
        for (n, step) in steps.into_iter().enumerate() {
            // Some are refused, and change nothing.
            let _ = given.execute(command(n, step));
            check(&given)?;
        }
    }
}
