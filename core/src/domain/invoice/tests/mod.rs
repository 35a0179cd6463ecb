//! Runs that are opened, drafts that become final: given, when, then.

mod grace;
mod notes;
mod paid;
mod remainder;
mod restored;
mod reviews;

use super::*;
use crate::domain::Answer;
use crate::domain::given::{Given, at, period, register_party, register_party_in, sealed};
use crate::domain::id::InstanceId;
use crate::domain::money::{Exact, Price, Rounding};
use crate::domain::party::{DescribeParty, Description};
use crate::domain::pricing::{
    Every, FeeEnd, FeeTerms, InvoiceTerms, Match, Model, OnChange, PriceBook, PriceTax, PriceVersion,
    PricingRefusal, PublishPriceBook, Rate, When,
};
use crate::domain::quantity::Quantity;

fn publish(name: &str) -> PublishPriceBook {
    let price = "10".parse().expect("a price");
    let book = PriceBook {
        name: book_name(name),
        // Books in one currency would be for the same customers.
        currency: if name == "standard" { Currency::EUR } else { "USD".parse().expect("a currency") },
        valid_from: at("2026-01-01T00:00:00Z"),
        rounding: Rounding::HalfUp,
        on_change: OnChange::default(),
        terms: InvoiceTerms::default(),
        resources: Vec::new(),
        rates: vec![Rate {
            model: Model::Recurring {
                item: "".into(),
                price,
                every: Every::Month,
                when: When::Arrears,
                until: FeeEnd::default(),
                terms: FeeTerms::default(),
            },
            trial: None,
            matching: Match::default(),
        }],
    };
    PublishPriceBook { book, retroactive: false }
}

/// A run for one payer invoices nobody else, and the month then the rest of theirs.
#[test]
fn a_run_may_name_its_payers() {
    let stranger = InvoiceRefusal::UnknownParty { party: PartyId(9) };
    let given = given().when(OpenInvoiceRun { payers: vec![PartyId(9)], ..open() }).refused(stranger);
    let many = OpenInvoiceRun { payers: (1..=1001).map(PartyId).collect(), ..open() };
    let given = given.when(many).refused(InvoiceRefusal::TooManyPayers);
    let given = given.done(OpenInvoiceRun { payers: vec![PartyId(1), PartyId(1)], ..open() });
    let other = InvoiceRefusal::PayerNotNamed { run: RunId(2), payer: PartyId(2) };
    given.when(finalise(Invoice { run: RunId(2), ..draft(2, &[100]) })).refused(other);
}

/// A document is about all that documents that stand leave of the period of its run.
#[test]
fn a_document_may_be_about_the_rest_of_a_period() {
    let on_demand =
        OpenInvoiceRun { payers: vec![PartyId(2)], period: days("2026-10-01", "2026-10-16"), ..open() };
    let half = |run, start: &str, stop: &str| Invoice {
        run: RunId(run),
        period: Period::new(at(start), at(stop)).expect("a period"),
        ..draft(2, &[100])
    };
    let (first, middle, last) = ("2026-10-01T00:00:00Z", "2026-10-16T00:00:00Z", "2026-11-01T00:00:00Z");
    let given = given().done(on_demand).done(finalise(half(2, first, middle))).done(open());
    let other = InvoiceRefusal::OtherPeriod;
    let given = given.when(finalise(half(3, "2026-10-17T00:00:00Z", last))).refused(other.clone());
    let given = given.when(finalise(half(3, middle, "2026-10-31T00:00:00Z"))).refused(other.clone());
    let given = given.when(finalise(half(3, middle, "2026-11-02T00:00:00Z"))).refused(other);
    given.done(finalise(half(3, middle, last)));
}

fn book_name(name: &str) -> PriceBookName {
    PriceBookName::new(name).expect(name)
}

fn days(start: &str, stop: &str) -> RunPeriod {
    let day = |text: &str| Bound::Day(text.parse().expect(text));
    RunPeriod { start: day(start), stop: day(stop) }
}

