//! Commands about parties of a running server, and what they paid before or are charged by hand.

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::options::QueryOptions;
use super::print::say;
use super::table::table;
use crate::invoices::{path, text_of};

/// Manage the parties that request, sell and pay.
#[derive(Subcommand)]
pub enum Party {
    /// List parties
    List(QueryOptions),
    /// Show a party
    Show {
        /// Its id (PARTY-2)
        id: String,
        #[command(flatten)]
        shown: QueryOptions,
    },
    /// Add a party
    Add {
        /// Name
        name: String,
        /// Details, such as `vat_id=FR83404833048` or `address.country=FR` (docs/invoices.md lists them)
        #[arg(value_name = "FIELD=VALUE")]
        fields: Vec<String>,
        #[command(flatten)]
        shown: QueryOptions,
    },
    /// Change the details of a party; FIELD= removes a field
    Set {
        /// Its id (PARTY-2)
        id: String,
        /// Details to change
        #[arg(value_name = "FIELD=VALUE", required = true)]
        fields: Vec<String>,
        #[command(flatten)]
        shown: QueryOptions,
    },
    /// Set the tax category of a customer
    Tax {
        /// Its id (PARTY-2)
        id: String,
        /// VAT category code of EN 16931: S, Z, E, AE, K, G or O
        category: String,
        /// Valid from
        #[arg(long, value_name = "INSTANT")]
        from: String,
        /// Exemption reason
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Exemption reason code of the VATEX list
        #[arg(long)]
        code: Option<String>,
        #[command(flatten)]
        shown: QueryOptions,
    },
    /// Set the standard tax rate of a seller
    TaxRate {
        /// In percent
        rate: String,
        /// Valid from
        #[arg(long, value_name = "INSTANT")]
        from: String,
        /// The seller. Default: the local user
        #[arg(long, value_name = "PARTY")]
        seller: Option<String>,
        #[command(flatten)]
        shown: QueryOptions,
    },
}

/// Prepaid credit.
#[derive(Subcommand)]
pub enum Credit {
    /// List prepaid credits with their remaining amounts
    List(OfCustomer),
    /// Grant prepaid credit to a customer
    Grant(ByHand),
    /// Withdraw the remaining amount of a credit
    Withdraw {
        /// Its id (CREDIT-1)
        id: String,
        /// Reason, for people
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        shown: QueryOptions,
    },
}

/// One-off charges.
#[derive(Subcommand)]
pub enum Charge {
    /// List manual charges
    List(OfCustomer),
    /// Record a charge for the next invoice; a negative amount is a discount
    Record(ByHand),
}

#[derive(Args)]
pub struct OfCustomer {
    /// Only this customer (PARTY-2)
    #[arg(long, value_name = "PARTY")]
    customer: Option<String>,
    #[command(flatten)]
    shown: QueryOptions,
}

#[derive(Args)]
pub struct ByHand {
    /// The customer (PARTY-2)
    customer: String,
    /// Amount: 5.00
    #[arg(allow_negative_numbers = true)]
    amount: String,
    /// Currency: EUR
    currency: String,
    /// What for
    #[arg(long, value_name = "TEXT")]
    description: String,
    #[command(flatten)]
    shown: QueryOptions,
}

impl QueryOptions {
    fn print(&self, told: &Value, print: impl FnOnce(&Value)) -> anyhow::Result<()> {
        if self.json {
            say!("{}", serde_json::to_string_pretty(told)?);
        } else {
            print(told);
        }
        Ok(())
    }

    fn send(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.client.server()?.post_json(path, body)
    }
}

pub fn party(asked: &Party) -> anyhow::Result<()> {
    match asked {
        Party::List(shown) => {
            let parties = shown.client.server()?.list("/v1/parties", &[])?;
            shown.print(&json!(parties), |parties| {
                let columns = ["id", "name", "time zone", "country", "VAT identifier", "series", "days"];
                let mut rows = table(&columns, &[6]);
                for party in parties.as_array().into_iter().flatten() {
                    let members = [
                        "/id",
                        "/name",
                        "/time_zone",
                        "/address/country",
                        "/vat_id",
                        "/series",
                        "/terms_days",
                    ];
                    rows.add_row(members.map(|member| plain(party.pointer(member))));
                }
                say!("{rows}");
            })
        }
        Party::Show { id, shown } => {
            let party = shown.client.server()?.get(&path(&["v1", "parties", id]), &[])?;
            shown.print(&party, print_party)
        }
        Party::Add { name, fields, shown } => {
            let mut body = members(fields)?;
            body.insert("name".into(), json!(name));
            let party = shown.send("/v1/parties", &Value::Object(body))?;
            shown.print(&party, print_party)
        }
        Party::Set { id, fields, shown } => {
            let body = Value::Object(members(fields)?);
            let place = path(&["v1", "parties", id]);
            let party = shown.client.server()?.change(ureq::http::Method::PATCH, &place, &body)?;
            shown.print(&party, print_party)
        }
        Party::Tax { id, category, from, reason, code, shown } => {
            let body = json!({"category": category, "valid_from": from, "reason": reason, "code": code});
            let party = shown.send(&path(&["v1", "parties", id, "tax-treatments"]), &body)?;
            shown.print(&party, print_party)
        }
        Party::TaxRate { rate, from, seller, shown } => {
            let body = json!({"rate": rate, "valid_from": from, "seller": seller});
            let party = shown.send("/v1/tax-rates", &body)?;
            shown.print(&party, print_party)
        }
    }
}

