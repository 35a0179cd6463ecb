//! The layers of the code: which module may import from which, that no modules import each other in a ring, and that
//! every type has a name of its own.
//!
//! Between crates the compiler enforces the layers, as long as `Cargo.toml` has no dependency that is not in [`CRATES`].
//! Between the modules of a crate, and of each module with modules inside, these tests do. A failure names both files and
//! the name.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use imports::{Import, Sources};

/// Every crate, and which crates of the workspace it may depend on. Tests may depend on more.
const CRATES: [(&str, &[&str]); 16] = [
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
    // No HTTP and no engine: it writes the values that it is given.
    ("api/pages", &[]),
    // No wire: what is read from one and written to one is the protocols'.
    ("api/usecases", &["core", "projections", "billing", "ca", "dto", "engine", "kit"]),
    (
        "api/protocols",
        &[
            "core",
            "projections",
            "billing",
            "ca",
            "dto",
            "engine",
            "kit",
            "net",
            "pages",
            "slap-wire",
            "usecases",
        ],
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

/// Rings that are there yet, by crate, the module they are in, and its modules: a ring that is gone is taken off this list.
///
/// `Event` is one enumeration of the events of every subject, and every subject decides events: then the compiler finds
/// each place that an event misses.
const KNOWN_RINGS: [(&str, &str, &[&str]); 1] = [(
    "core",
    "domain",
    &[
        "access",
        "account",
        "catalogue",
        "charge",
        "clock",
        "computer",
        "credit",
        "discount",
        "erasure",
        "event",
        "instance",
        "invoice",
        "log_key",
        "party",
        "pricing",
        "product",
        "project",
        "restore",
        "software",
        "software_schema",
        "tax",
        "top_up",
        "usage",
    ],
)];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn imports_of(name: &str) -> Vec<Import> {
    sources_of(name).imports
}

fn sources_of(name: &str) -> Sources {
    let folder = workspace().join(name);
    let sources = folder.join("src");
    imports::read(if sources.is_dir() { &sources } else { &folder })
}

/// The names that more than one type has, each with the files that define them.
fn shared_names(types: impl Iterator<Item = (String, PathBuf)>) -> Vec<String> {
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, file) in types {
        by_name.entry(name).or_default().push(file.display().to_string());
    }
    let shared = by_name.into_iter().filter(|(_, files)| files.len() > 1);
    shared.map(|(name, files)| format!("{name}: {}", files.join(", "))).collect()
}

/// The rooms that an import goes between: modules directly inside `above`, which is empty for the crate. The module
/// above itself, which only puts rooms together, is none.
fn rooms<'i>(import: &'i Import, above: &[String]) -> Option<(&'i str, &'i str)> {
    let room = |module: &'i [String]| module.strip_prefix(above)?.first();
    let (from, to) = (room(&import.from)?, room(&import.to)?);
    (from != to).then_some((from.as_str(), to.as_str()))
}

/// Every module that has modules inside, and the crate.
fn houses(imports: &[Import]) -> BTreeSet<&[String]> {
    let modules = imports.iter().flat_map(|import| [&import.from, &import.to]);
    modules.flat_map(|module| (0..module.len()).map(|length| &module[..length])).collect()
}

fn said(import: &Import) -> String {
    let name = if import.name.is_empty() { "the module itself" } else { &import.name };
    format!("{} imports {name} from {}", import.from_file.display(), import.to_file.display())
}

/// The imports that a rule forbids, each with both files and the name.
fn broken(imports: &[Import], from: &str, forbidden: &[&str]) -> Vec<String> {
    let breaks =
        |import: &&Import| rooms(import, &[]).is_some_and(|(of, to)| of == from && forbidden.contains(&to));
    imports.iter().filter(breaks).map(said).collect()
}

/// A ring of rooms.
#[derive(Debug)]
struct Ring {
    /// The module they are in, as a path.
    above: String,
    rooms: Vec<String>,
    /// The imports that make it one.
    why: Vec<String>,
}

/// Rooms that import each other in a ring, at every depth.
fn rings(imports: &[Import]) -> Vec<Ring> {
    houses(imports).into_iter().flat_map(|above| rings_in(imports, above)).collect()
}

fn rings_in(imports: &[Import], above: &[String]) -> Vec<Ring> {
    let mut below: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in imports.iter().filter_map(|import| rooms(import, above)) {
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
            let inside = imports
                .iter()
                .filter(|import| rooms(import, above).is_some_and(|(a, b)| is_in(a) && is_in(b)));
            let why = inside.map(said).collect();
            rings.insert(ring, why);
        }
    }
    let ring = |(rooms, why)| Ring { above: above.join("::"), rooms, why };
    rings.into_iter().map(ring).collect()
}

