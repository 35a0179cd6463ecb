//! The table of codes: its copy in docs/errors.md, that every code is used, and that every refusal has one of its status.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use axum::http::StatusCode;
use slapledger_core::domain::access::{AccessRefusal, Holder, InvalidCredential};
use slapledger_core::domain::account::AccountRefusal;
use slapledger_core::domain::catalogue::CatalogueRefusal;
use slapledger_core::domain::charge::{ChargeId, ChargeRefusal};
use slapledger_core::domain::computer::{ComputerRefusal, UnknownComputer};
use slapledger_core::domain::credit::{CreditId, CreditRefusal};
use slapledger_core::domain::discount::DiscountRefusal;
use slapledger_core::domain::erasure::ErasureRefusal;
use slapledger_core::domain::id::{
    ComputerId, CredentialId, InstanceId, InvalidText, InvoiceId, PartitionId, PartyId, PriceBookName,
    ProjectId, Reference, ResourceId, RunId, Sequence, SoftwareRelease,
};
use slapledger_core::domain::instance::InstanceRefusal;
use slapledger_core::domain::invoice::{InvoiceRefusal, TaxCategory};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::party::PartyRefusal;
use slapledger_core::domain::pricing::{OverrideId, PricingRefusal};
use slapledger_core::domain::product::ProductRefusal;
use slapledger_core::domain::restore::{LastNumber, RestoreMark, RestoreRefusal};
use slapledger_core::domain::software::SoftwareRefusal;
use slapledger_core::domain::software_schema::SchemaRefusal;
use slapledger_core::domain::tax::TaxRefusal;
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_core::domain::usage::{Unmeterable, UsageRefusal};
use slapledger_core::domain::{Refusal, RefusalClass};
use slapledger_core::ledger::SubmitError;

use super::*;
use crate::problem::Problem;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[test]
fn every_row_is_well_formed_and_found() {
    let mut words = BTreeSet::new();
    for row in CODES {
        let word = row.code.as_str();
        assert!(words.insert(word), "{word} is there twice");
        assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{word}");
        assert_eq!(row.code.row().code, row.code);
        assert_eq!(ProblemCode::of_urn(&row.code.urn()), Some(row.code));
        assert!(row.statuses.iter().all(|status| (400..600).contains(status)), "{word}");
        for text in [row.meaning, row.remedy] {
            assert!(text.ends_with('.') && text.len() <= 100, "{word}: {text}");
        }
    }
    assert!(CODES.is_sorted_by_key(|row| row.statuses[0]), "by the status that is usual");
    for unknown in ["urn:slapledger:problem:", "urn:slapledger:problem:nonsense", "run-final", ""] {
        assert_eq!(ProblemCode::of_urn(unknown), None);
    }
}

/// The part of docs/errors.md that is a copy of the table.
fn written() -> String {
    let mut text = "| code | status | meaning | remedy |\n| --- | --- | --- | --- |\n".to_owned();
    for CodeRow { code, statuses, meaning, remedy } in CODES {
        let statuses: Vec<_> = statuses.iter().map(u16::to_string).collect();
        let (code, statuses) = (code.as_str(), statuses.join(", "));
        writeln!(text, "| `{code}` | {statuses} | {meaning} | {remedy} |").unwrap();
    }
    text
}

#[test]
fn the_document_is_a_copy_of_the_table() {
    const BEGIN: &str =
        "<!-- The table of api/kit/src/code.rs; SLAPLEDGER_WRITE_DOCS=1 writes it anew. -->\n\n";
    let path = Path::new(ROOT).join("docs/errors.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("where the table begins");
    let (table, after) = rest.split_once("\n\n").map_or((rest, None), |(table, after)| (table, Some(after)));
    if env::var_os("SLAPLEDGER_WRITE_DOCS").is_some() {
        let after = after.map_or_else(String::new, |after| format!("\n{after}"));
        fs::write(&path, format!("{before}{BEGIN}{}{after}", written())).unwrap();
        return;
    }
    assert_eq!(table.trim_end(), written().trim_end(), "docs/errors.md is not the table");
}

/// The sources of the edge without their tests.
fn sources(folder: &Path, all: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_test = ["tests", "matrix", "testing", "target"].contains(&name.trim_end_matches(".rs"));
        if path.is_dir() && !is_test {
            sources(&path, all);
        } else if name.strip_suffix(".rs").is_some() && !is_test && !path.ends_with("kit/src/code.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            all.push((path, shipped));
        }
    }
}

