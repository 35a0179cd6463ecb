use proptest::prelude::*;

use super::*;
use crate::domain::computer::RegisterComputer;
use crate::domain::erasure::{Erase, ErasureSubject};
use crate::domain::event::{Event, Stream};
use crate::domain::given::{Given, at, register_computer, register_party, report, request};
use crate::domain::id::{InstanceId, InvalidText};
use crate::domain::instance::{ReportedState, RequestInstance, RequestedState};
use crate::domain::{Answer, Command};

fn id(n: u8) -> CredentialId {
    CredentialId([n; 16])
}

fn party() -> Holder {
    Holder::Party(PartyId(1))
}

fn computer() -> Holder {
    Holder::Computer(ComputerId::new("COMP-1").expect("an id"))
}

fn roles(roles: &[Role]) -> Roles {
    roles.iter().copied().collect()
}

/// A token of PARTY-1, a customer.
fn token(n: u8) -> IssueCredential {
    IssueCredential {
        credential: id(n),
        holder: party(),
        roles: Role::Customer.into(),
        all_projects: false,
        purpose: Purpose::Access,
        proof: Proof::Token { digest: [n; 32] },
        label: None,
        expires_at: None,
        spends: None,
        renews: Renews::Nothing,
    }
}

fn once(n: u8, purpose: Purpose) -> IssueCredential {
    let roles = if purpose == Purpose::RegisterComputer { Role::Provider } else { Role::Customer };
    IssueCredential { purpose, roles: roles.into(), expires_at: Some(at("2026-10-02T00:00:00Z")), ..token(n) }
}

/// A certificate of COMP-1.
fn certificate(n: u8) -> IssueCredential {
    IssueCredential {
        holder: computer(),
        roles: Role::Node.into(),
        proof: Proof::Certificate { fingerprint: [n; 32] },
        expires_at: Some(at("2027-10-01T00:00:00Z")),
        ..token(n)
    }
}

fn issued(given: &Given, command: IssueCredential) -> (Stream, Event) {
    let IssueCredential {
        credential, holder, roles, all_projects, purpose, proof, label, expires_at, ..
    } = command;
    let at = given.now;
    let event =
        CredentialIssued { credential, holder, roles, all_projects, purpose, proof, label, expires_at, at };
    (Stream::Credential(credential), Event::CredentialIssued(event))
}

fn spent(given: &Given, n: u8, by: u8) -> (Stream, Event) {
    let event = CredentialSpent { credential: id(n), by: id(by), at: given.now };
    (Stream::Credential(id(n)), Event::CredentialSpent(event))
}

fn revoked(given: &Given, n: u8) -> (Stream, Event) {
    let event = CredentialRevoked { credential: id(n), at: given.now };
    (Stream::Credential(id(n)), Event::CredentialRevoked(event))
}

fn revoke(which: Which) -> RevokeCredentials {
    RevokeCredentials { which, issued_since: None }
}

#[test]
fn projects_have_titles_of_their_own() {
    let open = |title: &str| OpenProject { title: title.into() };
    let given = Given::nothing();
    let opened = |n: u64, title: &str| {
        let project = ProjectId(n);
        let event = ProjectOpened { project, title: title.into(), at: given.now };
        (Stream::Project(project), Event::ProjectOpened(event))
    };
    let (second, third) = (opened(2, "acme"), opened(3, "other"));
    let taken =
        |n: u64, title: &str| AccessRefusal::TitleTaken { project: ProjectId(n), title: title.into() };
    let given = given
        .when(open("default"))
        .refused(taken(1, "default"))
        .when(open(""))
        .refused(AccessRefusal::BadTitle(InvalidText::Empty))
        .when(open("acme"))
        .then([second])
        .answered(&Answer::Project(ProjectId(2)))
        .and()
        .when(open("acme"))
        .refused(taken(2, "acme"))
        .when(open("other"))
        .then([third])
        .and();
    let projects: Vec<_> = given.state.access.projects().collect();
    assert_eq!(projects, [(ProjectId(1), "default"), (ProjectId(2), "acme"), (ProjectId(3), "other")]);
}

