//! From a usage report of a node to the usage that is decided on.
//!
//! Pure: the document, its bytes and the time zone of the computer in; reports out, one for each movement of every
//! transaction. Invariants: nothing is dropped, whatever is wrong with it; the same document gives the same
//! identities; different movements of a document never have the same one.
//!
//! A transaction with a start is a daily report (`slapos node collect`): it is known by its reference, and sent again
//! with other content it is corrected. One without a start is an aggregate (`slapos node report`), whose reference is the
//! computer's and says nothing: it is known by the digest of the document it came in.
//!
//! Not here: whom a movement belongs to, whether it was seen before, and what counts as the future.

use std::collections::HashMap;
use std::fmt::Write as _;

use chrono_tz::Tz;
use sha2::{Digest, Sha256};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::{
    NoInstant, ReportedInstant, Revision, Unmeterable, UnreadableInstant, UsageId, UsageReport, VoidRequest,
};

use super::tioxml::{
    self, DateError, Movement, QuantityError, Report, ReportError, Stamp, TioTransaction, parse_date,
    parse_quantity,
};

/// The longest name of a usage event, in bytes.
const ID_BYTES: usize = 255;
/// How much of a text that cannot be a name or a number is kept, in bytes.
const TEXT_BYTES: usize = 1000;
/// How much of a text that is no date is kept, in bytes.
const DATE_BYTES: usize = 255;

/// The category of a transaction that voids movements instead of reporting them.
const VOID: &str = "void";

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadReport {
    /// Usage, a report for each movement.
    pub reports: Vec<UsageReport>,
    /// Movements that are void.
    pub voids: Vec<VoidRequest>,
    /// Their identities.
    pub void_names: Vec<UsageId>,
}

/// What is in the report that a node sent; `zone` is where dates without an offset belong.
pub fn read(sent: &[u8], zone: Tz) -> Result<ReadReport, ReportError> {
    let report = tioxml::parse(sent)?;
    let voids = voids(&report);
    let void_names = voids.iter().map(|request| request.voids.clone()).collect();
    Ok(ReadReport { reports: reports(&report, sent, zone), voids, void_names })
}

fn is_void(transaction: &TioTransaction) -> bool {
    transaction.categories.iter().any(|category| category.trim() == VOID)
}

/// The movements that a document voids. In a transaction with a start they are those of the daily report of the same
/// reference. In one without, which has no reference of its own, each movement names the id of a usage event.
fn voids(report: &Report) -> Vec<VoidRequest> {
    let mut names = MovementNames::of(&[]);
    let mut voids = Vec::new();
    for transaction in report.transactions.iter().filter(|transaction| is_void(transaction)) {
        let title = transaction.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
        let reason = kept(title.unwrap_or("voided by its sender"), TEXT_BYTES);
        for movement in &transaction.movements {
            let voids_id = if transaction.start_date.trim().is_empty() {
                UsageId::new(&kept(subject(movement), ID_BYTES)).ok()
            } else {
                Some(names.daily(transaction, movement))
            };
            // A name that could be that of no event stands for itself: nothing is known by it.
            let voids_id = voids_id.unwrap_or_else(|| UsageId::Text("(no id)".into()));
            voids.push(VoidRequest { id: None, voids: voids_id, reason: reason.clone() });
        }
    }
    voids
}

/// The usage in a report. `document` is what it was read from, `zone` where dates without an offset belong.
fn reports(report: &Report, document: &[u8], zone: Tz) -> Vec<UsageReport> {
    let mut names = MovementNames::of(document);
    let mut reports = Vec::new();
    for transaction in report.transactions.iter().filter(|transaction| !is_void(transaction)) {
        let start = parse_date(&transaction.start_date, zone);
        let stop = parse_date(&transaction.stop_date, zone);
        for movement in &transaction.movements {
            let (id, revision) = match start {
                Ok(None) => (names.aggregated(), Revision::None),
                _ => (names.daily(transaction, movement), Revision::Latest),
            };
            names.index += 1;
            reports.push(UsageReport {
                id,
                revision,
                subject: kept(subject(movement), TEXT_BYTES),
                resource: kept(movement.resource.trim(), TEXT_BYTES).into(),
                quantity: (kept(movement.quantity.trim(), TEXT_BYTES), quantity(&movement.quantity)),
                start: instant(&transaction.start_date, &start, |stamp| stamp.micros),
                stop: instant(&transaction.stop_date, &stop, Stamp::inclusive_stop),
                dimensions: Vec::new(),
                node_sequence: None,
            });
        }
    }
    reports
}

