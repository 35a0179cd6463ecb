//! Who and what is in the cloud: made by those whom it is about, through the routes they use.

use serde_json::{Value, json};
use slapledger_core::domain::Command;
use slapledger_core::domain::access::{Holder, IssueCredential, Proof, Purpose, Renews, Role};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::time::TimeZone;
use slapledger_core::log::envelope::Actor;
use slapledger_dto::token::Token;

use super::asking::{Ask, Key};
use super::world::{LEAVING, NOW, RELEASE, Who, World};

impl World {
    pub(super) fn furnish(&mut self) {
        self.let_root_in();
        self.let_others_in();
        self.bring_computers();
        self.run_instances();
        self.invoice();
        self.ask(
            Who::Root,
            Ask::new("POST", &format!("/v1/credentials/{}/revoke", self.credential(Who::Revoked))),
        )
        .expect(200);
    }

    fn let_root_in(&mut self) {
        let ctx = &self.ctx;
        let name = ctx.keys().seal(ctx.keys().fresh().expect("a key"), b"the operator").expect("sealed");
        let party = RegisterParty { name, time_zone: TimeZone::UTC, description: None };
        ctx.submit_own(Actor::system(), Command::RegisterParty(party)).expect("it is carried out");
        let token = Token::new(slapledger_core::domain::id::CredentialId([7; 16]), [9; 32]);
        let issue = IssueCredential {
            credential: token.credential,
            holder: Holder::Operator("root".into()),
            roles: Role::Admin.into(),
            all_projects: true,
            purpose: Purpose::Access,
            proof: Proof::Token { digest: token.digest() },
            label: None,
            expires_at: None,
            spends: None,
            renews: Renews::Nothing,
        };
        let issue = Command::IssueCredential(Box::new(issue));
        let issued = ctx.submit_own(Actor::system(), issue).expect("it is carried out");
        ctx.access().read_at_blocking(issued.sequence, |_, _| ()).expect("it is shown");
        self.keep(Who::Root, Key::Token(token.text().to_string()));
    }

    fn let_others_in(&mut self) {
        for (name, detail) in [
            ("alice-name", "alice-detail"),
            ("bob-name", "bob-detail"),
            ("provider-name", "p"),
            ("other-provider", "q"),
            ("publisher", "u"),
            ("nobody's", "z"),
        ] {
            let party = json!({"name": name, "contact": detail});
            self.post(Who::Root, "/v1/parties", &party).expect(201);
        }
        self.post(Who::Root, "/v1/projects", &json!({"title": "other"})).expect(201);
        let of_party = |party: &str, roles: &[&str]| json!({"holder": party, "roles": roles});
        let expires = json!({
            "holder": "eve", "roles": ["admin"], "all_projects": true, "expires_at": "2026-11-15T00:00:00Z",
        });
        let wide = |name: &str, role: &str| json!({"holder": name, "roles": [role], "all_projects": true});
        let tokens = [
            (Who::Admin, None, of_party("anna", &["admin"])),
            (Who::OtherAdmin, Some("PROJ-2"), of_party("otto", &["admin"])),
            (Who::Auditor, None, wide("audra", "auditor")),
            (Who::Provider, None, of_party("PARTY-4", &["provider"])),
            (Who::OtherProvider, None, of_party("PARTY-5", &["provider"])),
            (Who::Publisher, None, of_party("PARTY-6", &["publisher"])),
            (Who::Alice, None, of_party("PARTY-2", &["customer"])),
            (Who::Bob, None, of_party("PARTY-3", &["customer"])),
            (Who::Revoked, None, wide("rita", "admin")),
            (Who::Expired, None, expires),
            (Who::Both, None, of_party("PARTY-4", &["customer", "provider"])),
            (Who::Prying, None, of_party("PARTY-3", &["customer", "auditor"])),
        ];
        for (who, project, wanted) in tokens {
            let key = self.token(Who::Root, project, &wanted);
            self.keep(who, key);
        }
    }