#[test]
fn who_does_not_exist_gets_no_credential() {
    let check = |command: IssueCredential, refusal: AccessRefusal| {
        Given::cloud().when(command).refused(refusal);
    };
    let holder = |holder: Holder, roles: Roles| IssueCredential { holder, roles, ..token(1) };
    let nobody = Holder::Party(PartyId(9));
    check(holder(nobody.clone(), Role::Customer.into()), AccessRefusal::UnknownHolder(nobody));
    let nobody = Holder::Computer(ComputerId::new("COMP-9").expect("an id"));
    check(holder(nobody.clone(), Role::Node.into()), AccessRefusal::UnknownHolder(nobody));
    let nobody = Holder::Instance(InstanceId(1));
    check(holder(nobody.clone(), Role::Instance.into()), AccessRefusal::UnknownHolder(nobody));
    check(
        holder(Holder::Operator("".into()), Role::Admin.into()),
        AccessRefusal::BadHolder(InvalidText::Empty),
    );
    check(
        IssueCredential { label: Some("a\nb".into()), ..token(1) },
        AccessRefusal::BadLabel(InvalidText::Control { code: 10 }),
    );
}

#[test]
fn holders_have_the_roles_of_their_kind() {
    let of_party = "some of admin, provider, publisher, customer and auditor, for a party";
    let of_operator = "admin, auditor or both, for somebody who is no party";
    let instance = || Holder::Instance(InstanceId(1));
    let operator = || Holder::Operator("root".into());
    let rows: [(Holder, &[Role], Result<(), &str>); 13] = [
        (party(), &[Role::Customer], Ok(())),
        (party(), &[Role::Admin, Role::Provider, Role::Publisher, Role::Customer, Role::Auditor], Ok(())),
        (party(), &[], Err(of_party)),
        (party(), &[Role::Customer, Role::Node], Err(of_party)),
        (party(), &[Role::Instance], Err(of_party)),
        (operator(), &[Role::Admin], Ok(())),
        (operator(), &[Role::Auditor, Role::Admin], Ok(())),
        (operator(), &[Role::Customer], Err(of_operator)),
        (computer(), &[Role::Node], Ok(())),
        (computer(), &[Role::Node, Role::Provider], Err("node, for a computer")),
        (computer(), &[Role::Admin], Err("node, for a computer")),
        (instance(), &[Role::Instance], Ok(())),
        (instance(), &[Role::Customer], Err("instance, for an instance")),
    ];
    for (holder, held, expected) in rows {
        let command = IssueCredential { holder, roles: roles(held), ..token(1) };
        let when = Given::cloud().done(request("first")).when(command);
        match expected {
            Ok(()) => drop(when.then_named(&["CredentialIssued"])),
            Err(rule) => drop(when.refused(AccessRefusal::BadRoles(rule))),
        }
    }
    // PARTY-1 of another project is somebody else.
    let everywhere = |holder: Holder| IssueCredential {
        holder,
        roles: roles(&[Role::Admin, Role::Auditor]),
        all_projects: true,
        ..token(1)
    };
    Given::cloud()
        .when(everywhere(party()))
        .refused(AccessRefusal::NotForAllProjects)
        .when(everywhere(operator()))
        .then_named(&["CredentialIssued"]);
}

