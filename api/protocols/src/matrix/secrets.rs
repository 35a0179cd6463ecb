//! What is in the answers: nobody reads what is sealed for others, wherever it might stand.

use serde_json::json;

use super::asking::Ask;
use super::table;
use super::world::{OF_ALICE, OF_BOB, OF_PROVIDER, Who, World};

/// What may stand in the place of a name of the table, so that everything of the cloud is asked for.
const OTHERS: [(&str, &[&str]); 9] = [
    (
        "SOFTINST-1",
        &["SOFTINST-1", "SOFTINST-2", "SOFTINST-3", "SOFTINST-4", "SOFTINST-5", "SOFTINST-6", "SOFTINST-7"],
    ),
    ("COMP-1", &["COMP-1", "COMP-2", "COMP-3"]),
    ("slappart0", &["slappart0", "slappart1", "slappart2", "slappart3", "slappart4"]),
    ("PARTY-2", &["PARTY-1", "PARTY-2", "PARTY-3", "PARTY-4", "PARTY-5", "PARTY-6"]),
    (
        "INV-2026-000001",
        &["INV-2026-000001", "INV-2026-000002", "INV-2026-000003", "RUN-2-PARTY-2", "RUN-2-PARTY-3"],
    ),
    ("RUN-2", &["RUN-1", "RUN-2"]),
    ("CREDIT-3", &["CREDIT-1", "CREDIT-2", "CREDIT-3", "CREDIT-4"]),
    ("CHARGE-3", &["CHARGE-1", "CHARGE-2", "CHARGE-3", "CHARGE-4"]),
    ("software.cfg", &["software.cfg"]),
];

/// A question in all its variants.
fn variants(ask: Ask) -> Vec<Ask> {
    OTHERS.iter().fold(vec![ask], |asks, (name, all)| {
        let vary = |ask: Ask| {
            if !ask.path.contains(name) && !ask.body.contains(name) {
                return vec![ask];
            }
            let replaced = all.iter().map(|other| Ask {
                path: ask.path.replace(name, other),
                body: ask.body.replace(name, other),
                ..ask.clone()
            });
            replaced.collect()
        };
        asks.into_iter().flat_map(vary).collect()
    })
}

/// Everything that can be asked and changes nothing.
fn questions() -> Vec<Ask> {
    let reads = |route: &str| {
        let call = ["/slapos.get.", "/slapos.allDocs."].iter().any(|kind| route.contains(kind));
        call || route == "POST /v1/what-if"
    };
    let of_table = table::rows().into_iter().filter(|row| {
        let changes =
            ["Certificate", "certificate", "getComputerToken"].iter().any(|word| row.route.contains(word));
        !changes && (row.ask.method == "GET" || reads(&row.route))
    });
    let kinds =
        ["Instance Tree", "Compute Node", "Software Instance", "Slave Instance", "Software Installation"];
    let selected = "title,reference,relative_url,url_string,text_content,getConnectionXmlAsDict,\
                    SoftwareInstance_getNewsDict,SoftwareInstallation_getNewsDict";
    let searches = kinds.iter().map(|kind| {
        let wanted = format!("portal_type:\"{kind}\" AND validation_state:validated");
        let query = [("mode", "search"), ("query", &wanted), ("select_list", selected)];
        hateoas(&query)
    });
    let documents = [
        "instance_tree_module/SOFTINST-1",
        "software_instance_module/SOFTINST-1",
        "compute_node_module/COMP-1",
        "software_installation_module/COMP-1/https%3A%2F%2Fexample.org%2Fa%2Fsoftware.cfg",
        "software_installation_module/COMP-1/https%3A%2F%2Fexample.org%2Fb%2Fsoftware.cfg",
        "person_module/PARTY-2",
    ];
    let documents = documents.iter().map(|at| hateoas(&[("mode", "traverse"), ("relative_url", at)]));
    let leaving =
        Ask::get("/getSoftwareInstallationStatus?computer_id=COMP-1&url=https://example.org/b/software.cfg");
    let tree = |title: &str| Ask::json("POST", "/slapos.get.v0.instance_tree", &json!({"title": title}));
    let more = [leaving, tree("site"), tree("far")];
    of_table.map(|row| row.ask).chain(searches).chain(documents).chain(more).flat_map(variants).collect()
}