fn open() -> OpenInvoiceRun {
    let period = days("2026-10-01", "2026-11-01");
    OpenInvoiceRun {
        seller: PartyId(1),
        period,
        price_book: None,
        payers: Vec::new(),
        reason: RunReason::Period,
        grace_hours: 0,
        finalise: false,
    }
}

/// PARTY-1 sells, in UTC; PARTY-2 buys, in UTC; one price book; the run of October is open, and it is over.
fn given() -> Given {
    Given::nothing()
        .done(register_party())
        .done(register_party())
        .done(publish("standard"))
        .done(open())
        .at("2026-11-02T10:00:00Z")
}

const CONFIG: bincode::config::Configuration = bincode::config::standard();
const OCTOBER: &str = "2026-10-01T00:00:00Z/2026-11-01T00:00:00Z";

fn euros(cents: i128) -> Amount {
    Amount::from_minor(cents, Currency::EUR)
}

fn tax() -> Tax {
    Tax { category: TaxCategory::O, rate: Quantity::ZERO }
}

/// One, or one below zero, at a price that makes so much of it.
fn line(n: u32, cents: i128) -> InvoiceLine {
    InvoiceLine {
        n,
        kind: LineKind::Recurring,
        instance: Some(InstanceId(1)),
        dimensions: Vec::new(),
        description: "an instance".into(),
        period: period(OCTOBER),
        quantity: if cents < 0 { "-1" } else { "1" }.parse().expect("a number"),
        unit: "month".into(),
        unit_price: cents
            .checked_abs()
            .and_then(|cents| Price::from_billionths(cents.checked_mul(10_000_000)?).ok()),
        steps: Vec::new(),
        amount: euros(cents),
        residue: Exact::ZERO,
        price_book: Some(PriceVersion { name: book_name("standard"), version: 1 }),
        rate: 1,
        price_override: None,
        reduces: None,
        tax: tax(),
        events: EventSet {
            count: 1,
            first_sequence: Sequence(1),
            last_sequence: Sequence(1),
            digest: [0; 32],
        },
        cites: None,
    }
}

/// A draft of RUN-1 for a buyer, with a line for each amount.
fn draft(buyer: u64, cents: &[i128]) -> Invoice {
    let sum = euros(cents.iter().sum());
    let party = |party| InvoiceParty {
        party: PartyId(party),
        name: sealed("retention", "a name"),
        details: None,
        country: None,
        vat_id: false,
    };
    let subtotal = TaxSubtotal { tax: tax(), base: sum, amount: euros(0), exemption: None };
    Invoice {
        id: InvoiceId::new("draft").expect("a text"),
        document: DocumentKind::Invoice,
        run: RunId(1),
        cites: None,
        seller: party(1),
        buyer: party(buyer),
        currency: Currency::EUR,
        period: period(OCTOBER),
        issued_at: at("2000-01-01T00:00:00Z"),
        due_at: at("2000-01-01T00:00:00Z"),
        lines: (1..).zip(cents).map(|(n, cents)| line(n, *cents)).collect(),
        price_tax: PriceTax::Exclusive,
        net: sum,
        tax: if cents.is_empty() { vec![] } else { vec![subtotal] },
        rounding: euros(0),
        total: sum,
        prepaid: Vec::new(),
        due: euros(0),
    }
}

fn finalise(draft: Invoice) -> FinaliseInvoice {
    FinaliseInvoice { draft, alone: false }
}

fn number(text: &str) -> InvoiceId {
    InvoiceId::new(text).expect(text)
}

fn issued(text: &str) -> Answer {
    Answer::Invoice(number(text))
}

#[test]
fn opening_a_run_fixes_period_cut_off_and_prices() {
    let given = given().done(publish("standard")).at("2026-11-01T00:00:00Z");
    let cut_off = Sequence(given.next().0 - 1);
    let opened = InvoiceRunOpened {
        run: RunId(2),
        seller: PartyId(1),
        period: open().period,
        cut_off,
        price_book: book_name("standard"),
        versions: 1,
        payers: Vec::new(),
        reason: RunReason::Period,
        grace_until: None,
        finalise: false,
        at: given.now,
    };
    let stream = Stream::InvoiceRun(RunId(2));
    given
        .when(open())
        .then([(stream, Event::InvoiceRunOpened(opened))])
        .answered(&Answer::InvoiceRun(RunId(2)))
        .and()
        .done(publish("other"))
        .when(OpenInvoiceRun { price_book: Some(book_name("standard")), ..open() })
        .answered(&Answer::InvoiceRun(RunId(3)));
}