    fn bring_computers(&mut self) {
        let enter = |provider, name: &str| {
            self.post(provider, "/v1/computers", &json!({"reference": name})).expect(201);
        };
        enter(Who::Provider, "COMP-1");
        enter(Who::Provider, "COMP-3");
        enter(Who::OtherProvider, "COMP-2");
        for (provider, node, name, free) in
            [(Who::Provider, Who::Node, "COMP-1", 10), (Who::OtherProvider, Who::OtherNode, "COMP-2", 2)]
        {
            let certify = "/slapos.post.v0.compute_node_certificate";
            let key = self.certificate(provider, certify, &json!({"computer_guid": name}));
            self.keep(node, key);
            let partitions: Vec<Value> = (0..free)
                .map(|n| json!({"id": format!("slappart{n}"), "addresses": [{"address": format!("10.0.0.{n}")}]}))
                .collect();
            let path = |what: &str| format!("/v1/computers/{name}/{what}");
            let configured = json!({"address": "10.0.0.1", "partitions": partitions});
            self.ask(node, Ask::json("PUT", &path("configuration"), &configured)).expect(200);
            let open = json!({"scope": "open"});
            self.ask(provider, Ask::json("PUT", &path("allocation-scope"), &open)).expect(200);
            let supply = json!({"software_release": RELEASE, "state": "available"});
            self.post(provider, &path("software"), &supply).expect(200);
            self.post(node, &path("software-reports"), &supply).expect(200);
        }
        let leaving = json!({"software_release": LEAVING, "state": "available"});
        self.post(Who::Provider, "/v1/computers/COMP-1/software", &leaving).expect(200);
        let error =
            json!({"software_release": LEAVING, "state": "error", "error": "provider-software-error"});
        self.post(Who::Node, "/v1/computers/COMP-1/software-reports", &error).expect(200);
        let leaving = json!({"software_release": LEAVING, "state": "destroyed"});
        self.post(Who::Provider, "/v1/computers/COMP-1/software", &leaving).expect(200);
        let product = json!({"product": "kvm", "software_release": RELEASE});
        self.post(Who::Publisher, "/v1/products", &product).expect(200);
        let schema = json!({"software_release": RELEASE, "schema": {"properties": {}}});
        self.ask(Who::Provider, Ask::json("PUT", "/v1/software-schemas", &schema)).expect(200);
        let entry = json!({"table": "storage", "title": "MySQL", "software": "mysql", "stage": "production"});
        self.ask(Who::Admin, Ask::json("PUT", "/v1/catalogue/mysql", &entry)).expect(200);
    }

    /// SOFTINST-1 to 7: Alice's, its child, Bob's, his on hers, one of his on COMP-2, one of hers that has ended, and one
    /// of the operator's.
    fn run_instances(&mut self) {
        self.set("2026-10-16T00:00:00Z");
        let request = |who, name: &str, parameter: &str, sla: Value, shared: bool| {
            let wanted = json!({
                "software_release": RELEASE, "instance_id": name, "instance_type": "production",
                "parameters": {"secret": parameter}, "sla": sla, "shared": shared,
            });
            self.post(who, "/v1/instances", &wanted).expect(201)
        };
        let on = |computer: &str| json!({"computer_guid": computer});
        request(Who::Alice, "shop", "alice-parameter", on("COMP-1"), false);
        let instance = self.instance_certificate("SOFTINST-1");
        self.keep(Who::Instance, instance);
        let request = |who, name: &str, parameter: &str, sla: Value, shared: bool| {
            let wanted = json!({
                "software_release": RELEASE, "instance_id": name, "instance_type": "production",
                "parameters": {"secret": parameter}, "sla": sla, "shared": shared,
            });
            self.post(who, "/v1/instances", &wanted).expect(201)
        };
        request(Who::Instance, "db", "alice-child", on("COMP-1"), false);
        request(Who::Bob, "shop", "bob-parameter", on("COMP-1"), false);
        request(Who::Bob, "site", "bob-shared", json!({"instance_guid": "SOFTINST-1"}), true);
        request(Who::Bob, "far", "bob-parameter", on("COMP-2"), false);
        request(Who::Alice, "gone", "alice-ended", on("COMP-1"), false);
        request(Who::Root, "shop", "of the operator", on("COMP-1"), false);
        let instance = self.instance_certificate("SOFTINST-3");
        self.keep(Who::OtherInstance, instance);
        let says = |instance: &str, what: &str, body: &Value| {
            self.post(Who::Node, &format!("/v1/instances/{instance}/{what}"), body).expect(200);
        };
        for instance in ["SOFTINST-1", "SOFTINST-2", "SOFTINST-3", "SOFTINST-6"] {
            says(instance, "reports", &json!({"state": "started"}));
        }
        for (instance, connection) in [("SOFTINST-1", "alice-connection"), ("SOFTINST-3", "bob-connection")] {
            let path = format!("/v1/instances/{instance}/connection-parameters");
            let told = json!({"connection_parameters": {"url": connection}});
            self.ask(Who::Node, Ask::json("PUT", &path, &told)).expect(200);
        }
        says("SOFTINST-2", "reports", &json!({"state": "error", "error": "alice-error"}));
        self.set("2026-10-20T00:00:00Z");
        self.ask(Who::Alice, Ask::new("DELETE", "/v1/instances/SOFTINST-6")).expect(200);
        says("SOFTINST-6", "reports", &json!({"state": "destroyed"}));
    }