#[test]
fn no_room_imports_what_it_may_not() {
    let mut wrong = Vec::new();
    for (name, from, forbidden) in FORBIDDEN {
        let imports = imports_of(name);
        assert!(
            imports
                .iter()
                .filter_map(|import| rooms(import, &[]))
                .any(|(one, other)| one == from || other == from),
            "{name}: {from}"
        );
        wrong.extend(broken(&imports, from, forbidden));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_rooms_import_each_other_in_a_ring() {
    let mut wrong = Vec::new();
    let mut known: BTreeSet<(&str, String, Vec<String>)> = KNOWN_RINGS
        .iter()
        .map(|(name, above, rooms)| {
            (*name, (*above).to_owned(), rooms.iter().map(ToString::to_string).collect())
        })
        .collect();
    for (name, _) in CRATES {
        for Ring { above, rooms, why } in rings(&imports_of(name)) {
            if !known.remove(&(name, above.clone(), rooms.clone())) {
                let rooms = rooms.join(", ");
                wrong.push(format!("{name}: in `{above}` {rooms} are a ring:\n  {}", why.join("\n  ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(known.is_empty(), "take these off the list of known rings: {known:?}");
}

/// Types for tests alone are left out, and so are those that a macro names: the texts of request bodies
/// (`rest/openapi/schema.rs`) have the names of the types that they are read into, as the document names both.
#[test]
fn every_type_has_a_name_of_its_own() {
    let crates = CRATES.iter().map(|(name, _)| *name).filter(|name| !["fixtures", "tests"].contains(name));
    let shared = shared_names(crates.flat_map(|name| sources_of(name).types));
    assert!(shared.is_empty(), "{}", shared.join("\n"));
}

/// ARCHITECTURE.md names paths of the project between backticks: each is there.
#[test]
fn every_path_of_the_map_exists() {
    let text = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("the map");
    let missing = missing_paths(&text, |path| workspace().join(path).exists());
    assert!(missing.is_empty(), "not there: {missing:?}");
}

/// The paths of a document from the root of the project that are not there.
fn missing_paths(document: &str, exists: impl Fn(&str) -> bool) -> Vec<&str> {
    let top = ["api/", "billing/", "core/", "docs/", "fixtures/", "packaging/", "projections/", "tests/"];
    let quoted = document.split('`').skip(1).step_by(2);
    let paths = quoted.filter(|text| top.iter().any(|folder| text.starts_with(folder)));
    paths.filter(|path| !path.contains(['{', '*', ' ']) && !exists(path)).collect()
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
    use super::{Import, broken, fs, imports, missing_paths, rings, shared_names};

    #[test]
    fn a_name_of_two_types_is_told_with_both_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [
            ("lib.rs", "mod a; mod b;\n#[cfg(test)]\nmod tests;"),
            ("a.rs", "pub struct Same;\nimpl Iterator for Same { type Item = u8; }"),
            ("b.rs", "enum Same { Item }\n#[cfg(test)]\nstruct Only;\ntype Item = u8;"),
            ("tests.rs", "struct Only;"),
        ];
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("written");
        }
        let shared = shared_names(imports::read(folder.path()).types.into_iter());
        assert_eq!(shared.len(), 1, "{shared:?}");
        assert!(shared[0].starts_with("Same: ") && shared[0].contains("a.rs") && shared[0].contains("b.rs"));
    }

    #[test]
    fn a_path_that_is_not_there_is_found() {
        let document = "`core/src/lib.rs`, `core/src/gone.rs`, `core/src/{a,b}.rs` and `gone`";
        assert_eq!(missing_paths(document, |path| path == "core/src/lib.rs"), ["core/src/gone.rs"]);
    }

    fn planted(files: &[(&str, &str)]) -> Vec<Import> {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        imports::read(folder.path()).imports
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
            rings(&planted(&files(c))).into_iter().map(|ring| ring.rooms).collect::<Vec<_>>()
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
    fn a_ring_inside_a_module_is_found_with_the_module_it_is_in() {
        let imports = planted(&[
            ("lib.rs", "mod house;"),
            ("house/mod.rs", "mod a; mod b; use a::A;"),
            ("house/a.rs", "use super::b::B;"),
            ("house/b/mod.rs", "mod c;"),
            ("house/b/c.rs", "use crate::house::a::A;"),
        ]);
        let found = rings(&imports);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((&*found[0].above, &found[0].rooms), ("house", &vec!["a".to_owned(), "b".to_owned()]));
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
