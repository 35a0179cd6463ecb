//! Numbers after a restore: never one that the lost part of the log may have issued.

use super::*;
use crate::domain::State;
use crate::domain::id::ProjectId;
use crate::domain::restore::{LastNumber, LedgerRestored, RecordRestore, RestoreMark, RestoreRefusal};
use crate::domain::usage::MemoryIndex;

/// The log was restored up to its end; the mark of the restore is `R00000` and this digit.
fn restore(given: &Given, mark: u32, stated: &[&str]) -> RecordRestore {
    let last = Sequence(given.next().0 - 1);
    RecordRestore {
        ledger: [1; 16],
        from: "/backup".into(),
        to: "/data".into(),
        backup_last: last,
        backup_at: at("2026-11-01T00:00:00Z"),
        kept: last,
        root: [2; 32],
        mark: RestoreMark::new(mark),
        last_numbers: stated.iter().map(|text| stated_number(text)).collect(),
        clock_confirmed: false,
    }
}

fn stated_number(text: &str) -> LastNumber {
    let (project, number) = match text.split_once('/') {
        Some((project, number)) => (project.parse().expect(project), number),
        None => (ProjectId::DEFAULT, text),
    };
    LastNumber { project, number: InvoiceId::new(number).expect(number) }
}

trait AfterRestore {
    fn restored(self, mark: u32, stated: &[&str]) -> Self;
}

impl AfterRestore for Given {
    fn restored(self, mark: u32, stated: &[&str]) -> Self {
        let command = restore(&self, mark, stated);
        self.done(command)
    }
}

/// PARTY-1 sells to PARTY-2 to PARTY-9 and has issued one invoice, to PARTY-2.
fn one_issued() -> Given {
    (3..10).fold(given(), |given, _| given.done(register_party())).done(finalise(draft(2, &[1000])))
}

fn note(given: &Given, document: &str) -> IssueCreditNote {
    let issued = given.log.iter().rev().find_map(|(_, event)| match event {
        Event::InvoiceFinalised(event) if event.invoice.id.as_str() == document => Some(&event.invoice),
        _ => None,
    });
    let original = issued.expect("it was issued").clone();
    let give_back = GiveBack::Lines(vec![(1, HowMuch::Amount(euros(1)))]);
    IssueCreditNote { original, give_back, reason: "sorry".into(), as_of: None }
}

#[test]
fn what_was_restored_is_recorded() {
    let given = one_issued();
    let command = restore(&given, 5, &["INV-2026-0412"]);
    let event = LedgerRestored {
        ledger: [1; 16],
        from: "/backup".into(),
        to: "/data".into(),
        backup_last: command.backup_last,
        backup_at: command.backup_at,
        kept: command.kept,
        root: [2; 32],
        mark: RestoreMark::new(5),
        last_numbers: vec![stated_number("INV-2026-000412")],
        at: given.now,
    };
    given.when(command).then([(Stream::Ledger, Event::LedgerRestored(event))]).answered(&Answer::Done);
}

#[test]
fn a_restored_ledger_continues_in_a_new_series() {
    let given = one_issued().restored(5, &[]);
    let given = given.when(finalise(draft(3, &[1000]))).answered(&issued("INV-R000005-2026-000001")).and();
    let given = given.when(finalise(draft(4, &[1000]))).answered(&issued("INV-R000005-2026-000002")).and();
    let credit = note(&given, "INV-2026-000001");
    let given = given.when(credit).answered(&issued("INVCN-R000005-2026-000001")).and();
    // A snapshot remembers it.
    let snapshot = given.state.snapshot();
    let state = State::restore(&snapshot, Box::new(MemoryIndex::new([7; 16]))).expect("it was just taken");
    let given = Given { state, ..given };
    given
        .when(finalise(draft(5, &[1000])))
        .answered(&issued("INV-R000005-2026-000003"))
        .and()
        .done(DescribeParty {
            party: PartyId(1),
            description: Description {
                series: Some("ACME".parse().expect("a series")),
                ..Description::default()
            },
        })
        .when(finalise(draft(6, &[1000])))
        .answered(&issued("ACME-R000005-2026-000001"));
}

