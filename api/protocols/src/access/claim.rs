//! `Authorization: X-SlapPartition`: which partition a request says it comes from, as clients of SLAP send it from
//! within one. It proves nothing, so anyone who came with a certificate may claim the partition alone that it is of, on
//! any route.

use axum::http::{HeaderMap, header};
use slapledger_kit::problem::Problem;
use slapledger_kit::text::id;
use slapledger_usecases::claim::PartitionClaim;

/// What the header of a request claims.
pub(crate) fn claimed(headers: &HeaderMap) -> Result<Option<PartitionClaim>, Problem> {
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
    Ok(Some(PartitionClaim { computer, partition, by_header: true }))
}
