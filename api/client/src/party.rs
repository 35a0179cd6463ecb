//! Commands about parties of a running server, and what they paid before or are charged by hand.

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::options::{QueryOptions, ReadOptions};
use super::print::say;
use super::table::{labelled, table};
use crate::invoices::{path, text_of};

/// Manage the parties that request, sell and pay.
#[derive(Subcommand)]
pub enum PartyCommand {
    /// List parties
    List(ReadOptions),
    /// Show a party
    Show {
        /// Its id (PARTY-2)
        id: String,
        #[command(flatten)]
        shown: ReadOptions,
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
        /// VAT category of EN 16931 (S|Z|E|AE|K|G|O)
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
    /// Set the tax of a software release or a resource
    ProductTax {
        /// VAT category of EN 16931 (S|Z|E|O)
        category: String,
        /// Fees and usage of instances of this release
        #[arg(long, value_name = "URL")]
        release: Option<String>,
        /// Usage of this resource
        #[arg(long)]
        resource: Option<String>,
        /// In percent. Default: the rate of the seller
        #[arg(long)]
        rate: Option<String>,
        /// Valid from
        #[arg(long, value_name = "INSTANT")]
        from: String,
        /// Exemption reason
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Exemption reason code of the VATEX list
        #[arg(long)]
        code: Option<String>,
        /// The seller. Default: the local user
        #[arg(long, value_name = "PARTY")]
        seller: Option<String>,
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
pub enum CreditCommand {
    /// List prepaid credits with their remaining amounts
    List(OfCustomer),
    /// Grant prepaid credit to a customer
    Grant {
        #[command(flatten)]
        by_hand: ByHand,
        /// Promotional credit: the customer did not pay for it
        #[arg(long)]
        promotional: bool,
        /// Lower ones pay first, from 0 to 100. Default: 50
        #[arg(long, value_name = "N")]
        priority: Option<u8>,
        /// Expiry
        #[arg(long, value_name = "INSTANT")]
        expires: Option<String>,
    },
    /// Request a top-up when the balance falls below a threshold
    TopUp {
        /// The customer (PARTY-2)
        customer: String,
        /// Request when less than this is left; 0 requests nothing
        threshold: String,
        /// Amount to request
        amount: String,
        /// Currency: EUR
        currency: String,
        #[command(flatten)]
        shown: QueryOptions,
    },
    /// Show when the credit of a customer runs out
    Forecast {
        /// The customer (PARTY-2)
        customer: String,
        /// Price book to use. Default: the only one there is
        #[arg(long, value_name = "NAME")]
        price_book: Option<String>,
        #[command(flatten)]
        shown: ReadOptions,
    },
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
pub enum ChargeCommand {
    /// List manual charges
    List(OfCustomer),
    /// Record a charge, or a discount, for the next invoice
    Record(ByHand),
}

/// Discounts.
#[derive(Subcommand)]
pub enum DiscountCommand {
    /// List the discounts of customers
    List(OfCustomer),
    /// Give a customer the discounts of a code
    Redeem {
        /// The code
        code: String,
        /// The customer (PARTY-2)
        #[arg(long, value_name = "PARTY")]
        customer: String,
        #[command(flatten)]
        shown: QueryOptions,
    },
}

#[derive(Args)]
pub struct OfCustomer {
    /// Only this customer (PARTY-2)
    #[arg(long, value_name = "PARTY")]
    customer: Option<String>,
    #[command(flatten)]
    shown: ReadOptions,
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

fn print_as(json: bool, told: &Value, print: impl FnOnce(&Value)) -> anyhow::Result<()> {
    if json {
        say!("{}", serde_json::to_string_pretty(told)?);
    } else {
        print(told);
    }
    Ok(())
}

impl QueryOptions {
    fn send(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.client.server()?.post_json(path, body)
    }
}

pub fn party(asked: &PartyCommand) -> anyhow::Result<()> {
    match asked {
        PartyCommand::List(shown) => {
            let parties = shown.client.server()?.list("/v1/parties", &[])?;
            print_as(shown.json, &json!(parties), |parties| {
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
                rows.print();
            })
        }
        PartyCommand::Show { id, shown } => {
            let party = shown.client.server()?.get(&path(&["v1", "parties", id]), &[])?;
            print_as(shown.json, &party, print_party)
        }
        PartyCommand::Add { name, fields, shown } => {
            let mut body = members(fields)?;
            body.insert("name".into(), json!(name));
            let party = shown.send("/v1/parties", &Value::Object(body))?;
            print_as(shown.json, &party, print_party)
        }
        PartyCommand::Set { id, fields, shown } => {
            let body = Value::Object(members(fields)?);
            let place = path(&["v1", "parties", id]);
            let party = shown.client.server()?.change(ureq::http::Method::PATCH, &place, &body)?;
            print_as(shown.json, &party, print_party)
        }
        PartyCommand::Tax { id, category, from, reason, code, shown } => {
            let body = json!({"category": category, "valid_from": from, "reason": reason, "code": code});
            let party = shown.send(&path(&["v1", "parties", id, "tax-treatments"]), &body)?;
            print_as(shown.json, &party, print_party)
        }
        PartyCommand::ProductTax { category, release, resource, rate, from, reason, code, seller, shown } => {
            let body = json!({
                "software_release": release, "resource": resource, "category": category, "rate": rate,
                "valid_from": from, "reason": reason, "code": code, "seller": seller,
            });
            let party = shown.send("/v1/product-taxes", &body)?;
            print_as(shown.json, &party, print_party)
        }
        PartyCommand::TaxRate { rate, from, seller, shown } => {
            let body = json!({"rate": rate, "valid_from": from, "seller": seller});
            let party = shown.send("/v1/tax-rates", &body)?;
            print_as(shown.json, &party, print_party)
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

pub(crate) fn plain(value: Option<&Value>) -> String {
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
            other => rows.add_row([name.clone(), plain(Some(other))]),
        }
    }
    rows.print();
}

pub fn credit(asked: &CreditCommand) -> anyhow::Result<()> {
    match asked {
        CreditCommand::List(of) => {
            let columns = [
                "id",
                "customer",
                "currency",
                "amount",
                "left",
                "kind",
                "priority",
                "expires_at",
                "description",
            ];
            print_list(of, "/v1/credits", &columns)
        }
        CreditCommand::Grant { by_hand, promotional, priority, expires } => {
            let mut more = Map::new();
            if *promotional {
                more.insert("kind".to_owned(), json!("promotional"));
            }
            more.extend(priority.map(|priority| ("priority".to_owned(), json!(priority))));
            more.extend(expires.as_ref().map(|expires| ("expires_at".to_owned(), json!(expires))));
            record(by_hand, more, "/v1/credits")
        }
        CreditCommand::TopUp { customer, threshold, amount, currency, shown } => {
            let body = json!({"currency": currency, "threshold": threshold, "amount": amount});
            let path = path(&["v1", "parties", customer, "top-up"]);
            let told = shown.client.server()?.change(ureq::http::Method::PUT, &path, &body)?;
            print_as(shown.json, &told, |_| {
                say!("{customer}: {amount} {currency} is requested when less than {threshold} is left");
            })
        }
        CreditCommand::Forecast { customer, price_book, shown } => {
            let path = path(&["v1", "parties", customer, "credit-forecast"]);
            let query: Vec<(&str, &str)> =
                price_book.as_deref().map(|name| ("price_book", name)).into_iter().collect();
            let told = shown.client.server()?.get(&path, &query)?;
            print_as(shown.json, &told, print_forecast)
        }
        CreditCommand::Withdraw { id, reason, shown } => {
            let credit = shown.send(&path(&["v1", "credits", id, "withdraw"]), &json!({"reason": reason}))?;
            print_as(shown.json, &credit, |credit| say!("nothing is left of {}", text_of(&credit["id"])))
        }
    }
}

fn print_forecast(told: &Value) {
    let [balance, uninvoiced, per_day, currency] =
        ["balance", "uninvoiced", "per_day", "currency"].map(|name| text_of(&told[name]));
    say!("{balance} {currency} is left, {uninvoiced} of it for what is not invoiced yet");
    say!("{per_day} {currency} is charged a day");
    match told["runs_out_at"].as_str() {
        Some(at) => say!("nothing is left at {at}, if:"),
        None => say!("it does not run out within a hundred years, if:"),
    }
    for assumed in told["assumes"].as_array().into_iter().flatten() {
        say!("{}", labelled("  - ", text_of(assumed)));
    }
}

pub fn charge(asked: &ChargeCommand) -> anyhow::Result<()> {
    match asked {
        ChargeCommand::List(of) => print_list(
            of,
            "/v1/charges",
            &["id", "customer", "currency", "amount", "state", "invoice", "description"],
        ),
        ChargeCommand::Record(by_hand) => record(by_hand, Map::new(), "/v1/charges"),
    }
}

pub fn discount(asked: &DiscountCommand) -> anyhow::Result<()> {
    match asked {
        DiscountCommand::List(of) => {
            let columns = ["customer", "item", "code", "price_book", "since", "until", "invoices_left"];
            print_list(of, "/v1/discounts", &columns)
        }
        DiscountCommand::Redeem { code, customer, shown } => {
            let body = json!({"customer": customer, "code": code});
            let redeemed = shown.send("/v1/discount-codes/redeem", &body)?;
            print_as(shown.json, &redeemed, |redeemed| {
                let (customer, at) = (text_of(&redeemed["customer"]), text_of(&redeemed["redeemed_at"]));
                say!("{customer} has the discounts of {code} since {at}");
            })
        }
    }
}

fn record(by_hand: &ByHand, more: Map<String, Value>, path: &str) -> anyhow::Result<()> {
    let ByHand { customer, amount, currency, description, shown } = by_hand;
    let mut body =
        json!({"customer": customer, "amount": amount, "currency": currency, "description": description});
    if let Some(members) = body.as_object_mut() {
        members.extend(more);
    }
    let told = shown.send(path, &body)?;
    print_as(shown.json, &told, |told| {
        let (id, amount, currency) =
            (text_of(&told["id"]), text_of(&told["amount"]), text_of(&told["currency"]));
        say!("{id}: {amount} {currency} for {}", text_of(&told["customer"]));
    })
}

fn print_list(of: &OfCustomer, path: &str, columns: &[&str]) -> anyhow::Result<()> {
    let items = of.shown.client.server()?.list(path, &[("customer", of.customer.as_deref())])?;
    print_as(of.shown.json, &json!(items), |items| {
        let mut rows = table(columns, &[3]);
        for item in items.as_array().into_iter().flatten() {
            rows.add_row(columns.iter().map(|column| plain(item.get(*column))));
        }
        rows.print();
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
