//! Templates, and the functions and filters that all of them share.
//!
//! Every text that a template prints is escaped. What is marked as HTML is written by this file, and escapes what it is
//! given.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use chrono_tz::Tz;
use fluent_bundle::FluentArgs;
use minijinja::value::{Kwargs, Serde, Value as Shown};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, context};
use serde::Serialize;
use serde_json::Value;

use crate::answers::{Answers, DerivedFrom, PageRequest};
use crate::assets::assets;
use crate::context::PageContext;
use crate::form::FormResult;
use crate::format::{self, escape, escape_exact};
use crate::language::Language;
use crate::navigation;
use crate::page::{ANY_EVENT, WebPage};
use crate::past;
use crate::problem_words::{self, problem_words};
use crate::writer::{ValueWriter, set};

/// A page could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the page {template} cannot be written: {cause:#}")]
pub struct RenderFault {
    template: &'static str,
    cause: Error,
}

struct Templates {
    environment: Environment<'static>,
    writer: Arc<ValueWriter>,
}

static TEMPLATES: LazyLock<BTreeMap<&'static str, Templates>> = LazyLock::new(|| {
    Language::ALL.into_iter().map(|language| (language.tag(), Templates::of(language))).collect()
});

const FILES: &[(&str, &str)] = &[
    ("frame.html", include_str!("../templates/frame.html")),
    ("parts.html", include_str!("../templates/parts.html")),
    ("problem.html", include_str!("../templates/problem.html")),
    ("sign-in.html", include_str!("../templates/sign-in.html")),
    ("instances.html", include_str!("../templates/instances.html")),
    ("instance.html", include_str!("../templates/instance.html")),
    ("computers.html", include_str!("../templates/computers.html")),
    ("computer.html", include_str!("../templates/computer.html")),
    ("rebuilt.html", include_str!("../templates/rebuilt.html")),
    ("log.html", include_str!("../templates/log.html")),
    ("list.html", include_str!("../templates/list.html")),
    ("balance.html", include_str!("../templates/balance.html")),
    ("statement.html", include_str!("../templates/statement.html")),
    ("journal.html", include_str!("../templates/journal.html")),
    ("prices.html", include_str!("../templates/prices.html")),
    ("catalogue.html", include_str!("../templates/catalogue.html")),
    ("price-preview.html", include_str!("../templates/price-preview.html")),
    ("what-if.html", include_str!("../templates/what-if.html")),
    ("price-book.html", include_str!("../templates/price-book.html")),
    ("token.html", include_str!("../templates/token.html")),
    ("credential.html", include_str!("../templates/credential.html")),
    ("credentials.html", include_str!("../templates/credentials.html")),
    ("operation.html", include_str!("../templates/operation.html")),
    ("request.html", include_str!("../templates/request.html")),
    ("month-review.html", include_str!("../templates/month-review.html")),
    ("revenue.html", include_str!("../templates/revenue.html")),
    ("home.html", include_str!("../templates/home.html")),
    ("usage.html", include_str!("../templates/usage.html")),
    ("invoices.html", include_str!("../templates/invoices.html")),
    ("invoice.html", include_str!("../templates/invoice.html")),
    ("line-event.html", include_str!("../templates/line-event.html")),
    ("line.html", include_str!("../templates/line.html")),
];

fn safe(html: String) -> Shown {
    Shown::from_safe_string(html)
}

/// The zone of the page that is being written.
fn zone(state: &State<'_, '_>) -> Tz {
    let name = state.lookup("zone").and_then(|zone| zone.as_str().and_then(|name| name.parse().ok()));
    name.unwrap_or(Tz::UTC)
}

/// What is shown where there is no value.
fn none(writer: &ValueWriter) -> Shown {
    safe(format!("<span class=\"soft\">{}</span>", escape(&writer.text("none", &[]))))
}

fn text_of(value: &Shown) -> Option<String> {
    if value.is_undefined() || value.is_none() { None } else { Some(value.to_string()) }
}