fn names(text: &str, code: ProblemCode) -> bool {
    let is_name = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric());
    let named = |of: &str| text.match_indices(of).any(|(at, _)| is_name(&text[at + of.len()..]));
    named(&format!("ProblemCode::{}", code.variant())) || text.contains(&format!("{}\\\"", code.urn()))
}

#[test]
fn every_code_is_answered_somewhere_and_no_other_is() {
    let mut all = Vec::new();
    sources(&Path::new(ROOT).join("api"), &mut all);
    assert!(all.len() > 100, "{}", all.len());
    for CodeRow { code, .. } in CODES {
        let used = all.iter().any(|(_, text)| names(text, *code));
        assert!(used, "{} is in the table, and never answered", code.as_str());
    }
    // What is not written through the table is written as it says.
    for (path, text) in &all {
        for (at, start) in text.match_indices("urn:slapledger:problem:") {
            let word = text[at + start.len()..].split(|c: char| c != '-' && !c.is_ascii_lowercase()).next();
            let word = word.unwrap_or_default();
            let known = word.is_empty() || ProblemCode::of_urn(&format!("{start}{word}")).is_some();
            // The pattern and the format of a type have no word.
            assert!(known, "{}: {word} is not in the table", path.display());
        }
    }
}

#[test]
fn a_code_that_nobody_answers_is_noticed() {
    assert!(names("conflict::of_code(ProblemCode::RunFinal, detail)", ProblemCode::RunFinal));
    assert!(!names("conflict::of_code(ProblemCode::RunFinalAgain, detail)", ProblemCode::RunFinal));
    assert!(names("\\\"urn:slapledger:problem:stopping\\\"", ProblemCode::Stopping));
    assert!(!names("stopping", ProblemCode::Stopping));
}