    fn instance_certificate(&self, instance: &str) -> Key {
        let path = "/slapos.get.v0.software_instance_certificate";
        self.certificate(Who::Node, path, &json!({"instance_guid": instance}))
    }

    fn invoice(&mut self) {
        self.post(Who::Root, "/v1/price-books", &prices("standard", "10.00")).expect(201);
        for (customer, amount) in [("PARTY-2", "1.00"), ("PARTY-3", "2.00")] {
            let told =
                json!({"customer": customer, "currency": "EUR", "amount": amount, "description": "by hand"});
            self.post(Who::Root, "/v1/credits", &told).expect(201);
            self.post(Who::Root, "/v1/charges", &told).expect(201);
        }
        let usage = [
            usage("COMP-1", "a", "slappart0", "7"),
            usage("COMP-1", "b", "slappart2", "8"),
            usage("COMP-1", "c", "slappart0", "NaN"),
        ];
        self.report(Who::Node, &usage).expect(200);
        self.report(Who::OtherNode, &[usage_of_no_one("COMP-2")]).expect(422);
        self.set("2026-11-02T00:00:00Z");
        let run = json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}, "finalise": true});
        self.post(Who::Root, "/v1/invoice-runs", &run).expect(201);
        self.set(NOW);
        for (customer, amount) in [("PARTY-2", "1.00"), ("PARTY-3", "2.00")] {
            let told =
                json!({"customer": customer, "currency": "EUR", "amount": amount, "description": "by hand"});
            self.post(Who::Root, "/v1/credits", &told).expect(201);
            self.post(Who::Root, "/v1/charges", &told).expect(201);
        }
        let own = "/v1/price-books/standard/overrides";
        self.post(Who::Root, own, &own_price("2028-01-01T00:00:00Z")).expect(201);
        let run = json!({"period": {"start": "2026-11-01", "stop": "2026-12-01"}});
        self.post(Who::Root, "/v1/invoice-runs", &run).expect(201);
    }
}

/// A fee of their own for Alice.
pub(super) fn own_price(valid_from: &str) -> Value {
    json!({
        "customer": "PARTY-2", "valid_from": valid_from, "valid_until": valid_from.replace("-01-01", "-02-01"),
        "rate": {"kind": "recurring", "every": "month", "when": "arrears", "price": "3"},
    })
}

/// Prices.
pub(super) fn prices(name: &str, price: &str) -> Value {
    json!({
        "name": name, "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
        "resources": [{"resource": "requests", "kind": "counter", "meter": "sum", "unit": "request"}],
        "rates": [
            {"kind": "recurring", "every": "month", "when": "arrears", "price": price},
            {"kind": "per_unit", "resource": "requests", "price": "0.5"},
            {"kind": "discount", "item": "welcome", "percent": "10", "code": "WELCOME"},
        ],
    })
}

/// Usage that a computer reports of one of its partitions.
pub(super) fn usage(computer: &str, id: &str, subject: &str, quantity: &str) -> Value {
    json!({
        "specversion": "1.0", "type": "org.slapos.usage", "source": computer, "id": id, "subject": subject,
        "data": {
            "resource": "requests", "quantity": quantity,
            "start": "2026-10-17T00:00:00Z", "stop": "2026-10-17T01:00:00Z",
        },
    })
}

/// Usage that is suspended.
fn usage_of_no_one(computer: &str) -> Value {
    usage(computer, "d", "slappart9", "1")
}
