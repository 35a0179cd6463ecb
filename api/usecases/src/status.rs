//! The state of a computer, an instance or a piece of software in words: the last thing its node said.

use std::collections::BTreeMap;

use slapledger_core::domain::id::{ComputerId, Sequence};
use slapledger_core::domain::instance::ReportedState;
use slapledger_core::domain::software::SoftwareState;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::keyring::KeyRing;
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing;
use slapledger_projections::instances::InstanceView;
use slapledger_projections::inventory::Supply;

use super::context::RequestContext;
use super::reading::{no_computer, read};

/// Who speaks when nobody has spoken yet.
const MASTER: &str = "SlapOS Master";
/// A node that says nothing for so long is late.
const LATE_MICROS: i64 = 15 * 60 * 1_000_000;

/// What the node of an instance last said of it, in one line.
pub fn text(keys: &KeyRing, instance: &InstanceView) -> String {
    if instance.lost_since.is_some() {
        return "#error its computer does not offer its partition any more".to_owned();
    }
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
pub fn dictionary(
    now: Timestamp,
    user: &str,
    text: String,
    at: Option<Timestamp>,
) -> BTreeMap<String, String> {
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

/// When a computer was last heard of.
pub async fn of_computer(ctx: &RequestContext, id: &ComputerId) -> Result<BTreeMap<String, String>, Problem> {
    let known = read(ctx, Sequence::ZERO, |view, _| {
        let known = view.inventory.computer(id.as_str()).filter(|known| ctx.caller.sees_computer(known))?;
        Some((known.is_in_trouble(), known.silent_since))
    });
    let (trouble, silent) = known.await?.ok_or_else(|| no_computer(id))?;
    let heard = ctx.last_heard(id).or(silent);
    let text = match heard {
        None => format!("#error no data found for {id}"),
        Some(_) if trouble => format!("#error too many instances of {id} are in error"),
        Some(_) if silent.is_some() => format!("#error {id} fell silent"),
        Some(_) => "#access Computer is available".to_owned(),
    };
    Ok(dictionary(ctx.now(), id.as_str(), text, heard))
}

/// What a computer last said of a release, in one line.
pub fn of_software(keys: &KeyRing, release: &str, supply: &Supply) -> String {
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