fn subject(movement: &Movement) -> &str {
    movement.reference.as_deref().unwrap_or_default().trim()
}

fn quantity(text: &str) -> Result<Quantity, Unmeterable> {
    match parse_quantity(text) {
        Ok(quantity) => Quantity::from_decimal(quantity.value).map_err(|_| Unmeterable::OutOfRange),
        Err(QuantityError::Infinite) => Err(Unmeterable::Infinite),
        Err(QuantityError::OutOfRange) => Err(Unmeterable::OutOfRange),
        Err(QuantityError::NotANumber | QuantityError::Unreadable) => Err(Unmeterable::NotANumber),
    }
}

/// The instant of a date that was read, or the text of one that could not be.
fn instant(
    text: &str,
    date: &Result<Option<Stamp>, DateError>,
    micros: impl Fn(Stamp) -> i64,
) -> ReportedInstant {
    match date {
        Ok(None) => Ok(None),
        Ok(Some(stamp)) => {
            let instant = Timestamp::from_micros(micros(*stamp));
            instant.map(Some).ok_or_else(|| unreadable(text, NoInstant::Malformed))
        }
        Err(error) => Err(unreadable(text, error.why())),
    }
}

fn unreadable(text: &str, why: NoInstant) -> UnreadableInstant {
    UnreadableInstant { text: kept(text.trim(), DATE_BYTES), why }
}

/// As much of a text as is kept: one that is longer is no name of anything, and must not keep the rest of the report
/// out of the log.
fn kept(text: &str, most: usize) -> Box<str> {
    if text.len() <= most {
        return text.into();
    }
    let room = most - '…'.len_utf8();
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end]).into()
}

/// Gives the movements of one document their identities.
struct MovementNames<'a> {
    document: String,
    /// Of all movements, whatever their transaction.
    index: usize,
    /// How often a daily movement has been seen.
    seen: HashMap<[&'a str; 3], usize>,
}

impl<'a> MovementNames<'a> {
    fn of(document: &[u8]) -> Self {
        Self { document: hex(&Sha256::digest(document)[..16]), index: 0, seen: HashMap::new() }
    }

    fn aggregated(&self) -> UsageId {
        UsageId::Text(format!("report/{}/{}", self.document, self.index).into())
    }

    fn daily(&mut self, transaction: &'a TioTransaction, movement: &'a Movement) -> UsageId {
        let parts = [transaction.reference.trim(), movement.resource.trim(), subject(movement)];
        let count = self.seen.entry(parts).or_default();
        let ordinal = *count;
        *count += 1;
        let [reference, resource, subject] = parts.map(escape);
        let name = format!("{reference}|{resource}|{subject}|{ordinal}");
        // Always with a bar where the other has none: the two forms cannot meet.
        let name = if name.len() > ID_BYTES { format!("long/{}", hex(&Sha256::digest(&name))) } else { name };
        UsageId::Text(name.into())
    }
}

