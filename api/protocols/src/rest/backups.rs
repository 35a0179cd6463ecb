//! Backups over HTTP: what the log consists of now, and its files one by one. Keys are never among them.
//!
//! A file is read a piece at a time, as its client takes it: a slow client holds no thread, and little memory. A tail
//! may be sealed, and gone, while it is downloaded; the downloader verifies what came, and begins again.

pub(super) mod describe;

use std::fs::File;
use std::io::{self, Read as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use hyper::body::{Frame, SizeHint};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::backup::{
    BackupFault, BackupManifest, BackupSource as _, FileDigest, LogFile, NamedFile, PlanFacts, RunningSource,
    open_log_file,
};
use slapledger_core::domain::id::Sequence;
use slapledger_engine::PROGRAM;
use slapledger_kit::answer::{FileAnswer, HttpAnswer};
use slapledger_kit::problem::Problem;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::policy;
use tokio::task::JoinHandle;

use super::openapi::schema;
use super::query::{Named, Query};
use crate::access::{Authorised, ContinuedRequest, Gateway};

/// Read at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// What a backup consists of.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BackupPlan")]
pub(crate) struct PlanForm {
    /// The version of the format.
    format: u32,
    /// The id of the ledger.
    #[schemars(with = "schema::Hex")]
    ledger: String,
    /// What the ledger is run as.
    mode: String,
    #[schemars(with = "schema::Instant")]
    created_at: String,
    /// Name and version of the program.
    program: String,
    /// The last event.
    last: u64,
    /// The root of the log with that event.
    root: String,
    /// The sealed epochs, in order.
    epochs: Vec<EpochForm>,
    /// The tails of the epochs that are not sealed, in order.
    tails: Vec<TailForm>,
    /// The bytes of the file with the term of the newest writer, hexadecimal.
    term: String,
}

/// A sealed epoch.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BackupEpoch")]
struct EpochForm {
    /// Its number, from 1.
    epoch: u32,
    /// Its first event.
    first: u64,
    /// Its last event.
    last: u64,
    /// The root of the log with that event.
    root: String,
    files: Vec<FileForm>,
}

/// The tail of an epoch that is not sealed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BackupTail")]
struct TailForm {
    /// The number of its epoch.
    epoch: u32,
    /// Its first event.
    first: u64,
    /// Its last event; the one before `first` if it has none.
    last: u64,
    file: FileForm,
}

/// A file of the log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BackupFile")]
struct FileForm {
    /// What it is downloaded by.
    name: String,
    /// How many bytes count.
    bytes: u64,
    /// Their SHA-256, hexadecimal; empty for a tail.
    sha256: String,
}

impl From<NamedFile> for FileForm {
    fn from(NamedFile { name, digest: FileDigest { bytes, sha256 } }: NamedFile) -> Self {
        Self { name: name.to_string(), bytes, sha256 }
    }
}

impl From<BackupManifest> for PlanForm {
    fn from(manifest: BackupManifest) -> Self {
        let epochs = manifest.epochs.into_iter().map(|epoch| EpochForm {
            epoch: epoch.epoch,
            first: epoch.first,
            last: epoch.last,
            root: epoch.root,
            files: epoch.files.into_iter().map(Into::into).collect(),
        });
        let tails = manifest.tails.into_iter().map(|tail| TailForm {
            epoch: tail.epoch,
            first: tail.first,
            last: tail.last,
            file: tail.file.into(),
        });
        Self {
            format: manifest.format,
            ledger: manifest.ledger,
            mode: manifest.mode,
            created_at: manifest.created_at,
            program: manifest.program,
            last: manifest.last,
            root: manifest.root,
            epochs: epochs.collect(),
            tails: tails.collect(),
            term: manifest.term,
        }
    }
}

/// `GET /v1/backup`: what the log consists of up to the last event that was acknowledged.
pub(super) async fn plan(Authorised(ctx): Authorised, uri: Uri) -> Result<HttpAnswer<PlanForm>, Problem> {
    Query::read(&uri, &[])?.position(&ctx).await?;
    let planned = tokio::task::spawn_blocking(move || {
        let (created, facts) = (ctx.ledger().created(), PlanFacts { program: PROGRAM, now: ctx.now() });
        RunningSource { store: &ctx.engine.log, created, facts }.plan(None)
    });
    let planned = planned.await.map_err(|error| Problem::fault(&error))?;
    let manifest = planned.map_err(|fault| Problem::fault(&fault))?;
    let sequence = Sequence(manifest.last);
    Ok(HttpAnswer::ok(sequence, PlanForm::from(manifest)))
}

/// `GET /v1/backup/files/{name}`: the bytes of a file of the log; of a tail the first `bytes`. A download may take long: it
/// ends when the credential does.
pub(super) async fn file(
    State(gateway): State<Arc<Gateway>>,
    Authorised(ctx): Authorised,
    Named(name): Named<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<FileAnswer, Problem> {
    let query = Query::read(&uri, &["bytes"])?;
    let bytes = query.sequence("bytes")?.map_or(u64::MAX, |bytes| bytes.0);
    let none = || Problem::not_found(format!("the log has no file {name}; `GET /v1/backup` lists its files"));
    let file: LogFile = name.parse().map_err(|_| none())?;
    let sequence = ctx.ledger().head().last;
    let continued = ContinuedRequest::of(&gateway, &ctx.caller, &headers);
    let opened = tokio::task::spawn_blocking(move || open(&ctx, file, bytes));
    let (opened, length) = match opened.await.map_err(|error| Problem::fault(&error))? {
        Err(BackupFault::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Err(none()),
        opened => opened.map_err(|fault| Problem::fault(&fault))?,
    };
    let check = move || continued.check(&gateway, &policy::LOG_BACKUP).map(drop);
    let body = Body::new(FileBody { state: ReadState::Idle(opened), left: length, check: Box::new(check) });
    Ok(FileAnswer::bytes(sequence, body))
}

/// The file, and how many of its bytes are sent.
fn open(ctx: &Arc<RequestContext>, file: LogFile, bytes: u64) -> Result<(File, u64), BackupFault> {
    let opened = open_log_file(ctx.engine.log.folder(), file, bytes)?.into_inner();
    let length = opened.metadata().map(|found| found.len());
    let length = length.map_err(|source| BackupFault::Io {
        action: "look at",
        path: ctx.engine.log.folder().join(file.path()),
        source,
    })?;
    Ok((opened, length.min(bytes)))
}

/// The bytes of a file, read as they are taken.
struct FileBody {
    state: ReadState,
    left: u64,
    /// Whether its reader may still have it.
    check: Box<dyn Fn() -> Result<(), Problem> + Send>,
}

enum ReadState {
    Idle(File),
    Reading(JoinHandle<io::Result<(File, Vec<u8>)>>),
    Done,
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            match std::mem::replace(&mut self.state, ReadState::Done) {
                ReadState::Done => return Poll::Ready(None),
                ReadState::Idle(_) if self.left == 0 => return Poll::Ready(None),
                ReadState::Idle(file) => {
                    // The client gets fewer bytes than it was promised, and knows.
                    (self.check)().map_err(|problem| io::Error::other(problem.detail))?;
                    let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE_BYTES);
                    self.state = ReadState::Reading(tokio::task::spawn_blocking(move || piece(file, wanted)));
                }
                ReadState::Reading(mut reading) => {
                    let Poll::Ready(read) = Pin::new(&mut reading).poll(context) else {
                        self.state = ReadState::Reading(reading);
                        return Poll::Pending;
                    };
                    let (file, bytes) = read.map_err(io::Error::other)??;
                    self.left -= bytes.len() as u64;
                    self.state = ReadState::Idle(file);
                    return Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// So many bytes of a file, with which it can go on. A file that ends before is one that was replaced: the client gets
/// fewer bytes than it was promised, and knows.
fn piece(mut file: File, wanted: usize) -> io::Result<(File, Vec<u8>)> {
    let mut bytes = vec![0; wanted];
    file.read_exact(&mut bytes)?;
    Ok((file, bytes))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};
    use std::sync::atomic::{AtomicBool, Ordering};

    use http_body_util::BodyExt as _;

    use super::*;

    #[test]
    fn a_download_ends_with_the_credential() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&vec![7; 3 * PIECE_BYTES]).expect("written");
        file.rewind().expect("it is a file");
        let is_good = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&is_good);
        let check = move || {
            let is_good = asked.load(Ordering::Relaxed);
            if is_good { Ok(()) } else { Err(Problem::not_found("the credential was revoked")) }
        };
        let left = 3 * PIECE_BYTES as u64;
        let mut body = FileBody { state: ReadState::Idle(file), left, check: Box::new(check) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let first = body.frame().await.expect("a piece").expect("it is read");
            assert_eq!(first.into_data().map(|bytes| bytes.len()).ok(), Some(PIECE_BYTES));
            is_good.store(false, Ordering::Relaxed);
            let fault = body.frame().await.expect("an end").expect_err("it was revoked");
            assert_eq!(fault.to_string(), "the credential was revoked");
            assert!(body.frame().await.is_none());
        });
    }
}
