//! What a master says of the state of a computer, an instance or a piece of software: the last thing its node said.
//!
//! Nodes, panels and scripts of SlapOS read these dictionaries; slapos proxy answers nothing of use.

use std::collections::BTreeMap;

use axum::extract::Request;
use slapledger_core::domain::id::{ComputerId, Sequence, SoftwareRelease};
use slapledger_core::domain::instance::ReportedState;
use slapledger_core::domain::software::SoftwareState;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::keyring::KeyRing;
use slapledger_projections::SlapViews;
use slapledger_projections::instances::Instance;
use slapledger_projections::inventory::Supply;

use super::form::Fields;
use super::partition::Place;
use super::reply::{Reply, document};
use super::wire::documents;
use super::{no_computer, read, sealing};
use crate::access::Here;
use crate::app::App;
use crate::http::problem::Problem;

/// Who speaks when nobody has spoken yet.
const MASTER: &str = "SlapOS Master";
/// A node that says nothing for so long is late.
const LATE_MICROS: i64 = 15 * 60 * 1_000_000;

/// What the node of an instance last said of it, in one line.
pub(crate) fn text(keys: &KeyRing, instance: &Instance) -> String {
    match instance.reported {
        None => format!("#error no data found for {}", instance.id),
        Some(ReportedState::Started) => "#access Instance correctly started".to_owned(),
        Some(ReportedState::Stopped) => "#access Instance correctly stopped".to_owned(),
        Some(ReportedState::Destroyed) => "#access Instance destroyed".to_owned(),
        Some(ReportedState::Error) => {
            let log = instance.error.as_ref().and_then(|error| sealing::open(keys, error));
            format!("#error {}", log.as_deref().unwrap_or("while processing the instance"))
        }
    }
}

/// A dictionary as the master has it.
fn dictionary(now: Timestamp, user: &str, text: String, at: Option<Timestamp>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        ("user".to_owned(), if at.is_some() { user } else { MASTER }.to_owned()),
        ("text".to_owned(), text),
        ("created_at".to_owned(), at.unwrap_or(now).to_string()),
        ("since".to_owned(), at.unwrap_or(now).to_string()),
        ("state".to_owned(), String::new()),
    ]);
    let late = at.is_none_or(|at| now.micros().saturating_sub(at.micros()) > LATE_MICROS);
    all.insert("no_data_since_15_minutes".to_owned(), u8::from(late).to_string());
    if at.is_none() {
        all.insert("no_data".to_owned(), "1".to_owned());
    }
    all
}

/// `GET getComputerStatus`: when the computer was last heard of.
pub(super) async fn computer(Here(app): Here, request: Request) -> Reply {
    let id: ComputerId = Fields::of_query(&request).id("computer_id")?;
    document(documents::text_dict(&of_computer(&app, &id).await?))
}

/// When a computer was last heard of.
pub(crate) async fn of_computer(app: &App, id: &ComputerId) -> Result<BTreeMap<String, String>, Problem> {
    let known = read(app, Sequence::ZERO, |view, _| {
        let known = view.inventory.computer(id.as_str()).filter(|known| app.caller.sees_computer(known))?;
        Some((known.is_in_trouble(), known.silent_since))
    });
    let (trouble, silent) = known.await?.ok_or_else(|| no_computer(id))?;
    let heard = app.contacts.last(id).or(silent);
    let text = match heard {
        None => format!("#error no data found for {id}"),
        Some(_) if trouble => format!("#error too many instances of {id} are in error"),
        Some(_) if silent.is_some() => format!("#error {id} fell silent"),
        Some(_) => "#access Computer is available".to_owned(),
    };
    Ok(dictionary(app.now(), id.as_str(), text, heard))
}

/// `GET getComputerPartitionStatus`.
pub(super) async fn partition(Here(app): Here, request: Request) -> Reply {
    let fields = Fields::of_query(&request);
    let place = Place::of(&app, &fields).await?;
    let find = |view: &SlapViews, _| {
        place.find(app.mode, view)?;
        place.occupant(view).cloned().ok_or_else(|| place.is_free())
    };
    let instance = read(&app, Sequence::ZERO, find).await??;
    let text = text(&app.keys, &instance);
    let user = place.computer().to_string();
    document(documents::text_dict(&dictionary(app.now(), &user, text, instance.reported_at)))
}

/// `GET getSoftwareInstallationStatus`.
pub(super) async fn software(Here(app): Here, request: Request) -> Reply {
    let fields = Fields::of_query(&request);
    let computer: ComputerId = fields.id("computer_id")?;
    let release: SoftwareRelease = fields.id("url")?;
    let find = |view: &SlapViews, _| {
        let known =
            view.inventory.computer(computer.as_str()).filter(|known| app.caller.sees_computer(known));
        let known = known.ok_or_else(|| no_computer(&computer))?;
        let not_there = || {
            Problem::not_found(format!("software release {release} is not supplied to computer {computer}"))
        };
        known.supplies().get(release.as_str()).cloned().ok_or_else(not_there)
    };
    let supply = read(&app, Sequence::ZERO, find).await??;
    let text = of_software(&app.keys, release.as_str(), &supply);
    document(documents::text_dict(&dictionary(app.now(), computer.as_str(), text, supply.reported_at)))
}

/// What a computer last said of a release, in one line.
pub(crate) fn of_software(keys: &KeyRing, release: &str, supply: &Supply) -> String {
    match supply.reported {
        None => format!("#error no data found for {release}"),
        Some(SoftwareState::Building) => format!("#building software release {release}"),
        Some(SoftwareState::Available) => format!("#access software release {release} available"),
        Some(SoftwareState::Destroyed) => format!("#access software release {release} removed"),
        Some(SoftwareState::Error) => {
            let log = supply.error.as_ref().and_then(|error| sealing::open(keys, error));
            format!("#error {}", log.as_deref().unwrap_or("while installing the software release"))
        }
    }
}
