//! Price books as files and as JSON: read strictly, shown as they are read.
//!
//! Both forms have the same fields. Prices and instants are strings, unknown fields are errors, and every error
//! names the field and the rule, with line and column where the text is at hand. What is read has passed all the
//! rules of the domain. This is not where prices are applied, and not where books are published.

mod document;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use slapledger_core::domain::id::{PriceBookName, ResourceId};
use slapledger_core::domain::instance::InstanceType;
use slapledger_core::domain::money::{Currency, Price, Rounding};
use slapledger_core::domain::pricing::{
    Conversion, Every, Match, Meter, Model, Per, PriceBook, PricingRefusal, Rate, Resource, ResourceKind,
    Tariff, When,
};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Timestamp;

use document::{Content, Member, Node, Position};

/// What is wrong with the text of a price book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceBookError {
    /// The path of the field to blame (`rates[2].price`, counted from 0); empty for the text as a whole.
    pub field: String,
    /// The line it is in, from 1, if known.
    pub line: Option<usize>,
    /// The character it begins at, from 1, if known.
    pub column: Option<usize>,
    /// The rule it breaks, as words that follow the field.
    pub message: String,
}

impl PriceBookError {
    fn at(field: impl Into<String>, position: Option<Position>, message: impl Into<String>) -> Self {
        let (line, column) = position.unzip();
        Self { field: field.into(), line, column, message: message.into() }
    }
}

impl fmt::Display for PriceBookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line}, column {column}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{} ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for PriceBookError {}

/// Reads a price book from a TOML text.
pub fn parse_toml(text: &str) -> Result<PriceBook, PriceBookError> {
    read(&document::parse_toml(text)?)
}

/// Reads a price book from a JSON text.
pub fn parse_json(bytes: &[u8]) -> Result<PriceBook, PriceBookError> {
    read(&document::parse_json(bytes)?)
}

/// Writes a price book as a TOML text that reads as the same book.
pub fn to_toml(book: &PriceBook) -> String {
    toml::to_string(&PriceBookForm::of(book)).expect("strings, lists and tables can be written as TOML")
}

const BOOK_FIELDS: &[&str] = &["name", "currency", "valid_from", "rounding", "resources", "rates"];
const RESOURCE_FIELDS: &[&str] = &["resource", "kind", "meter", "unit"];
const RECURRING_FIELDS: &[&str] = &["kind", "every", "when", "price", "match"];
const PER_UNIT_FIELDS: &[&str] = &["kind", "resource", "price", "match"];
const MATCH_FIELDS: &[&str] = &["software_release", "software_type", "computer", "instance_type", "customer"];

fn read(root: &Node) -> Result<PriceBook, PriceBookError> {
    let root = At { path: String::new(), node: root };
    let table = root.table(BOOK_FIELDS)?;
    let book = PriceBook {
        name: table.required("name")?.parse()?,
        currency: table.required("currency")?.parse::<Currency>()?,
        valid_from: instant(&table.required("valid_from")?)?,
        rounding: table.optional("rounding").map_or(Ok(Rounding::HalfUp), |field| {
            field.one_of(&[("half_up", Rounding::HalfUp), ("half_even", Rounding::HalfEven)])
        })?,
        resources: table.items("resources")?.iter().map(resource).collect::<Result<_, _>>()?,
        rates: table.items("rates")?.iter().map(rate).collect::<Result<_, _>>()?,
    };
    book.check().map_err(|refusal| refused(&root, &book, &refusal))?;
    Ok(book)
}

fn resource(item: &At<'_>) -> Result<Resource, PriceBookError> {
    let table = item.table(RESOURCE_FIELDS)?;
    Ok(Resource {
        resource: table.required("resource")?.parse()?,
        kind: table
            .required("kind")?
            .one_of(&[("counter", ResourceKind::Counter), ("gauge", ResourceKind::Gauge)])?,
        meter: table
            .required("meter")?
            .one_of(&[("sum", Meter::Sum), ("time_integral", Meter::TimeIntegral)])?,
        unit: table.required("unit")?.text()?.into(),
        conversion: Conversion::NONE,
        group_by: Vec::new(),
    })
}

#[derive(Clone, Copy)]
enum RateKind {
    Recurring,
    PerUnit,
}

