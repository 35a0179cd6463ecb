//! What the modules of a crate import from each other, read from their source.
//!
//! Paths that begin with `crate`, `super`, `self` or a child module are followed to the module they end in. Tests are
//! left out: they may look at everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The path of a module in its crate; empty for the root.
pub(crate) type Module = Vec<String>;

/// A name that one module takes from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) from: Module,
    pub(crate) from_file: PathBuf,
    pub(crate) to: Module,
    pub(crate) to_file: PathBuf,
    pub(crate) name: String,
}

/// What is read of the sources of a crate.
pub(crate) struct Sources {
    pub(crate) imports: Vec<Import>,
    /// The types that are defined, and where.
    pub(crate) types: Vec<(String, PathBuf)>,
}

/// All imports between the modules of a crate whose sources are in this folder, and the types they define.
pub(crate) fn read(sources: &Path) -> Sources {
    let mut files = BTreeMap::new();
    find(sources, &mut Vec::new(), &mut files);
    let mut tests = BTreeSet::new();
    let mut readers = BTreeMap::new();
    for (module, file) in &files {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut reader = Reader { words: words(&text), ..Reader::default() };
        reader.read();
        tests.extend(reader.tests.iter().map(|name| child(module, name.clone())));
        readers.insert(module.clone(), reader);
    }
    let is_test = |module: &[String]| tests.iter().any(|test| module.starts_with(test));
    let mut imports = BTreeSet::new();
    let mut types = Vec::new();
    for (from, reader) in readers.iter().filter(|(module, _)| !is_test(module)) {
        types.extend(reader.types.iter().map(|name| (name.clone(), files[from].clone())));
        for path in &reader.paths {
            let Some(target) = absolute(from, path, &files) else { continue };
            let known = (0..=target.len()).rev().find(|length| files.contains_key(&target[..*length]));
            let Some(length) = known else { continue };
            let to = target[..length].to_vec();
            if to == *from || is_test(&to) {
                continue;
            }
            imports.insert(Import {
                from: from.clone(),
                from_file: files[from].clone(),
                to_file: files[&to].clone(),
                to,
                name: target[length..].join("::"),
            });
        }
    }
    Sources { imports: imports.into_iter().collect(), types }
}

fn child(module: &[String], name: String) -> Module {
    let mut path = module.to_vec();
    path.push(name);
    path
}

/// The files of a crate by their modules.
fn find(folder: &Path, module: &mut Module, files: &mut BTreeMap<Module, PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() {
            module.push(name);
            find(&path, module, files);
            module.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let of = match name.as_str() {
                "lib" | "mod" => module.clone(),
                // A binary takes what it needs from its library.
                "main" if module.is_empty() => continue,
                _ => child(module, name),
            };
            files.insert(of, path);
        }
    }
}

/// The path from the root of the crate, if it begins in the crate.
fn absolute(from: &[String], path: &[String], files: &BTreeMap<Module, PathBuf>) -> Option<Module> {
    let first = path.first()?.as_str();
    if first == "crate" {
        return Some(path[1..].to_vec());
    }
    if first != "super" && first != "self" {
        let inner = child(from, first.to_owned());
        return files.contains_key(&inner).then(|| [from, path].concat());
    }
    let mut base = from.to_vec();
    let mut rest = path;
    while let Some((step, after)) = rest.split_first().filter(|(step, _)| *step == "super" || *step == "self")
    {
        if step == "super" {
            base.pop();
        }
        rest = after;
    }
    base.extend_from_slice(rest);
    Some(base)
}

/// The identifiers and signs of a source, without comments and literals.
fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut words = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => i = (i..chars.len()).find(|j| at(*j) == '\n').unwrap_or(chars.len()),
            ('/', '*') => {
                i = (i + 2..chars.len())
                    .find(|j| at(*j) == '*' && at(j + 1) == '/')
                    .map_or(chars.len(), |j| j + 2);
            }
            ('r', '"' | '#') if raw_end(&chars, i).is_some() => i = raw_end(&chars, i).unwrap_or(chars.len()),
            ('"', _) => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // A character and not a lifetime.
            ('\'', '\\') => i = (i + 3..chars.len()).find(|j| at(*j) == '\'').map_or(chars.len(), |j| j + 1),
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            (':', ':') => {
                words.push("::".to_owned());
                i += 2;
            }
            (first, _) if first.is_alphanumeric() || first == '_' => {
                let end = (i..chars.len())
                    .find(|j| !at(*j).is_alphanumeric() && at(*j) != '_')
                    .unwrap_or(chars.len());
                words.push(chars[i..end].iter().collect());
                i = end;
            }
            (other, _) => {
                if !other.is_whitespace() {
                    words.push(other.to_string());
                }
                i += 1;
            }
        }
    }
    words
}