/// What is invoiced stays as it is, unless somebody says so.
#[test]
fn a_version_takes_effect_in_an_invoiced_period_only_as_retroactive() {
    let since = |valid_from: &str| {
        let mut command = publish("standard");
        command.book.valid_from = at(valid_from);
        command
    };
    let retroactive = |valid_from: &str, more: usize| PricingRefusal::Retroactive {
        valid_from: at(valid_from),
        invoice: number("INV-2026-000001"),
        period: period(OCTOBER),
        more,
    };
    let given = given()
        .done(since("2026-10-20T00:00:00Z"))
        .done(finalise(draft(2, &[1000])))
        .when(since("2026-10-16T00:00:00Z"))
        .refused(retroactive("2026-10-16T00:00:00Z", 0))
        // It would count until the version of the 20th: in October, too.
        .when(since("2026-09-01T00:00:00Z"))
        .refused(retroactive("2026-09-01T00:00:00Z", 0))
        .when(since("2026-10-31T23:59:59Z"))
        .refused(retroactive("2026-10-31T23:59:59Z", 0))
        .done(since("2026-11-01T00:00:00Z"))
        // What counts already is not published again.
        .when(since("2026-11-01T00:00:00Z"))
        .then([])
        .and()
        .done(PublishPriceBook { retroactive: true, ..since("2026-10-16T00:00:00Z") });
    assert_eq!(given.project().price_books.versions("standard").len(), 4);
}

#[test]
fn refusals_to_open_in_order() {
    let nobody = InvoiceRefusal::UnknownParty { party: PartyId(9) };
    let backwards = days("2026-11-01", "2026-10-01");
    let other = Some(book_name("other"));
    let given = Given::nothing()
        .done(register_party())
        .when(OpenInvoiceRun { seller: PartyId(9), period: backwards, price_book: other.clone(), ..open() })
        .refused(nobody)
        .when(OpenInvoiceRun { period: backwards, price_book: other.clone(), ..open() })
        .refused(InvoiceRefusal::EmptyPeriod)
        .when(OpenInvoiceRun { period: days("2026-10-01", "2026-10-01"), ..open() })
        .refused(InvoiceRefusal::EmptyPeriod)
        .when(open())
        .refused(InvoiceRefusal::NoPriceBook);
    given
        .done(publish("standard"))
        .when(OpenInvoiceRun { price_book: other, ..open() })
        .refused(InvoiceRefusal::UnknownPriceBook { name: book_name("other") })
        .when(OpenInvoiceRun { grace_hours: 366 * 24 + 1, ..open() })
        .refused(InvoiceRefusal::GraceTooLong)
        .done(publish("another"))
        .when(open())
        .refused(InvoiceRefusal::SeveralPriceBooks);
}

#[test]
fn a_final_invoice_is_the_draft_with_number_and_dates() {
    let given = given();
    let lines_digest = {
        use sha2::{Digest, Sha256};
        let bytes = |cents| bincode::encode_to_vec(cents, CONFIG).expect("encodes");
        Sha256::digest([bytes(line(1, 1000)), bytes(line(2, -250))].concat()).into()
    };
    let invoice = Invoice {
        id: number("INV-2026-000001"),
        issued_at: given.now,
        due_at: at("2026-12-02T10:00:00Z"),
        due: euros(750),
        ..draft(2, &[1000, -250])
    };
    let event = InvoiceFinalised { invoice, parts: 0, lines_digest };
    let stream = Stream::Invoice(number("INV-2026-000001"));
    let given = given
        .when(finalise(draft(2, &[1000, -250])))
        .then([(stream, Event::InvoiceFinalised(Box::new(event)))])
        .answered(&issued("INV-2026-000001"))
        .and();
    assert_eq!(given.project().invoices.issued(RunId(1)).collect::<Vec<_>>(), [&number("INV-2026-000001")]);
}