fn rate(item: &At<'_>) -> Result<Rate, PriceBookError> {
    let kinds = [("recurring", RateKind::Recurring), ("per_unit", RateKind::PerUnit)];
    let kind = item.any_table()?.required("kind")?.one_of(&kinds)?;
    match kind {
        RateKind::Recurring => {
            let table = item.table(RECURRING_FIELDS)?;
            table.required("every")?.one_of(&[("month", ())])?;
            table.required("when")?.one_of(&[("arrears", ())])?;
            let (price, matching) = (price(&table)?, matching(&table)?);
            let (item, every, when) = ("".into(), Every::Month, When::Arrears);
            Ok(Rate { model: Model::Recurring { item, price, every, when }, matching })
        }
        RateKind::PerUnit => {
            let table = item.table(PER_UNIT_FIELDS)?;
            let resource = table.required("resource")?.parse()?;
            let (price, matching) = (price(&table)?, matching(&table)?);
            let (per, free, tariff) = (Per::Instance, Quantity::ZERO, Tariff::PerUnit { price });
            Ok(Rate { model: Model::Usage { resource, per, free, tariff }, matching })
        }
    }
}

fn price(rate: &Table<'_>) -> Result<Price, PriceBookError> {
    let field = rate.required("price")?;
    match &field.node.content {
        Content::Number => Err(field.fault("must be a string such as \"10.00\": a number could lose digits")),
        _ => field.parse(),
    }
}

fn matching(rate: &Table<'_>) -> Result<Match, PriceBookError> {
    let Some(field) = rate.optional("match") else { return Ok(Match::default()) };
    let table = field.table(MATCH_FIELDS)?;
    let types = [InstanceType::Production, InstanceType::Testing].map(|kind| (kind.as_str(), kind));
    Ok(Match {
        software_release: table.optional("software_release").map(|field| field.parse()).transpose()?,
        software_type: table.optional("software_type").map(|field| field.parse()).transpose()?,
        computer: table.optional("computer").map(|field| field.parse()).transpose()?,
        instance_type: table.optional("instance_type").map(|field| field.one_of(&types)).transpose()?,
        customer: table.optional("customer").map(|field| field.parse()).transpose()?,
        region: None,
        dimensions: Vec::new(),
    })
}

fn instant(field: &At<'_>) -> Result<Timestamp, PriceBookError> {
    let rule = "must be an RFC 3339 instant with its offset, such as 2026-01-01T00:00:00Z";
    Timestamp::parse_rfc3339(field.text()?).ok_or_else(|| field.fault(rule))
}

/// A rule of the domain, told of the place in the text where it is broken.
fn refused(root: &At<'_>, book: &PriceBook, refusal: &PricingRefusal) -> PriceBookError {
    let declaration = |resource: &ResourceId, which: fn(&mut dyn Iterator<Item = usize>) -> Option<usize>| {
        let mut places =
            book.resources.iter().enumerate().filter(|(_, r)| r.resource == *resource).map(|(at, _)| at);
        which(&mut places).unwrap_or_default()
    };
    let at = |list: &str, item: usize, field: &str| root.find(list, item, field);
    match refusal {
        PricingRefusal::ResourceTwice { resource } => {
            at("resources", declaration(resource, |places| places.nth(1)), "resource")
                .fault(format!("{resource} is declared more than once"))
        }
        PricingRefusal::MeterDoesNotFit { resource } => {
            at("resources", declaration(resource, |places| places.next()), "meter")
                .fault("does not fit the kind: a counter is metered by sum, a gauge by time_integral")
        }
        PricingRefusal::BadUnit { resource } => {
            at("resources", declaration(resource, |places| places.next()), "unit")
                .fault("must be 1 to 100 bytes without control characters")
        }
        PricingRefusal::UndeclaredResource { rate, resource } => {
            at("rates", rate - 1, "resource").fault(format!("{resource} is not declared in resources"))
        }
        PricingRefusal::Tie { one, other } => at("rates", other - 1, "").fault(format!(
            "matches the same instances as rates[{}] with as many members: neither would win",
            one - 1
        )),
        PricingRefusal::NoRates => {
            let rates = root.any_table().ok().and_then(|table| table.optional("rates"));
            rates.map_or_else(
                || root.fault("rates must not be empty"),
                |rates| rates.fault("must not be empty"),
            )
        }
        PricingRefusal::OtherCurrency { .. }
        | PricingRefusal::TooLarge { .. }
        | PricingRefusal::BadMeter { .. }
        | PricingRefusal::BadConversion { .. }
        | PricingRefusal::BadGroups { .. }
        | PricingRefusal::BadRate { .. } => root.fault(refusal.to_string()),
    }
}

/// A place in a document and the way to it.
struct At<'a> {
    path: String,
    node: &'a Node,
}