#[test]
fn what_an_operator_of_all_projects_issued_elsewhere_ends_too() {
    let operator = || Holder::Operator("ops".into());
    let of = |n: u8, all_projects| IssueCredential {
        holder: operator(),
        roles: Role::Admin.into(),
        all_projects,
        ..token(n)
    };
    let given = || {
        let mut given = Given::cloud().done(of(1, true)).done(of(2, false)).done(token(3));
        // In another project: theirs, one by which they issued themselves the other; and in a third that of somebody
        // who is called so there and reaches nothing else.
        for (project, command) in [(2, of(4, true)), (2, of(6, false)), (3, of(5, false))] {
            let (stream, event) = issued(&given, command);
            let next = given.next();
            given.state.evolve((ProjectId(project), None), &stream, &event, next);
        }
        given
    };
    let end = |n| revoked(&given(), n);
    given().when(revoke(Which::AllOf(operator()))).then([end(1), end(2)]);
    given().when(revoke(Which::AllOfEverywhere(operator()))).then([end(1), end(2), end(4), end(6)]);
}

#[test]
fn nobody_comes_as_a_party_that_was_erased() {
    let other = || Holder::Party(PartyId(2));
    let of = |n| IssueCredential { holder: other(), ..token(n) };
    let given = Given::cloud().done(register_party()).done(of(1)).done(token(2));
    // Nor as a computer of theirs.
    let node = |name: &str, n: u8| IssueCredential {
        holder: Holder::Computer(ComputerId::new(name).expect(name)),
        roles: Role::Node.into(),
        ..certificate(n)
    };
    let own = RegisterComputer { owner: PartyId(2), ..register_computer("COMP-2") };
    let given = given.done(own).done(node("COMP-2", 4)).done(node("COMP-1", 5));
    let ends = [revoked(&given, 1), revoked(&given, 4)];
    let given = given
        .when(Erase { subject: ErasureSubject::Party(PartyId(2)) })
        .then_named(&["KeyDestroyed", "CredentialRevoked", "CredentialRevoked"])
        .and();
    assert_eq!(given.log[given.log.len() - 2..], ends);
    assert_eq!(given.state.access.check(id(5), given.now), Ok(()));
    assert_eq!(given.state.access.check(id(2), given.now), Ok(()));
    given.when(of(3)).refused(AccessRefusal::UnknownHolder(other()));
}

#[test]
fn a_credential_is_issued_once_and_ends_when_it_was_said_to() {
    let given = Given::cloud();
    let event = issued(&given, token(1));
    let late = IssueCredential { expires_at: Some(given.now), ..token(1) };
    let other = IssueCredential { proof: Proof::Token { digest: [9; 32] }, ..token(1) };
    given
        .when(late)
        .refused(AccessRefusal::BadExpiry("must be in the future"))
        .when(token(1))
        .then([event])
        .and()
        .when(token(1))
        .unchanged()
        .and()
        .when(other)
        .refused(AccessRefusal::IssuedBefore(id(1)));

    let expires = IssueCredential { expires_at: Some(at("2026-10-02T00:00:00Z")), ..token(1) };
    let given = Given::cloud().done(expires);
    let known = given.state.access.credential(id(1)).expect("it was issued");
    assert_eq!(known.check(at("2026-10-01T23:59:59.999999Z")), Ok(()));
    assert_eq!(known.check(at("2026-10-02T00:00:00Z")), Err(InvalidCredential::Expired));
}

#[test]
fn what_is_revoked_stays_revoked_and_is_of_one_project() {
    let given = Given::cloud().done(token(1)).done(certificate(2)).done(token(3));
    let (first, second, third) = (revoked(&given, 1), revoked(&given, 2), revoked(&given, 3));
    let given = given
        .when(revoke(Which::One(id(9))))
        .refused(AccessRefusal::Unknown(id(9)))
        .when(revoke(Which::One(id(1))))
        .then([first])
        .and()
        .when(revoke(Which::One(id(1))))
        .then([])
        .answered(&Answer::Revoked(vec![]))
        .and()
        .when(revoke(Which::CertificatesOf(party())))
        .then([])
        .answered(&Answer::Revoked(vec![]))
        .and()
        .when(revoke(Which::CertificatesOf(computer())))
        .then([second])
        .and()
        .when(revoke(Which::AllOf(party())))
        .then([third])
        .and();
    for n in 1..=3 {
        let known = given.state.access.credential(id(n)).expect("it was issued");
        assert_eq!(known.check(given.now), Err(InvalidCredential::Revoked), "{n}");
    }
    // What another project has is not known here.
    let mut given = Given::cloud();
    let (stream, event) = issued(&given, token(1));
    let next = given.next();
    given.state.evolve((ProjectId(2), None), &stream, &event, next);
    assert_eq!(given.state.access.after(ProjectId::DEFAULT, None).count(), 0);
    assert_eq!(given.state.access.after(ProjectId(2), None).count(), 1);
    given.when(revoke(Which::One(id(1)))).refused(AccessRefusal::Unknown(id(1)));
}