#[test]
fn numbers_have_no_gaps_in_each_series_of_seller_and_year() {
    let parties = (0..6).fold(given(), |given, _| given.done(register_party()));
    let paris = parties.done(register_party_in("Europe/Paris"));
    let series = Description { series: Some("PARIS".parse().expect("a series")), ..Description::default() };
    let paris = paris.done(DescribeParty { party: PartyId(9), description: series });
    // RUN-2 is of PARTY-9, who lives in Paris.
    let mut given = paris.done(OpenInvoiceRun { seller: PartyId(9), ..open() });
    let of_paris = |buyer| {
        let mut draft = draft(buyer, &[100]);
        (draft.run, draft.seller.party) = (RunId(2), PartyId(9));
        draft
    };
    let wrong = Invoice { net: euros(1), ..draft(3, &[100]) };
    let rows = [
        ("2026-12-31T22:59:59Z", draft(2, &[100]), Some("INV-2026-000001")),
        // A refusal takes no number.
        ("2026-12-31T22:59:59Z", wrong, None),
        ("2026-12-31T22:59:59Z", of_paris(2), Some("PARIS-2026-000001")),
        ("2026-12-31T22:59:59Z", of_paris(3), Some("PARIS-2026-000002")),
        // It is 2027 in Paris, not where PARTY-1 is.
        ("2026-12-31T23:00:00Z", of_paris(4), Some("PARIS-2027-000001")),
        ("2026-12-31T23:59:59Z", draft(3, &[100]), Some("INV-2026-000002")),
        ("2027-01-01T00:00:00Z", draft(4, &[100]), Some("INV-2027-000001")),
        ("2027-01-01T00:00:00Z", draft(5, &[100]), Some("INV-2027-000002")),
    ];
    for (now, draft, expected) in rows {
        let when = given.at(now).when(finalise(draft));
        given = match expected {
            Some(expected) => when.answered(&issued(expected)).and(),
            None => when.refused(InvoiceRefusal::SumsDoNotAddUp { what: "net is not the sum of the lines" }),
        };
    }
}

#[test]
fn a_period_is_cut_where_the_buyer_is() {
    let given = || given().done(register_party_in("Europe/Paris"));
    let paris = Invoice { period: period("2026-09-30T22:00:00Z/2026-10-31T23:00:00Z"), ..draft(3, &[100]) };
    given().when(finalise(paris)).answered(&issued("INV-2026-000001"));
    given().when(finalise(draft(3, &[100]))).refused(InvoiceRefusal::OtherPeriod);
    // Over here, not yet over there.
    let new_york = given().done(register_party_in("America/New_York")).at("2026-11-01T03:59:59Z");
    let there = Invoice { period: period("2026-10-01T04:00:00Z/2026-11-01T04:00:00Z"), ..draft(4, &[100]) };
    let given = new_york.done(finalise(draft(2, &[100])));
    let given = given
        .when(finalise(there.clone()))
        .refused(InvoiceRefusal::PeriodNotOver { stop: there.period.stop });
    given.at("2026-11-01T04:00:00Z").when(finalise(there)).answered(&issued("INV-2026-000002"));
}