/// Both of one backup, on machines that know nothing of each other.
#[test]
fn two_restores_of_one_backup_issue_different_numbers() {
    let numbers = [5, 6].map(|mark| {
        let when = one_issued().restored(mark, &[]).when(finalise(draft(3, &[1000])));
        when.outcome().answer.clone()
    });
    assert_eq!(numbers, [issued("INV-R000005-2026-000001"), issued("INV-R000006-2026-000001")]);
}

#[test]
fn a_stated_series_continues_after_the_stated_number() {
    let given = one_issued().restored(5, &["INV-2026-000412"]);
    let given = given.when(finalise(draft(3, &[1000]))).answered(&issued("INV-2026-000413")).and();
    // Nothing was stated of credit notes.
    let credit = note(&given, "INV-2026-000413");
    let given = given.when(credit).answered(&issued("INVCN-R000005-2026-000001")).and();
    given.when(finalise(draft(4, &[1000]))).answered(&issued("INV-2026-000414"));
}

#[test]
fn that_nothing_was_lost_and_that_nothing_was_issued_can_be_stated() {
    let given = one_issued().restored(5, &["INV-2026-000001", "INVCN-2026-000000"]);
    let given = given.when(finalise(draft(3, &[1000]))).answered(&issued("INV-2026-000002")).and();
    let credit = note(&given, "INV-2026-000001");
    given.when(credit).answered(&issued("INVCN-2026-000001"));
}

/// Each restore counts from what the one before it left in force.
#[test]
fn a_ledger_is_restored_again() {
    let again = |stated: &[&str], expected: &str| {
        let given = one_issued().restored(5, &[]).done(finalise(draft(3, &[1000])));
        let given = given.restored(6, stated);
        given.when(finalise(draft(4, &[1000]))).answered(&issued(expected));
    };
    again(&[], "INV-R000006-2026-000001");
    again(&["INV-R000005-2026-000007"], "INV-R000005-2026-000008");
    // A floor is known after the restore that stated it.
    let given = one_issued().restored(5, &["INV-2026-000412"]);
    let below = restore(&given, 6, &["INV-2026-000411"]);
    let given = given.when(below).refused(RestoreRefusal::BelowKnown {
        number: stated_number("INV-2026-000411"),
        known: InvoiceId::new("INV-2026-000412").expect("a number"),
    });
    given
        .restored(6, &["INV-2026-000412"])
        .when(finalise(draft(3, &[1000])))
        .answered(&issued("INV-2026-000413"));
}

#[test]
fn a_year_that_had_begun_counts_as_lost_too() {
    let november = |buyer, run| {
        let period = period("2026-11-01T00:00:00Z/2026-12-01T00:00:00Z");
        finalise(Invoice { run: RunId(run), period, ..draft(buyer, &[1000]) })
    };
    let open_november = OpenInvoiceRun { period: days("2026-11-01", "2026-12-01"), ..open() };
    // Restored in 2026: numbers of 2027 are all after the restore.
    let given = one_issued().restored(5, &["INV-2026-000412"]).at("2027-01-02T00:00:00Z");
    given.done(open_november.clone()).when(november(2, 2)).answered(&issued("INV-2027-000001"));
    // Restored in 2027: somebody may have got INV-2027-000001.
    let given = one_issued().at("2027-01-02T00:00:00Z").done(open_november.clone());
    let given = given.restored(5, &["INV-2026-000412"]);
    given.when(november(2, 2)).answered(&issued("INV-R000005-2027-000001"));
    let given = one_issued().at("2027-01-02T00:00:00Z").done(open_november);
    let given = given.restored(5, &["INV-2026-000412", "INV-2027-000003"]);
    given.when(november(2, 2)).answered(&issued("INV-2027-000004"));
}

