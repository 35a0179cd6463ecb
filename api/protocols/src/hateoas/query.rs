//! The search queries of slapos.core, read: `name:"value"` and `name:="value"`, joined by `AND`.
//!
//! A value is quoted (`\"` and `\\` stand for themselves), a bare word, or several quoted ones in parentheses. Only the
//! names that the client uses are known; what is not understood is refused, and never passed over.

use slapledger_kit::problem::Problem;

/// The longest query, in bytes.
const MOST_BYTES: usize = 8 * 1024;

/// The name of a title in a query, and of that of a tree.
const TITLE: &str = "title";
const TREE: &str = "default_specialise_title";

/// What can be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SearchKind {
    Tree,
    Computer,
    Instance,
    Shared,
    Installation,
}

impl SearchKind {
    const ALL: [Self; 5] = [Self::Tree, Self::Computer, Self::Instance, Self::Shared, Self::Installation];

    /// What the master calls it.
    pub(super) fn portal_type(self) -> &'static str {
        match self {
            Self::Tree => "Instance Tree",
            Self::Computer => "Compute Node",
            Self::Instance => "Software Instance",
            Self::Shared => "Slave Instance",
            Self::Installation => "Software Installation",
        }
    }
}

/// A title that is searched for. slapos.core puts titles between quotes as they are, so one with a quote or a backslash
/// may mean what it says, or what it says once quotes and backslashes are unescaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TitleQuery {
    escaped: Option<String>,
    plain: Option<String>,
}

impl TitleQuery {
    /// Whether a title is what is asked for.
    pub(super) fn is(&self, title: &str) -> bool {
        [&self.escaped, &self.plain].into_iter().flatten().any(|asked| asked == title)
    }
}

/// What is searched for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Search {
    pub(super) kinds: Vec<SearchKind>,
    pub(super) title: Option<TitleQuery>,
    pub(super) reference: Option<String>,
    /// The title of the tree it belongs to.
    pub(super) tree: Option<TitleQuery>,
    /// The computer it is on.
    pub(super) computer: Option<String>,
}

impl Search {
    /// Reads a query.
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        if text.len() > MOST_BYTES {
            return Err(wrong(format!("must not be longer than {MOST_BYTES} bytes")));
        }
        let (read, plain) = (Self::parse(text), last_title(text));
        let Some((before, name, title)) = plain else { return read };
        // As an escaped title it may be wrong; what stands before it must be right.
        let mut search = match read {
            Ok(search) => search,
            Err(_) => Self::parse(before)?,
        };
        let place = if name == TITLE { &mut search.title } else { &mut search.tree };
        place.get_or_insert_default().plain = Some(title.to_owned());
        Ok(search)
    }

    fn parse(text: &str) -> Result<Self, Problem> {
        let mut search = Self::default();
        let mut known = Vec::new();
        let mut rest = Rest(text);
        loop {
            let name = rest.name()?;
            if known.contains(&name) {
                return Err(wrong(format!("must not name {name} twice")));
            }
            known.push(name);
            let values = rest.values()?;
            search.take(name, values)?;
            if rest.is_empty() {
                break;
            }
            rest.and()?;
        }
        if search.kinds.is_empty() {
            return Err(wrong("must name portal_type"));
        }
        Ok(search)
    }

    fn take(&mut self, name: &str, values: Vec<String>) -> Result<(), Problem> {
        if name == "portal_type" {
            for value in values {
                let kind = SearchKind::ALL.into_iter().find(|kind| kind.portal_type() == value).ok_or_else(
                    || {
                        let known = SearchKind::ALL.map(SearchKind::portal_type).join(", ");
                        wrong(format!("must have one of these as portal_type: {known}"))
                    },
                )?;
                self.kinds.push(kind);
            }
            return Ok(());
        }
        let mut values = values.into_iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(wrong(format!("must have one value for {name}")));
        };
        let asked = || Some(TitleQuery { escaped: Some(value.clone()), plain: None });
        let place = match name {
            TITLE => {
                self.title = asked();
                return Ok(());
            }
            TREE => {
                self.tree = asked();
                return Ok(());
            }
            "reference" => &mut self.reference,
            "default_aggregate_reference" => &mut self.computer,
            "validation_state" if value == "validated" => return Ok(()),
            "validation_state" => return Err(wrong("must have validated as validation_state")),
            _ => {
                let names = "portal_type, validation_state, title, reference, default_specialise_title, \
                             default_aggregate_reference";
                return Err(wrong(format!("must not name {name}; there are {names}")));
            }
        };
        *place = Some(value);
        Ok(())
    }
}

/// The condition on a title at the end of a query, as slapos.core writes it: what stands before it, the name, and the
/// title as it is.
fn last_title(text: &str) -> Option<(&str, &str, &str)> {
    let of = |name: &'static str| {
        let (before, rest) = text.split_once(&format!(" AND {name}:=\""))?;
        Some((before, name, rest.strip_suffix('"')?))
    };
    of(TITLE).or_else(|| of(TREE))
}

fn wrong(rule: impl Into<String>) -> Problem {
    Problem::field("query", rule)
}