/// One of each refusal.
fn refusals() -> Vec<Refusal> {
    let computer = || ComputerId::new("COMP-1").unwrap();
    let partition = || PartitionId::new("slappart0").unwrap();
    let release = || SoftwareRelease::new("https://example.com/software.cfg").unwrap();
    let reference = || Reference::new("db").unwrap();
    let resource = || ResourceId::new("requests").unwrap();
    let book = || PriceBookName::new("standard").unwrap();
    let unknown = || UnknownComputer { computer: computer() };
    let text = || InvalidText::Empty;
    let number = || InvoiceId::new("INV-2026-000001").unwrap();
    let always = || Period::new(Timestamp::MIN, Timestamp::MAX).unwrap();
    let stated = || LastNumber { project: ProjectId::DEFAULT, number: number() };
    let holder = || Holder::Party(PartyId(1));
    let (party, instance, run) = (PartyId(1), InstanceId(1), RunId(1));
    let (now, currency, rule) = (Timestamp::MIN, Currency::EUR, "must be another");
    let amount = Amount::zero(currency);
    let mut all: Vec<Refusal> = Vec::new();
    macro_rules! add {
        ($refusal:ident: $($variant:ident $({ $($member:ident $(: $value:expr)?),+ })? $(( $inner:expr ))?),+ $(,)?) => {
            $(all.push($refusal::$variant $({ $($member $(: $value)?),+ })? $(($inner))?.into());)+
        };
    }
    add!(ComputerRefusal:
        Unknown(unknown()), UnknownParty { party }, AlreadyRegistered { computer: computer() },
        PartitionTwice { partition: partition() }, BadText { what: "title".into(), rule: text() },
        UnknownAttribute { name: "colour".into() }, TooMany { what: "group", max: 1 },
        TooLong { bytes: 2, max: 1 }, Retired { computer: computer() }, BadReference { rule });
    add!(ProductRefusal: UnknownParty { party }, OtherPublisher { product: reference(), publisher: party });
    add!(SchemaRefusal:
        UnknownParty { party }, OtherSupplier { release: release(), supplier: party }, BadLength { max: 1 },
        TooMany { max: 1 });
    add!(CatalogueRefusal:
        UnknownEntry { entry: reference() }, UnknownParty { party }, BadMember { member: "title", rule },
        TooMany { max: 1 });
    add!(SoftwareRefusal:
        UnknownComputer(unknown()), NotSupplied { computer: computer(), release: release() },
        NotToBeDestroyed { computer: computer(), release: release() });
    add!(InstanceRefusal:
        UnknownParty { party }, PartyErased { party }, UnknownInstance { instance }, UnknownComputer(unknown()),
        UnknownPartition { computer: computer(), partition: partition() },
        PartitionFree { computer: computer(), partition: partition() }, NoRoom { reference: reference() },
        NothingToDestroy { reference: reference() }, NotToBeDestroyed { instance },
        OtherKey { reference: reference() }, RequesterGoes { instance }, NameTaken { reference: reference() },
        TooManyWait { party, max: 1 }, StillOffered { computer: computer(), partition: partition() },
        UnknownFilter { key: "colour".into() }, BadFilter { key: "colour".into(), rule });
    add!(UsageRefusal:
        UnknownComputer(unknown()), NotSuspended { suspended: Sequence(1) },
        StillUnmeterable { reason: Unmeterable::NotANumber }, BadReason, TooManyVoids, TooManyDue);
    add!(PricingRefusal:
        ResourceTwice { resource: resource() }, MeterDoesNotFit { resource: resource() },
        BadMeter { resource: resource(), rule }, BadUnit { resource: resource() },
        BadConversion { resource: resource() }, BadMost { resource: resource() },
        BadCarryOver { resource: resource() }, BadGroups { resource: resource() }, UnknownBook { name: book() }, UnknownCustomer { customer: party },
        UnknownOverride { id: OverrideId(1) }, BadOverride { field: "valid_until", rule },
        BadOverrideRate { field: "price", rule }, UndeclaredByBook { resource: resource(), name: book() },
        OverrideTie { other: OverrideId(1) }, OverrideTooLarge { max: 1 },
        BreaksOverride { id: OverrideId(1), customer: party, field: "resources", what: "it".into() },
        UndeclaredResource { rate: 1, resource: resource() }, BadRate { rate: 1, field: "price", rule }, BadTerm { field: "threshold", rule },
        Tie { one: 1, other: 2 }, NoRates, OtherCurrency { name: book(), known: currency }, OtherPriceTax { name: book() }, TooLarge { max: 1 },
        Retroactive { valid_from: now, invoice: number(), period: always(), more: 1 },
        SameCustomers { other: book(), currency });
    add!(InvoiceRefusal:
        UnknownParty { party }, EmptyPeriod, NoPriceBook, SeveralPriceBooks, UnknownPriceBook { name: book() },
        GraceTooLong, TooManyPayers, PayerNotNamed { run, payer: PartyId(2) }, UnknownRun { run }, PeriodNotOver { stop: now }, InGrace { run, until: now }, OtherPeriod,
        SumsDoNotAddUp { what: "net" }, MissingDetails { payer: party, what: "vat_id" },
        UsageInDoubt { payer: party, what: "too much".into() },
        NoSeries { seller: party }, ChargeNotOpen { charge: ChargeId(1) },
        AlreadyInvoiced { run, invoice: number() }, RunFinal { run }, RunWithdrawn { run },
        RunStarted { run, invoice: number() }, PeriodInvoiced { invoice: number() },
        Outdated { run, invoice: number() }, CorrectedMeanwhile { payer: party }, RunIncomplete { issued: 1, drafts: 2 },
        UnknownInvoice { invoice: number() }, NotAnInvoice { invoice: number() }, Void { invoice: number() },
        NoLines, UnknownLine { invoice: number(), line: 1 }, LineTwice { line: 1 }, BadAmount { currency },
        MoreThanLeft { line: 1, left: amount },
        MoreThanDocument { invoice: number(), net: amount, left: amount }, BadReason(text()),
        OtherDocument { invoice: number() }, DraftNotApproved { run, payer: party },
        DraftHeld { run, payer: party, reason: "a price is discussed".into() });
    add!(PartyRefusal:
        Unknown { party }, SeriesTaken { series: "INV".parse().unwrap(), party }, TermsTooLong,
        Erased { party });
    add!(TaxRefusal:
        UnknownParty { party }, BadRate, NoReason { category: TaxCategory::E },
        NotExempt { category: TaxCategory::S }, BadReason(text()), BadCode(text()), NoProduct,
        CategoryOfCustomers { category: TaxCategory::AE }, RateWithoutTax { category: TaxCategory::Z },
        TooManyProducts { most: 1 }, TooManyChanges { most: 1 });
    add!(CreditRefusal:
        UnknownParty { party }, Unknown { credit: CreditId(1) }, BadAmount { currency }, BadPriority, BadThreshold { currency }, ExpiresInThePast,
        BadDescription(text()), BadReason(text()));
    add!(ChargeRefusal: UnknownParty { party }, BadAmount { currency }, BadDescription(text()));
    add!(DiscountRefusal:
        UnknownParty { party }, BadCode(text()), UnknownCode { code: "WELCOME".into(), customer: party });
    add!(AccountRefusal: UnknownParty { party }, NotOver { until: now }, AlreadyClosed { until: now });
    add!(AccessRefusal:
        UnknownProject(ProjectId::DEFAULT),
        TitleTaken { project: ProjectId::DEFAULT, title: "default".into() }, BadTitle(text()),
        BadLabel(text()), UnknownHolder(holder()), BadHolder(text()), BadRoles(rule), NotForAllProjects,
        BadExpiry(rule), StillActive, Unknown(CredentialId([0; 16])), Unauthenticated(InvalidCredential::Revoked),
        Unauthenticated(InvalidCredential::Spent), Unauthenticated(InvalidCredential::Expired), Unauthenticated(InvalidCredential::Unknown),
        TokenInvalid(InvalidCredential::Revoked), TokenInvalid(InvalidCredential::Spent), TokenInvalid(InvalidCredential::Expired),
        TokenInvalid(InvalidCredential::Unknown), OtherPurpose, TooMany(holder()), IssuedBefore(CredentialId([0; 16])));
    add!(ErasureRefusal:
        UnknownParty { party }, UnknownInstance { instance }, InstanceLives { instance },
        HasInstances { party, instance }, HasComputer { party, computer: computer(), instance },
        Sells { party, series: "INV".into() });
    add!(RestoreRefusal:
        NotTheProgram, BadPlace { field: "from", reason: text() },
        NotKept { kept: Sequence(2), last: Sequence(1) }, ClockBehind { now, backup_at: now },
        MarkTaken { mark: RestoreMark::new(1) }, TooMany, BadNumber { number: stated() },
        StatedTwice { number: stated() },
        UnknownSeries { number: stated(), series: "INV".into(), known: "none".into() },
        YearNotBegun { number: stated(), year: 2027, now: 2026 },
        BelowKnown { number: stated(), known: number() });
    all
}

