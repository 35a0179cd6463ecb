//! The table of forms: which REST route does what a form asks for, and which fields become members of its body.

use serde_json::{Map, Value};

/// What a field becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormField {
    /// A text; left out, if it is empty.
    Text,
    /// A text that is sent although it is empty.
    Whole,
    /// A truth: there if the box is ticked.
    Flag,
    /// JSON; left out, if it is empty.
    Json,
    /// Texts, one for each field of this name with `[]` after it; left out, if there are none.
    Words,
}

/// What the body of the request is made of.
#[derive(Debug, Clone, Copy)]
pub enum FormBody {
    /// A JSON object of fields. A name with a point is a member of a member.
    Members(&'static [(&'static str, FormField)]),
    /// The text of one field, as it is.
    Document {
        /// Which field.
        field: &'static str,
        /// What it is.
        media_type: &'static str,
    },
}

/// A page that shows what was answered, where a redirect would lose it.
#[derive(Debug, Clone, Copy)]
pub struct FormResult {
    /// Its template.
    pub template: &'static str,
    /// The entry of the navigation that it belongs to.
    pub section: &'static str,
    /// The field that asks for it; always, if it is empty.
    pub when: &'static str,
}

/// A form.
pub struct PageForm {
    /// The method of the route: that of the request, or what the field `method` says.
    pub method: &'static str,
    /// The route that does it, as it is registered.
    pub route: &'static str,
    /// What its body is made of.
    pub body: FormBody,
    /// The fields that become parameters of the query.
    pub query: &'static [&'static str],
    /// The key of the text that says that it was done.
    pub done: &'static str,
    /// What is shown of the answer; nothing, if the reader is led on.
    pub result: Option<FormResult>,
}

const fn form(
    method: &'static str,
    route: &'static str,
    fields: &'static [(&'static str, FormField)],
    done: &'static str,
) -> PageForm {
    PageForm { method, route, body: FormBody::Members(fields), query: &[], done, result: None }
}

/// The text of a price book.
const PRICE_BOOK: FormBody = FormBody::Document { field: "book", media_type: "application/toml" };

/// All forms whose work a REST route does.
pub static FORMS: &[PageForm] = &[
    form("POST", "/v1/usage-suspense/{sequence}/dismiss", &[("reason", FormField::Text)], "usage-dismissed"),
    form(
        "POST",
        "/v1/usage-suspense/{sequence}/resolve",
        &[
            ("subject", FormField::Text),
            ("resource", FormField::Text),
            ("quantity", FormField::Text),
            ("period.start", FormField::Text),
            ("period.stop", FormField::Text),
        ],
        "usage-resolved",
    ),
    form(
        "POST",
        "/v1/instances",
        &[
            ("software_release", FormField::Text),
            ("instance_id", FormField::Text),
            ("software_type", FormField::Text),
            ("instance_type", FormField::Text),
            ("parameters", FormField::Json),
        ],
        "instance-requested",
    ),
    form("PATCH", "/v1/instances/{id}", &[("state", FormField::Text)], "instance-changed"),
    form("POST", "/v1/instances/{id}/rename", &[("title", FormField::Text)], "instance-renamed"),
    form("DELETE", "/v1/instances/{id}", &[], "instance-destroyed"),
    PageForm {
        body: PRICE_BOOK,
        query: &["preview", "retroactive"],
        result: Some(FormResult { template: "price-preview.html", section: "prices", when: "preview" }),
        ..form("POST", "/v1/price-books", &[], "prices-published")
    },
    PageForm {
        body: PRICE_BOOK,
        query: &["period"],
        result: Some(FormResult { template: "what-if.html", section: "prices", when: "" }),
        ..form("POST", "/v1/what-if", &[], "")
    },
    PageForm {
        result: Some(FormResult { template: "token.html", section: "credentials", when: "" }),
        ..form(
            "POST",
            "/v1/tokens",
            &[
                ("holder", FormField::Text),
                ("roles", FormField::Words),
                ("label", FormField::Text),
                ("expires_at", FormField::Text),
            ],
            "",
        )
    },
    form("POST", "/v1/credentials/{id}/revoke", &[("all_of_holder", FormField::Flag)], "credential-revoked"),
    PageForm {
        result: Some(FormResult { template: "rebuilt.html", section: "operation-page", when: "" }),
        ..form("POST", "/v1/projections/{name}/rebuild", &[], "")
    },
    form("POST", "/v1/projections/{name}/rebuild/cancel", &[], "rebuild-cancelled"),
    form("POST", "/v1/projections/{name}/rebuild/swap", &[], "rebuild-swapped"),
    form("POST", "/v1/projections/{name}/rebuild/confirm", &[], "rebuild-confirmed"),
    form("POST", "/v1/projections/{name}/rebuild/swap-back", &[], "rebuild-swapped-back"),
    form(
        "POST",
        "/v1/projects",
        &[("title", FormField::Text), ("time_zone", FormField::Text)],
        "project-opened",
    ),
    form("POST", "/v1/invoices/{id}/approve", &[("reason", FormField::Text)], "draft-approved"),
    form("POST", "/v1/invoices/{id}/hold", &[("reason", FormField::Text)], "draft-held"),
    form("POST", "/v1/invoices/{id}/finalise", &[], "draft-finalised"),
    form(
        "POST",
        "/v1/invoice-runs",
        &[("period", FormField::Text), ("grace_hours", FormField::Json), ("price_book", FormField::Text)],
        "run-opened",
    ),
    form("POST", "/v1/invoice-runs/{id}/refresh", &[], "run-refreshed"),
    form("POST", "/v1/invoice-runs/{id}/withdraw", &[], "run-withdrawn"),
    form("POST", "/v1/invoice-runs/{id}/finalise", &[], "run-finalised"),
];

