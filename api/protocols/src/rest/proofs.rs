//! What readers check who do not trust the server: checkpoints of the log, proofs, and the tiles that others make
//! proofs from.
//!
//! Checkpoints and tiles are as C2SP `tlog-checkpoint` and `tlog-tiles` have them. The leaf of an event is its stored
//! bytes; leaf n is the event of sequence n + 1. Hashes tell nothing of what they are of; events of a tile are those of
//! all projects, and for auditors of the whole ledger alone.

pub(super) mod describe;

use axum::body::Body;
use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::merkle::Root;
use slapledger_core::log::tiles::{BundlePlace, TilePlace};
use slapledger_engine::notary::{NotaryFault, SignedCheckpoint};
use slapledger_kit::answer::{FileAnswer, HttpAnswer};
use slapledger_kit::problem::Problem;

use super::openapi::schema::{self, List};
use super::query::{Named, Query, list};
use crate::access::Authorised;

/// A signed checkpoint.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Checkpoint")]
pub(crate) struct CheckpointShown {
    /// The name of the log, for ever.
    origin: Box<str>,
    /// How many events it has.
    size: u64,
    /// The root of its tree.
    #[schemars(with = "schema::Hex")]
    root: String,
    /// The key that signed it, as `NAME+ID+KEY`.
    key: String,
    /// The signed note, as C2SP `tlog-checkpoint` has it.
    note: String,
}

/// `GET /v1/log/checkpoint`: of all events that are durable now.
pub(super) async fn checkpoint(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<CheckpointShown>, Problem> {
    let query = Query::read(&uri, &["cosigned"])?;
    query.position(&ctx).await?;
    let cosigned = query.parse::<bool>("cosigned")?.unwrap_or(false);
    let signed = ctx.work_long(move |ctx| {
        if cosigned {
            let none = || Problem::not_found("no witness has cosigned a checkpoint of the present key");
            return ctx.engine.notary.cosigned(Sequence::ZERO).ok_or_else(none);
        }
        ctx.engine.checkpoint().map_err(fault)
    });
    let SignedCheckpoint { checkpoint, key, note } = signed.await?;
    let (root, key, note) = (checkpoint.root.to_string(), key.to_string(), note.to_string());
    let shown = CheckpointShown { origin: checkpoint.origin, size: checkpoint.size, root, key, note };
    Ok(HttpAnswer::ok(Sequence(shown.size), shown).not_stored())
}

/// A checkpoint that was published, with all its signatures.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PublishedCheckpoint")]
pub(crate) struct PublishedCheckpointShown {
    /// How many events it has.
    size: u64,
    /// The root of its tree.
    #[schemars(with = "schema::Hex")]
    root: String,
    /// The names of those who signed it: the log first, then witnesses.
    signers: Vec<Box<str>>,
    /// The signed note.
    note: String,
}

/// `GET /v1/log/checkpoints`: those that were published, the newest first.
pub(super) async fn published(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<PublishedCheckpointShown>>, Problem> {
    let query = Query::read(&uri, &[])?;
    let position = query.position(&ctx).await?;
    let (limit, below) = (query.limit()?, query.cursor::<u64>()?.unwrap_or(u64::MAX));
    let mut found = ctx.engine.notary.kept.before(below, limit + 1);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| last.checkpoint.size);
    let shown = found.iter().map(|published| PublishedCheckpointShown {
        size: published.checkpoint.size,
        root: published.checkpoint.root.to_string(),
        signers: published.note.signatures().iter().map(|signature| signature.name.clone()).collect(),
        note: published.note.to_string(),
    });
    Ok(list(shown.collect(), next, position))
}

/// `GET /log/checkpoint`: the note alone.
pub(super) async fn checkpoint_note(Authorised(ctx): Authorised, uri: Uri) -> Result<FileAnswer, Problem> {
    Query::read(&uri, &[])?.position(&ctx).await?;
    let signed = ctx.work_long(|ctx| ctx.engine.checkpoint().map_err(fault)).await?;
    Ok(FileAnswer::text(Sequence(signed.checkpoint.size), signed.note.to_string()))
}

/// A key of the log.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LogKeyShown {
    /// As `NAME+ID+KEY`.
    key: String,
    /// Since which event it signs.
    since: Sequence,
    at: Timestamp,
}

/// The keys that have signed checkpoints.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LogKeysShown {
    /// The name of the log, for ever.
    origin: Box<str>,
    /// The present one last.
    keys: Vec<LogKeyShown>,
    sequence: Sequence,
}

/// `GET /v1/log/keys`.
pub(super) async fn keys(Authorised(ctx): Authorised, uri: Uri) -> Result<HttpAnswer<LogKeysShown>, Problem> {
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    ctx.access().reach(position).await?;
    let (known, sequence) = ctx.access().read(|view, sequence| (view.log_keys.clone(), sequence));
    let keys = known.into_iter().map(|(since, known)| {
        let key = ctx.engine.notary.verifier(known.public).map_err(fault)?;
        Ok(LogKeyShown { key: key.to_string(), since, at: known.at })
    });
    let keys = keys.collect::<Result<Vec<_>, Problem>>()?;
    let origin = ctx.engine.notary.origin().into();
    Ok(HttpAnswer::ok(sequence, LogKeysShown { origin, keys, sequence }))
}

