//! The walls of the house: which module may import from which, and that no rooms import each other in a ring.
//!
//! Between crates the compiler keeps the walls, as long as `Cargo.toml` opens no door that is not in [`CRATES`]. Between
//! the rooms of a crate, which are its top-level modules, these tests do. A failure names both files and the name.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use imports::Import;

/// Every crate, and which crates of the workspace it may depend on. Tests may depend on more.
const CRATES: [(&str, &[&str]); 15] = [
    ("core", &[]),
    ("projections", &["core"]),
    ("billing", &["core", "projections"]),
    ("fixtures", &[]),
    ("tests", &["core"]),
    ("api/dto", &["core"]),
    ("api/slap-wire", &["core", "dto"]),
    // Of the views it knows why one cannot be read, and of the wire which texts XML can carry.
    ("api/kit", &["core", "projections", "slap-wire"]),
    ("api/ca", &["core"]),
    ("api/net", &[]),
    ("api/engine", &["core", "projections", "billing", "ca"]),
    // No wire: what is read from one and written to one is the protocols'.
    ("api/usecases", &["core", "projections", "billing", "ca", "dto", "engine", "kit"]),
    (
        "api/protocols",
        &["core", "projections", "billing", "ca", "dto", "engine", "kit", "net", "slap-wire", "usecases"],
    ),
    // No engine: nothing in it opens a data folder. Of billing it reads price books, to check them.
    ("api/client", &["core", "billing", "dto", "slap-wire"]),
    (
        "api",
        &[
            "core",
            "projections",
            "billing",
            "fixtures",
            "ca",
            "client",
            "dto",
            "engine",
            "net",
            "protocols",
            "slap-wire",
            "usecases",
        ],
    ),
];

/// Rooms, and what they may not import from their own crate.
const FORBIDDEN: [(&str, &str, &[&str]); 8] = [
    ("core", "domain", &["backup", "fingerprints", "keyring", "ledger", "log"]),
    ("api/protocols", "slap", &["hateoas", "rest", "rpc", "router", "limits", "operations"]),
    ("api/protocols", "rpc", &["hateoas", "rest", "slap", "router", "limits", "operations"]),
    ("api/protocols", "hateoas", &["rest", "rpc", "slap", "router", "limits", "operations"]),
    ("api/protocols", "rest", &["hateoas", "rpc", "slap", "router", "limits", "operations"]),
    (
        "api/protocols",
        "access",
        &["browser", "hateoas", "limits", "operations", "rest", "router", "rpc", "slap"],
    ),
    ("api/protocols", "limits", &["hateoas", "rest", "router", "rpc", "slap"]),
    ("api/usecases", "caller", &["context", "policy"]),
];

/// Rings that are there yet: each is to go, and is then taken off this list.
const KNOWN_RINGS: [(&str, &[&str]); 1] = [("billing", &["behind", "view"])];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn imports_of(name: &str) -> Vec<Import> {
    let folder = workspace().join(name);
    let sources = folder.join("src");
    imports::read(if sources.is_dir() { &sources } else { &folder })
}

/// The room of a module: its top-level module. The root, which only puts rooms together, is none.
fn rooms(import: &Import) -> Option<(&str, &str)> {
    let (from, to) = (import.from.first()?, import.to.first()?);
    (from != to).then_some((from.as_str(), to.as_str()))
}

fn said(import: &Import) -> String {
    let name = if import.name.is_empty() { "the module itself" } else { &import.name };
    format!("{} imports {name} from {}", import.from_file.display(), import.to_file.display())
}

/// The imports that a rule forbids, each with both files and the name.
fn broken(imports: &[Import], from: &str, forbidden: &[&str]) -> Vec<String> {
    let breaks =
        |import: &&Import| rooms(import).is_some_and(|(of, to)| of == from && forbidden.contains(&to));
    imports.iter().filter(breaks).map(said).collect()
}

/// Rooms that import each other in a ring, each ring with what makes it one.
fn rings(imports: &[Import]) -> Vec<(Vec<String>, Vec<String>)> {
    let mut below: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in imports.iter().filter_map(rooms) {
        below.entry(from).or_default().insert(to);
    }
    let reached = |from: &str| {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut next: Vec<&str> = below.get(from).into_iter().flatten().copied().collect();
        while let Some(room) = next.pop() {
            if seen.insert(room) {
                next.extend(below.get(room).into_iter().flatten());
            }
        }
        seen
    };
    let all: BTreeMap<&str, BTreeSet<&str>> = below.keys().map(|room| (*room, reached(room))).collect();
    let both = |one: &str, other: &str| {
        let leads = |from: &str, to: &str| all.get(from).is_some_and(|reached| reached.contains(to));
        leads(one, other) && leads(other, one)
    };
    let mut rings = BTreeMap::new();
    for room in all.keys() {
        let ring: Vec<String> =
            all.keys().filter(|other| both(room, other)).map(ToString::to_string).collect();
        if !ring.is_empty() {
            let is_in = |room: &str| ring.iter().any(|one| one == room);
            let inside =
                imports.iter().filter(|import| rooms(import).is_some_and(|(a, b)| is_in(a) && is_in(b)));
            let why = inside.map(said).collect();
            rings.insert(ring, why);
        }
    }
    rings.into_iter().collect()
}

