//! Who may do what, asked: every route by everybody there is.
//!
//! `table` says what each is answered; here it is held against the routes there are and against what they answer. That
//! an answer has nothing in it that is somebody else's is asked in `secrets`, and what a letter cannot say in `tests`.

mod asking;
mod authentication;
mod credentials;
mod furnished;
mod meanwhile;
mod negotiated;
mod pages;
mod projects;
mod secrets;
mod sessions;
mod streams;
mod table;
mod tests;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use slapledger_core::domain::access::Role;
use slapledger_usecases::caller::Reach;
use slapledger_usecases::policy::Policy;

use crate::router;
use table::Row;
use world::{COLUMNS, Who, World};

/// What a letter of the table stands for.
fn status(letter: char) -> u16 {
    match letter {
        'o' => 200,
        'c' => 201,
        'a' => 202,
        'b' => 400,
        '.' => 401,
        'x' => 403,
        '-' => 404,
        'w' => 408,
        'k' => 409,
        other => panic!("{other} stands for nothing"),
    }
}

fn letters(row: &Row) -> Vec<char> {
    let letters: Vec<char> = row.answers.chars().filter(|letter| *letter != ' ').collect();
    assert_eq!(letters.len(), COLUMNS.len(), "{}: {}", row.route, row.answers);
    letters
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let rows: BTreeSet<String> = table::rows().into_iter().map(|row| row.route).collect();
    let routes: BTreeSet<String> = router::rules().into_iter().map(|(route, _)| route).collect();
    let missing: Vec<_> = routes.difference(&rows).collect();
    assert!(missing.is_empty(), "routes without a row in the table: {missing:#?}");
    let gone: Vec<_> = rows.difference(&routes).collect();
    assert!(gone.is_empty(), "rows without a route: {gone:#?}");
}

/// The role of somebody, as the policy knows it, and whether they reach all projects.
fn role(who: Who) -> Option<(Role, bool)> {
    Some(match who {
        Who::Root => (Role::Admin, true),
        Who::Admin | Who::OtherAdmin => (Role::Admin, false),
        Who::Auditor => (Role::Auditor, true),
        Who::Provider | Who::OtherProvider => (Role::Provider, false),
        Who::Publisher => (Role::Publisher, false),
        Who::Alice | Who::Bob => (Role::Customer, false),
        Who::Node | Who::OtherNode => (Role::Node, false),
        Who::Instance | Who::OtherInstance => (Role::Instance, false),
        _ => return None,
    })
}

/// The table says of nobody that they are let in, or of somebody that they are not, whom the policy says otherwise of.
#[test]
fn the_table_and_the_policies_agree() {
    let rules: BTreeMap<String, &'static Policy> = router::rules().into_iter().collect();
    for row in table::rows() {
        let Some(policy) = rules.get(&row.route) else { continue };
        for (who, letter) in COLUMNS.into_iter().zip(letters(&row)) {
            let place = format!("{} ({}) for {who:?}", row.route, policy.name);
            match (who, role(who)) {
                (Who::Nobody, _) => assert_eq!(letter == '.', policy.roles.is_some(), "{place}"),
                (_, None) => assert_eq!(letter, '.', "{place}"),
                (_, Some((role, all_projects))) => {
                    let reach: Option<Reach> = policy.reach(role.into(), all_projects);
                    assert_ne!(letter, '.', "{place}");
                    assert!(reach.is_some() || letter == 'x', "{place}: {letter}");
                }
            }
        }
    }
}

/// Asks everybody for everything. What is refused leaves no trace; what changes anything is asked in a cloud of its own.
#[test]
fn everybody_is_answered_as_the_table_says() {
    let mut wrong = String::new();
    let mut world = World::new();
    for row in table::rows() {
        // Wrong tokens of one address are slowed after some: each of these is asked where none was wrong before.
        if row.route.contains("/Person_") {
            world = World::new();
        }
        let mut answers = String::new();
        let mut details = String::new();
        for (who, letter) in COLUMNS.into_iter().zip(letters(&row)) {
            let before = world.head();
            let mut ask = row.ask.clone();
            ask.path = world.filled(&ask.path);
            let seen = world.ask(who, ask);
            let changed = world.head() != before;
            assert!(
                // What has no room yet is kept (408).
                !changed || seen.status < 400 || seen.status == 408,
                "{} for {who:?} was refused and done: {seen:?}",
                row.route
            );
            if changed || row.route.ends_with("/rebuild") {
                world = World::new();
            }
            if seen.status != status(letter) {
                let body: String = seen.body.chars().take(300).collect();
                let _ = writeln!(details, "    {who:?}: {letter} but {} {body}", seen.status);
            }
            let _ = write!(answers, "{} ", seen.status);
        }
        if !details.is_empty() {
            let _ = writeln!(wrong, "{}\n  {}\n  {answers}\n{details}", row.route, row.answers);
        }
    }
    assert!(wrong.is_empty(), "answered otherwise than the table says:\n{wrong}");
}
