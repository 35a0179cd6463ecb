//! `slapledger init`: the folder of a master, with all that `serve` needs and a first token to come in by.
//!
//! What was begun and interrupted is finished by doing it again. It never replaces anything that is there.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use slapledger_core::domain::Command;
use slapledger_core::domain::access::{Holder, IssueCredential, Proof, Purpose, Role};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::time::TimeZone;
use slapledger_core::ledger::Clock as _;
use slapledger_core::log::envelope::Actor;
use zeroize::Zeroizing;

use super::Folder;
use super::print::say;
use crate::access::FIRST_PARTY;
use crate::access::token::Token;
use crate::app::{App, Open};
use crate::ca::Authority;
use crate::clock::SystemClock;

/// Where the authority is, in a data folder.
pub(super) const AUTHORITY: &str = "ca";
/// Where the key is that signs checkpoints.
const SIGNING_KEY: &str = "signing.key";

/// What is to be made.
pub(super) struct Init<'a> {
    /// Where.
    pub(super) folder: &'a Folder,
    /// What the authority and the first party are called.
    pub(super) name: &'a str,
    /// Where months of the first party begin.
    pub(super) time_zone: TimeZone,
    /// Where the token goes; printed, if nowhere is said.
    pub(super) token_file: Option<&'a Path>,
}

pub(super) fn run(init: &Init<'_>) -> anyhow::Result<()> {
    let data = &init.folder.data;
    private_folder(data)?;
    let authority = data.join(AUTHORITY);
    let now = SystemClock.now();
    let is_new = match Authority::open(&authority) {
        Ok(_) => false,
        Err(_) => {
            Authority::create(&authority, init.name, now)?;
            true
        }
    };
    signing_key(&data.join(SIGNING_KEY))?;
    let app = App::open(Open {
        data,
        mode: Mode::Serve,
        clock: Arc::new(SystemClock),
        master_key: init.folder.master_key(),
    })?;
    let done = fill(&app, init);
    app.shut_down();
    let token = done?;
    say!("data      {}", data.display());
    say!("authority {}{}", authority.display(), if is_new { "" } else { " (was there)" });
    say!("root      {}", authority.join("root.pem").display());
    say!("keep      {} elsewhere: it is not needed to run", authority.join("root.key").display());
    match (token, init.token_file) {
        (None, _) => {
            bail!("{} has an admin already; `slapledger token issue` makes more tokens", data.display())
        }
        (Some(token), None) => say!("token     {}", *token.text()),
        (Some(token), Some(path)) => {
            write_private(path, token.text().as_bytes())?;
            say!("token     {}", path.display());
        }
    }
    say!("serve     slapledger serve --data {}", data.display());
    Ok(())
}

/// The first party, and a token for an admin if there is none.
fn fill(app: &App, init: &Init<'_>) -> anyhow::Result<Option<Token>> {
    if !app.billing_now(|view| view.billing.knows_party(FIRST_PARTY))? {
        let name = app.keys.seal(app.keys.fresh()?, init.name.as_bytes())?;
        let register = RegisterParty { name, time_zone: init.time_zone, description: None };
        app.submit_own(Actor::system(), Command::RegisterParty(register))?;
    }
    let now = app.now();
    if app.access.read_at_blocking(app.ledger.head().last, |view, _| view.access.has_admin(now))? {
        return Ok(None);
    }
    let token = Token::random();
    let issue = IssueCredential {
        credential: token.credential,
        holder: Holder::Operator("first admin".into()),
        roles: Role::Admin.into(),
        all_projects: true,
        purpose: Purpose::Access,
        proof: Proof::Token { digest: token.digest() },
        label: Some("made by init".into()),
        expires_at: None,
        spends: None,
        renews: false,
    };
    app.submit_own(Actor::system(), Command::IssueCredential(Box::new(issue)))?;
    Ok(Some(token))
}

/// Makes the folder for its owner alone; refuses one that others may look into.
fn private_folder(data: &Path) -> anyhow::Result<()> {
    match fs::metadata(data) {
        Ok(there) => {
            let mode = there.permissions().mode() & 0o7777;
            ensure!(
                mode & 0o077 == 0,
                "{} is open to others than its owner (mode {mode:04o}); chmod go= it",
                data.display()
            );
            Ok(())
        }
        Err(_) => fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data)
            .with_context(|| format!("create {}", data.display())),
    }
}

/// An Ed25519 key, if there is none.
fn signing_key(path: &PathBuf) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).context("make a signing key")?;
    write_private(path, Zeroizing::new(key.serialize_pem()).as_bytes())
}

/// Writes a file that nobody else may read and that was not there; whole or not at all.
fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        let temporary = path.with_extension("new");
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::hard_link(&temporary, path)?;
        fs::remove_file(&temporary)
    };
    written().with_context(|| format!("write {}", path.display()))
}