/// What is not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn is_empty(&self) -> bool {
        self.0.trim_start().is_empty()
    }

    fn skip(&mut self, text: &str) -> bool {
        let trimmed = self.0.trim_start();
        let rest = trimmed.strip_prefix(text);
        self.0 = rest.unwrap_or(trimmed);
        rest.is_some()
    }

    fn word(&mut self) -> &'a str {
        let text = self.0.trim_start();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        word
    }

    fn here(&self) -> String {
        self.0.chars().take(40).collect()
    }

    /// A name and its colon; that two values be equal is all that is ever asked.
    fn name(&mut self) -> Result<&'a str, Problem> {
        let before = self.here();
        let name = self.word();
        if name.is_empty() || !self.skip(":") {
            return Err(wrong(format!("must have a name and a colon at: {before}")));
        }
        self.skip("=");
        Ok(name)
    }

    fn and(&mut self) -> Result<(), Problem> {
        let before = self.here();
        let spaced = self.0.starts_with(char::is_whitespace);
        if spaced && self.word() == "AND" && self.0.starts_with(char::is_whitespace) {
            return Ok(());
        }
        Err(wrong(format!("must have AND or its end at: {before}")))
    }

    fn values(&mut self) -> Result<Vec<String>, Problem> {
        if !self.skip("(") {
            return Ok(vec![self.value()?]);
        }
        let mut values = vec![self.value()?];
        while self.skip(",") {
            values.push(self.value()?);
        }
        if !self.skip(")") {
            return Err(wrong(format!("must have a comma or a closing parenthesis at: {}", self.here())));
        }
        Ok(values)
    }

    fn value(&mut self) -> Result<String, Problem> {
        if !self.skip("\"") {
            let before = self.here();
            let word = self.word();
            let told = (!word.is_empty()).then(|| word.to_owned());
            return told.ok_or_else(|| wrong(format!("must have a value at: {before}")));
        }
        let mut value = String::new();
        let mut chars = self.0.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Ok(value);
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                    _ => return Err(wrong("must have a quote or a backslash after a backslash")),
                },
                c => value.push(c),
            }
        }
        Err(wrong("must close the quotes it opens"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "what is searched for may be left out")]
    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn the_queries_of_the_client_are_read() {
        let check = |query: &str, expected: Search| assert_eq!(Search::read(query), Ok(expected), "{query}");
        let trees = || Search { kinds: vec![SearchKind::Tree], ..Search::default() };
        check("portal_type:\"Instance Tree\" AND validation_state:validated", trees());
        let plain = |text: &str| Some(text.to_owned());
        let asked = |escaped: Option<&str>, title: &str| {
            Some(TitleQuery { escaped: escaped.map(str::to_owned), plain: plain(title) })
        };
        let told = "a AND b:\\\"c\\\\";
        let titled = Search { title: asked(Some("a AND b:\"c\\"), told), ..trees() };
        check(
            r#"portal_type:"Instance Tree" AND validation_state:validated AND title:="a AND b:\"c\\""#,
            titled,
        );
        check(
            "portal_type:\"Compute Node\" AND validation_state:validated AND title:=\"T\" AND reference:=\"R\"",
            Search {
                kinds: vec![SearchKind::Computer],
                title: asked(Some("T"), "T\" AND reference:=\"R"),
                reference: text("R"),
                ..Search::default()
            },
        );
        check(
            "portal_type:(\"Software Instance\", \"Slave Instance\") AND validation_state:validated \
             AND default_specialise_title:=\"é\"",
            Search {
                kinds: vec![SearchKind::Instance, SearchKind::Shared],
                tree: asked(Some("é"), "é"),
                ..Search::default()
            },
        );
        check(
            "portal_type:\"Software Installation\" AND validation_state:validated \
             AND default_aggregate_reference:=\"COMP-1\"",
            Search { kinds: vec![SearchKind::Installation], computer: text("COMP-1"), ..Search::default() },
        );
        // An empty title is one, and no instance has it.
        let empty = TitleQuery { escaped: text(""), plain: None };
        check("portal_type:\"Instance Tree\" AND title:\"\"", Search { title: Some(empty), ..trees() });
        // As they are, where they cannot be read as escaped.
        for title in ["a\"b", "\"a", "a\\n", "\"x\" AND title:(\"y"] {
            let query = format!("portal_type:\"Instance Tree\" AND title:=\"{title}\"");
            check(&query, Search { title: asked(None, title), ..trees() });
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let tree = "portal_type:\"Instance Tree\"";
        let check = |query: &str, detail: &str| {
            assert_eq!(Search::read(query), Err(Problem::field("query", detail)), "{query}");
        };
        check("", "must have a name and a colon at: ");
        check("title:=\"a\"", "must name portal_type");
        check(
            "portal_type:Person",
            "must have one of these as portal_type: Instance Tree, Compute Node, \
               Software Instance, Slave Instance, Software Installation",
        );
        check(&format!("{tree} OR title:a"), "must have AND or its end at:  OR title:a");
        check(&format!("{tree} AND"), "must have AND or its end at:  AND");
        check(&format!("{tree} AND title:\"a\"b\""), "must have AND or its end at: b\"");
        check(&format!("{tree} AND title:\"\"a\""), "must have AND or its end at: a\"");
        check(&format!("{tree} AND title:=\"a"), "must close the quotes it opens");
        check(&format!("{tree} AND title:\"a\\n\""), "must have a quote or a backslash after a backslash");
        check(&format!("{tree} AND title:=%"), "must have a value at: %");
        check(&format!("{tree} AND title:(\"a\",\"b\")"), "must have one value for title");
        check(&format!("{tree} AND title:(\"a\""), "must have a comma or a closing parenthesis at: ");
        check(&format!("{tree} AND {tree}"), "must not name portal_type twice");
        check(&format!("{tree} AND validation_state:draft"), "must have validated as validation_state");
        check(
            &format!("{tree} AND uid:1"),
            "must not name uid; there are portal_type, validation_state, title, reference, \
             default_specialise_title, default_aggregate_reference",
        );
        let long = format!("{tree} AND title:\"{}\"", "x".repeat(MOST_BYTES));
        check(&long, "must not be longer than 8192 bytes");
    }
}
