//! `Authorization: X-SlapPartition`: which partition a request says it comes from, as clients of SLAP send it from within
//! one. It proves nothing, so whoever came with a certificate may claim the partition alone that it is of, on any route.

use axum::http::{HeaderMap, header};
use slapledger_core::domain::id::{ComputerId, PartitionId, Sequence};
use slapledger_projections::SlapViews;

use crate::app::App;
use crate::http::problem::Problem;
use crate::slap::form::id;
use crate::slap::read;

/// A partition that is claimed.
pub(crate) struct Claimed {
    pub(crate) computer: ComputerId,
    pub(crate) partition: PartitionId,
}

impl Claimed {
    /// What the header of a request claims.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
        let text = std::str::from_utf8(value.as_bytes())
            .map_err(|_| Problem::field("authorization", "must be UTF-8"))?;
        let (scheme, told) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        if !scheme.eq_ignore_ascii_case("x-slappartition") {
            return Ok(None);
        }
        let member = |name: &str| {
            let pairs = told.split(',').filter_map(|pair| pair.split_once('='));
            let value = pairs.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| *key == name);
            value
                .map(|(_, value)| value)
                .ok_or_else(|| Problem::field("authorization", format!("must name {name}")))
        };
        let computer = id("authorization", member("computer_id")?)?;
        let partition = id("authorization", member("computer_partition_id")?)?;
        Ok(Some(Self { computer, partition }))
    }

    /// Whether it fits the certificate of whoever the program is seen by, if that is one of a computer or an instance.
    pub(super) async fn check(&self, app: &App) -> Result<(), Problem> {
        let Self { computer, partition } = self;
        app.caller.check_node(computer)?;
        if app.caller.instance().is_none() {
            return Ok(());
        }
        let occupant =
            |view: &SlapViews, _| Some(view.instances.occupant(computer.as_str(), partition.as_str())?.id);
        let occupant = read(app, Sequence::ZERO, occupant).await?;
        app.caller.check_place((computer, partition), occupant)
    }
}