#[test]
fn every_refusal_is_answered_with_a_status_of_its_code() {
    for refusal in refusals() {
        let expected = match refusal.class() {
            RefusalClass::NotFound | RefusalClass::NoRoom => StatusCode::NOT_FOUND,
            RefusalClass::Invalid => StatusCode::BAD_REQUEST,
            RefusalClass::Conflict => StatusCode::CONFLICT,
            RefusalClass::Unauthenticated => StatusCode::UNAUTHORIZED,
            RefusalClass::Retry => StatusCode::SERVICE_UNAVAILABLE,
        };
        let field = refusal.field().map(str::to_owned);
        let shown = format!("{refusal:?}");
        let again = refusal.class() == RefusalClass::Retry;
        let problem = Problem::from(SubmitError::Refused(refusal));
        assert_eq!(problem.status, expected, "{shown}");
        assert_eq!(problem.field, field.filter(|_| !again), "{shown}");
        let row = problem.code.row();
        assert!(
            row.statuses.contains(&expected.as_u16()),
            "{shown}: {} is not {expected}",
            row.code.as_str()
        );
    }
}

/// The names of the refusals that the mapping, which the compiler keeps complete, lists.
#[test]
fn no_refusal_is_left_out_here() {
    let mapping = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/refusal.rs")).unwrap();
    let word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
    let mut listed = BTreeSet::new();
    for (at, _) in mapping.match_indices("Refusal::") {
        let kind = mapping[..at].rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        if !kind.is_empty() {
            listed.insert((kind.to_owned(), word(&mapping[at + "Refusal::".len()..])));
        }
    }
    let made: BTreeSet<_> = refusals()
        .iter()
        .map(|refusal| {
            let shown = format!("{refusal:?}");
            let (kind, rest) = shown.split_once('(').expect("a kind");
            (kind.to_owned(), word(rest))
        })
        .collect();
    assert!(listed.len() > 100, "{}", listed.len());
    assert_eq!(made, listed);
}