#[test]
fn a_computer_and_what_is_on_it_end_together_if_wanted() {
    let on_it = |n, instance| IssueCredential {
        holder: Holder::Instance(InstanceId(instance)),
        roles: Role::Instance.into(),
        ..certificate(n)
    };
    let on = |computer| revoke(Which::CertificatesOn(ComputerId::new(computer).expect("an id")));
    let given =
        || Given::cloud().done(request("first")).done(certificate(1)).done(on_it(2, 1)).done(token(3));
    let ends = [revoked(&given(), 1), revoked(&given(), 2)];
    given().when(revoke(Which::CertificatesOf(computer()))).then([ends[0].clone()]);
    given()
        .when(on("COMP-2"))
        .then([])
        .answered(&Answer::Revoked(vec![]))
        .and()
        .when(on("COMP-1"))
        .then(ends)
        .answered(&Answer::Revoked(vec![id(1), id(2)]))
        .and()
        .when(on("COMP-1"))
        .then([]);
}

#[test]
fn a_computer_has_one_certificate() {
    let given = Given::cloud().done(certificate(1));
    let (end, new) = (revoked(&given, 1), issued(&given, certificate(2)));
    given
        .when(certificate(2))
        .refused(AccessRefusal::StillActive)
        .when(IssueCredential { renews: Renews::All, ..certificate(2) })
        .then([end, new])
        .and()
        // Its time is over.
        .at("2027-10-01T00:00:00Z")
        .when(IssueCredential { expires_at: Some(at("2028-01-01T00:00:00Z")), ..certificate(3) })
        .then_named(&["CredentialIssued"])
        .and()
        // People have several machines.
        .done(IssueCredential {
            holder: party(),
            roles: Role::Customer.into(),
            expires_at: None,
            ..certificate(4)
        })
        .when(IssueCredential {
            holder: party(),
            roles: Role::Customer.into(),
            expires_at: None,
            ..certificate(5)
        })
        .then_named(&["CredentialIssued"]);
}

#[test]
fn a_computer_that_asks_for_another_certificate_keeps_the_one_it_asks_by() {
    let by = |n: u8, m: u8| IssueCredential { renews: Renews::AllBut(id(n)), ..certificate(m) };
    let given = Given::cloud().done(certificate(1));
    // The answer is lost, and it asks again: nobody has the second.
    let (second, third) = (issued(&given, by(1, 2)), issued(&given, by(1, 3)));
    let (no_second, no_first) = (revoked(&given, 2), revoked(&given, 1));
    let fourth = issued(&given, by(3, 4));
    given
        .when(by(1, 2))
        .then([second])
        .and()
        .when(by(1, 3))
        .then([no_second, third])
        .and()
        // The third arrived.
        .when(by(3, 4))
        .then([no_first, fourth])
        .and()
        // Its owner has to revoke what is good.
        .when(certificate(5))
        .refused(AccessRefusal::StillActive);
}

/// Who reaches all projects, and is no party.
fn operator(n: u8) -> IssueCredential {
    let holder = Holder::Operator("ops".into());
    IssueCredential { holder, roles: Role::Admin.into(), all_projects: true, ..token(n) }
}