#[test]
fn every_project_is_restored_and_states_numbers_of_its_own() {
    let other = |given: Given| {
        let given = given.within(2).done(register_party()).done(register_party());
        given.done(publish("standard")).done(open())
    };
    let given = other(one_issued()).restored(5, &["PROJ-2/INV-2026-000009"]);
    let given = given.when(finalise(draft(2, &[1000]))).answered(&issued("INV-2026-000010")).and();
    let given =
        given.within(1).when(finalise(draft(3, &[1000]))).answered(&issued("INV-R000005-2026-000001"));
    // One that was opened after the backup, and is opened again, may have issued numbers too.
    let given = other(given.and()).within(3).done(register_party()).done(register_party());
    given
        .done(publish("standard"))
        .done(open())
        .when(finalise(draft(2, &[1000])))
        .answered(&issued("INV-R000005-2026-000001"));
}

#[test]
fn what_cannot_be_restored_or_stated() {
    let id = |text: &str| InvoiceId::new(text).expect(text);
    let number = stated_number;
    let rows: Vec<(&[&str], RestoreRefusal)> = vec![
        (&["INV-2026"], RestoreRefusal::BadNumber { number: number("INV-2026") }),
        (&["INV-2026-x"], RestoreRefusal::BadNumber { number: number("INV-2026-x") }),
        (&["INV-12026-1"], RestoreRefusal::BadNumber { number: number("INV-12026-1") }),
        (&["INV-2026-1000000000000"], RestoreRefusal::BadNumber { number: number("INV-2026-1000000000000") }),
        (
            &["INV-2026-000002", "INV-2026-3"],
            RestoreRefusal::StatedTwice { number: number("INV-2026-000003") },
        ),
        (
            &["INX-2026-000002"],
            RestoreRefusal::UnknownSeries {
                number: number("INX-2026-000002"),
                series: "INX".into(),
                known: "the series of PROJ-1 are INV, INVCN".into(),
            },
        ),
        (
            &["PROJ-7/INV-2026-000002"],
            RestoreRefusal::UnknownSeries {
                number: number("PROJ-7/INV-2026-000002"),
                series: "INV".into(),
                known: "PROJ-7 has no sellers".into(),
            },
        ),
        (
            &["INV-2027-000000"],
            RestoreRefusal::YearNotBegun { number: number("INV-2027-000000"), year: 2027, now: 2026 },
        ),
        (
            &["INV-2026-000000"],
            RestoreRefusal::BelowKnown { number: number("INV-2026-000000"), known: id("INV-2026-000001") },
        ),
    ];
    for (stated, refusal) in rows {
        let given = one_issued();
        let command = restore(&given, 5, stated);
        given.when(command).refused(refusal);
    }
    let given = one_issued();
    let command = restore(&given, 5, &[]);
    let (last, early) = (command.kept, at("2026-10-31T23:59:59Z"));
    let many = vec![number("INV-2026-000412"); 1001];
    let empty = RestoreRefusal::BadPlace { field: "from", reason: crate::domain::id::InvalidText::Empty };
    given
        .when(RecordRestore { from: "".into(), kept: last.next(), ..command.clone() })
        .refused(empty)
        .when(RecordRestore { kept: last.next(), ..command.clone() })
        .refused(RestoreRefusal::NotKept { kept: last.next(), last })
        .when(RecordRestore { last_numbers: many, ..command.clone() })
        .refused(RestoreRefusal::TooMany)
        .at("2026-10-31T23:59:59Z")
        .when(command.clone())
        .refused(RestoreRefusal::ClockBehind { now: early, backup_at: command.backup_at })
        .at("2026-11-02T10:00:00Z")
        .done(command.clone())
        .when(command)
        .refused(RestoreRefusal::MarkTaken { mark: RestoreMark::new(5) });
}
