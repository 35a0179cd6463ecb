//! Time to look at drafts; drafts that are drawn up again; runs that are given up.

use super::*;
use crate::domain::given::When;

const REFRESH: RefreshInvoiceRun = RefreshInvoiceRun { run: RunId(1) };
const WITHDRAW: WithdrawInvoiceRun = WithdrawInvoiceRun { run: RunId(1) };

fn stream(run: u64) -> Stream {
    Stream::InvoiceRun(RunId(run))
}

fn close(invoices: u32) -> FinaliseInvoiceRun {
    FinaliseInvoiceRun { run: RunId(1), invoices }
}

#[test]
fn in_grace_nothing_becomes_final() {
    let until = at("2026-11-05T10:00:00Z");
    let in_grace = |run| InvoiceRefusal::InGrace { run: RunId(run), until };
    let given = given().when(OpenInvoiceRun { grace_hours: 72, finalise: true, ..open() });
    let Event::InvoiceRunOpened(opened) = given.last_event() else { panic!("not opened") };
    assert_eq!((opened.grace_until, opened.finalise), (Some(until), true));
    let of_second = || Invoice { run: RunId(2), ..draft(2, &[100]) };
    given
        .and()
        .at("2026-11-05T09:59:59.999999Z")
        .when(finalise(of_second()))
        .refused(in_grace(2))
        .when(FinaliseInvoiceRun { run: RunId(2), invoices: 0 })
        .refused(in_grace(2))
        .at("2026-11-05T10:00:00Z")
        .when(finalise(of_second()))
        .answered(&issued("INV-2026-000001"));
}

#[test]
fn drafts_are_drawn_up_again_from_all_that_is_known() {
    let mut dearer = publish("standard");
    dearer.book.valid_from = at("2026-11-01T00:00:00Z");
    let given = given().done(dearer);
    let cut_off = Sequence(given.next().0 - 1);
    let event = InvoiceRunRefreshed { run: RunId(1), cut_off, versions: 2, at: given.now };
    given
        .when(REFRESH)
        .then([(stream(1), Event::InvoiceRunRefreshed(event))])
        .answered(&Answer::InvoiceRun(RunId(1)))
        .and()
        .when(RefreshInvoiceRun { run: RunId(9) })
        .refused(InvoiceRefusal::UnknownRun { run: RunId(9) })
        .done(finalise(draft(2, &[100])))
        .when(REFRESH)
        .refused(InvoiceRefusal::RunStarted { run: RunId(1), invoice: number("INV-2026-000001") })
        .done(close(1))
        .when(REFRESH)
        .refused(InvoiceRefusal::RunFinal { run: RunId(1) });
}

/// What another run has issued since is known to a run that was refreshed.
#[test]
fn an_outdated_run_is_up_to_date_when_it_is_refreshed() {
    let november = OpenInvoiceRun { period: days("2026-11-01", "2026-12-01"), ..open() };
    let of_november = || {
        let period = period("2026-11-01T00:00:00Z/2026-12-01T00:00:00Z");
        finalise(Invoice { run: RunId(2), period, ..draft(2, &[100]) })
    };
    given()
        .done(november)
        .at("2026-12-02T00:00:00Z")
        .done(finalise(draft(2, &[100])))
        .when(of_november())
        .refused(InvoiceRefusal::Outdated { run: RunId(2), invoice: number("INV-2026-000001") })
        .done(RefreshInvoiceRun { run: RunId(2) })
        .when(of_november())
        .answered(&issued("INV-2026-000002"));
}

#[test]
fn a_run_that_issued_nothing_is_withdrawn() {
    let given = given();
    let event = InvoiceRunWithdrawn { run: RunId(1), at: given.now };
    let withdrawn = || InvoiceRefusal::RunWithdrawn { run: RunId(1) };
    given
        .when(WithdrawInvoiceRun { run: RunId(9) })
        .refused(InvoiceRefusal::UnknownRun { run: RunId(9) })
        .when(WITHDRAW)
        .then([(stream(1), Event::InvoiceRunWithdrawn(event))])
        .answered(&Answer::InvoiceRun(RunId(1)))
        .and()
        .when(WITHDRAW)
        .then([])
        .and()
        .when(finalise(draft(2, &[100])))
        .refused(withdrawn())
        .when(REFRESH)
        .refused(withdrawn())
        .when(close(0))
        .refused(withdrawn())
        // Its time can be invoiced by another.
        .done(open())
        .when(finalise(Invoice { run: RunId(2), ..draft(2, &[100]) }))
        .answered(&issued("INV-2026-000001"));
}

#[test]
fn a_run_that_issued_something_is_done_with_that() {
    let given = given().done(register_party()).done(finalise(draft(2, &[100])));
    let event = InvoiceRunFinalised { run: RunId(1), invoices: 1, at: given.now };
    let when: When = given.when(close(2));
    when.refused(InvoiceRefusal::RunIncomplete { issued: 1, drafts: 2 })
        .when(WITHDRAW)
        .then([(stream(1), Event::InvoiceRunFinalised(event))])
        .and()
        .when(finalise(draft(3, &[100])))
        .refused(InvoiceRefusal::RunFinal { run: RunId(1) })
        .when(WITHDRAW)
        .refused(InvoiceRefusal::RunFinal { run: RunId(1) });
}
