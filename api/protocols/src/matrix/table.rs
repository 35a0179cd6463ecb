//! The table: what every route answers everybody.
//!
//! A letter for each of `COLUMNS`, in groups: nobody; the admin of all projects, of this, of the other one, the
//! auditor; both providers and the publisher; both customers; both nodes; both instances; a revoked token and an
//! expired one.
//!
//! `o` 200, `c` 201, `a` 202, `b` 400, `.` 401, `x` 403, `-` 404, `w` 408, `k` 409. What is right and refused by a rule
//! that is asked after the policy is said beside its row. On the wire of the calls what does not exist is `x` too.

use serde_json::{Value, json};
use slapledger_slap_wire::marshal;

use super::asking::Ask;
use super::furnished::{own_price, prices, usage};
use super::world::{LEAVING, NOW, RELEASE};
use crate::testing::world::{configuration, dumps, request_form};

/// What is asked, and what it is answered.
pub(super) struct Row {
    /// Method and path as they are registered.
    pub(super) route: String,
    /// The request. `$suspended` and `$alice` in its path stand for usage that is suspended and the token of Alice.
    pub(super) ask: Ask,
    pub(super) answers: &'static str,
}

fn row(method: &str, template: &str, ask: Ask, answers: &'static str) -> Row {
    Row { route: format!("{method} {template}"), ask, answers }
}

/// What of the cloud the names in a template stand for.
fn named(template: &str) -> String {
    let of = |name: &str| match name {
        "computers" | "computer_module" => "COMP-1",
        "instances" | "software_instance_module" | "instance-trees" | "instance_tree_module" => "SOFTINST-1",
        "partitions" => "slappart0",
        "usage-suspense" => "$suspended",
        "price-books" => "standard",
        "overrides" => "OVERRIDE-1",
        "invoice-runs" => "RUN-2",
        "invoices" => "INV-2026-000002",
        "lines" => "1",
        "parties" => "PARTY-2",
        "credits" => "CREDIT-3",
        "charges" => "CHARGE-3",
        "accounts" => "Assets:Receivable:PARTY-2",
        "credentials" => "$alice",
        "projections" => "catalogue",
        "catalogue" => "mysql",
        other => panic!("{template}: which of {other}?"),
    };
    let parts: Vec<&str> = template.split('/').collect();
    let filled = parts.iter().enumerate().map(|(at, part)| match part.strip_prefix('{') {
        Some(_) => of(parts[at - 1]),
        None => part,
    });
    filled.collect::<Vec<_>>().join("/")
}

fn get(template: &str, answers: &'static str) -> Row {
    let (path, query) = template
        .split_once('?')
        .map_or((template, String::new()), |(path, query)| (path, format!("?{query}")));
    row("GET", path, Ask::get(&format!("{}{query}", named(path))), answers)
}

fn told(method: &str, template: &str, body: &Value, answers: &'static str) -> Row {
    row(method, template, Ask::json(method, &named(template), body), answers)
}

fn post(template: &str, body: &Value, answers: &'static str) -> Row {
    told("POST", template, body, answers)
}

/// A form of SLAP.
fn form(path: &str, pairs: &[(&str, &str)], answers: &'static str) -> Row {
    row("*", path, Ask::form(path, pairs), answers)
}

/// A question of SLAP.
fn question(path: &str, query: &str, answers: &'static str) -> Row {
    row("*", path, Ask::get(&format!("{path}{query}")), answers)
}

/// A call of SLAP.
fn call(name: &str, body: &Value, answers: &'static str) -> Row {
    let path = format!("/slapos.{name}");
    row("*", &path, Ask::json("POST", &path, body), answers)
}