/// The class of a state: its shape and its colour.
fn class_of(state: &str) -> &'static str {
    match state {
        "active" | "final" | "started" | "current" | "accepted" | "approved" | "paid" | "ok"
        | "supported" | "busy" => "st-good",
        "expired" | "revoked" | "spent" | "ended" | "withdrawn" | "duplicate" | "void" | "destroyed"
        | "retired" | "credited" => "st-off",
        "held" | "suspended" | "missing" | "overdue" | "unplaced" | "partition_lost" => "st-warn",
        "silent" | "failed" | "rejected" | "error" | "lost" => "st-bad",
        _ => "st-wait",
    }
}

impl Templates {
    fn of(language: Language) -> Self {
        let writer = Arc::new(ValueWriter::of(language));
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        // As the filters write: the engine's own way makes a reference of every slash.
        environment.set_formatter(|out, _, value| {
            if value.is_undefined() {
                return Err(Error::from(ErrorKind::UndefinedError));
            }
            let text = value.to_string();
            let written = if value.is_safe() { text } else { escape(&text) };
            out.write_str(&written).map_err(Error::from)
        });
        for (name, source) in FILES {
            // A template that cannot be read is found by the first test that renders it.
            if let Err(error) = environment.add_template(name, source) {
                let known =
                    environment.add_template_owned(*name, format!("{{{{ fail({:?}) }}}}", error.to_string()));
                debug_assert!(known.is_err(), "{name}: {error:#}");
            }
        }
        Self::add_values(&mut environment, &writer);
        Self::add_texts(&mut environment, &writer);
        Self { environment, writer }
    }

    fn add_values(environment: &mut Environment<'static>, writer: &Arc<ValueWriter>) {
        let of = Arc::clone(writer);
        environment.add_filter("num", move |value: Shown| {
            text_of(&value).map_or_else(|| none(&of), |text| Shown::from(format::number(&text, of.language)))
        });
        let of = Arc::clone(writer);
        environment.add_filter("money", move |value: Shown, currency: Option<String>| {
            let digits = format::minor_digits(currency.as_deref().unwrap_or_default());
            let written = |text: String| Shown::from(format::money(&text, digits, of.language));
            text_of(&value).map_or_else(|| none(&of), written)
        });
        let of = Arc::clone(writer);
        environment.add_filter("change", move |value: Shown, currency: Option<String>| {
            let digits = format::minor_digits(currency.as_deref().unwrap_or_default());
            let written = |text: String| Shown::from(format::change(&text, digits, of.language));
            text_of(&value).map_or_else(|| none(&of), written)
        });
        for (name, shown) in [
            ("date", format::Shown::Date),
            ("day", format::Shown::Day),
            ("time", format::Shown::Time),
            ("daytime", format::Shown::DayTime),
        ] {
            let of = Arc::clone(writer);
            environment.add_filter(name, move |state: &State<'_, '_>, value: Shown| {
                let written = |text: String| safe(format::time(&text, shown, zone(state), of.language));
                text_of(&value).map_or_else(|| none(&of), written)
            });
        }
        let of = Arc::clone(writer);
        environment.add_function("period", move |state: &State<'_, '_>, start: String, stop: String| {
            safe(format::period(&start, &stop, zone(state), of.language))
        });
        let of = Arc::clone(writer);
        environment.add_function(
            "month_or_period",
            move |state: &State<'_, '_>, start: String, stop: String| match format::month_of(&start, &stop) {
                Some(month) => Shown::from(format::month(month, of.language)),
                None => safe(format::period(&start, &stop, zone(state), of.language)),
            },
        );
        let of = Arc::clone(writer);
        environment.add_filter("month", move |value: String| {
            let first = format!("{value}-01").parse().ok();
            first.map_or(value, |first| format::month(first, of.language))
        });
        let of = Arc::clone(writer);
        environment.add_filter("or_none", move |value: Shown| match text_of(&value) {
            Some(text) if !text.is_empty() => value,
            _ => none(&of),
        });
        // Names of others stand apart from the text around them, whichever way they are written.
        environment.add_filter("name", |value: Shown| {
            safe(format!("<bdi>{}</bdi>", escape_exact(&text_of(&value).unwrap_or_default())))
        });
        // What a form sends back as it came.
        environment
            .add_filter("exact", |value: Shown| safe(escape_exact(&text_of(&value).unwrap_or_default())));
        environment.add_filter("segment", |value: String| {
            percent_encoding::utf8_percent_encode(&value, format::SEGMENT).to_string()
        });
    }