#[test]
fn what_a_credential_issued_ends_with_it() {
    let since = |n: u8, instant: &str| RevokeCredentials {
        issued_since: Some(at(instant)),
        ..revoke(Which::One(id(n)))
    };
    // 1 let 2 in, who let 3 in; then it let 4 in, whose token that is good once got 6 its certificate; 7 is of nobody
    // here.
    let given = Given::cloud()
        .done(operator(1))
        .by(id(1))
        .done(token(2))
        .by(id(2))
        .done(token(3))
        .at("2026-10-01T12:00:00Z")
        .by(id(1))
        .done(token(4))
        .by(id(4))
        .done(once(5, Purpose::RegisterComputer))
        .by(id(5))
        .done(IssueCredential { spends: Some(id(5)), ..certificate(6) })
        .by(id(8))
        .done(token(7));
    let ends = |given: &Given, ends: &[u8]| ends.iter().map(|n| revoked(given, *n)).collect::<Vec<_>>();
    let all = ends(&given, &[1, 2, 4, 3, 6]);
    let given = given
        .when(since(1, "2026-10-01T00:00:00Z"))
        .then(all)
        .answered(&Answer::Revoked([1, 2, 4, 3, 6].map(id).to_vec()))
        .and();
    given.when(since(1, "2026-10-01T00:00:00Z")).then([]).answered(&Answer::Revoked(vec![]));
    let again = || {
        Given::cloud()
            .done(operator(1))
            .by(id(1))
            .done(token(2))
            .at("2026-10-01T12:00:00Z")
            .by(id(2))
            .done(token(3))
            .by(id(1))
            .done(token(4))
    };
    // Who was let in before was let in by its owner, and so were those whom they let in.
    let given = again();
    let stolen = ends(&given, &[1, 4]);
    given.when(since(1, "2026-10-01T12:00:00Z")).then(stolen);
    // What was revoked may have issued what was not.
    let given = again().done(revoke(Which::One(id(2))));
    let rest = ends(&given, &[1, 4, 3]);
    given.when(since(1, "2026-10-01T00:00:00Z")).then(rest);
    for all_of in [Which::AllOf, Which::AllOfEverywhere] {
        let given = again().done(revoke(Which::One(id(1))));
        let theirs = ends(&given, &[2, 4, 3]);
        let all = RevokeCredentials {
            issued_since: Some(at("2026-10-01T00:00:00Z")),
            ..revoke(all_of(Holder::Operator("ops".into())))
        };
        given.when(all).then(theirs);
    }
}

#[test]
fn a_computer_whose_certificate_was_issued_so_ends_with_what_is_on_it() {
    let on_it = |n, instance| IssueCredential {
        holder: Holder::Instance(InstanceId(instance)),
        roles: Role::Instance.into(),
        ..certificate(n)
    };
    // Its instance had a certificate before; anyone who has the computer now has fetched the key, and nobody can know.
    let given = Given::cloud().done(request("first")).done(on_it(1, 1)).done(operator(2));
    let given = given.at("2026-10-01T12:00:00Z").by(id(2)).done(certificate(3));
    let ends = [revoked(&given, 2), revoked(&given, 3), revoked(&given, 1)];
    let since = RevokeCredentials { issued_since: Some(given.now), ..revoke(Which::One(id(2))) };
    given.when(since).then(ends);
}

#[test]
fn what_has_expired_is_let_go_of_with_the_next() {
    let for_a_day = |n| IssueCredential { expires_at: Some(at("2026-10-02T00:00:00Z")), ..token(n) };
    let given = Given::cloud().done(for_a_day(1)).done(token(2)).at("2026-10-02T00:00:00Z").done(token(3));
    let ends = [revoked(&given, 2), revoked(&given, 3)];
    let given = given.when(revoke(Which::AllOf(party()))).then(ends).and();
    assert_eq!(given.state.access.check(id(1), given.now), Err(InvalidCredential::Expired));
}