/// Of the program itself.
const PUBLIC: &str = "o oooo ooo oo oo oo ..";
const KNOWN: &str = ". oooo ooo oo oo oo ..";
/// Admins and auditors, of all there is.
const LISTED_TO_STAFF: &str = ". oooo xxx xx xx xx ..";
const SHOWN_TO_STAFF: &str = ". oo-o xxx xx xx xx ..";
/// Admins alone.
const ADMINS: &str = ". oo-x xxx xx xx xx ..";
/// A thing of Alice's that is about money.
const OF_ALICE: &str = ". oo-o --- o- xx xx ..";
const LISTED_TO_PARTIES: &str = ". oooo ooo oo xx xx ..";
/// COMP-1, as its provider says.
const PROVIDER: &str = ". oo-x o-x xx xx xx ..";
/// COMP-1, as it says itself.
const NODE: &str = ". oo-x xxx xx o- xx ..";
const NODE_SAYS: &str = ". oo-x xxx xx ox xx ..";
/// SOFTINST-1, to those who may know that it is there.
const INSTANCE: &str = ". oo-o o-x o- o- o- ..";
const INSTANCES: &str = ". oooo oox oo oo oo ..";
/// SOFTINST-1, as its node and itself say.
const REPORTED: &str = ". oo-x xxx xx o- o- ..";
const PARTITION_SAYS: &str = ". oo-x xxx xx ox ox ..";
/// SOFTINST-1, as its owner wants it.
const WANTED: &str = ". oo-x xxx o- xx -- ..";