    fn add_texts(environment: &mut Environment<'static>, writer: &Arc<ValueWriter>) {
        let of = Arc::clone(writer);
        environment.add_function("t", move |key: String, values: Kwargs| {
            let mut arguments = FluentArgs::new();
            for name in values.args() {
                let value: Shown = values.get(name)?;
                set(&mut arguments, name, &value.to_string());
            }
            let missing = || {
                Error::new(ErrorKind::InvalidOperation, format!("there is no text {key:?} of these values"))
            };
            of.texts.text(&key, &arguments).map(Shown::from).ok_or_else(missing)
        });
        // A text with values that are HTML: what is not marked as such is escaped.
        let of = Arc::clone(writer);
        environment.add_function("th", move |key: String, values: Kwargs| {
            let mut arguments = FluentArgs::new();
            for name in values.args() {
                let value: Shown = values.get(name)?;
                let text = value.to_string();
                set(&mut arguments, name, &if value.is_safe() { text } else { escape(&text) });
            }
            let missing = || {
                Error::new(ErrorKind::InvalidOperation, format!("there is no text {key:?} of these values"))
            };
            of.texts.text(&key, &arguments).map(safe).ok_or_else(missing)
        });
        let language = writer.language;
        // What a problem means, in the language of the page; the text that the server gave, if that is it.
        environment.add_function("problem_meaning", move |code: String, given: Option<String>| {
            problem_words(language, &code).map(|(meaning, _)| meaning).or(given).unwrap_or_default()
        });
        environment.add_function("problem_remedy", move |code: String, given: Option<String>| {
            problem_words(language, &code).map(|(_, remedy)| remedy).or(given).unwrap_or_default()
        });
        // A detail: in the language of the page, or marked as English.
        environment.add_filter("detail", move |value: Shown| {
            let given = text_of(&value).unwrap_or_default();
            safe(match problem_words::detail(language, &given) {
                Some(text) => escape(&text),
                None => format!("<span lang=\"en\">{}</span>", escape(&given)),
            })
        });
        let of = Arc::clone(writer);
        environment.add_function("word", move |kind: String, value: String| of.word(&kind, &value));
        let of = Arc::clone(writer);
        environment.add_filter("resource", move |value: String| of.resource(&value));
        let of = Arc::clone(writer);
        environment.add_filter("unit", move |value: String| of.unit(&value));
        let of = Arc::clone(writer);
        environment.add_filter("state", move |value: Shown| {
            let Some(state) = text_of(&value) else { return none(&of) };
            safe(format!(
                "<span class=\"st {}\">{}</span>",
                class_of(&state),
                escape(&of.word("state", &state))
            ))
        });
        let of = Arc::clone(writer);
        environment.add_filter("seq", move |state: &State<'_, '_>, value: Shown| {
            let Some(text) = text_of(&value) else { return none(&of) };
            let written = format::number(&text, of.language);
            let before = text.parse::<u64>().ok().and_then(|sequence| sequence.checked_sub(1));
            let may = state.lookup("sees_log").is_some_and(|may| may.is_true());
            match before {
                Some(before) if may => safe(format!(
                    "<a href=\"/v1/events?after={before}#e{}\" class=\"nb\">{written}</a>",
                    before + 1
                )),
                _ => Shown::from(written),
            }
        });
        environment.add_function("asset", |name: String| assets().address(&name));
        // The address of this page with other parameters; none removes one.
        environment.add_function("here", |state: &State<'_, '_>, changes: Kwargs| {
            let page = state.lookup("page").unwrap_or_default();
            let query = page.get_attr("query")?;
            let changed: Vec<&str> = changes.args().collect();
            let mut written = form_urlencoded::Serializer::new(String::new());
            for pair in query.try_iter()? {
                let of = |at: usize| pair.get_item_by_index(at).map(|value| value.to_string());
                let (name, value) = (of(0)?, of(1)?);
                if !changed.contains(&name.as_str()) {
                    written.append_pair(&name, &value);
                }
            }
            for name in changed {
                let value: Shown = changes.get(name)?;
                if let Some(value) = text_of(&value) {
                    written.append_pair(name, &value);
                }
            }
            Ok::<_, Error>(format!("?{}", written.finish()))
        });
    }
}

