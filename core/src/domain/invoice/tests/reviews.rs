//! Drafts that are approved or held one by one.

use super::*;
use crate::domain::id::InvalidText;

fn review(payer: u64, decision: DraftDecision, reason: &str) -> ReviewDraft {
    ReviewDraft { run: RunId(1), payer: PartyId(payer), decision, reason: reason.into() }
}

fn hold(payer: u64) -> ReviewDraft {
    review(payer, DraftDecision::Held, "a price is discussed")
}

fn approve(payer: u64) -> ReviewDraft {
    review(payer, DraftDecision::Approved, "looked at")
}

fn held(payer: u64) -> InvoiceRefusal {
    InvoiceRefusal::DraftHeld { run: RunId(1), payer: PartyId(payer), reason: "a price is discussed".into() }
}

fn alone(draft: Invoice) -> FinaliseInvoice {
    FinaliseInvoice { draft, alone: true }
}

#[test]
fn a_held_draft_does_not_become_final_until_it_is_approved() {
    let given = given();
    let event = InvoiceDraftReviewed {
        run: RunId(1),
        payer: PartyId(2),
        decision: DraftDecision::Held,
        reason: "a price is discussed".into(),
        at: given.now,
    };
    given
        .when(hold(2))
        .then([(Stream::InvoiceRun(RunId(1)), Event::InvoiceDraftReviewed(event))])
        .and()
        .when(hold(2))
        .unchanged()
        .and()
        .when(finalise(draft(2, &[100])))
        .refused(held(2))
        .when(alone(draft(2, &[100])))
        .refused(held(2))
        // Its run cannot become final without it.
        .when(FinaliseInvoiceRun { run: RunId(1), invoices: 1 })
        .refused(InvoiceRefusal::RunIncomplete { issued: 0, drafts: 1 })
        .done(approve(2))
        .when(finalise(draft(2, &[100])))
        .answered(&issued("INV-2026-000001"))
        .and()
        .when(hold(2))
        .refused(InvoiceRefusal::AlreadyInvoiced { run: RunId(1), invoice: number("INV-2026-000001") });
}

#[test]
fn an_approved_draft_becomes_final_alone_also_in_grace() {
    let of_second = || Invoice { run: RunId(2), ..draft(2, &[100]) };
    let not_approved = InvoiceRefusal::DraftNotApproved { run: RunId(2), payer: PartyId(2) };
    let until = at("2026-11-05T10:00:00Z");
    given()
        .done(OpenInvoiceRun { grace_hours: 72, ..open() })
        .when(alone(of_second()))
        .refused(not_approved)
        .done(ReviewDraft { run: RunId(2), ..approve(2) })
        .when(finalise(of_second()))
        .refused(InvoiceRefusal::InGrace { run: RunId(2), until })
        .when(alone(of_second()))
        .answered(&issued("INV-2026-000001"));
}

#[test]
fn a_refresh_ends_approvals_and_keeps_what_is_held() {
    given()
        .done(register_party())
        .done(approve(1))
        .done(hold(2))
        .done(RefreshInvoiceRun { run: RunId(1) })
        .when(alone(draft(1, &[100])))
        .refused(InvoiceRefusal::DraftNotApproved { run: RunId(1), payer: PartyId(1) })
        .when(finalise(draft(2, &[100])))
        .refused(held(2));
}

#[test]
fn what_cannot_be_reviewed_is_refused() {
    given()
        .when(ReviewDraft { run: RunId(9), ..hold(2) })
        .refused(InvoiceRefusal::UnknownRun { run: RunId(9) })
        .when(hold(99))
        .refused(InvoiceRefusal::UnknownParty { party: PartyId(99) })
        .when(review(2, DraftDecision::Held, ""))
        .refused(InvoiceRefusal::BadReason(InvalidText::Empty))
        .done(WithdrawInvoiceRun { run: RunId(1) })
        .when(hold(2))
        .refused(InvoiceRefusal::RunWithdrawn { run: RunId(1) });
}
