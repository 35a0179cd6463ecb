//! How the server is: faults first, views, disk, and credentials that expire soon.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::values::{items, text};
use crate::answers::{Answers, DerivedFrom, PageRequest, Part};
use crate::{chart, format};

/// The most credentials and projects that are shown.
const MOST: u32 = 200;
/// What expires within so many days is shown.
const SOON_DAYS: i64 = 30;
/// The projections of each view, which are rebuilt together.
const VIEWS: [(&str, &[&str]); 3] = [
    ("slap", &["inventory", "instances", "catalogue"]),
    ("billing", &["metering", "billing", "journal"]),
    ("access", &["access"]),
];

pub(crate) fn parts(asked: &PageRequest, _: &Answers) -> Vec<Part> {
    let mut parts =
        vec![Part::new("health", "/healthz"), Part::new("projects", format!("/v1/projects?limit={MOST}"))];
    for (view, projections) in VIEWS {
        parts.push(Part::new(part_of(view), format!("/v1/projections/{}/generations", projections[0])));
    }
    if let Some(now) = format::parse(&asked.now) {
        let soon = (now + TimeDelta::days(SOON_DAYS)).format("%Y-%m-%dT%H:%M:%SZ");
        parts.push(Part::new("credentials", format!("/v1/credentials?expires_before={soon}&limit={MOST}")));
    }
    parts
}

/// What the page calls the generations of a view.
fn part_of(view: &str) -> String {
    format!("generations-{view}")
}

/// The generation of a view that is not live, with what a reader may do about it.
fn aside(view: &DerivedFrom<'_>, name: &str) -> Value {
    let generations = view.answers.get(&part_of(name)).unwrap_or(&Value::Null);
    let Some(aside) = items(&generations["items"]).get(1) else { return Value::Null };
    let changes: &[&str] = match text(aside, "state") {
        "building" | "comparing" => &["cancel"],
        "ready" => &["swap", "cancel"],
        "previous" => &["confirm", "swap-back"],
        _ => &[],
    };
    let differences = generations["latest"]["differences"]["count"].as_u64().unwrap_or_default();
    json!({"it": aside, "changes": changes, "differences": differences})
}

/// Why the last rebuild of a view failed, if it did.
fn failed(view: &DerivedFrom<'_>, name: &str) -> Value {
    view.answers.get(&part_of(name)).map_or(Value::Null, |generations| generations["latest"]["cause"].clone())
}

/// Bytes in the largest unit that keeps at least one.
fn bytes(view: &DerivedFrom<'_>, count: u64) -> String {
    let mut of = (count, "B");
    for unit in ["KiB", "MiB", "GiB", "TiB"] {
        if of.0 < 1024 {
            break;
        }
        of = (of.0 / 1024, unit);
    }
    format!("{} {}", format::number(&of.0.to_string(), view.writer.language), of.1)
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let health = view.answers.get("health").unwrap_or(&Value::Null);
    let codes = items(&health["fault_codes"]);
    let mut faults: Vec<Value> = items(&health["faults"])
        .iter()
        .enumerate()
        .map(|(at, fault)| json!({"state": "failed", "text": fault, "code": codes.get(at)}))
        .collect();
    let views = items(&health["views"]);
    for lagging in views.iter().filter(|view| view["lag"].as_u64().is_some_and(|lag| lag > 1000)) {
        let told = [("view", text(lagging, "name").to_owned()), ("lag", lagging["lag"].to_string())];
        faults.push(json!({"state": "overdue", "text": view.writer.text("view-lags", &told)}));
    }
    let list = |name: &str| view.answers.get(name).map_or(&[][..], |list| items(&list["items"]));
    let is_more = |name: &str| view.answers.get(name).is_some_and(|list| list["next"].is_string());
    let mut expiring: Vec<&Value> = list("credentials").iter().collect();
    expiring.sort_by_key(|credential| text(credential, "expires_at"));
    let shown = views.iter().map(|it| {
        let known = VIEWS.into_iter().find(|(name, _)| *name == text(it, "name"));
        let since = it["position"].as_u64().zip(it["snapshot"].as_u64());
        let since = since.map(|(position, snapshot)| position.saturating_sub(snapshot));
        let aside = aside(view, text(it, "name"));
        let failed = failed(view, text(it, "name"));
        json!({"it": it, "aside": aside, "failed": failed, "since": since, "projections": known.map_or(&["inventory"][..], |(_, projections)| projections)})
    });
    let disk = health["disk"].is_object().then(|| {
        let of = |member: &str| health["disk"][member].as_u64().unwrap_or_default();
        let (free, total, reserve) = (of("free_bytes"), of("total_bytes"), of("reserve_bytes"));
        json!({"free": bytes(view, free), "total": bytes(view, total), "reserve": bytes(view, reserve),
            "used": chart::share((total.saturating_sub(free)).into(), total.into()),
            "is_short": free < reserve.saturating_mul(2)})
    });
    let queue = &health["queue"];
    let is_full = queue["waiting"].as_u64().zip(queue["most"].as_u64());
    let is_full = is_full.is_some_and(|(waiting, most)| waiting * 2 > most);
    json!({
        "faults": faults, "views": shown.collect::<Vec<_>>(), "expiring": expiring,
        "more_expiring": is_more("credentials"), "more_projects": is_more("projects"),
        "log": bytes(view, health["store"]["bytes_on_disk"].as_u64().unwrap_or_default()),
        "disk": disk, "queue": queue, "queue_is_full": is_full,
        "lag": views.iter().filter_map(|view| view["lag"].as_u64()).max().unwrap_or_default(),
    })
}