/// What brings a page up to date.
#[derive(Default, Serialize)]
struct FollowedStream {
    /// Where its events come from.
    address: String,
    /// Their types.
    types: String,
}

impl FollowedStream {
    /// The stream of a page; none, if nothing changes it, or its reader has no stream.
    fn of(page: &WebPage, context: &PageContext) -> Option<Self> {
        let told =
            |name: &&str| context.query.iter().any(|(known, value)| known == name && !value.is_empty());
        if page.live.is_empty() || page.settled.iter().any(told) || context.as_of.is_some() {
            return None;
        }
        if !context.reader.is_any(navigation::PEOPLE) {
            return None;
        }
        let all = page.live.contains(&ANY_EVENT);
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !all {
            query.append_pair("type", &page.live.join(","));
        }
        let of_page =
            |(name, value): &&(String, String)| page.followed.contains(&name.as_str()) && !value.is_empty();
        for (name, value) in context.query.iter().filter(of_page) {
            query.append_pair(name, value);
        }
        let types = if all { context.event_types } else { page.live };
        Some(Self { address: format!("/v1/events/stream?{}", query.finish()), types: types.join(",") })
    }
}

fn written(
    language: Language,
    template: &'static str,
    context: &PageContext,
    (section, live, answers, derived): (&str, Option<FollowedStream>, &Answers, Value),
) -> Result<String, RenderFault> {
    let fault = |cause| RenderFault { template, cause };
    let Some(templates) = TEMPLATES.get(language.tag()) else {
        return Err(fault(Error::new(ErrorKind::TemplateNotFound, "there is no such language")));
    };
    let navigation = navigation::of(&context.reader, section);
    let shown = context! {
        page => Shown::from(Serde(context)),
        zone => context.zone.name(),
        sees_log => context.reader.is_any(&["admin", "auditor"]),
        nav => Shown::from(Serde(&navigation)),
        live => Shown::from(Serde(&live)),
        d => Shown::from(Serde(&derived)),
        ..Shown::from(Serde(answers))
    };
    templates.environment.get_template(template).and_then(|known| known.render(shown)).map_err(fault)
}

/// A page, from its answers.
pub fn page(
    page: &WebPage,
    asked: &PageRequest,
    context: &PageContext,
    answers: &Answers,
) -> Result<String, RenderFault> {
    let derived = TEMPLATES.get(context.language.tag()).map_or(Value::Null, |templates| {
        (page.derive)(&DerivedFrom { asked, answers, writer: &templates.writer })
    });
    let html = written(
        context.language,
        page.template,
        context,
        (page.section, FollowedStream::of(page, context), answers, derived),
    )?;
    Ok(match &context.as_of {
        Some(as_of) => past::carried(&html, as_of),
        None => html,
    })
}

/// A problem as a whole page, with the navigation of its reader.
pub fn problem(context: &PageContext, problem: &Value) -> Result<String, RenderFault> {
    let answers = Answers::from([("it".to_owned(), problem.clone())]);
    written(context.language, "problem.html", context, ("", None, &answers, Value::Null))
}

/// What a form was answered, with what was sent in it.
pub fn result(
    of: &FormResult,
    context: &PageContext,
    (value, sent): (&Value, &[(String, String)]),
) -> Result<String, RenderFault> {
    let sent: serde_json::Map<String, Value> =
        sent.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let answers = Answers::from([("it".to_owned(), value.clone()), ("sent".to_owned(), sent.into())]);
    written(context.language, of.template, context, (of.section, None, &answers, Value::Null))
}

/// The page for signing in; `next` is where it leads.
pub fn sign_in(context: &PageContext, next: &str, certificate: bool) -> Result<String, RenderFault> {
    let it = serde_json::json!({"next": next, "certificate": certificate});
    let answers = Answers::from([("it".to_owned(), it)]);
    written(context.language, "sign-in.html", context, ("", None, &answers, Value::Null))
}