/// A place that holds a table.
struct Table<'a> {
    path: &'a str,
    position: Option<Position>,
    members: &'a [Member],
}

impl<'a> At<'a> {
    fn fault(&self, rule: impl Into<String>) -> PriceBookError {
        PriceBookError::at(&*self.path, self.node.position, rule)
    }

    fn text(&self) -> Result<&'a str, PriceBookError> {
        match &self.node.content {
            Content::Text(text) => Ok(text),
            other => Err(self.fault(format!("must be a string, not {}", other.what()))),
        }
    }

    fn parse<T: FromStr<Err: fmt::Display>>(&self) -> Result<T, PriceBookError> {
        self.text()?.parse().map_err(|rule: T::Err| self.fault(rule.to_string()))
    }

    fn one_of<T: Clone>(&self, words: &[(&str, T)]) -> Result<T, PriceBookError> {
        let text = self.text()?;
        let known = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| meaning.clone());
        known.ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.fault(format!("{text:?} is not supported: it must be {}", words.join(" or ")))
        })
    }

    fn any_table(&'a self) -> Result<Table<'a>, PriceBookError> {
        match &self.node.content {
            Content::Table(members) => Ok(Table { path: &self.path, position: self.node.position, members }),
            other => Err(self.fault(format!("must be a table, not {}", other.what()))),
        }
    }

    /// The table, if it has no other members than these.
    fn table(&'a self, known: &[&str]) -> Result<Table<'a>, PriceBookError> {
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
    fn find(&self, list: &str, item: usize, field: &str) -> At<'_> {
        let items = self.any_table().and_then(|table| table.items(list)).unwrap_or_default();
        let Some(item) = items.into_iter().nth(item) else {
            return At { path: list.into(), node: self.node };
        };
        let path = format!("{}.{field}", item.path);
        match &item.node.content {
            Content::Table(members) => match members.iter().find(|member| *member.key == *field) {
                Some(member) => At { path, node: &member.value },
                None => item,
            },
            _ => item,
        }
    }
}

impl<'a> Table<'a> {
    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn optional(&self, key: &str) -> Option<At<'a>> {
        let member = self.members.iter().find(|member| *member.key == *key)?;
        Some(At { path: self.path_of(key), node: &member.value })
    }

    fn required(&self, key: &str) -> Result<At<'a>, PriceBookError> {
        let missing = || PriceBookError::at(self.path_of(key), self.position, "is missing");
        self.optional(key).ok_or_else(missing)
    }

    /// The items of a list; none, if it is left out.
    fn items(&self, key: &str) -> Result<Vec<At<'a>>, PriceBookError> {
        let Some(field) = self.optional(key) else { return Ok(Vec::new()) };
        match &field.node.content {
            Content::List(items) => {
                let item = |(n, node)| At { path: format!("{}[{n}]", field.path), node };
                Ok(items.iter().enumerate().map(item).collect())
            }
            other => Err(field.fault(format!("must be a list, not {}", other.what()))),
        }
    }
}

/// A price book as it is shown: the fields it is read from.
#[derive(Debug, Serialize)]
pub struct PriceBookForm<'a> {
    name: &'a PriceBookName,
    currency: Currency,
    valid_from: Timestamp,
    rounding: Rounding,
    resources: &'a [Resource],
    rates: Vec<RateForm<'a>>,
}

#[derive(Debug, Serialize)]
struct RateForm<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a ResourceId>,
    price: Price,
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    matching: Option<&'a Match>,
}

impl<'a> PriceBookForm<'a> {
    /// The form of a book.
    pub fn of(book: &'a PriceBook) -> Self {
        let PriceBook { name, currency, valid_from, rounding, resources, rates } = book;
        let rates = rates.iter().map(RateForm::of).collect();
        Self { name, currency: *currency, valid_from: *valid_from, rounding: *rounding, resources, rates }
    }
}

impl<'a> RateForm<'a> {
    fn of(rate: &'a Rate) -> Self {
        let matching = Some(&rate.matching).filter(|matching| matching.members() > 0);
        match &rate.model {
            Model::Recurring { price, .. } => {
                let (every, when) = (Some("month"), Some("arrears"));
                Self { kind: "recurring", every, when, resource: None, price: *price, matching }
            }
            Model::Usage { resource, tariff: Tariff::PerUnit { price }, .. } => {
                let (every, when) = (None, None);
                Self { kind: "per_unit", every, when, resource: Some(resource), price: *price, matching }
            }
            _ => unreachable!(),
        }
    }
}

#[cfg(test)]
mod tests;
