//! `slapledger witness`: cosigns checkpoints of other ledgers (C2SP tlog-witness, tlog-cosignature).
//!
//! What it cosigned last of each log is a file, written before the cosignature is given out. So it never cosigns a tree
//! that does not continue that one, also after a restart. Two checkpoints of one size that a log signed with two roots are
//! kept as evidence. A checkpoint whose proof does not hold is no evidence: whoever sends it may have made up the proof.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use clap::Args;
use sha2::{Digest as _, Sha256};
use slapledger_client::print::say;
use slapledger_core::log::checkpoint::Checkpoint;
use slapledger_core::log::cosigning::{
    CosignedTree, CosigningRefusal, CosigningRequest, check_continues, check_signed,
};
use slapledger_core::log::note::{MAX_BYTES, SignatureKind, SignedNote, Signer, Verifier, is_name};
use slapledger_core::secret_files::{create_folder, refuse_exposed};
use slapledger_net::{self as net, Connections};

use super::log_key;
use super::serve::Signals;
use super::warnings;

/// The key of the witness, in its folder.
const KEY: &str = "witness.key";
/// The folder of what was cosigned last of each log.
const LOGS: &str = "logs";
/// The folder of checkpoints that contradict that.
const EVIDENCE: &str = "evidence";
/// The folder of signed checkpoints that no proof has shown to continue that: somebody has to look at them.
const UNPROVED: &str = "unproved";
/// So many files are kept in each of these two.
const MOST_KEPT: usize = 1000;
/// Held by the process that uses the folder: two of them could cosign two trees of one size.
const LOCK: &str = "lock";
/// The most bytes of a request: a note and a proof.
const MOST_BYTES: usize = MAX_BYTES + 8 * 1024;

#[derive(Args)]
pub(super) struct WitnessArgs {
    /// The folder of the witness; it is created
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Name of the witness, an address without scheme (witness.example/w1)
    #[arg(long)]
    name: String,
    /// Key of a log to cosign; repeatable
    #[arg(long = "log", value_name = "KEY", required = true)]
    logs: Vec<Verifier>,
    /// Address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5010")]
    listen: SocketAddr,
}

/// A witness that runs.
struct LogWitness {
    signer: Signer,
    logs: Vec<Verifier>,
    folder: PathBuf,
    /// Locked as long as this process runs.
    _lock: File,
    /// Held while a request is checked and recorded: the two are one step.
    turn: Mutex<()>,
}

pub(super) fn run(asked: &WitnessArgs) -> anyhow::Result<()> {
    warnings::to_stderr();
    for log in &asked.logs {
        ensure!(
            log.kind() == SignatureKind::Log,
            "--log: {} is the key of a witness, not of a log",
            log.name()
        );
    }
    ensure!(
        asked.listen.ip().is_loopback(),
        "--listen {}: a witness speaks plain HTTP and listens on loopback alone; put a reverse proxy in front",
        asked.listen
    );
    ensure!(
        is_name(&asked.name),
        "--name {}: must be an address without scheme, such as witness.example/w1",
        asked.name
    );
    let witness = LogWitness::open(&asked.data, &asked.name, asked.logs.clone())?;
    let key = witness.signer.verifier().to_string();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        let signals = Signals::listen().context("wait for signals")?;
        let listen = asked.listen;
        let listener =
            tokio::net::TcpListener::bind(listen).await.with_context(|| format!("listen on {listen}"))?;
        let address = listener.local_addr().context("find the address that was bound")?;
        say!("key       {key}");
        say!("witness   http://{address}/ until stopped (ctrl-c)");
        let routes =
            Router::new().route("/add-checkpoint", post(add_checkpoint)).with_state(Arc::new(witness));
        net::serve(listener, routes, None, &Connections::default(), signals.stopped()).await.context("serve")
    })
}

