//! Every page, asked for by everybody in every language: it is answered as the row of its route says.

use std::collections::BTreeSet;

use slapledger_pages::{PAGES, find};

use super::world::{COLUMNS, Who, World};
use super::{letters, status, table};

/// What a page is answered with where the route is answered so: who is not known is led to the sign-in.
fn as_page(letter: char) -> u16 {
    if letter == '.' { 303 } else { status(letter) }
}

#[test]
fn every_page_is_answered_as_its_route_is_in_every_language() {
    let mut world = World::new();
    let mut seen_pages = BTreeSet::new();
    let reads = ["GET", "*"];
    for row in table::rows() {
        let (method, template) = row.route.split_once(' ').expect("a method and a path");
        let path = world.filled(&row.ask.path);
        let place = path.split('?').next().unwrap_or_default().to_owned();
        let Some((page, _)) =
            find(&place).filter(|(page, _)| reads.contains(&method) && page.route == template)
        else {
            continue;
        };
        seen_pages.insert(page.route);
        for (who, letter) in COLUMNS.into_iter().zip(letters(&row)) {
            let languages: &[&str] = if who == Who::Root { &["en", "fr"] } else { &["en"] };
            for language in languages {
                let mut ask = row.ask.clone().with("accept", "text/html").with("accept-language", *language);
                ask.path.clone_from(&path);
                let seen = world.ask(who, ask);
                assert_eq!(seen.status, as_page(letter), "{path} for {who:?} in {language}: {}", seen.body);
                if seen.status != 303 {
                    let told = seen.headers.get("content-type").and_then(|told| told.to_str().ok());
                    assert_eq!(told, Some("text/html; charset=utf-8"), "{path} for {who:?}");
                    assert!(
                        seen.body.contains(&format!("<html lang=\"{language}\"")),
                        "{path}: {}",
                        seen.body
                    );
                }
            }
        }
        // Wrong tokens of one address are slowed after some.
        world = World::new();
    }
    let all: BTreeSet<&str> = PAGES.iter().map(|page| page.route).collect();
    assert_eq!(seen_pages, all);
}
