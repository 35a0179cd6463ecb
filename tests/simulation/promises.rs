//! What has been told to somebody, and must stay true: answers to named commands and outcomes of usage reports.

use std::collections::BTreeMap;

use slapledger_core::domain::access::AccessRefusal;
use slapledger_core::domain::id::{ComputerId, ProjectId, Sequence};
use slapledger_core::domain::instance::RequestOutcome;
use slapledger_core::domain::invoice::InvoiceRefusal;
use slapledger_core::domain::usage::{Revision, UsageId, UsageOutcome, UsageReport};
use slapledger_core::domain::{Answer, Command, Refusal};
use slapledger_core::ledger::{Accepted, Submission, SubmitError};

use crate::facts::ProjectFacts;

/// One identity in one content, as far as senders can tell contents apart.
type Told = (ProjectId, ComputerId, UsageId, String);

/// Everything that was answered, or is in the log though nobody heard the answer.
#[derive(Default)]
pub(crate) struct Promises {
    /// The sequence each content was first given.
    reports: BTreeMap<Told, u64>,
    named: Vec<(Submission, Answer)>,
}

impl Promises {
    /// A command that was carried out under its sender's name, to be sent again.
    pub(crate) fn named(&self) -> &[(Submission, Answer)] {
        &self.named
    }

    /// Takes an answer over, and checks it against all that was answered before and against the durable log. The log
    /// ended at `decided_at` when the command was decided.
    pub(crate) fn take(
        &mut self,
        (facts, decided_at): (&ProjectFacts, Sequence),
        submission: &Submission,
        result: &Result<Accepted, SubmitError>,
        was_good_all_the_time: impl Fn(&str) -> bool,
    ) {
        let meta = &submission.meta;
        if let Err(SubmitError::Refused(Refusal::Access(AccessRefusal::Unauthenticated(why)))) = result {
            let shown = meta.actor.credential.as_deref().expect("somebody who showed nothing is not asked");
            assert!(!was_good_all_the_time(shown), "{shown} is good, and {why}");
            return;
        }
        if let (Command::FinaliseInvoice(command), Err(SubmitError::Refused(refusal))) =
            (&submission.command, result)
            && matches!(refusal, Refusal::Invoice(InvoiceRefusal::Outdated { .. }))
        {
            let was = facts.books.was_outdated(&command.draft, decided_at);
            assert!(was, "{refusal}, but nothing was issued meanwhile");
        }
        let of_same_name = |(other, _): &&(Submission, Answer)| {
            let theirs = &other.meta;
            (theirs.project, &theirs.actor.id, theirs.actor.kind, theirs.command)
                == (meta.project, &meta.actor.id, meta.actor.kind, meta.command)
        };
        let before = self.named.iter().find(|known| meta.named_by_sender && of_same_name(known));
        if let Some((known, answer)) = before {
            if known.meta.digest == meta.digest {
                let accepted = result.as_ref().expect("a command that was carried out is answered again");
                assert_eq!(accepted.answer, *answer, "another answer to the same command");
                assert_eq!(accepted.events, 0, "a command is carried out twice");
            } else {
                assert_eq!(*result, Err(SubmitError::CommandIdReused));
            }
            return;
        }
        let Ok(accepted) = result else {
            assert_ne!(*result, Err(SubmitError::CommandIdReused), "a name that was never used");
            return;
        };
        assert!(accepted.sequence.0 <= facts.last, "an answer rests on what is not durable");
        // What a named command was answered is an event too.
        let happened = accepted.events > usize::from(meta.named_by_sender);
        self.check((meta.project, facts), &submission.command, &accepted.answer, happened);
        if meta.named_by_sender {
            self.named.push((submission.clone(), accepted.answer.clone()));
        }
    }

