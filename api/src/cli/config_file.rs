//! `slapledger config check`: what `serve` would refuse of a configuration file, before a server is stopped for it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Subcommand;
use slapledger_client::print::say;
use slapledger_client::private;
use slapledger_core::ledger::Clock as _;
use slapledger_engine::clock::SystemClock;

use crate::config::Config;
use crate::server_certificate;

#[derive(Subcommand)]
pub(super) enum ConfigFile {
    /// Check a configuration file of `serve`; name its first fault
    ///
    /// Also checks the files that it names: certificate, keys, secrets, folders. Exit status: 0 if `serve` can use them.
    Check {
        /// A TOML file; docs/security.md describes it
        file: PathBuf,
    },
}

pub(super) fn run(asked: &ConfigFile) -> anyhow::Result<()> {
    let ConfigFile::Check { file } = asked;
    let config = Config::read(file)?;
    check(&config).with_context(|| format!("check {}", file.display()))?;
    say!("{} is correct", file.display());
    Ok(())
}

fn check(config: &Config) -> anyhow::Result<()> {
    // A reverse proxy ends TLS in front of a server that is started with --plain-http.
    config.check_scheme(config.terminator.is_some())?;
    if let Some(terminator) = &config.terminator {
        terminator.open()?;
    }
    if let Some(files) = &config.certificate {
        server_certificate::check_files(files, &config.names, SystemClock.now())?;
    }
    if let Some(path) = &config.master_key_file {
        check_master_key(path).context("master_key_file")?;
    }
    if let Some(to) = &config.backup.ship_to {
        ensure!(
            to.is_dir(),
            "backup.ship_to: {} is not a folder; create it, or mount its disk",
            to.display()
        );
    }
    Ok(())
}

/// The file of a master key may come with the first start; until then its folder must be there.
fn check_master_key(path: &Path) -> anyhow::Result<()> {
    let Ok(there) = fs::metadata(path) else {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        ensure!(folder.is_dir(), "{} is not there, nor is its folder", path.display());
        return Ok(());
    };
    let mode = there.permissions().mode() & 0o7777;
    ensure!(
        !private::is_exposed(mode),
        "{} is open to others than its owner (mode {mode:04o}); chmod go= it",
        path.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_named_are_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("slapledger.toml");
        let check = |text: &str| {
            fs::write(&path, text).expect("written");
            run(&ConfigFile::Check { file: path.clone() }).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(check(""), Ok(()));
        assert_eq!(check("listen = \"0.0.0.0:5000\"\nnames = [\"master.example.com\"]"), Ok(()));
        let wrong = |text: &str, rule: &str| {
            let error = check(text).expect_err(text);
            assert!(error.contains(rule), "{text}: {error}");
        };
        wrong("listens = 1", "line 1: listens: unknown field");
        wrong("[disk]\nepoch_bytes = 1", "disk.epoch_bytes must be 65536 to 1073741824, not 1");
        wrong("operations = \"127.0.0.1:5000\"", "operations 127.0.0.1:5000: is the address of `listen`");
        wrong(
            "listen = \"127.0.0.1:9000\"\noperations = \"127.0.0.1:9000\"",
            "operations 127.0.0.1:9000: is the address of `listen`",
        );
        wrong("[certificate]\nchain_file = \"/none/a\"\nkey_file = \"/none/b\"", "read /none/a");
        wrong(
            "[terminator]\naddresses = [\"127.0.0.1\"]\nsecret_file = \"/none/s\"",
            "terminator.secret_file: read /none/s",
        );
        wrong("master_key_file = \"/none/key\"", "/none/key is not there, nor is its folder");
        wrong("[backup]\nship_to = \"/none\"", "backup.ship_to: /none is not a folder");
        let key = folder.path().join("key");
        fs::write(&key, "x").expect("written");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("set");
        wrong(&format!("master_key_file = {key:?}"), "is open to others than its owner (mode 0644)");
    }
}