impl PageForm {
    /// The form of a path.
    pub fn find(method: &str, path: &str) -> Option<&'static Self> {
        let fits = |form: &&PageForm| form.method == method && crate::page::names(form.route, path).is_some();
        FORMS.iter().find(fits)
    }

    /// The body of the request that does it. A field that is no JSON where it must be is named.
    pub fn body(&self, sent: &[(String, String)]) -> Result<Value, &'static str> {
        let FormBody::Members(fields) = self.body else { return Ok(Value::Null) };
        let mut body = Map::new();
        for (name, kind) in fields {
            let told = sent.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
            let words = || {
                let list = format!("{name}[]");
                let all = sent.iter().filter(move |(known, value)| *known == list && !value.is_empty());
                let all: Vec<Value> = all.map(|(_, value)| Value::from(value.as_str())).collect();
                Some(Value::from(all)).filter(|all| all != &Value::Array(Vec::new()))
            };
            let value = match (kind, told) {
                (FormField::Words, _) => words(),
                (FormField::Flag, told) => Some(Value::Bool(told.is_some())),
                (FormField::Whole, Some(text)) => Some(text.into()),
                (FormField::Text, Some(text)) if !text.trim().is_empty() => Some(text.trim().into()),
                (FormField::Json, Some(text)) if !text.trim().is_empty() => {
                    Some(serde_json::from_str(text).map_err(|_| *name)?)
                }
                _ => None,
            };
            let Some(value) = value else { continue };
            match name.split_once('.') {
                Some((outer, inner)) => {
                    if let Value::Object(members) = body.entry(outer).or_insert_with(|| Map::new().into()) {
                        members.insert(inner.to_owned(), value);
                    }
                }
                None => {
                    body.insert((*name).to_owned(), value);
                }
            }
        }
        if self.route == "/v1/instances"
            && let Some(parameters) = typed_parameters(sent)?
        {
            body.insert("parameters".to_owned(), parameters);
        }
        Ok(body.into())
    }
}

/// The parameters of a form that was made of a schema: its fields are named `p:TYPE:NAME`.
fn typed_parameters(sent: &[(String, String)]) -> Result<Option<Value>, &'static str> {
    let mut parameters = Map::new();
    let mut is_typed = false;
    for (name, value) in sent {
        let Some((kind, name)) = name.strip_prefix("p:").and_then(|rest| rest.split_once(':')) else {
            continue;
        };
        is_typed = true;
        if value.is_empty() {
            continue;
        }
        let wrong = |_| "parameters";
        let value = match kind {
            "number" => {
                let number: Value = serde_json::from_str(value).map_err(wrong)?;
                number.is_number().then_some(number).ok_or("parameters")?
            }
            "boolean" => Value::Bool(value == "true"),
            "json" => serde_json::from_str(value).map_err(wrong)?,
            _ => Value::from(value.as_str()),
        };
        parameters.insert(name.to_owned(), value);
    }
    if !is_typed {
        return Ok(None);
    }
    // As the software reads them: texts, or all in one JSON.
    let is_json = sent.iter().any(|(name, value)| name == "serialisation" && value == "json-in-xml");
    if is_json {
        return Ok(Some(Value::from_iter([("_", Value::Object(parameters))])));
    }
    let texts = parameters.into_iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name, Value::from(text))
    });
    Ok(Some(Value::Object(texts.collect())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_members() {
        let form = form(
            "POST",
            "/v1/things/{id}",
            &[
                ("reason", FormField::Text),
                ("note", FormField::Whole),
                ("sure", FormField::Flag),
                ("period.start", FormField::Text),
                ("parameters", FormField::Json),
                ("roles", FormField::Words),
            ],
            "",
        );
        let sent = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        };
        let pairs =
            sent(&[("reason", " twice "), ("note", ""), ("period.start", "2026-10-01"), ("other", "x")]);
        let body = form.body(&pairs).expect("a body");
        assert_eq!(
            body,
            serde_json::json!({"reason": "twice", "note": "", "sure": false, "period": {"start": "2026-10-01"}})
        );
        assert_eq!(form.body(&sent(&[("parameters", "{")])), Err("parameters"));
        let body = form.body(&sent(&[("roles[]", "admin"), ("roles[]", "auditor")])).expect("a body");
        assert_eq!(body["roles"], serde_json::json!(["admin", "auditor"]));
        let request = PageForm::find("POST", "/v1/instances").expect("it is there");
        let fields = [
            ("p:string:size", "small"),
            ("p:number:disks", "2"),
            ("p:boolean:backup", "true"),
            ("p:json:x", ""),
        ];
        let body = request.body(&sent(&fields)).expect("a body");
        let texts = serde_json::json!({"size": "small", "disks": "2", "backup": "true"});
        assert_eq!(body["parameters"], texts);
        let typed = [&fields[..], &[("serialisation", "json-in-xml")]].concat();
        let body = request.body(&sent(&typed)).expect("a body");
        let values = serde_json::json!({"_": {"size": "small", "disks": 2, "backup": true}});
        assert_eq!(body["parameters"], values);
        assert_eq!(request.body(&sent(&[("p:number:disks", "many")])), Err("parameters"));
    }
}
