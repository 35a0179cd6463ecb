//! How two versions of a price book differ: settings, declarations of resources, and rate by rate.
//!
//! A rate is the same rate if it is the price of the same thing for the same instances; its place in the list is nothing.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use slapledger_core::domain::id::ResourceId;
use slapledger_core::domain::pricing::{CapPer, PriceBook, Rate, RateSubject, Resource};
use slapledger_core::schema::AnyObject;

use super::show::{RateShown, ResourceShown};

/// How two versions of a price book differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BookDifference {
    /// Settings, resources and rates that are added, removed or changed.
    pub changes: Vec<ChangeShown>,
}

/// Something in which they differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChangeShown {
    /// What: a setting, a resource, or a rate with what it is for.
    pub what: String,
    /// Its fields before that are others now, if it was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<AnyObject>")]
    pub before: Option<Value>,
    /// Its fields now that were others before, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<AnyObject>")]
    pub after: Option<Value>,
}

impl BookDifference {
    /// What of one version is other in the next.
    pub fn between(before: Option<&PriceBook>, after: &PriceBook) -> Self {
        let mut changes = Vec::new();
        let setting = |book: &PriceBook| {
            let all = [
                ("valid_from", value(&book.valid_from)),
                ("rounding", value(&book.rounding)),
                ("on_change", value(&book.on_change)),
                ("tax", value(&book.terms.tax)),
                ("on_tax_change", value(&book.terms.on_tax_change)),
                ("zero_invoices", value(&book.terms.zero_invoices)),
                ("threshold", value(&book.terms.threshold)),
            ];
            all.map(|(name, value)| (name, Value::Object(Map::from_iter([(name.to_owned(), value)]))))
        };
        let settings = before.map(setting);
        for (at, (name, now)) in setting(after).into_iter().enumerate() {
            let then = settings.as_ref().map(|settings| settings[at].1.clone());
            add(&mut changes, name.to_owned(), then, Some(now));
        }
        let none = Vec::new();
        let known = before.map_or(&none, |book| &book.resources);
        let resource = |name: &ResourceId, resources: &[Resource]| {
            let found = resources.iter().find(|declared| declared.resource == *name);
            found.map(|declared| value(&ResourceShown::of(declared)))
        };
        let mut names: Vec<&ResourceId> =
            known.iter().chain(&after.resources).map(|declared| &declared.resource).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let (then, now) = (resource(name, known), resource(name, &after.resources));
            add(&mut changes, format!("resource {name}"), then, now);
        }
        let none = Vec::new();
        let known = before.map_or(&none, |book| &book.rates);
        let same =
            |one: &Rate, other: &Rate| one.subject() == other.subject() && one.matching == other.matching;
        for rate in known {
            let now = after.rates.iter().find(|other| same(rate, other)).map(form);
            add(&mut changes, name_of(rate), Some(form(rate)), now);
        }
        for rate in after.rates.iter().filter(|rate| !known.iter().any(|other| same(rate, other))) {
            add(&mut changes, name_of(rate), None, Some(form(rate)));
        }
        Self { changes }
    }
}

/// A line for each change: `+` added, `-` removed, `~` changed.
impl fmt::Display for BookDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, ChangeShown { what, before, after }) in self.changes.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            match (before, after) {
                (None, Some(after)) => write!(f, "+ {what}: {after}")?,
                (Some(before), None) => write!(f, "- {what}: {before}")?,
                (before, after) => {
                    let text = |value: Option<&Value>| value.map(ToString::to_string).unwrap_or_default();
                    let (before, after) = (text(before.as_ref()), text(after.as_ref()));
                    write!(f, "~ {what}: {before} -> {after}")?;
                }
            }
        }
        Ok(())
    }
}

/// Adds a change, if there is one; of what is on both sides, the fields that differ.
fn add(changes: &mut Vec<ChangeShown>, what: String, before: Option<Value>, after: Option<Value>) {
    if before == after {
        return;
    }
    let (before, after) = match (before, after) {
        (Some(Value::Object(mut before)), Some(Value::Object(mut after))) => {
            let (then, now) = (before.clone(), after.clone());
            before.retain(|name, value| now.get(name) != Some(value));
            after.retain(|name, value| then.get(name) != Some(value));
            (Some(Value::Object(before)), Some(Value::Object(after)))
        }
        sides => sides,
    };
    changes.push(ChangeShown { what, before, after });
}

fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).expect("what is shown as JSON is JSON")
}

fn form(rate: &Rate) -> Value {
    value(&RateShown::of(rate))
}

/// What a rate is for, and for whom.
fn name_of(rate: &Rate) -> String {
    let what = match rate.subject() {
        RateSubject::Fee("") => "fee".to_owned(),
        RateSubject::Fee(item) => format!("fee {item}"),
        RateSubject::Resource(resource) => format!("usage of {resource}"),
        RateSubject::Percentage(_) => "percentage".to_owned(),
        RateSubject::Minimum(_) => "minimum".to_owned(),
        RateSubject::BaseFee("") => "base fee".to_owned(),
        RateSubject::BaseFee(item) => format!("base fee {item}"),
        RateSubject::Discount("") => "discount".to_owned(),
        RateSubject::Discount(item) => format!("discount {item}"),
        RateSubject::Maximum(_, CapPer::Line) => "maximum per line".to_owned(),
        RateSubject::Maximum(_, CapPer::Instance) => "maximum per instance".to_owned(),
        RateSubject::Maximum(_, CapPer::Customer) => "maximum per customer".to_owned(),
    };
    let matching = form(rate).get("match").map(|matching| format!(" for {matching}"));
    format!("{what}{}", matching.unwrap_or_default())
}