async fn add_checkpoint(State(witness): State<Arc<LogWitness>>, body: Body) -> Response {
    let Ok(body) = axum::body::to_bytes(body, MOST_BYTES).await else {
        let detail = format!("a request has at most {MOST_BYTES} bytes\n");
        return (StatusCode::PAYLOAD_TOO_LARGE, detail).into_response();
    };
    let Ok(body) = String::from_utf8(body.to_vec()) else {
        return (StatusCode::BAD_REQUEST, "a request is text in UTF-8\n").into_response();
    };
    // It waits for the disk.
    let answered = tokio::task::spawn_blocking(move || witness.answer(&body, now())).await;
    answered.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "this is the edge")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl LogWitness {
    /// Opens the folder of a witness; makes it, with a key.
    fn open(folder: &Path, name: &str, logs: Vec<Verifier>) -> anyhow::Result<Self> {
        for folder in [folder, &folder.join(LOGS), &folder.join(EVIDENCE), &folder.join(UNPROVED)] {
            if !folder.is_dir() {
                create_folder(folder)?;
            }
        }
        refuse_exposed(folder)?;
        let lock = lock(folder)?;
        let path = folder.join(KEY);
        log_key::make(&path)?;
        let signer = Signer::from_pkcs8(name, SignatureKind::Cosignature, &log_key::read_file(&path)?)
            .context("--name")?;
        Ok(Self { signer, logs, folder: folder.to_owned(), _lock: lock, turn: Mutex::default() })
    }

    /// What a request is answered.
    fn answer(&self, body: &str, now: u64) -> Response {
        let request = match CosigningRequest::parse(body) {
            Ok(request) => request,
            Err(fault) => return (StatusCode::BAD_REQUEST, format!("{fault}\n")).into_response(),
        };
        match self.cosign(&request, now) {
            Ok(Ok(signature)) => (StatusCode::OK, signature).into_response(),
            Ok(Err(refusal)) => refused(&refusal),
            Err(fault) => {
                tracing::error!("{fault:#}");
                let detail = "the witness cannot read or write what it cosigned; its operator finds the cause in its log\n";
                (StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
            }
        }
    }

    /// The line of a cosignature, after the tree was recorded.
    fn cosign(
        &self,
        request: &CosigningRequest,
        now: u64,
    ) -> anyhow::Result<Result<String, CosigningRefusal>> {
        let checkpoint = match check_signed(request, &self.logs) {
            Ok(checkpoint) => checkpoint,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known(&checkpoint.origin)?;
        if let Err(refusal) = check_continues(request, &checkpoint, known) {
            match refusal {
                CosigningRefusal::Forked { .. } => {
                    tracing::error!("{}: {refusal}", checkpoint.origin);
                    self.keep_evidence(&checkpoint, &request.note)?;
                }
                CosigningRefusal::Inconsistent { .. } => {
                    tracing::warn!("{}: {refusal}", checkpoint.origin);
                    self.keep(UNPROVED, &checkpoint, &request.note)?;
                }
                _ => {}
            }
            return Ok(Err(refusal));
        }
        let signature = self.signer.sign(request.note.text(), now);
        if known.size < checkpoint.size {
            let text = request.note.to_string();
            replace(&self.folder.join(LOGS), &name_of(&checkpoint.origin), text.as_bytes())?;
        }
        Ok(Ok(format!("{signature}\n")))
    }

    /// The tree of a log that was cosigned last.
    fn known(&self, origin: &str) -> anyhow::Result<CosignedTree> {
        let path = self.folder.join(LOGS).join(name_of(origin));
        let damaged =
            || format!("{} cannot be read or is damaged; make a witness with another key", path.display());
        let text = match fs::read_to_string(&path) {
            // Any other error must not make the witness forget what it cosigned.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(CosignedTree::EMPTY),
            read => read.with_context(damaged)?,
        };
        let note = SignedNote::parse(&text).with_context(damaged)?;
        let Checkpoint { origin: found, size, root } =
            Checkpoint::parse(note.text()).with_context(damaged)?;
        ensure!(*found == *origin, damaged());
        Ok(CosignedTree { size, root })
    }

    /// Keeps two checkpoints of one size with two roots: the one that was cosigned, and the other one.
    fn keep_evidence(&self, checkpoint: &Checkpoint, note: &SignedNote) -> anyhow::Result<()> {
        let path = self.folder.join(LOGS).join(name_of(&checkpoint.origin));
        let cosigned = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let cosigned = SignedNote::parse(&cosigned)?;
        self.keep(EVIDENCE, &Checkpoint::parse(cosigned.text())?, &cosigned)?;
        self.keep(EVIDENCE, checkpoint, note)
    }

    /// Keeps a checkpoint in a folder, if there is room and it is not there.
    fn keep(&self, folder: &str, checkpoint: &Checkpoint, note: &SignedNote) -> anyhow::Result<()> {
        let folder = self.folder.join(folder);
        let short: String = checkpoint.root.to_string().chars().take(16).collect();
        let name = format!("{}-{}-{short}.note", name_of(&checkpoint.origin), checkpoint.size);
        if folder.join(&name).exists() || fs::read_dir(&folder)?.count() >= MOST_KEPT {
            return Ok(());
        }
        replace(&folder, &name, note.to_string().as_bytes())
    }
}

/// Keeps the folder of a witness from other processes.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(LOCK);
    let file = File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("{} is in use by another witness; stop it, or name another folder", folder.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
    }
}

/// The name of the file of a log: names of logs may hold anything but spaces.
fn name_of(origin: &str) -> String {
    let digest = Sha256::digest(origin.as_bytes());
    digest.iter().take(16).fold(String::new(), |name, byte| name + &format!("{byte:02x}"))
}

/// Has a file on the disk in place of the one before.
fn replace(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let (path, new) = (folder.join(name), folder.join(format!("{name}.new")));
    let written = || {
        let mut file = File::create(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()
    };
    written().with_context(|| format!("write {}", path.display()))
}

fn refused(refusal: &CosigningRefusal) -> Response {
    let detail = format!("{refusal}\n");
    match refusal {
        CosigningRefusal::UnknownLog { .. } => (StatusCode::NOT_FOUND, detail).into_response(),
        CosigningRefusal::NotSigned { .. } => (StatusCode::FORBIDDEN, detail).into_response(),
        CosigningRefusal::NoCheckpoint(_) | CosigningRefusal::OldSize { .. } => {
            (StatusCode::BAD_REQUEST, detail).into_response()
        }
        CosigningRefusal::OtherSize { known: size, .. } | CosigningRefusal::Forked { size, .. } => {
            let kind = [(header::CONTENT_TYPE, "text/x.tlog.size")];
            (StatusCode::CONFLICT, kind, format!("{size}\n")).into_response()
        }
        CosigningRefusal::Inconsistent { .. } => (StatusCode::UNPROCESSABLE_ENTITY, detail).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use slapledger_core::log::merkle::{Root, Tree};

    use super::*;

    fn log() -> Signer {
        Signer::new("example.org/log", SignatureKind::Log, &[3; 32]).expect("a key")
    }

    fn root_of(leaves: &[&str]) -> Root {
        let mut tree = Tree::new();
        for leaf in leaves {
            tree.push(leaf.as_bytes());
        }
        tree.root()
    }

    /// A request from nothing, or from the tree of one leaf `a`.
    fn body(old: u64, leaves: &[&str], hashes: Vec<[u8; 32]>) -> String {
        let checkpoint =
            Checkpoint { origin: "example.org/log".into(), size: leaves.len() as u64, root: root_of(leaves) };
        let mut note = SignedNote::unsigned(&checkpoint.text()).expect("a text");
        note.add(log().sign(note.text(), 0));
        CosigningRequest { old, hashes, note }.body()
    }

    fn status(witness: &LogWitness, body: &str) -> u16 {
        witness.answer(body, 1_790_000_000).status().as_u16()
    }

    #[test]
    fn a_fork_is_refused_and_kept_also_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || {
            let logs = vec![log().verifier().clone()];
            LogWitness::open(&folder.path().join("witness"), "witness.example", logs).expect("a witness")
        };
        let witness = open();
        assert_eq!(status(&witness, &body(0, &["a"], Vec::new())), 200);
        assert_eq!(status(&witness, &body(0, &["a"], Vec::new())), 409);
        let key = witness.signer.verifier().clone();
        drop(witness);
        let witness = open();
        assert_eq!(*witness.signer.verifier(), key);
        // Another tree of the same size, and one that does not continue it.
        assert_eq!(status(&witness, &body(1, &["b"], Vec::new())), 409);
        let leaf = slapledger_core::log::merkle::leaf_hash;
        assert_eq!(status(&witness, &body(1, &["b", "c"], vec![leaf(b"c")])), 422);
        // What proves the fork is there: both checkpoints of one size. A proof that does not hold proves nothing.
        let names = |folder: &str| {
            let listed = fs::read_dir(witness.folder.join(folder)).expect("a folder");
            let mut names: Vec<String> = listed
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
                .collect();
            names.sort();
            names
        };
        let of = |leaves: &[&str]| {
            let short: String = root_of(leaves).to_string().chars().take(16).collect();
            format!("{}-{}-{short}.note", name_of("example.org/log"), leaves.len())
        };
        let mut both = [of(&["a"]), of(&["b"])];
        both.sort();
        assert_eq!(names(EVIDENCE), both);
        assert_eq!(names(UNPROVED), [of(&["b", "c"])]);
        // An honest checkpoint with a made-up proof is no evidence either.
        assert_eq!(status(&witness, &body(1, &["a", "c"], vec![leaf(b"d")])), 422);
        assert_eq!(names(EVIDENCE), both);
        assert_eq!(status(&witness, &body(1, &["a", "c"], vec![leaf(b"c")])), 200);
        assert_eq!(status(&witness, "old"), 400);
    }

    #[test]
    fn a_witness_that_cannot_read_what_it_cosigned_cosigns_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = vec![log().verifier().clone()];
        let witness = LogWitness::open(&folder.path().join("w"), "witness.example", logs).expect("a witness");
        assert_eq!(status(&witness, &body(0, &["a"], Vec::new())), 200);
        let path = witness.folder.join(LOGS).join(name_of("example.org/log"));
        let kept = fs::read(&path).expect("it is there");
        for damage in ["", "nothing", "example.org/other\n1\nAAAA\n\n\u{2014} a AAAAAAA=\n"] {
            fs::write(&path, damage).expect("written");
            assert_eq!(status(&witness, &body(0, &["b"], Vec::new())), 500, "{damage:?}");
        }
        // A folder in its place cannot be read as a file, and is not taken for a log that is new.
        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("created");
        assert_eq!(status(&witness, &body(0, &["b"], Vec::new())), 500);
        fs::remove_dir(&path).expect("removed");
        fs::write(&path, kept).expect("written");
        assert_eq!(status(&witness, &body(0, &["b"], Vec::new())), 409);
    }

    #[test]
    fn one_process_has_a_folder_and_others_may_not_write_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w");
        let open = || {
            let logs = vec![log().verifier().clone()];
            LogWitness::open(&path, "witness.example", logs).map_err(|fault| format!("{fault:#}"))
        };
        let witness = open().expect("a witness");
        let refused = open().map(drop).expect_err("it is in use");
        assert!(refused.contains("is in use by another witness"), "{refused}");
        drop(witness);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).expect("set");
        let refused = open().map(drop).expect_err("others could set it back");
        assert!(refused.contains("is open to others than its owner"), "{refused}");
    }

    #[test]
    fn a_cosignature_is_one_of_the_checkpoint() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = vec![log().verifier().clone()];
        let witness = LogWitness::open(&folder.path().join("w"), "witness.example", logs).expect("a witness");
        let request = CosigningRequest::parse(&body(0, &["a"], Vec::new())).expect("a request");
        let signature =
            witness.cosign(&request, 1_790_000_000).expect("it is recorded").expect("it is cosigned");
        let mut note = request.note;
        note.add(signature.trim_end().parse().expect("a signature"));
        assert_eq!(witness.signer.verifier().check(&note), Ok(Some(1_790_000_000)));
    }
}