#[test]
fn refusals_to_finalise_in_order() {
    // A draft with all that can be wrong, put right one after the other.
    let mut wrong = Invoice { net: euros(1), run: RunId(9), ..draft(9, &[100]) };
    wrong.seller.party = PartyId(2);
    wrong.period = period("2026-10-15T00:00:00Z/2026-12-01T00:00:00Z");
    let mut given =
        given().when(finalise(wrong.clone())).refused(InvoiceRefusal::UnknownRun { run: RunId(9) });
    wrong.run = RunId(1);
    given = given.when(finalise(wrong.clone())).refused(InvoiceRefusal::UnknownParty { party: PartyId(9) });
    wrong.buyer.party = PartyId(2);
    given = given.when(finalise(wrong.clone())).refused(InvoiceRefusal::OtherPeriod);
    wrong.seller.party = PartyId(1);
    given = given.when(finalise(wrong.clone())).refused(InvoiceRefusal::OtherPeriod);
    wrong.period = period(OCTOBER);
    let stop = wrong.period.stop;
    given = given.at("2026-10-31T23:59:59.999999Z");
    given = given.when(finalise(wrong.clone())).refused(InvoiceRefusal::PeriodNotOver { stop });

    let sums = InvoiceRefusal::SumsDoNotAddUp { what: "net is not the sum of the lines" };
    given = given.at("2026-11-01T00:00:00Z").when(finalise(wrong.clone())).refused(sums);
    let invoice = number("INV-2026-000001");
    given = given.done(finalise(draft(2, &[100])));
    let already = InvoiceRefusal::AlreadyInvoiced { run: RunId(1), invoice: invoice.clone() };
    given = given.when(finalise(wrong.clone())).refused(already.clone());
    given = given.done(FinaliseInvoiceRun { run: RunId(1), invoices: 1 });
    given = given.when(finalise(wrong.clone())).refused(already);
    wrong.buyer.party = PartyId(1);
    given = given.when(finalise(wrong.clone())).refused(InvoiceRefusal::RunFinal { run: RunId(1) });

    // RUN-2 is about the same month.
    wrong.buyer.party = PartyId(2);
    wrong.run = RunId(2);
    given.done(open()).when(finalise(wrong)).refused(InvoiceRefusal::PeriodInvoiced { invoice });
}

#[test]
fn no_time_is_invoiced_twice() {
    let given = given().done(register_party()).done(finalise(draft(2, &[100])));
    let instants = |text: &str| {
        let Period { start, stop } = period(text);
        RunPeriod { start: Bound::Instant(start), stop: Bound::Instant(stop) }
    };
    let rows = [
        ("2026-10-31T23:59:59.999999Z/2026-11-01T12:00:00Z", false),
        ("2026-09-01T00:00:00Z/2026-10-01T00:00:00.000001Z", false),
        ("2026-09-01T00:00:00Z/2026-11-02T00:00:00Z", false),
        ("2026-11-01T00:00:00Z/2026-11-02T00:00:00Z", true),
        ("2026-09-01T00:00:00Z/2026-10-01T00:00:00Z", true),
    ];
    let mut given = given;
    for (run, (when, fine)) in (2..).zip(rows) {
        given = given.done(OpenInvoiceRun { period: instants(when), ..open() });
        let draft = Invoice { run: RunId(run), period: period(when), ..draft(2, &[100]) };
        let when = given.when(finalise(draft));
        let invoice = number("INV-2026-000001");
        given = if fine { when.and() } else { when.refused(InvoiceRefusal::PeriodInvoiced { invoice }) };
    }
    // Another buyer, or another currency, is another invoice.
    given = given.done(finalise(draft(3, &[100])));
    let yen: Currency = "JPY".parse().expect("a currency");
    let mut other = Invoice { currency: yen, lines: vec![], tax: vec![], ..draft(2, &[]) };
    (other.net, other.rounding, other.total) = (Amount::zero(yen), Amount::zero(yen), Amount::zero(yen));
    given.when(finalise(other)).answered(&issued("INV-2026-000005"));
}

/// Two runs were open, and both charged the same late usage: the first made it final, then the second did.
#[test]
fn a_run_that_does_not_know_of_a_later_invoice_is_outdated() {
    let november = || OpenInvoiceRun { period: days("2026-11-01", "2026-12-01"), ..open() };
    let of_november = |run, buyer| {
        let period = period("2026-11-01T00:00:00Z/2026-12-01T00:00:00Z");
        finalise(Invoice { run: RunId(run), period, ..draft(buyer, &[100]) })
    };
    let given = given().done(register_party()).done(november()).at("2026-12-02T00:00:00Z");
    let given = given.done(finalise(draft(2, &[100])));
    let outdated = InvoiceRefusal::Outdated { run: RunId(2), invoice: number("INV-2026-000001") };
    given
        .when(of_november(2, 2))
        .refused(outdated)
        // Nothing was issued to this one since.
        .done(of_november(2, 3))
        // One that was opened later knows.
        .done(november())
        .when(of_november(3, 2))
        .answered(&issued("INV-2026-000003"));
}