/// Where a raw string that begins here ends.
fn raw_end(chars: &[char], begin: usize) -> Option<usize> {
    let before = begin.checked_sub(1).and_then(|before| chars.get(before));
    if before.is_some_and(|before| before.is_alphanumeric() && *before != 'b' || *before == '_') {
        return None;
    }
    let hashes = chars[begin + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(begin + 1 + hashes) != Some(&'"') {
        return None;
    }
    let from = begin + 2 + hashes;
    let ends = |at: usize| {
        chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    Some((from..chars.len()).find(|at| ends(*at)).map_or(chars.len(), |at| at + 1 + hashes))
}

/// Reads the words of a source from left to right.
#[derive(Default)]
struct Reader {
    words: Vec<String>,
    at: usize,
    /// The paths that are named.
    paths: Vec<Vec<String>>,
    /// The modules that are compiled for tests alone.
    tests: Vec<String>,
    /// The types that are defined.
    types: Vec<String>,
}

impl Reader {
    fn word(&self, ahead: usize) -> &str {
        self.words.get(self.at + ahead).map_or("", String::as_str)
    }

    fn is_next(&self, expected: &[&str]) -> bool {
        expected.iter().enumerate().all(|(ahead, word)| self.word(ahead) == *word)
    }

    fn read(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.words.len() {
            match self.word(0) {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                // Inside braces `type` names a type of a trait.
                "struct" | "enum" | "trait" | "union" | "type"
                    if (depth == 0 || self.word(0) != "type")
                        && self.word(1).starts_with(|c: char| c.is_ascii_uppercase()) =>
                {
                    self.types.push(self.word(1).to_owned());
                }
                _ => {}
            }
            if self.is_next(&["#", "[", "cfg", "(", "test", ")", "]"]) {
                self.at += 7;
                self.pass_item();
            } else if self.word(0) == "use" {
                self.at += 1;
                self.tree(&mut Vec::new());
            } else if matches!(self.word(0), "crate" | "super") && self.word(1) == "::" {
                let mut path = Vec::new();
                self.path(&mut path);
                self.paths.push(path);
            } else {
                self.at += 1;
            }
        }
    }

    /// Passes over an item for tests; notes its name if it is a module in a file of its own.
    fn pass_item(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.words.len() {
            if depth == 0 && self.word(0) == "mod" && self.word(2) == ";" {
                self.tests.push(self.word(1).to_owned());
            }
            match self.word(0) {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth = depth.saturating_sub(1),
                _ => {}
            }
            let ends = depth == 0 && matches!(self.word(0), ";" | "}");
            self.at += 1;
            if ends {
                return;
            }
        }
    }

    /// A path as far as it goes.
    fn path(&mut self, path: &mut Vec<String>) {
        path.push(self.word(0).to_owned());
        self.at += 1;
        while self.word(0) == "::" && self.word(1).chars().all(|c| c.is_alphanumeric() || c == '_') {
            path.push(self.word(1).to_owned());
            self.at += 2;
        }
    }

    /// What `use` names, below what is named already.
    fn tree(&mut self, above: &mut Vec<String>) {
        let length = above.len();
        loop {
            match self.word(0) {
                "{" => {
                    self.at += 1;
                    while !matches!(self.word(0), "}" | "") {
                        self.tree(above);
                        if self.word(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    break;
                }
                "*" => {
                    self.at += 1;
                    self.paths.push(above.clone());
                    break;
                }
                "self" if !above.is_empty() => {
                    self.at += 1;
                    self.paths.push(above.clone());
                    break;
                }
                "::" => self.at += 1,
                "" => break,
                _ => {
                    above.push(self.word(0).to_owned());
                    self.at += 1;
                    if self.word(0) != "::" {
                        self.paths.push(above.clone());
                        break;
                    }
                }
            }
        }
        if self.word(0) == "as" {
            self.at += 2;
        }
        above.truncate(length);
    }
}