#[test]
fn what_is_of_one_project_leads_to_no_other() {
    let elsewhere = |given: Given| given.within(2).done(register_party()).within(1);
    let given = Given::cloud().done(OpenProject { title: "other".into() });
    let given = elsewhere(given).done(operator(1)).done(token(2));
    // As no ledger can be: the second is of the first project alone.
    let given = given.by(id(2)).within(2).done(token(3)).by(id(1)).done(token(4)).within(1);
    let since = |which| RevokeCredentials { issued_since: Some(at("2026-10-01T00:00:00Z")), ..revoke(which) };
    let second = revoked(&given, 2);
    let given = given.when(since(Which::One(id(2)))).then([second]).and();
    let everywhere = Which::AllOfEverywhere(Holder::Operator("ops".into()));
    let all = [revoked(&given, 1), revoked(&given, 4)];
    given.when(since(everywhere)).then(all);
}

#[test]
fn a_holder_has_so_many_credentials_and_no_more() {
    let mut given = Given::cloud();
    let named = |n: u16| {
        let mut credential = [0xff; 16];
        credential[..2].copy_from_slice(&n.to_be_bytes());
        let expires_at = Some(at("2026-10-02T00:00:00Z"));
        IssueCredential { credential: CredentialId(credential), expires_at, ..token(0) }
    };
    for n in 0..999 {
        given = given.done(named(n));
    }
    given
        .done(token(1))
        .when(token(2))
        .refused(AccessRefusal::TooMany(party()))
        // Others have theirs, a namesake who reaches all projects too.
        .done(operator(3))
        .done(certificate(4))
        .done(revoke(Which::One(id(1))))
        .done(token(2))
        .when(token(5))
        .refused(AccessRefusal::TooMany(party()))
        // One for another is no more than before.
        .done(revoke(Which::One(id(2))))
        .done(once(6, Purpose::GetCertificate))
        .done(IssueCredential {
            holder: party(),
            roles: Role::Customer.into(),
            spends: Some(id(6)),
            ..certificate(7)
        })
        .when(token(5))
        .refused(AccessRefusal::TooMany(party()))
        .at("2026-10-02T00:00:00Z")
        .done(token(5));
}

#[test]
fn an_operator_of_one_project_uses_no_quota_of_a_namesake_of_all() {
    let mut given = Given::cloud();
    for n in 0..1000_u16 {
        let mut credential = [0xfe; 16];
        credential[..2].copy_from_slice(&n.to_be_bytes());
        let credential = CredentialId(credential);
        given = given.done(IssueCredential { credential, all_projects: false, ..operator(0) });
    }
    given
        .when(IssueCredential { all_projects: false, ..operator(1) })
        .refused(AccessRefusal::TooMany(Holder::Operator("ops".into())))
        .done(operator(1));
}

#[test]
fn nobody_comes_as_an_instance_that_is_gone() {
    let of = |instance: u64, n: u8| IssueCredential {
        holder: Holder::Instance(InstanceId(instance)),
        roles: Role::Instance.into(),
        ..certificate(n)
    };
    let given = Given::cloud().done(request("one")).done(request("two")).done(of(1, 1)).done(of(2, 2));
    let given = given.done(RequestInstance { state: Some(RequestedState::Destroyed), ..request("one") });
    assert_eq!(given.state.access.credential(id(1)).map(|known| known.check(given.now)), Some(Ok(())));
    let end = revoked(&given, 1);
    let given = given
        .when(report("slappart0", ReportedState::Destroyed))
        .then_named(&["InstanceStateReported", "InstanceEnded", "CredentialRevoked"])
        .and();
    assert_eq!(given.log.last(), Some(&end));
    assert_eq!(given.state.access.credential(id(2)).map(|known| known.check(given.now)), Some(Ok(())));
    given.when(of(1, 3)).refused(AccessRefusal::UnknownHolder(Holder::Instance(InstanceId(1))));
}