/// A part of a name without the bars that hold parts together, and without control characters.
fn escape(part: &str) -> String {
    let mut escaped = String::with_capacity(part.len());
    for c in part.chars() {
        if c == '|' || c == '%' || c.is_control() {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                let _ = write!(escaped, "%{byte:02X}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use slapledger_core::domain::usage::UsageId;

    use super::*;

    /// What `slapos node report` sent, captured.
    const AGGREGATED: &str = r#"<?xml version="1.0"?><journal><transaction type="Sale Packing List"><title>Resource consumptions</title><start_date></start_date><stop_date>2026-11-23 at 14:11:56</stop_date><reference>COMP-GRID</reference><currency></currency><payment_mode></payment_mode><category></category><arrow type="Administration"><source></source><destination></destination></arrow><movement><resource>service_module/cpu_load_percent</resource><title>CPU</title><reference>slappart0</reference><quantity>1.5</quantity><price>0.0</price><VAT>None</VAT><category>None</category></movement></transaction></journal>"#;
    /// What `slapos node collect` wrote, captured.
    const COLLECTED: &str = r#"<?xml version='1.0' encoding='utf-8'?><journal><transaction type="Sale Packing List"><title>Eco Information for COMP-1 </title><start_date>2026-11-22 00:00:00</start_date><stop_date>2026-11-22 23:59:59</stop_date><reference>2026-11-22-global</reference><currency /><payment_mode /><category /><arrow type="Destination" /><movement><resource>service_module/cpu_load_percent</resource><title>CPU Load Percent Average</title><reference>COMP-1</reference><quantity>12.5</quantity><price>0.0</price><VAT /><category /></movement></transaction></journal>"#;

    fn read(document: &str, zone: Tz) -> Vec<UsageReport> {
        reports(&tioxml::parse(document.as_bytes()).unwrap(), document.as_bytes(), zone)
    }

    fn one(document: &str) -> UsageReport {
        let mut all = read(document, Tz::UTC);
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    fn name(report: &UsageReport) -> &str {
        match &report.id {
            UsageId::Text(text) => text,
            UsageId::Uuid(_) => panic!("names made here are texts"),
        }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    /// A daily report of one day, with these movements: resource, reference, quantity.
    fn daily(movements: &[(&str, &str, &str)]) -> String {
        let (head, rest) = COLLECTED.split_once("<movement>").unwrap();
        let (_, tail) = rest.split_once("</movement>").unwrap();
        let movements = movements.iter().map(|(resource, reference, quantity)| {
            format!(
                "<movement><resource>{resource}</resource><reference>{reference}</reference>\
                 <quantity>{quantity}</quantity><price>0</price><VAT/></movement>"
            )
        });
        format!("{head}{}{tail}", movements.collect::<String>())
    }

    #[test]
    fn a_void_transaction_names_the_movements_of_a_daily_report() {
        let sent = daily(&[("cpu", "slappart0", "1"), ("cpu", "slappart0", "2")]);
        let reported: Vec<UsageId> = read(&sent, Tz::UTC).into_iter().map(|report| report.id).collect();
        let void = sent.replace("<category />", "<category>void</category>");
        let read = super::read(void.as_bytes(), Tz::UTC).unwrap();
        assert_eq!(read.reports, []);
        assert_eq!(read.void_names, reported);
        assert_eq!(&*read.voids[0].reason, "Eco Information for COMP-1");
        assert_eq!(read.voids.iter().map(|void| void.voids.clone()).collect::<Vec<_>>(), reported);
    }

    #[test]
    fn a_void_transaction_without_a_start_names_ids() {
        let id = name(&one(AGGREGATED)).to_owned();
        let void = AGGREGATED
            .replace("<category></category>", "<category>void</category>")
            .replace("<reference>slappart0</reference>", &format!("<reference>{id}</reference>"));
        let read = super::read(void.as_bytes(), Tz::UTC).unwrap();
        assert_eq!(read.void_names, [UsageId::new(&id).unwrap()]);
    }

    #[test]
    fn a_daily_report() {
        let report = one(COLLECTED);
        assert_eq!(name(&report), "2026-11-22-global|service_module/cpu_load_percent|COMP-1|0");
        assert_eq!(report.revision, Revision::Latest);
        assert_eq!(&*report.subject, "COMP-1");
        assert_eq!(&*report.resource, "service_module/cpu_load_percent");
        assert_eq!(report.quantity, ("12.5".into(), Ok("12.5".parse().unwrap())));
        assert_eq!(report.start, Ok(Some(at("2026-11-22T00:00:00Z"))));
        assert_eq!(report.stop, Ok(Some(at("2026-11-23T00:00:00Z"))));
        assert_eq!((report.dimensions.len(), report.node_sequence), (0, None));
        let corrected = one(&COLLECTED.replace(">12.5<", ">13<"));
        assert_eq!(name(&corrected), name(&report));
    }

    #[test]
    fn an_aggregated_report() {
        let report = one(AGGREGATED);
        assert_eq!(name(&report), "report/8e47317d5346bca89f9e40d86ca60f71/0");
        assert_eq!(report.revision, Revision::None);
        assert_eq!(&*report.subject, "slappart0");
        assert_eq!((&report.start, &report.stop), (&Ok(None), &Ok(Some(at("2026-11-23T14:11:56Z")))));
        let other = one(&AGGREGATED.replace(">1.5<", ">1.6<"));
        assert_ne!(name(&other), name(&report));
        let none = one(&AGGREGATED.replace("<start_date></start_date>", "<start_date>None</start_date>"));
        assert_eq!((none.start, none.revision), (Ok(None), Revision::None));
    }

    #[test]
    fn dates_are_those_of_the_computer() {
        let paris = read(COLLECTED, Tz::Europe__Paris).remove(0);
        assert_eq!(paris.start, Ok(Some(at("2026-11-21T23:00:00Z"))));
        assert_eq!(paris.stop, Ok(Some(at("2026-11-22T23:00:00Z"))));
        let offset = COLLECTED.replace("23:59:59<", "23:59:59+02:00<");
        assert_eq!(read(&offset, Tz::Europe__Paris)[0].stop, Ok(Some(at("2026-11-22T22:00:00Z"))));
    }

    #[test]
    fn every_movement_of_every_transaction_counts() {
        let (_, transaction) = COLLECTED.split_once("<journal>").unwrap();
        let transaction = transaction.strip_suffix("</journal>").unwrap();
        let aggregate = AGGREGATED.split_once("<journal>").unwrap().1.strip_suffix("</journal>").unwrap();
        let document = format!("<journal>{transaction}{aggregate}{transaction}{aggregate}</journal>");
        let all = read(&document, Tz::UTC);
        let digest = hex(&Sha256::digest(document.as_bytes())[..16]);
        let names: Vec<_> = all.iter().map(name).collect();
        assert_eq!(
            names,
            [
                "2026-11-22-global|service_module/cpu_load_percent|COMP-1|0",
                &format!("report/{digest}/1"),
                "2026-11-22-global|service_module/cpu_load_percent|COMP-1|1",
                &format!("report/{digest}/3"),
            ]
        );
    }

    #[test]
    fn identities_differ() {
        let long = "x".repeat(300);
        let longer = "x".repeat(301);
        let document = daily(&[
            ("a", "b", "1"),
            ("a", "b", "1"),
            ("a|b", "", "1"),
            ("a", "b|0", "1"),
            ("a%7Cb", "", "1"),
            ("a\nb", "c", "1"),
            ("a b", "c", "1"),
            (&long, "b", "1"),
            (&long, "b", "1"),
            (&longer, "b", "1"),
        ]);
        let all = read(&document, Tz::UTC);
        let names: std::collections::BTreeSet<_> = all.iter().map(name).collect();
        assert_eq!(names.len(), all.len(), "{names:?}");
        for name in names {
            assert!(UsageId::new(name).is_ok(), "{name}");
        }
        assert_eq!(name(&all[1]), "2026-11-22-global|a|b|1");
        assert_eq!(name(&all[2]), "2026-11-22-global|a%7Cb||0");
    }

    #[test]
    fn what_is_wrong_is_said_and_kept() {
        let quantity = |text: &str| one(&COLLECTED.replace(">12.5<", &format!(">{text}<"))).quantity;
        assert_eq!(quantity(" NaN "), ("NaN".into(), Err(Unmeterable::NotANumber)));
        assert_eq!(quantity("INF"), ("INF".into(), Err(Unmeterable::Infinite)));
        assert_eq!(quantity("-INF"), ("-INF".into(), Err(Unmeterable::Infinite)));
        assert_eq!(quantity("1e15"), ("1e15".into(), Err(Unmeterable::OutOfRange)));
        assert_eq!(quantity("1e3"), ("1e3".into(), Ok("1000".parse().unwrap())));
        assert_eq!(quantity("-2"), ("-2".into(), Ok("-2".parse().unwrap())));
        assert_eq!(
            quantity("0.30000000000000004"),
            ("0.30000000000000004".into(), Ok("0.3".parse().unwrap()))
        );
        let dates = |start: &str, stop: &str| {
            let document =
                COLLECTED.replace("2026-11-22 00:00:00", start).replace("2026-11-22 23:59:59", stop);
            let report = one(&document);
            (report.start, report.stop, report.revision)
        };
        let start: ReportedInstant = Ok(Some(at("2026-11-22T00:00:00Z")));
        let stop: ReportedInstant = Ok(Some(at("2026-11-22T12:30:00Z")));
        let no_date = |text: &str| -> ReportedInstant { Err(UnreadableInstant::malformed(text)) };
        let check = |texts: (&str, &str), expected: (&ReportedInstant, &ReportedInstant, Revision)| {
            let (start, stop, revision) = dates(texts.0, texts.1);
            assert_eq!((&start, &stop, revision), expected, "{texts:?}");
        };
        check(("2026-11-22 00:00:00", "2026-11-22 12:30:00"), (&start, &stop, Revision::Latest));
        check(("yesterday", "2026-11-22 12:30:00"), (&no_date("yesterday"), &stop, Revision::Latest));
        check(("2026-11-22 00:00:00", " today\n"), (&start, &no_date("today"), Revision::Latest));
        check(("2026-11-22 00:00:00", ""), (&start, &Ok(None), Revision::Latest));
        check(("", ""), (&Ok(None), &Ok(None), Revision::None));
        let end = "9999-12-31 23:59:59";
        check(("2026-11-22 00:00:00", end), (&start, &no_date(end), Revision::Latest));
        let local = |start: &str, stop: &str| {
            let document =
                COLLECTED.replace("2026-11-22 00:00:00", start).replace("2026-11-22 23:59:59", stop);
            let report = read(&document, Tz::Europe__Paris).remove(0);
            (report.start.map_err(|start| start.why), report.stop.map_err(|stop| stop.why))
        };
        let (ambiguous, skipped) = (Err(NoInstant::Ambiguous), Err(NoInstant::Skipped));
        assert_eq!(local("2026-10-25 02:00:00", "2026-10-25 02:59:59"), (ambiguous, ambiguous));
        assert_eq!(local("2026-03-29 02:30:00", "2026-03-29 02:59:59"), (skipped, skipped));
        let none = one(&COLLECTED.replace("<reference>COMP-1</reference>", ""));
        assert_eq!(&*none.subject, "");
    }

    #[test]
    fn long_texts_do_not_keep_the_rest_out() {
        let long = "é".repeat(5000);
        let all = read(&daily(&[(&long, &long, &"0".repeat(5000)), ("a", "b", "1")]), Tz::UTC);
        let cut = format!("{}…", "é".repeat((TEXT_BYTES - 3) / 2));
        assert_eq!((&*all[0].resource, &*all[0].subject), (cut.as_str(), cut.as_str()));
        assert_eq!(all[0].quantity.1, Ok(Quantity::ZERO));
        assert_eq!(all[0].quantity.0.len(), TEXT_BYTES);
        assert_eq!(&*all[1].subject, "b");
        assert_eq!(&*kept(&"y".repeat(TEXT_BYTES), TEXT_BYTES), "y".repeat(TEXT_BYTES));
    }

    /// Documents recorded with libxml2's verdict by `fixtures/slap/record_tioxml.py`.
    #[test]
    fn valid_documents_are_read_to_the_last_movement() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/slap/tioxml/verdicts.txt");
        let mut seen = 0;
        for document in fs::read_to_string(path).unwrap().split("======== valid\n").skip(1) {
            let document = document.split("======== ").next().unwrap();
            let report = tioxml::parse(document.as_bytes()).unwrap();
            let movements: usize =
                report.transactions.iter().map(|transaction| transaction.movements.len()).sum();
            let all = reports(&report, document.as_bytes(), Tz::UTC);
            assert_eq!(all.len(), movements, "{document}");
            assert!(all.iter().all(|report| UsageId::new(name(report)).is_ok()), "{document}");
            seen += 1;
        }
        assert!(seen > 50, "{seen}");
    }
}
