//! Places in a text, and the ways to them: what is wrong is told of where it stands.

use std::fmt;
use std::str::FromStr;

use super::PriceBookError;
use super::document::{DocumentNode, NodeContent, Position, TableMember};

/// A name and a text.
pub(super) type TextPair = (Box<str>, Box<str>);

/// A place in a document and the way to it.
pub(super) struct LocatedNode<'a> {
    pub(super) path: String,
    pub(super) node: &'a DocumentNode,
}

/// A place that holds a table.
pub(super) struct Table<'a> {
    path: &'a str,
    position: Option<Position>,
    members: &'a [TableMember],
}

impl<'a> LocatedNode<'a> {
    pub(super) fn fault(&self, rule: impl Into<String>) -> PriceBookError {
        PriceBookError::at(&*self.path, self.node.position, rule)
    }

    pub(super) fn text(&self) -> Result<&'a str, PriceBookError> {
        match &self.node.content {
            NodeContent::Text(text) => Ok(text),
            other => Err(self.fault(format!("must be a string, not {}", other.what()))),
        }
    }

    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(&self) -> Result<T, PriceBookError> {
        self.text()?.parse().map_err(|rule: T::Err| self.fault(rule.to_string()))
    }

    pub(super) fn one_of<T: Clone>(&self, words: &[(&str, T)]) -> Result<T, PriceBookError> {
        let text = self.text()?;
        let known = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| meaning.clone());
        known.ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.fault(format!("{text:?} is not supported: it must be {}", words.join(" or ")))
        })
    }

    /// A whole number, not in quotes.
    pub(super) fn whole<T: TryFrom<u64>>(&self) -> Result<T, PriceBookError> {
        let number = match &self.node.content {
            NodeContent::Number(Some(number)) => number,
            NodeContent::Number(None) => return Err(self.fault("must be a whole number such as 5")),
            other => {
                return Err(self.fault(format!("must be a whole number such as 5, not {}", other.what())));
            }
        };
        T::try_from(*number).map_err(|_| self.fault("is too large"))
    }

    /// True or false, not in quotes.
    pub(super) fn boolean(&self) -> Result<bool, PriceBookError> {
        match &self.node.content {
            NodeContent::Boolean(value) => Ok(*value),
            other => Err(self.fault(format!("must be true or false, not {}", other.what()))),
        }
    }

    /// The members of a table, all of them texts.
    pub(super) fn pairs(&self) -> Result<Vec<TextPair>, PriceBookError> {
        let table = self.any_table()?;
        let pair = |member: &TableMember| {
            let value = LocatedNode { path: table.path_of(&member.key), node: &member.value };
            Ok((member.key.clone(), value.text()?.into()))
        };
        table.members.iter().map(pair).collect()
    }

    pub(super) fn any_table(&'a self) -> Result<Table<'a>, PriceBookError> {
        match &self.node.content {
            NodeContent::Table(members) => {
                Ok(Table { path: &self.path, position: self.node.position, members })
            }
            other => Err(self.fault(format!("must be a table, not {}", other.what()))),
        }
    }

    /// The table, if it has no other members than these.
    pub(super) fn table(&'a self, known: &[&str]) -> Result<Table<'a>, PriceBookError> {
        let table = self.any_table()?;
        match table.members.iter().find(|member| !known.contains(&&*member.key)) {
            Some(unknown) => {
                let rule = format!("is not a field here; there are {}", known.join(", "));
                Err(PriceBookError::at(table.path_of(&unknown.key), unknown.position, rule))
            }
            None => Ok(table),
        }
    }

    /// Where something that was read before stands: a field of an item of a list, or else whatever is nearest.
    pub(super) fn find(&self, list: &str, item: usize, field: &str) -> LocatedNode<'_> {
        let items = self.any_table().and_then(|table| table.items(list)).unwrap_or_default();
        let Some(item) = items.into_iter().nth(item) else {
            return LocatedNode { path: list.into(), node: self.node };
        };
        let path = format!("{}.{field}", item.path);
        match &item.node.content {
            NodeContent::Table(members) => match members.iter().find(|member| *member.key == *field) {
                Some(member) => LocatedNode { path, node: &member.value },
                None => item,
            },
            _ => item,
        }
    }
}

impl<'a> Table<'a> {
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn optional(&self, key: &str) -> Option<LocatedNode<'a>> {
        let member = self.members.iter().find(|member| *member.key == *key)?;
        Some(LocatedNode { path: self.path_of(key), node: &member.value })
    }

    pub(super) fn required(&self, key: &str) -> Result<LocatedNode<'a>, PriceBookError> {
        let missing = || PriceBookError::at(self.path_of(key), self.position, "is missing");
        self.optional(key).ok_or_else(missing)
    }

    /// The items of a list; none, if it is left out.
    pub(super) fn items(&self, key: &str) -> Result<Vec<LocatedNode<'a>>, PriceBookError> {
        let Some(field) = self.optional(key) else { return Ok(Vec::new()) };
        match &field.node.content {
            NodeContent::List(items) => {
                let item = |(n, node)| LocatedNode { path: format!("{}[{n}]", field.path), node };
                Ok(items.iter().enumerate().map(item).collect())
            }
            other => Err(field.fault(format!("must be a list, not {}", other.what()))),
        }
    }
}