/// All rows.
pub(super) fn rows() -> Vec<Row> {
    [
        computers(),
        instances(),
        usages(),
        invoices(),
        parties(),
        others(),
        documentary(),
        slap(),
        calls(),
        pages(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn supply(state: &str) -> Value {
    json!({"software_release": RELEASE, "state": state})
}

fn computers() -> Vec<Row> {
    let configured = json!({"address": "10.0.0.1", "partitions": [{"id": "slappart0"}]});
    let product = json!({"product": "other", "software_release": RELEASE});
    vec![
        get("/v1/computers", ". oooo oox oo oo xx .."),
        get("/v1/computer-counts", ". oooo oox oo oo xx .."),
        get("/v1/computers/{id}", ". oo-o o-x -- o- xx .."),
        post("/v1/computers", &json!({"reference": "COMP-9"}), ". cccx ccx xx xx xx .."),
        told("PATCH", "/v1/computers/{id}", &json!({"title": "front"}), PROVIDER),
        told("DELETE", "/v1/computers/{id}", &json!({}), PROVIDER),
        // It is offered: 409 for anyone who may release it.
        told("DELETE", "/v1/computers/{id}/partitions/{partition}", &json!({}), ". kk-x k-x xx xx xx .."),
        told("PUT", "/v1/computers/{id}/configuration", &configured, NODE_SAYS),
        told("PUT", "/v1/computers/{id}/allocation-scope", &json!({"scope": "closed"}), PROVIDER),
        // Where one is good, its provider makes no other: only the computer itself, in the place of its own.
        post("/v1/computers/{id}/certificate", &json!({}), ". kk-x k-x xx cx xx .."),
        told("DELETE", "/v1/computers/{id}/certificate", &json!({}), ". oo-x o-x xx ox xx .."),
        post("/v1/computers/{id}/bang", &json!({}), NODE),
        post("/v1/computers/{id}/software", &supply("destroyed"), PROVIDER),
        post("/v1/computers/{id}/software-reports", &supply("building"), NODE),
        get("/v1/software", ". oooo ooo xx xx xx .."),
        told(
            "PUT",
            "/v1/software-schemas",
            &json!({"software_release": LEAVING, "schema": {}}),
            ". ooox ooo xx xx xx ..",
        ),
        get(
            "/v1/software-schemas?software_release=https%3A%2F%2Fexample.org%2Fa%2Fsoftware.cfg",
            ". oo-o ooo oo oo oo ..",
        ),
        get("/v1/catalogue", LISTED_TO_PARTIES),
        get("/v1/catalogue/{entry}", ". oo-o ooo oo xx xx .."),
        told(
            "PUT",
            "/v1/catalogue/{entry}",
            &json!({"table": "host", "title": "xen"}),
            ". ooox xxx xx xx xx ..",
        ),
        told("DELETE", "/v1/catalogue/{entry}", &json!({}), ADMINS),
        get("/v1/products", KNOWN),
        post("/v1/products", &product, ". ooox xxo xx xx xx .."),
        // PARTY-6 publishes it: 409 for others who may publish. The other project has none of this name.
        post(
            "/v1/products",
            &json!({"product": "kvm", "software_release": LEAVING}),
            ". kkox xxo xx xx xx ..",
        ),
    ]
}

fn wanted(name: &str) -> Value {
    json!({"software_release": RELEASE, "instance_id": name})
}

fn instances() -> Vec<Row> {
    let ended = Ask::new("POST", "/v1/instances/SOFTINST-6/erase");
    let running = Ask::new("POST", "/v1/instances/SOFTINST-1/erase");
    let child = |method: &str, body: &Value| Ask::json(method, "/v1/instances/SOFTINST-2", body);
    let stopped = json!({"state": "stopped"});
    let from =
        |requester: &str| json!({"software_release": RELEASE, "instance_id": "new", "requester": requester});
    let connection = json!({"connection_parameters": {"url": "https://example.org/"}});
    vec![
        get("/v1/instances", INSTANCES),
        // In the other project there is no room: it waits.
        post("/v1/instances", &wanted("new"), ". ccax xxx cc xx cc .."),
        // From within an instance of Alice's.
        post("/v1/instances", &from("SOFTINST-1"), ". cc-x xxx c- xx c- .."),
        // For Alice.
        post(
            "/v1/instances",
            &json!({"software_release": RELEASE, "instance_id": "new", "owner": "PARTY-2"}),
            ". cc-x xxx cx xx xx ..",
        ),
        get("/v1/instances/{id}", INSTANCE),
        told("PATCH", "/v1/instances/{id}", &stopped, WANTED),
        // That which an instance requested it may change.
        row("PATCH", "/v1/instances/{id}", child("PATCH", &stopped), ". oo-x xxx o- xx o- .."),
        row("DELETE", "/v1/instances/{id}", Ask::new("DELETE", "/v1/instances/SOFTINST-1"), WANTED),
        post("/v1/instances/{id}/reports", &json!({"state": "stopped"}), REPORTED),
        told("PUT", "/v1/instances/{id}/connection-parameters", &connection, REPORTED),
        post("/v1/instances/{id}/bang", &json!({}), REPORTED),
        post("/v1/instances/{id}/rename", &json!({"title": "other"}), REPORTED),
        row("POST", "/v1/instances/{id}/erase", ended, ". oo-x xxx o- xx xx .."),
        // It has not ended yet: 409.
        row("POST", "/v1/instances/{id}/erase", running, ". kk-x xxx k- xx xx .."),
        get("/v1/instance-counts", INSTANCES),
        get("/v1/instance-trees", INSTANCES),
        get("/v1/instance-trees/{id}", INSTANCE),
    ]
}

fn in_dollars(mut prices: Value) -> Value {
    prices["currency"] = json!("USD");
    prices
}

fn usages() -> Vec<Row> {
    let reported = |event: &Value| {
        let ask = Ask::new("POST", "/v1/usage-events").with("content-type", "application/x-ndjson");
        row("POST", "/v1/usage-events", ask.saying(event.to_string()), NODE_SAYS)
    };
    vec![
        reported(&usage("COMP-1", "new", "slappart0", "1")),
        get("/v1/usage?instance=SOFTINST-1&from=2026-10-01&to=2026-11-01", INSTANCE),
        post("/v1/usage-voids", &json!({"computer": "COMP-1", "id": "a", "reason": "by mistake"}), PROVIDER),
        get("/v1/usage-receipts", ". oooo oox xx xx xx .."),
        get("/v1/usage-suspense", ". oooo oox xx xx xx .."),
        get("/v1/usage-suspense-counts", ". oooo oox xx xx xx .."),
        post("/v1/usage-suspense/{sequence}/resolve", &json!({"quantity": "1"}), PROVIDER),
        post("/v1/usage-suspense/{sequence}/dismiss", &json!({"reason": "a fault"}), PROVIDER),
        get("/v1/usage-gaps?period=2026-10-01/2026-11-01", ". oooo oox xx xx xx .."),
        get("/v1/usage-gap-counts?period=2026-10-01/2026-11-01", ". oooo oox xx xx xx .."),
        get("/v1/price-books", ". oooo oox oo xx xx .."),
        // In a currency of its own: two books in one currency are not for the same customers.
        post("/v1/price-books", &in_dollars(prices("gold", "9.00")), ". cccx xxx xx xx xx .."),
        get("/v1/price-books/{name}", ". oo-o oox oo xx xx .."),
        get("/v1/price-books/{name}/overrides", ". oo-o oox oo xx xx .."),
        post(
            "/v1/price-books/{name}/overrides",
            &own_price("2027-01-01T00:00:00Z"),
            ". cc-x xxx xx xx xx ..",
        ),
        post(
            "/v1/price-books/{name}/overrides/{id}/end",
            &json!({"valid_until": "2028-01-01T00:00:00Z"}),
            ADMINS,
        ),
    ]
}

fn invoices() -> Vec<Row> {
    let september = json!({"period": {"start": "2026-09-01", "stop": "2026-10-01"}});
    let what_if = "/v1/what-if?period=2026-10-01/2026-11-01";
    let what_if = Ask::json("POST", what_if, &prices("standard", "11.00"));
    let reason = json!({"reason": "by mistake"});
    let given_back = json!({"reason": "by mistake", "lines": [{"n": 1}]});
    let corrected = json!({"amount": "0.50", "reason": "by mistake"});
    // The operator is a customer too, and comes first.
    let of_operator =
        |what: &str, body: &Value| Ask::json("POST", &format!("/v1/invoices/INV-2026-000001/{what}"), body);
    vec![
        // The other project has no price book.
        row("POST", "/v1/what-if", what_if, SHOWN_TO_STAFF),
        get("/v1/invoice-runs", LISTED_TO_STAFF),
        post("/v1/invoice-runs", &september, ". cckx xxx xx xx xx .."),
        get("/v1/invoice-runs/{id}", SHOWN_TO_STAFF),
        get("/v1/invoice-runs/{id}/drafts", SHOWN_TO_STAFF),
        post("/v1/invoice-runs/{id}/finalise", &json!({}), ADMINS),
        post("/v1/invoice-runs/{id}/refresh", &json!({}), ADMINS),
        post("/v1/invoice-runs/{id}/withdraw", &json!({}), ADMINS),
        get("/v1/invoice-runs/{id}/diff", SHOWN_TO_STAFF),
        get("/v1/revenue?by=customer&period=2026-10", LISTED_TO_STAFF),
        get("/v1/invoice-summary?period=2026-10&before=2026-09", LISTED_TO_PARTIES),
        get("/v1/invoice-comparison?before=2026-09&after=2026-10", LISTED_TO_STAFF),
        // It is final: nothing is decided of it any more.
        post("/v1/invoices/{id}/approve", &reason, ". kk-x xxx xx xx xx .."),
        post("/v1/invoices/{id}/hold", &reason, ". kk-x xxx xx xx xx .."),
        post("/v1/invoices/{id}/finalise", &json!({}), ADMINS),
        get("/v1/invoice-drafts?period=2026-12-01/2027-01-01", ". oo-o xxx oo xx xx .."),
        get("/v1/invoices", LISTED_TO_PARTIES),
        get("/v1/invoices/{id}", OF_ALICE),
        get("/v1/invoices/{id}/lines/{n}/events", OF_ALICE),
        get("/v1/invoices/{id}/explanation", OF_ALICE),
        get("/v1/invoices/{id}/lines/{n}/explanation", OF_ALICE),
        get("/v1/invoices/{id}/proof", OF_ALICE),
        row("POST", "/v1/invoices/{id}/credit", of_operator("credit", &given_back), ". cc-x xxx xx xx xx .."),
        row("POST", "/v1/invoices/{id}/void", of_operator("void", &reason), ". cc-x xxx xx xx xx .."),
        row(
            "POST",
            "/v1/invoices/{id}/lines/{n}/correct",
            of_operator("lines/1/correct", &corrected),
            ". cc-x xxx xx xx xx ..",
        ),
    ]
}

fn parties() -> Vec<Row> {
    let by_hand =
        json!({"customer": "PARTY-2", "currency": "EUR", "amount": "1.00", "description": "by hand"});
    let code = json!({"customer": "PARTY-2", "code": "WELCOME"});
    let treatment = json!({"category": "S", "valid_from": "2027-01-01T00:00:00Z"});
    let top_up = json!({"currency": "EUR", "threshold": "0.00", "amount": "1.00"});
    let rate = json!({"rate": "0.2", "valid_from": "2027-01-01T00:00:00Z"});
    let product = json!({"resource": "gas", "category": "Z", "valid_from": "2027-01-01T00:00:00Z"});
    let erase = Ask::new("POST", "/v1/parties/PARTY-7/erase");
    vec![
        get("/v1/parties", LISTED_TO_PARTIES),
        post("/v1/parties", &json!({"name": "somebody"}), ". cccx xxx xx xx xx .."),
        get("/v1/parties/{id}", OF_ALICE),
        told("PATCH", "/v1/parties/{id}", &json!({"terms_days": 14}), ADMINS),
        row("POST", "/v1/parties/{id}/erase", erase, ADMINS),
        post("/v1/parties/{id}/revoke-credentials", &json!({}), ADMINS),
        post("/v1/parties/{id}/tax-treatments", &treatment, ". cc-x xxx xx xx xx .."),
        post("/v1/tax-rates", &rate, ". cccx xxx xx xx xx .."),
        post("/v1/product-taxes", &product, ". cccx xxx xx xx xx .."),
        told("PUT", "/v1/parties/{id}/top-up", &top_up, ADMINS),
        get("/v1/parties/{id}/top-up", OF_ALICE),
        get("/v1/parties/{id}/credit-forecast", OF_ALICE),
        get("/v1/credits", LISTED_TO_PARTIES),
        post("/v1/credits", &by_hand, ". cc-x xxx xx xx xx .."),
        get("/v1/credits/{id}", OF_ALICE),
        post("/v1/credits/{id}/withdraw", &json!({"reason": "by mistake"}), ADMINS),
        get("/v1/charges", LISTED_TO_PARTIES),
        post("/v1/charges", &by_hand, ". cc-x xxx xx xx xx .."),
        get("/v1/charges/{id}", OF_ALICE),
        get("/v1/discounts", LISTED_TO_PARTIES),
        post("/v1/discount-codes/redeem", &code, ". oo-x xxx xx xx xx .."),
        get("/v1/journal", LISTED_TO_STAFF),
        get("/v1/accounts", LISTED_TO_STAFF),
        get("/v1/accounts/{id}", SHOWN_TO_STAFF),
        get("/v1/trial-balance", LISTED_TO_STAFF),
        get("/v1/accounting-periods", LISTED_TO_STAFF),
        post("/v1/accounting-periods", &json!({"until": "2026-11-01"}), ". cccx xxx xx xx xx .."),
    ]
}

fn others() -> Vec<Row> {
    let rebuild = Ask::new("POST", "/v1/projections/catalogue/rebuild");
    vec![
        get("/v1/projects", ". oxxo xxx xx xx xx .."),
        post("/v1/projects", &json!({"title": "third"}), ". cxxx xxx xx xx xx .."),
        post("/v1/tokens", &json!({}), ". cccx ccc cc xx xx .."),
        get("/v1/credentials", LISTED_TO_PARTIES),
        get("/v1/credentials/{id}", OF_ALICE),
        row(
            "POST",
            "/v1/credentials/{id}/revoke",
            Ask::new("POST", "/v1/credentials/$alice/revoke"),
            ". oo-x --- o- xx xx ..",
        ),
        get("/v1/events", LISTED_TO_STAFF),
        get("/v1/log/checkpoint", KNOWN),
        get("/v1/log/checkpoints", KNOWN),
        get("/v1/log/keys", KNOWN),
        get("/v1/log/proofs/inclusion?sequence=1", KNOWN),
        get("/v1/log/proofs/consistency?from=1", KNOWN),
        get("/log/checkpoint", KNOWN),
        row("GET", "/log/tile/{*path}", Ask::get("/log/tile/0/000.p/1"), KNOWN),
        row(
            "GET",
            "/log/tile/entries/{*path}",
            Ask::get("/log/tile/entries/000.p/1"),
            ". oxxo xxx xx xx xx ..",
        ),
        get("/v1/events/stream?after=0", LISTED_TO_PARTIES),
        get("/v1/clock", ". oxxo xxx xx xx xx .."),
        post("/v1/clock/confirm", &json!({"now": NOW}), ". oxxx xxx xx xx xx .."),
        get("/v1/projections", ". oxxo xxx xx xx xx .."),
        row("POST", "/v1/projections/{name}/rebuild", rebuild, ". oxxx xxx xx xx xx .."),
        get("/v1/projections/{name}/generations", ". oxxo xxx xx xx xx .."),
        get("/v1/projections/{name}/generations/stream", ". oxxo xxx xx xx xx .."),
        // There is no rebuild that they could change.
        post("/v1/projections/{name}/rebuild/cancel", &json!({}), ". kxxx xxx xx xx xx .."),
        post("/v1/projections/{name}/rebuild/swap", &json!({}), ". kxxx xxx xx xx xx .."),
        post("/v1/projections/{name}/rebuild/confirm", &json!({}), ". kxxx xxx xx xx xx .."),
        post("/v1/projections/{name}/rebuild/swap-back", &json!({}), ". kxxx xxx xx xx xx .."),
        get("/v1/backup", ". oxxx xxx xx xx xx .."),
        row(
            "GET",
            "/v1/backup/files/{name}",
            Ask::get("/v1/backup/files/epoch-000001.tail"),
            ". oxxx xxx xx xx xx ..",
        ),
        get("/healthz", PUBLIC),
        get("/readyz", PUBLIC),
        get("/openapi.json", PUBLIC),
    ]
}

fn documentary() -> Vec<Row> {
    let report =
        Ask::new("POST", "/usage_report_module/?computer=COMP-1").with("content-type", "application/xml");
    let installation = json!({"computer": "COMP-1", "software_release": RELEASE, "state": "destroyed"});
    let instance = Ask::new("DELETE", "/software_instance_module/SOFTINST-1");
    vec![
        get("/computer_module/", ". oooo oox oo oo xx .."),
        post("/computer_module/", &json!({"title": "front"}), ". cccx ccx xx xx xx .."),
        get("/computer_module/{id}", ". oo-o o-x -- o- xx .."),
        told("PATCH", "/computer_module/{id}", &json!({"title": "front"}), PROVIDER),
        get("/software_release_module/", ". oooo ooo xx xx xx .."),
        get("/software_product_module/", KNOWN),
        post(
            "/software_product_module/",
            &json!({"product": "other", "software_release": RELEASE}),
            ". ooox xxo xx xx xx ..",
        ),
        post("/software_installation_module/", &installation, PROVIDER),
        get("/software_instance_module/", INSTANCES),
        post("/software_instance_module/", &wanted("new"), ". ccax xxx cc xx cc .."),
        get("/software_instance_module/{id}", INSTANCE),
        told("PATCH", "/software_instance_module/{id}", &json!({"state": "stopped"}), WANTED),
        row("DELETE", "/software_instance_module/{id}", instance, WANTED),
        get("/instance_tree_module/", INSTANCES),
        get("/instance_tree_module/{id}", INSTANCE),
        row("POST", "/usage_report_module/", report.saying(USAGE), NODE_SAYS),
    ]
}

/// A report of one movement.
const USAGE: &str = "<journal><transaction type=\"Sale Packing List\"><start_date>2026-11-23 13:00:00</start_date>\
    <stop_date>2026-11-23 13:59:59</stop_date><reference>daily</reference><currency/><payment_mode/>\
    <arrow type=\"\"/><movement><resource>cpu</resource><reference>slappart0</reference>\
    <quantity>1</quantity><price>0</price><VAT/></movement></transaction></journal>";

/// The same with what a partition is named by.
fn partition(path: &str, more: &[(&str, &str)], answers: &'static str) -> Row {
    form(
        path,
        &[&[("computer_id", "COMP-1"), ("computer_partition_id", "slappart0")], more].concat(),
        answers,
    )
}

fn requested(more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut form = request_form("new", &[("a", "1")], None);
    for (name, value) in &mut form {
        if *name == "software_release" {
            RELEASE.clone_into(value);
        }
    }
    form.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    form
}

fn slap() -> Vec<Row> {
    let computer = ("computer_id", "COMP-1");
    let software = [computer, ("url", RELEASE)];
    let text = |pairs: &'static [(&'static str, &'static str)]| pairs;
    let request = |more: &[(&'static str, &str)], answers| {
        let pairs = requested(more);
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        form("/requestComputerPartition", &pairs, answers)
    };
    let configured = dumps(&configuration("COMP-1", 10));
    let connection = dumps(&marshal::Value::dict([("url", marshal::Value::from("https://example.org/"))]));
    let related = dumps(&marshal::Value::List(Vec::new()));
    let certify = |computer: &'static str, answers| {
        form("/generateComputerCertificate", &[("computer_id", computer)], answers)
    };
    let register = ". oo-x xxx o- ox ox ..";
    let fetched = ". oo-x xxx xx ox oo ..";
    let of_partition = "?computer_id=COMP-1&computer_partition_id=slappart0";
    let mut rows = vec![
        // A node asks for nothing of its own. In the other project there is no room: it waits.
        request(&[], ". oowx xxx oo xx oo .."),
        // From within SOFTINST-1: a claim that has to fit.
        request(
            &[("computer_id", "COMP-1"), ("computer_partition_id", "slappart0")],
            ". oo-x xxx xx ox ox ..",
        ),
        form("/supplySupply", &[computer, ("url", RELEASE), ("state", "destroyed")], PROVIDER),
        form("/loadComputerConfigurationFromXML", &[("xml", &configured)], NODE_SAYS),
        question("/getFullComputerInformation", "?computer_id=COMP-1", fetched),
        question("/getComputerInformation", "?computer_id=COMP-1", fetched),
        form("/useComputer", &[computer, ("use_string", USAGE)], NODE_SAYS),
        form("/computerBang", &[computer, ("message", "now")], NODE_SAYS),
        question("/getComputerStatus", "?computer_id=COMP-1", ". oo-o o-x -- o- xx .."),
        form("/requestComputer", &[("computer_title", "front")], ". ooox oox xx xx xx .."),
        certify("COMP-3", ". oo-x o-x xx xx xx .."),
        // It has one that is good: 409. It may have another for it itself.
        certify("COMP-1", ". kk-x k-x xx ox xx .."),
        form("/revokeComputerCertificate", &[computer], ". oo-x o-x xx ox xx .."),
        question("/getRunId", "", KNOWN),
        form("/buildingSoftwareRelease", &software, NODE_SAYS),
        form("/availableSoftwareRelease", &software, NODE_SAYS),
        form("/destroyedSoftwareRelease", &[computer, ("url", LEAVING)], NODE_SAYS),
        form("/softwareReleaseError", &[computer, ("url", RELEASE), ("error_log", "no disk")], NODE_SAYS),
        question(
            "/getSoftwareInstallationStatus",
            "?computer_id=COMP-1&url=https%3A%2F%2Fexample.org%2Fa%2Fsoftware.cfg",
            ". oo-o o-x -- o- xx ..",
        ),
        question("/getSoftwareReleaseListFromSoftwareProduct", "?software_product_reference=kvm", KNOWN),
        question(
            "/registerComputerPartition",
            "?computer_reference=COMP-1&computer_partition_reference=slappart0",
            register,
        ),
        question("/getComputerPartitionCertificate", of_partition, ". xxxx xxx xx ox ox .."),
        partition("/startedComputerPartition", &[], PARTITION_SAYS),
        partition("/stoppedComputerPartition", &[], PARTITION_SAYS),
        // Nobody wants it destroyed: 404.
        partition("/destroyedComputerPartition", &[], ". ---x xxx xx -x -x .."),
        form(
            "/destroyedComputerPartition",
            text(&[("computer_id", "COMP-1"), ("computer_partition_id", "slappart9")]),
            NODE_SAYS,
        ),
        question("/getComputerPartitionStatus", of_partition, ". oo-x xxx o- ox ox .."),
        question("/getHostingSubscriptionIpList", of_partition, PARTITION_SAYS),
        partition("/softwareInstanceError", &[("error_log", "no disk")], PARTITION_SAYS),
        partition("/softwareInstanceBang", &[("message", "now")], PARTITION_SAYS),
        partition("/softwareInstanceRename", &[("new_name", "other")], PARTITION_SAYS),
        partition("/setComputerPartitionConnectionXml", &[("connection_xml", &connection)], PARTITION_SAYS),
        partition(
            "/updateComputerPartitionRelatedInstanceList",
            &[("instance_reference_xml", &related)],
            PARTITION_SAYS,
        ),
        question("/getHateoasUrl", "", KNOWN),
        question("/hateoas", "", ". ooox oox oo xx xx .."),
        question("/hateoas/", "", ". ooox oox oo xx xx .."),
        question("/hateoas/computer_module/Base_getComputerToken", "", ". ooox oox xx xx xx .."),
    ];
    // For anyone who has a token of its own for it: nobody here.
    for path in ["/Person_requestComputer", "/Person_getCertificate"] {
        for path in [path.to_owned(), format!("/{path}")] {
            rows.push(form(&path, &[("title", "front")], "x xxxx xxx xx xx xx .."));
        }
    }
    rows
}

fn calls() -> Vec<Row> {
    let computer = json!({"computer_guid": "COMP-1"});
    let instance = json!({"instance_guid": "SOFTINST-1"});
    let with = |of: &Value, more: Value| {
        let (mut all, more) = (of.clone(), more);
        if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
            all.extend(more);
        }
        all
    };
    let title = |title: &str| json!({"title": title});
    let request = json!({"title": "new", "software_release_uri": RELEASE, "software_type": "default"});
    let release = json!({"software_release_uri": RELEASE});
    let (node, says, opens) = (". ooxx xxx xx ox xx ..", ". ooxx xxx xx ox ox ..", ". ooxx xxx ox ox ox ..");
    vec![
        call("post.v0.software_instance", &request, ". ooox xxx oo xx oo .."),
        // PARTY-1 has one of this name too.
        call("get.v0.instance_tree", &title("shop"), ". ooxx xxx oo xx xx .."),
        call("allDocs.v0.instance_tree_list", &json!({}), ". ooox oox oo xx xx .."),
        call("post.v0.software_installation", &with(&computer, release.clone()), ". ooxx oxx xx xx xx .."),
        call("get.v0.hateoas_url", &json!({}), KNOWN),
        call(
            "put.v0.compute_node_format",
            &with(&computer, json!({"compute_partition_list": [{"partition_id": "slappart0"}]})),
            node,
        ),
        call("put.v0.compute_node_bang", &with(&computer, json!({"message": "now"})), node),
        call("post.v0.compute_node_usage", &with(&computer, json!({"tioxml": USAGE})), node),
        call("get.v0.compute_node_status", &computer, ". ooxo oxx xx ox xx .."),
        call(
            "post.v0.compute_node_certificate",
            &json!({"computer_guid": "COMP-3"}),
            ". ooxx oxx xx xx xx ..",
        ),
        // It has one that is good, which is 403 here.
        call("post.v0.compute_node_certificate", &computer, ". xxxx xxx xx ox xx .."),
        call("remove.v0.compute_node_certificate", &computer, ". ooxx oxx xx ox xx .."),
        // To an instance, those that it may know are there.
        call("allDocs.v0.compute_node_instance_list", &computer, ". ooxx xxx xx ox oo .."),
        // slapos proxy alone has it.
        call("allDocs.WIP.compute_node_list", &json!({}), ". xxxx xxx xx xx xx .."),
        call("allDocs.v0.compute_node_software_installation_list", &computer, ". ooxo oxx xx ox xx .."),
        call(
            "put.v0.software_installation_reported_state",
            &with(&computer, json!({"software_release_uri": RELEASE, "reported_state": "building"})),
            node,
        ),
        call(
            "put.v0.software_installation_error",
            &with(&computer, json!({"software_release_uri": RELEASE, "message": "no disk"})),
            node,
        ),
        call("get.v0.software_instance", &instance, opens),
        call(
            "get.v0.compute_partition",
            &with(&computer, json!({"compute_partition_id": "slappart0"})),
            opens,
        ),
        call("get.v0.software_instance_certificate", &instance, ". xxxx xxx xx ox ox .."),
        call("allDocs.v0.instance_node_instance_list", &instance, opens),
        call(
            "put.v0.software_instance_reported_state",
            &with(&instance, json!({"reported_state": "stopped"})),
            says,
        ),
        call("put.v0.software_instance_error", &with(&instance, json!({"message": "no disk"})), says),
        call("put.v0.software_instance_bang", &with(&instance, json!({"message": "now"})), says),
        call("put.v0.software_instance_title", &with(&instance, title("other")), says),
        call(
            "put.v0.software_instance_connection_parameter",
            &with(&instance, json!({"connection_parameter_dict": {"url": "https://example.org/"}})),
            says,
        ),
    ]
}

/// Pages without a REST twin. The others are answered at the routes whose answers they show.
fn pages() -> Vec<Row> {
    // A form without the token of its browser is refused whoever sends it.
    const REFUSED: &str = "x xxxx xxx xx xx xx ..";
    vec![
        question("/ui/home", "", KNOWN),
        question("/ui/usage", "", ". oooo oox xx xx xx .."),
        question("/ui/request", "", ". ooox xxx oo xx oo .."),
        question("/ui/operation", "", ". oxxo xxx xx xx xx .."),
        question("/ui/revenue", "", LISTED_TO_STAFF),
        question("/ui/sign-in", "", PUBLIC),
        form("/ui/sign-out", &[], REFUSED),
        form("/ui/preferences", &[("theme", "dark")], REFUSED),
        row(
            "*",
            "/ui/assets/{digest}/{name}",
            Ask::get("/ui/assets/none/style.css"),
            "- ---- --- -- -- -- ..",
        ),
    ]
}