/// `a.b=c` as a member of a member. Nothing behind `=` is null; lists are cut at `|`, and days are a number.
fn members(fields: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut all = Map::new();
    for told in fields {
        let (field, value) = told.split_once('=').with_context(|| format!("{told}: must be FIELD=VALUE"))?;
        let value = match field {
            _ if value.is_empty() => Value::Null,
            "terms_days" => json!(value.parse::<u32>().with_context(|| format!("{told}: must be a number"))?),
            "address.lines" => json!(value.split('|').collect::<Vec<_>>()),
            _ => json!(value),
        };
        match field.split_once('.') {
            None => drop(all.insert(field.to_owned(), value)),
            Some((outer, inner)) => {
                let object = all.entry(outer).or_insert_with(|| json!({}));
                object
                    .as_object_mut()
                    .with_context(|| format!("{told}: {outer} is taken away and told at once"))?
                    .insert(inner.to_owned(), value);
            }
        }
    }
    Ok(all)
}

fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn print_party(party: &Value) {
    let mut rows = table(&["field", "value"], &[]);
    for (name, value) in party.as_object().into_iter().flatten() {
        match value {
            Value::Object(inner) => {
                for (inner, value) in inner {
                    rows.add_row([format!("{name}.{inner}"), plain(Some(value))]);
                }
            }
            Value::Array(items) if items.is_empty() => {}
            other => drop(rows.add_row([name.clone(), plain(Some(other))])),
        }
    }
    say!("{rows}");
}

pub fn credit(asked: &Credit) -> anyhow::Result<()> {
    match asked {
        Credit::List(of) => {
            print_list(of, "/v1/credits", &["id", "customer", "currency", "amount", "left", "description"])
        }
        Credit::Grant(by_hand) => record(by_hand, "/v1/credits"),
        Credit::Withdraw { id, reason, shown } => {
            let credit = shown.send(&path(&["v1", "credits", id, "withdraw"]), &json!({"reason": reason}))?;
            shown.print(&credit, |credit| say!("nothing is left of {}", text_of(&credit["id"])))
        }
    }
}

pub fn charge(asked: &Charge) -> anyhow::Result<()> {
    match asked {
        Charge::List(of) => {
            print_list(of, "/v1/charges", &["id", "customer", "currency", "amount", "invoice", "description"])
        }
        Charge::Record(by_hand) => record(by_hand, "/v1/charges"),
    }
}

fn record(by_hand: &ByHand, path: &str) -> anyhow::Result<()> {
    let ByHand { customer, amount, currency, description, shown } = by_hand;
    let body =
        json!({"customer": customer, "amount": amount, "currency": currency, "description": description});
    let told = shown.send(path, &body)?;
    shown.print(&told, |told| {
        let (id, amount, currency) =
            (text_of(&told["id"]), text_of(&told["amount"]), text_of(&told["currency"]));
        say!("{id}: {amount} {currency} for {}", text_of(&told["customer"]));
    })
}

fn print_list(of: &OfCustomer, path: &str, columns: &[&str]) -> anyhow::Result<()> {
    let items = of.shown.client.server()?.list(path, &[("customer", of.customer.as_deref())])?;
    of.shown.print(&json!(items), |items| {
        let mut rows = table(columns, &[3]);
        for item in items.as_array().into_iter().flatten() {
            rows.add_row(columns.iter().map(|column| plain(item.get(*column))));
        }
        say!("{rows}");
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_members() {
        let told = ["vat_id=FR1", "address.country=FR", "address.lines=1 rue|2e", "terms_days=14", "email="];
        let told: Vec<String> = told.iter().map(|told| (*told).to_owned()).collect();
        let expected = json!({
            "vat_id": "FR1", "address": {"country": "FR", "lines": ["1 rue", "2e"]}, "terms_days": 14, "email": null,
        });
        assert_eq!(Value::Object(members(&told).expect("members")), expected);
        for wrong in [&["vat_id"][..], &["terms_days=soon"], &["address=", "address.country=FR"]] {
            let wrong: Vec<String> = wrong.iter().map(|told| (*told).to_owned()).collect();
            assert!(members(&wrong).is_err(), "{wrong:?}");
        }
    }
}