#[test]
fn credit_notes_have_numbers_of_their_own() {
    let note = |buyer| {
        let mut note = draft(buyer, &[100]);
        note.document = DocumentKind::CreditNote;
        finalise(note)
    };
    let given = given().done(register_party()).done(register_party());
    given
        .done(finalise(draft(1, &[100])))
        .when(note(2))
        .answered(&issued("INVCN-2026-000001"))
        .and()
        .when(note(3))
        .answered(&issued("INVCN-2026-000002"))
        .and()
        .when(finalise(draft(4, &[100])))
        .answered(&issued("INV-2026-000002"));
}

/// 3.00 contain 3.00 x 20 / 120 = 0.50 of tax.
#[test]
fn amounts_of_lines_may_contain_tax() {
    let rate = "20".parse().expect("a number");
    let tax = Tax { category: TaxCategory::S, rate };
    let inclusive = |base, amount| {
        let lines = [(1, 100), (2, 200)].map(|(n, cents)| InvoiceLine { tax, ..line(n, cents) });
        let subtotal = TaxSubtotal { tax, base: euros(base), amount: euros(amount), exemption: None };
        let mut invoice = Invoice {
            lines: lines.to_vec(),
            price_tax: PriceTax::Inclusive,
            net: euros(base),
            tax: vec![subtotal],
            total: euros(base + amount),
            ..draft(2, &[300])
        };
        invoice.seller.vat_id = true;
        finalise(invoice)
    };
    let refused = |base, amount, what| {
        given().when(inclusive(base, amount)).refused(InvoiceRefusal::SumsDoNotAddUp { what });
    };
    refused(251, 50, "net is not the sum of the lines");
    refused(249, 51, "tax is not its rate of the base");
    refused(300, 60, "net is not the sum of the lines");
    given().done(inclusive(250, 50));
}

#[test]
fn sums_that_do_not_add_up_are_refused() {
    let subtotal =
        |base, amount| TaxSubtotal { tax: tax(), base: euros(base), amount: euros(amount), exemption: None };
    let yen = Amount::from_minor(300, "JPY".parse().expect("a currency"));
    let right = || draft(2, &[100, 200]);
    let mut other_tax = line(2, 200);
    other_tax.tax.rate = "20".parse().expect("a number");
    let net = "net is not the sum of the lines";
    let rate = |rate: &str| rate.parse().expect(rate);
    let at = |tax| [(1, 100), (2, 200)].map(|(n, cents)| InvoiceLine { tax, ..line(n, cents) }).to_vec();
    let standard = |percent: &str, cents| {
        let tax = Tax { category: TaxCategory::S, rate: rate(percent) };
        TaxSubtotal { tax, ..subtotal(300, cents) }
    };
    let taxed = |percent: &str| at(Tax { category: TaxCategory::S, rate: rate(percent) });
    let reverse = Tax { category: TaxCategory::AE, rate: rate("20") };
    let free_at = || TaxSubtotal { tax: reverse, ..subtotal(300, 0) };
    let free_lines = || at(reverse);
    let rows = [
        (Invoice { lines: vec![line(1, 100), line(3, 200)], ..right() }, "lines are not numbered from 1"),
        (Invoice { lines: vec![line(0, 100), line(1, 200)], ..right() }, "lines are not numbered from 1"),
        (Invoice { net: euros(301), ..right() }, net),
        (Invoice { net: yen, ..right() }, net),
        (Invoice { lines: vec![InvoiceLine { amount: yen, ..line(1, 0) }], ..right() }, net),
        (Invoice { lines: vec![line(1, i128::MAX), line(2, 1)], ..right() }, net),
        (Invoice { tax: vec![subtotal(299, 0)], ..right() }, "tax base is not the sum of its lines"),
        (Invoice { tax: vec![subtotal(300, 1)], ..right() }, "tax outside the scope of tax is not zero"),
        (
            Invoice { tax: vec![standard("20", 59)], lines: taxed("20"), ..right() },
            "tax is not its rate of the base",
        ),
        (
            Invoice { tax: vec![free_at()], lines: free_lines(), ..right() },
            "tax rate of a category without tax is not zero",
        ),
        (Invoice { tax: vec![], ..right() }, "tax bases are not the net"),
        (Invoice { tax: vec![subtotal(300, 0), subtotal(300, 0)], ..right() }, "tax bases are not the net"),
        (
            Invoice { lines: vec![line(1, 100), other_tax], tax: vec![subtotal(100, 0)], ..right() },
            "tax bases are not the net",
        ),
        (Invoice { total: euros(299), ..right() }, "total is not net, tax and rounding"),
        (Invoice { rounding: euros(1), ..right() }, "total is not net, tax and rounding"),
    ];
    for (draft, what) in rows {
        given().when(finalise(draft)).refused(InvoiceRefusal::SumsDoNotAddUp { what });
    }
    given().done(finalise(Invoice { rounding: euros(-1), total: euros(299), ..right() }));
}