#[test]
fn a_token_that_is_good_once_is_spent_on_what_it_is_for() {
    let registers = || once(1, Purpose::RegisterComputer);
    let spends = |n: u8| IssueCredential { spends: Some(id(1)), ..certificate(n) };
    let given = Given::cloud();
    let given = given
        .when(IssueCredential { expires_at: None, ..registers() })
        .refused(AccessRefusal::BadExpiry("must be said of a token that is good once"))
        .when(IssueCredential { roles: Role::Customer.into(), ..registers() })
        .refused(AccessRefusal::BadRoles("provider, for a token that registers a computer"))
        .done(registers())
        .done(token(8));
    let (end, new) = (spent(&given, 1, 2), issued(&given, certificate(2)));
    given
        .when(IssueCredential { spends: Some(id(9)), ..certificate(2) })
        .refused(AccessRefusal::Unknown(id(9)))
        .when(IssueCredential { spends: Some(id(8)), ..certificate(2) })
        .refused(AccessRefusal::OtherPurpose)
        .when(IssueCredential { proof: Proof::Token { digest: [2; 32] }, ..spends(2) })
        .refused(AccessRefusal::OtherPurpose)
        .when(spends(2))
        .then([end, new])
        .and()
        .when(IssueCredential { renews: Renews::All, ..spends(3) })
        .refused(AccessRefusal::TokenInvalid(InvalidCredential::Spent));
    Given::cloud()
        .done(registers())
        .at("2026-10-02T00:00:00Z")
        .when(spends(2))
        .refused(AccessRefusal::TokenInvalid(InvalidCredential::Expired));

    // A certificate for oneself, with no more roles than the token gives.
    let certificate = |held: &[Role], of: Holder| IssueCredential {
        holder: of,
        roles: roles(held),
        spends: Some(id(1)),
        ..certificate(2)
    };
    Given::cloud()
        .done(register_party())
        .done(once(1, Purpose::GetCertificate))
        .when(certificate(&[Role::Customer], Holder::Party(PartyId(2))))
        .refused(AccessRefusal::OtherPurpose)
        .when(certificate(&[Role::Customer, Role::Admin], party()))
        .refused(AccessRefusal::OtherPurpose)
        .when(certificate(&[Role::Customer], party()))
        .then_named(&["CredentialSpent", "CredentialIssued"]);
}

proptest! {
    /// Whatever is issued and revoked in whatever order: nothing that was revoked or spent is good again, and of the
    /// certificates of a computer at most two are, the newer of which was asked for by the older.
    #[test]
    fn what_ended_stays_ended(commands in proptest::collection::vec((0_u8..6, 1_u8..12, 1_u8..12), 0..60)) {
        let mut given = Given::cloud();
        let mut ended = BTreeSet::new();
        for (what, n, other) in commands {
            let command: Command = match what {
                0 => token(n).into(),
                1 => {
                    let renews = [Renews::Nothing, Renews::All, Renews::AllBut(id(other / 3))];
                    IssueCredential { renews: renews[usize::from(other % 3)], ..certificate(n) }.into()
                }
                2 => once(n, Purpose::RegisterComputer).into(),
                3 => IssueCredential { spends: Some(id(other)), renews: Renews::All, ..certificate(n) }.into(),
                4 => revoke(Which::One(id(n))).into(),
                _ => revoke(Which::AllOf(if other.is_multiple_of(2) { party() } else { computer() })).into(),
            };
            let _ = given.execute(command);
            let access = &given.state.access;
            for credential in access.after(ProjectId::DEFAULT, None) {
                let id = credential.issued.credential;
                match credential.check(given.now) {
                    Ok(()) => prop_assert!(!ended.contains(&id)),
                    Err(_) => drop(ended.insert(id)),
                }
            }
            let computer = computer();
            let certificates = access.certificates_of(ProjectId::DEFAULT, &computer, given.now);
            prop_assert!(certificates.count() <= 2);
        }
    }
}
