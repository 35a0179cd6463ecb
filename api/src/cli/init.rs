//! `slapledger init`: the folder of a master, with all that `serve` needs and a first token to come in by.
//!
//! What was begun and interrupted is finished by doing it again. It never replaces anything that is there.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use anyhow::{Context, bail, ensure};
use slapledger_ca::{self as ca, Authority, AuthorityFault};
use slapledger_client::print::say;
use slapledger_client::private::{self, SecretFile};
use slapledger_core::domain::Command;
use slapledger_core::domain::access::{Holder, Purpose, Role};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::log::envelope::Actor;
use slapledger_dto::token::Token;
use slapledger_engine::clock::SystemClock;
use slapledger_engine::{Engine, Open, accepted};
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::certification::WantedCredential;
use slapledger_usecases::context::RequestContext;

use super::token::issue_to;
use super::{Folder, log_key, progress, warnings};

/// Where the authority is, in a data folder.
pub(super) const AUTHORITY: &str = "ca";

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
    // What is wrong with what was said is told before anything is made.
    ca::check_name(init.name).context("--name")?;
    if let Some(path) = init.token_file {
        drop(SecretFile::at(path)?);
    }
    private_folder(data)?;
    warnings::to_stderr();
    // Before the authority: a folder that is no master's gets none.
    let engine = Engine::open(Open {
        data,
        mode: Mode::Serve,
        clock: Arc::new(SystemClock),
        master_key: init.folder.master_key(),
        progress: &progress::of_views(),
        accept: &accepted,
    })
    .with_context(|| format!("open {}", data.display()))?;
    let ctx = RequestContext::local(Arc::new(engine));
    let done = fill(&ctx, init);
    let closed = ctx.engine.shut_down();
    let done = done?;
    let authority = data.join(AUTHORITY);
    say!("data      {}", data.display());
    say!("authority {}{}", authority.display(), if done.had_authority { " (was there)" } else { "" });
    say!("root      {}", authority.join("root.pem").display());
    say!("keep      {} elsewhere: it is not needed to run", authority.join("root.key").display());
    match init.token_file {
        None => say!("token     {}", *done.token.text()),
        Some(path) => say!("token     {}", path.display()),
    }
    let master_key = init.folder.master_key().map(|path| format!(" --master-key {}", path.display()));
    say!("serve     slapledger serve --data {}{}", data.display(), master_key.unwrap_or_default());
    // Last: the token is good, and is shown only once.
    closed
}

/// What was made.
struct Done {
    had_authority: bool,
    token: Token,
}

/// The authority, the key of checkpoints, the first party, and a token for an admin: each, if it is not there.
fn fill(ctx: &RequestContext, init: &Init<'_>) -> anyhow::Result<Done> {
    let data = &init.folder.data;
    let (folder, key) = (data.join(AUTHORITY), data.join(log_key::SIGNING_KEY));
    let has_party = ctx.billing_now(|view| view.billing.knows_party(FIRST_PARTY))?;
    // They are made before the party: a loss is not made good with something new.
    let had_authority = if has_party {
        ensure!(folder.exists(), "{} is missing; restore it from a backup", folder.display());
        ensure!(key.exists(), "{} is missing; restore it from a backup", key.display());
        Authority::open(&folder).map(|_| true)?
    } else {
        log_key::make(&key)?;
        authority(&folder, init.name, ctx.now())?
    };
    if !has_party {
        let name = ctx.keys().seal(ctx.keys().fresh()?, init.name.as_bytes())?;
        let register = RegisterParty { name, time_zone: init.time_zone, description: None };
        ctx.submit_own(Actor::system(), Command::RegisterParty(register))?;
    }
    if has_admin(ctx)? {
        bail!(
            "{} is made, and has an admin; `slapledger token issue --data {} --role admin --all-projects` makes another \
             token, should theirs be lost",
            data.display(),
            data.display()
        )
    }
    let mut place = init.token_file.map(SecretFile::at).transpose()?;
    let wanted = WantedCredential {
        holder: Holder::Operator("first admin".into()),
        roles: Role::Admin.into(),
        all_projects: true,
        purpose: Purpose::Access,
        label: Some("made by init".into()),
        expires_at: None,
    };
    let token = issue_to(ctx, None, wanted, place.as_mut())?;
    place.map(SecretFile::take).transpose()?;
    Ok(Done { had_authority, token })
}

/// Whether somebody may come in who can let others in.
pub(super) fn has_admin(ctx: &RequestContext) -> anyhow::Result<bool> {
    let now = ctx.now();
    Ok(ctx.access().read_at_blocking(ctx.ledger().head().last, |view, _| view.access.has_admin(now))?)
}

/// Whether there was an authority; one is made, if there was none. One that is damaged is left as it is.
fn authority(folder: &Path, name: &str, now: Timestamp) -> anyhow::Result<bool> {
    match Authority::open(folder) {
        Ok(_) => Ok(true),
        Err(AuthorityFault::Unfinished { .. }) => create(folder, name, now),
        Err(AuthorityFault::Missing { path }) if path == folder => create(folder, name, now),
        Err(AuthorityFault::Missing { .. }) if is_empty(folder) => create(folder, name, now),
        Err(fault) => Err(fault.into()),
    }
}

fn create(folder: &Path, name: &str, now: Timestamp) -> anyhow::Result<bool> {
    Authority::create(folder, name, now)?;
    Ok(false)
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Makes the folder for its owner alone; refuses one that others may look into.
fn private_folder(data: &Path) -> anyhow::Result<()> {
    match fs::metadata(data) {
        Ok(there) => {
            ensure!(there.is_dir(), "{} is no folder", data.display());
            let mode = there.permissions().mode() & 0o7777;
            ensure!(
                !private::is_exposed(mode),
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

/// That the folder of a master is there, and nobody's but its owner's.
pub(super) fn check_folder(data: &Path) -> anyhow::Result<()> {
    match fs::metadata(data) {
        Ok(_) => private_folder(data),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("{} is not there; `slapledger init --data {}` makes it", data.display(), data.display())
        }
        Err(error) => Err(error).with_context(|| format!("open {}", data.display())),
    }?;
    let (log, key) = (data.join("log"), data.join(log_key::SIGNING_KEY));
    ensure!(log.exists() || !key.exists(), "{} is missing; restore it from a backup", log.display());
    Ok(())
}