fn hateoas(pairs: &[(&str, &str)]) -> Ask {
    let pairs = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Ask::get(&format!("/hateoas/?{pairs}"))
}

#[test]
fn nobody_reads_what_is_sealed_for_others() {
    let world = World::new();
    let questions = questions();
    let all = || [&OF_ALICE[..], &OF_BOB, &OF_PROVIDER].concat();
    let but = |words: &[&'static str]| -> Vec<&'static str> {
        all().into_iter().filter(|word| !words.contains(word)).collect()
    };
    let rows: [(Who, Vec<&str>); 15] = [
        (Who::Nobody, all()),
        (Who::OtherAdmin, all()),
        (Who::Auditor, all()),
        (Who::Provider, but(&OF_PROVIDER)),
        (Who::Both, but(&OF_PROVIDER)),
        (Who::OtherProvider, all()),
        (Who::Publisher, all()),
        (Who::Alice, but(&OF_ALICE)),
        (Who::Bob, but(&OF_BOB)),
        // An auditor opens nothing, even if they are a customer too, but what they ask for as one.
        (Who::Prying, but(&OF_BOB)),
        // What runs on a computer is opened for it; who pays for that is not its to know.
        (
            Who::Node,
            vec!["alice-ended", "alice-name", "alice-detail", "bob-name", "bob-detail", "provider-name"],
        ),
        (Who::OtherNode, but(&["bob-parameter"])),
        // It hosts one of Bob's.
        (
            Who::Instance,
            but(&["alice-parameter", "alice-connection", "alice-child", "alice-error", "bob-shared"]),
        ),
        (Who::OtherInstance, but(&["bob-parameter", "bob-connection"])),
        (Who::Revoked, all()),
    ];
    let before = world.head();
    let mut wrong = Vec::new();
    for ask in &questions {
        for (who, words) in &rows {
            let mut ask = ask.clone();
            ask.path = world.filled(&ask.path);
            let (path, body) = (ask.path.clone(), ask.body.clone());
            let seen = world.ask(*who, ask);
            for word in words.iter().filter(|word| seen.body.contains(**word)) {
                wrong.push(format!("{who:?} reads {word} in {path} {body}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(world.head(), before, "a question left a trace");

    // They are there to be found by those for whom they are.
    let found = |who| {
        let mut missing = all();
        for ask in &questions {
            let mut ask = ask.clone();
            ask.path = world.filled(&ask.path);
            let seen = world.ask(who, ask);
            missing.retain(|word| !seen.body.contains(word));
        }
        missing
    };
    assert_eq!(found(Who::Root), Vec::<&str>::new());
    assert_eq!(found(Who::Admin), Vec::<&str>::new());
    assert_eq!(found(Who::Alice), but(&OF_ALICE));
    assert_eq!(found(Who::Bob), but(&OF_BOB));
}

#[test]
fn an_auditor_reads_that_something_is_there_and_not_what() {
    let world = World::new();
    let party = world.get(Who::Auditor, "/v1/parties/PARTY-2").expect(200).json();
    assert_eq!((&party["name"], party.get("contact")), (&json!("(sealed)"), None));
    let invoice = world.get(Who::Auditor, "/v1/invoices/INV-2026-000001").expect(200).json();
    assert_eq!(
        (&invoice["buyer"]["name"], &invoice["seller"]["name"]),
        (&json!("(sealed)"), &json!("(sealed)"))
    );
    for instance in ["SOFTINST-1", "SOFTINST-2"] {
        let shown = world.get(Who::Auditor, &format!("/v1/instances/{instance}")).expect(200).json();
        assert_eq!(
            (&shown["parameters"], &shown["connection_parameters"], &shown["error"]),
            (&json!({}), &json!({}), &json!(null))
        );
    }
}