#[test]
fn no_room_imports_what_it_may_not() {
    let mut wrong = Vec::new();
    for (name, from, forbidden) in FORBIDDEN {
        let imports = imports_of(name);
        assert!(
            imports.iter().filter_map(rooms).any(|(one, other)| one == from || other == from),
            "{name}: {from}"
        );
        wrong.extend(broken(&imports, from, forbidden));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_rooms_import_each_other_in_a_ring() {
    let mut wrong = Vec::new();
    let mut known: BTreeSet<(&str, Vec<String>)> = KNOWN_RINGS
        .iter()
        .map(|(name, ring)| (*name, ring.iter().map(ToString::to_string).collect()))
        .collect();
    for (name, _) in CRATES {
        for (ring, why) in rings(&imports_of(name)) {
            if !known.remove(&(name, ring.clone())) {
                wrong.push(format!("{name}: {} are a ring:\n  {}", ring.join(", "), why.join("\n  ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(known.is_empty(), "take these off the list of known rings: {known:?}");
}

#[test]
fn no_crate_depends_on_one_that_it_may_not_know() {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).expect("the workspace");
    let members =
        manifest.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).expect("members");
    let members: BTreeSet<&str> = members.split(',').map(|member| member.trim().trim_matches('"')).collect();
    let listed: BTreeSet<&str> = CRATES.iter().map(|(name, _)| *name).collect();
    assert_eq!(members.into_iter().filter(|member| !member.is_empty()).collect::<BTreeSet<_>>(), listed);
    let mut wrong = Vec::new();
    for (name, allowed) in CRATES {
        let path = workspace().join(name).join("Cargo.toml");
        let manifest =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let dependencies = manifest.split("\n[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        for line in dependencies.lines().filter_map(|line| line.strip_prefix("slapledger-")) {
            let other = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if !allowed.contains(&other) {
                wrong.push(format!("{} depends on slapledger-{other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A crate with a ring and a forbidden import in it, which these tests must find.
mod planted {
    use super::{Import, broken, fs, imports, rings};

    fn planted(files: &[(&str, &str)]) -> Vec<Import> {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        imports::read(folder.path())
    }

    #[test]
    fn a_forbidden_import_is_told_with_both_files_and_the_name() {
        let imports = planted(&[
            ("lib.rs", "mod low; mod high;"),
            ("high.rs", "pub struct Roof;"),
            ("low/mod.rs", "mod inner;"),
            ("low/inner.rs", "use std::fs;\nuse crate::{high::{Roof as _}, low};"),
        ]);
        let wrong = broken(&imports, "low", &["high"]);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].contains("low/inner.rs imports Roof from"), "{}", wrong[0]);
        assert!(wrong[0].ends_with("high.rs"), "{}", wrong[0]);
        assert!(broken(&imports, "high", &["low"]).is_empty());
    }

    #[test]
    fn a_ring_is_found_however_it_is_written() {
        let files = |c: &'static str| {
            [
                ("lib.rs", "mod a; mod b; mod c;"),
                ("a.rs", "use crate::b::B;"),
                ("b/mod.rs", "use super::c;"),
                ("c.rs", c),
            ]
        };
        let found = |c: &'static str| {
            rings(&planted(&files(c))).into_iter().map(|(ring, _)| ring).collect::<Vec<_>>()
        };
        let ring = vec![vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]];
        for closing in [
            "use crate::a::A;",
            "use super::a::*;",
            "use crate::{a::{self}};",
            "fn f() -> crate::a::A { todo() }",
            "fn f(text: &str) -> bool { text == \"\\\"\" && matches!('\"', '\\'') && crate::a::is(text) }",
        ] {
            assert_eq!(found(closing), ring, "{closing}");
        }
        for open in [
            "",
            "use crate::b::B;",
            "// use crate::a::A;",
            "/* use crate::a::A; */",
            "const TEXT: &str = \"use crate::a::A;\";",
            "const TEXT: &str = r#\"use \"crate::a::A;\"#;",
            "#[cfg(test)]\nmod tests { use crate::a::A; fn f() { g(); } }",
            "#[cfg(test)]\nuse crate::a::A;",
        ] {
            assert!(found(open).iter().all(|ring| !ring.contains(&"a".to_owned())), "{open}");
        }
    }

    #[test]
    fn tests_in_files_of_their_own_may_look_at_everything() {
        let imports = planted(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "#[cfg(test)]\nmod tests;\nuse crate::b::B;"),
            ("a/tests.rs", "use super::A;"),
            ("b.rs", "#[cfg(test)]\nmod tests;"),
            ("b/tests.rs", "use crate::a::A;"),
        ]);
        assert!(rings(&imports).is_empty(), "{imports:?}");
    }
}