/// That an event is in the log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "InclusionProof")]
pub(crate) struct InclusionShown {
    sequence: Sequence,
    /// How many events the log has to which the proof belongs.
    size: u64,
    /// The hash of the event: SHA-256 of a zero byte and its stored bytes.
    #[schemars(with = "schema::Hex")]
    leaf_hash: String,
    /// The root of the tree of that size.
    #[schemars(with = "schema::Hex")]
    root: String,
    /// The hashes that lead from the leaf to the root (RFC 9162, 2.1.3).
    #[schemars(with = "Vec<schema::Hex>")]
    hashes: Vec<String>,
}

/// `GET /v1/log/proofs/inclusion?sequence=&size=`.
pub(super) async fn inclusion(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<InclusionShown>, Problem> {
    let query = Query::read(&uri, &["sequence", "size"])?;
    let position = query.position(&ctx).await?;
    let sequence = Sequence(query.required::<u64>("sequence")?);
    let head = ctx.ledger().head();
    let size = query.parse::<u64>("size")?.unwrap_or(head.last.0);
    if size > head.last.0 {
        return Err(Problem::field("size", format!("must be at most {}, which the log has", head.last)));
    }
    if !(1..=size).contains(&sequence.0) {
        return Err(Problem::field("sequence", format!("must be from 1 to size, which is {size}")));
    }
    let proof = ctx.work_long(move |ctx| ctx.engine.notary.inclusion(sequence, size, head).map_err(fault));
    let proof = proof.await?.ok_or_else(|| Problem::field("size", "must be a size that the log had"))?;
    let (leaf_hash, hashes) = (Root(proof.leaf).to_string(), shown(&proof.path));
    let shown = InclusionShown { sequence, size, leaf_hash, root: proof.root.to_string(), hashes };
    Ok(HttpAnswer::ok(position, shown))
}

/// That a log continues what it was.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConsistencyProof")]
pub(crate) struct ConsistencyShown {
    /// How many events the earlier log has.
    from: u64,
    /// How many events the later log has.
    to: u64,
    #[schemars(with = "schema::Hex")]
    root_from: String,
    #[schemars(with = "schema::Hex")]
    root_to: String,
    /// The hashes that lead to both roots (RFC 9162, 2.1.4).
    #[schemars(with = "Vec<schema::Hex>")]
    hashes: Vec<String>,
}

/// `GET /v1/log/proofs/consistency?from=&to=`.
pub(super) async fn consistency(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<ConsistencyShown>, Problem> {
    let query = Query::read(&uri, &["from", "to"])?;
    let position = query.position(&ctx).await?;
    let from = query.required::<u64>("from")?;
    let head = ctx.ledger().head();
    let to = query.parse::<u64>("to")?.unwrap_or(head.last.0);
    if to > head.last.0 {
        return Err(Problem::field("to", format!("must be at most {}, which the log has", head.last)));
    }
    if from > to {
        return Err(Problem::field("from", format!("must be at most to, which is {to}")));
    }
    let proof = ctx.work_long(move |ctx| ctx.engine.notary.consistency(from, to, head).map_err(fault));
    let proof = proof.await?.ok_or_else(|| Problem::field("to", "must be a size that the log had"))?;
    let (root_from, root_to) = (proof.before.to_string(), proof.after.to_string());
    let shown = ConsistencyShown { from, to, root_from, root_to, hashes: shown(&proof.path) };
    Ok(HttpAnswer::ok(position, shown))
}

fn shown(hashes: &[[u8; 32]]) -> Vec<String> {
    hashes.iter().map(|hash| Root(*hash).to_string()).collect()
}

/// `GET /log/tile/{path}`: the hashes of a tile, as `tlog-tiles` has them.
pub(super) async fn tile(
    Authorised(ctx): Authorised,
    Named(path): Named<String>,
    uri: Uri,
) -> Result<FileAnswer, Problem> {
    Query::read(&uri, &[])?.position(&ctx).await?;
    let place: TilePlace = path.parse().map_err(|fault| Problem::not_found(format!("{path}: {fault}")))?;
    let head = ctx.ledger().head();
    let tile = ctx.work_long(move |ctx| ctx.engine.notary.tile(place, head).map_err(fault)).await?;
    let tile = tile.ok_or_else(|| not_yet(&path, head.last))?;
    Ok(FileAnswer::bytes(head.last, Body::from(tile)))
}

/// `GET /log/entries/{path}`: the events of a tile of leaves.
pub(super) async fn entries(
    Authorised(ctx): Authorised,
    Named(path): Named<String>,
    uri: Uri,
) -> Result<FileAnswer, Problem> {
    Query::read(&uri, &[])?.position(&ctx).await?;
    let place: BundlePlace = path.parse().map_err(|fault| Problem::not_found(format!("{path}: {fault}")))?;
    let head = ctx.ledger().head();
    let bundle = ctx.work_long(move |ctx| ctx.engine.notary.bundle(place, head).map_err(fault)).await?;
    let bundle = bundle.ok_or_else(|| not_yet(&path, head.last))?;
    Ok(FileAnswer::bytes(head.last, Body::from(bundle)))
}

fn not_yet(path: &str, last: Sequence) -> Problem {
    Problem::not_found(format!("{path} has more than the {last} events of the log"))
}

fn fault(fault: NotaryFault) -> Problem {
    match fault {
        NotaryFault::NoKey => Problem::not_found(fault.to_string()),
        fault => Problem::fault(&fault),
    }
}

#[cfg(test)]
mod tests;