/// An event holds at most 65,535 bytes, its envelope included.
#[test]
fn a_long_invoice_is_recorded_in_parts() {
    let bytes = |event: &Event| match event {
        Event::InvoiceLinesRecorded(part) => bincode::encode_to_vec(part, CONFIG),
        Event::InvoiceFinalised(last) => bincode::encode_to_vec(last, CONFIG),
        other => panic!("{} is no part of an invoice", other.name()),
    };
    for lines in [0, 1, 300, 400, 5000] {
        let mut draft = draft(2, &vec![1; lines]);
        for line in &mut draft.lines {
            line.description = "x".repeat(line.n as usize % 90).into();
        }
        let when = given().when(finalise(draft.clone()));
        let events = &when.outcome().events;
        for (stream, event) in events {
            assert_eq!(*stream, Stream::Invoice(number("INV-2026-000001")));
            let size = bytes(event).expect("encodes").len();
            assert!(size < 60_000, "{lines} lines: {} of {size} bytes", event.name());
        }
        let Some((_, Event::InvoiceFinalised(last))) = events.last() else { panic!("not finalised") };
        let mut all = last.invoice.lines.clone();
        for ((_, event), n) in events[..events.len() - 1].iter().zip(1..) {
            let Event::InvoiceLinesRecorded(part) = event else { panic!("not lines") };
            assert_eq!((part.part, &part.invoice), (n, &last.invoice.id));
            all.extend(part.lines.iter().cloned());
        }
        assert_eq!(all, draft.lines);
        assert_eq!(last.parts as usize, events.len() - 1);
        let size: usize =
            all.iter().map(|line| bincode::encode_to_vec(line, CONFIG).expect("encodes").len()).sum();
        assert_eq!(
            last.parts > 0,
            size > super::parts::PART_BYTES,
            "{lines} lines of {size} bytes in {} parts",
            last.parts
        );
    }
}

#[test]
fn a_run_is_final_when_all_its_drafts_are() {
    let run = |run, invoices| FinaliseInvoiceRun { run: RunId(run), invoices };
    let given = given()
        .when(run(9, 0))
        .refused(InvoiceRefusal::UnknownRun { run: RunId(9) })
        .when(run(1, 1))
        .refused(InvoiceRefusal::RunIncomplete { issued: 0, drafts: 1 })
        .done(finalise(draft(2, &[100])));
    let event = InvoiceRunFinalised { run: RunId(1), invoices: 1, at: given.now };
    given
        .when(run(1, 1))
        .then([(Stream::InvoiceRun(RunId(1)), Event::InvoiceRunFinalised(event))])
        .answered(&Answer::InvoiceRun(RunId(1)))
        .and()
        .when(run(1, 1))
        .then([])
        .answered(&Answer::InvoiceRun(RunId(1)))
        .and()
        .when(run(1, 2))
        .refused(InvoiceRefusal::RunIncomplete { issued: 1, drafts: 2 });
}