    fn check(
        &mut self,
        (project, facts): (ProjectId, &ProjectFacts),
        command: &Command,
        answer: &Answer,
        happened: bool,
    ) {
        match (answer, command) {
            (Answer::Party(party), _) => {
                assert!(facts.books.parties.contains_key(party), "{party} was answered");
            }
            (Answer::InvoiceRun(run), _) => {
                assert!(facts.books.runs.contains_key(run), "{run} was answered");
            }
            (Answer::Invoice(invoice), _) => {
                assert!(facts.books.knows_document(invoice), "{invoice} was answered");
            }
            (Answer::Credit(credit), _) => {
                assert!(facts.books.knows_credit(*credit), "{credit} was answered");
            }
            (Answer::Charge(charge), _) => {
                assert!(facts.books.knows_charge(*charge), "{charge} was answered");
            }
            (Answer::Instance { instance, outcome, .. }, Command::RequestInstance(request)) => {
                let fact = facts.instances.get(instance).expect("an instance that was answered");
                // By now it may go by another name.
                assert!(fact.names.contains(&request.reference), "{instance} was answered");
                assert_eq!(*outcome != RequestOutcome::Unchanged, happened, "{outcome:?}");
            }
            (Answer::Usage(outcomes), Command::RecordUsage(told)) => {
                assert_eq!(outcomes.len(), told.reports.len(), "an outcome for each report");
                for (report, outcome) in told.reports.iter().zip(outcomes) {
                    self.report((project, facts), &told.computer, report, *outcome);
                }
            }
            (Answer::Usage(outcomes), Command::VoidUsage(told)) => {
                assert_eq!(outcomes.len(), told.voids.len(), "an outcome for each void");
                let voided = outcomes.iter().any(|outcome| matches!(outcome, UsageOutcome::Voided(_)));
                assert_eq!(voided, happened, "{outcomes:?}");
            }
            (Answer::Revoked(revoked), _) => assert_eq!(!revoked.is_empty(), happened, "{revoked:?}"),
            (Answer::Unchanged, _) => assert!(!happened, "unchanged, but something happened"),
            _ => {}
        }
    }

    fn report(
        &mut self,
        (project, facts): (ProjectId, &ProjectFacts),
        computer: &ComputerId,
        report: &UsageReport,
        outcome: UsageOutcome,
    ) {
        let told = (project, computer.clone(), report.id.clone(), content(report));
        let before = self.reports.get(&told).copied();
        match outcome {
            UsageOutcome::Accepted(sequence) | UsageOutcome::Suspended(sequence, _) => {
                assert_eq!(before, None, "known content is recorded again: {told:?}");
                let identity = (computer.clone(), report.id.clone());
                assert!(facts.identities.contains_key(&identity), "{identity:?} was answered");
                assert!(sequence.0 <= facts.last, "an outcome rests on what is not durable");
                self.reports.insert(told, sequence.0);
            }
            UsageOutcome::Duplicate(sequence) => {
                // A report without a start that came later may have moved the start of this one: then it is that event.
                let identity = (computer.clone(), report.id.clone());
                // So may usage from the future that was suspended again for another reason.
                let of_it = facts.named.get(&sequence.0) == Some(&identity);
                let is_known =
                    before.is_some_and(|before| before == sequence.0 || before < sequence.0 && of_it);
                assert!(is_known, "a duplicate of what? {told:?}: {before:?}, {sequence}");
            }
            UsageOutcome::Conflict(_) => {
                assert_eq!(before, None, "known content is in conflict: {told:?}");
                assert_ne!(report.revision, Revision::Latest, "a daily report is never in conflict");
                let another = self
                    .reports
                    .keys()
                    .any(|known| (known.0, &known.1, &known.2) == (told.0, &told.1, &told.2));
                assert!(another, "a conflict with what? {told:?}");
            }
            UsageOutcome::NothingToReplace => assert_eq!(before, None, "{told:?}"),
            UsageOutcome::Voided(_) | UsageOutcome::NothingToVoid => {
                panic!("a report voids nothing: {told:?}")
            }
            UsageOutcome::OverQuota(_) => assert_eq!(before, None, "known content is over quota: {told:?}"),
        }
    }
}

fn content(report: &UsageReport) -> String {
    let quantity =
        report.quantity.1.as_ref().map_or_else(|_| report.quantity.0.to_string(), ToString::to_string);
    let UsageReport { subject, resource, start, stop, dimensions, node_sequence, .. } = report;
    format!("{subject} {resource} {quantity} {start:?} {stop:?} {dimensions:?} {node_sequence:?}")
}
