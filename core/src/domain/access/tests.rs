use proptest::prelude::*;

use super::*;
use crate::domain::computer::RegisterComputer;
use crate::domain::erasure::{Erase, Subject};
use crate::domain::event::Stream;
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
        renews: false,
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
    RevokeCredentials { which }
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
        // In another project: theirs, and that of somebody who is called so there and reaches nothing else.
        for command in [of(4, true), of(5, false)] {
            let (stream, event) = issued(&given, command);
            let next = given.next();
            given.state.evolve(ProjectId(2), &stream, &event, next);
        }
        given
    };
    let end = |n| revoked(&given(), n);
    given().when(revoke(Which::AllOf(operator()))).then([end(1), end(2)]);
    given().when(revoke(Which::AllOfEverywhere(operator()))).then([end(1), end(2), end(4)]);
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
        .when(Erase { subject: Subject::Party(PartyId(2)) })
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
    assert_eq!(known.check(at("2026-10-02T00:00:00Z")), Err(NotGood::Expired));
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
        .unchanged()
        .and()
        .when(revoke(Which::CertificatesOf(party())))
        .unchanged()
        .and()
        .when(revoke(Which::CertificatesOf(computer())))
        .then([second])
        .and()
        .when(revoke(Which::AllOf(party())))
        .then([third])
        .and();
    for n in 1..=3 {
        let known = given.state.access.credential(id(n)).expect("it was issued");
        assert_eq!(known.check(given.now), Err(NotGood::Revoked), "{n}");
    }
    // What another project has is not known here.
    let mut given = Given::cloud();
    let (stream, event) = issued(&given, token(1));
    let next = given.next();
    given.state.evolve(ProjectId(2), &stream, &event, next);
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
        .unchanged()
        .and()
        .when(on("COMP-1"))
        .then(ends)
        .and()
        .when(on("COMP-1"))
        .unchanged();
}

#[test]
fn a_computer_has_one_certificate() {
    let given = Given::cloud().done(certificate(1));
    let (end, new) = (revoked(&given, 1), issued(&given, certificate(2)));
    given
        .when(certificate(2))
        .refused(AccessRefusal::StillActive)
        .when(IssueCredential { renews: true, ..certificate(2) })
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
        .when(IssueCredential { renews: true, ..spends(3) })
        .refused(AccessRefusal::NotGood(NotGood::Spent));
    Given::cloud()
        .done(registers())
        .at("2026-10-02T00:00:00Z")
        .when(spends(2))
        .refused(AccessRefusal::NotGood(NotGood::Expired));

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
    /// certificates of a computer at most one is.
    #[test]
    fn what_ended_stays_ended(commands in proptest::collection::vec((0_u8..6, 1_u8..12, 1_u8..12), 0..60)) {
        let mut given = Given::cloud();
        let mut ended = BTreeSet::new();
        for (what, n, other) in commands {
            let command: Command = match what {
                0 => token(n).into(),
                1 => IssueCredential { renews: other.is_multiple_of(2), ..certificate(n) }.into(),
                2 => once(n, Purpose::RegisterComputer).into(),
                3 => IssueCredential { spends: Some(id(other)), renews: true, ..certificate(n) }.into(),
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
            prop_assert!(certificates.count() <= 1);
        }
    }
}
