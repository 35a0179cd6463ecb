//! A real PostgreSQL on a folder of its own, for comparison: the Debian package, with its durable defaults.
//!
//! It refuses to run as root, so that root starts it as the user `postgres`.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::measure::Rate;

/// Where Debian puts the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
const MISSING: &str = "PostgreSQL is missing: apt-get install postgresql";
/// What differs from its defaults: memory as for a machine of its own. Each commit waits for the disk, as by default.
const SETTINGS: &str =
    "listen_addresses = ''\nshared_buffers = '2GB'\nmax_wal_size = '8GB'\nwal_compression = lz4\n";
const TABLE: &str = "create table usage (id uuid primary key, reporter text not null, subject text not null, \
                     resource text not null, quantity numeric(27, 9) not null, start timestamptz not null, \
                     stop timestamptz not null)";
const SUM: &str = "select count(*), sum(n) from (select count(*) n, sum(quantity) from usage \
                   group by reporter, subject, resource, date_trunc('hour', start)) sums";
const CSV: &str = "copy usage (reporter, subject, resource, quantity, start, stop) to stdout (format csv)";

/// A running server with one empty table for usage; stopped when it is dropped.
pub(crate) struct Postgresql {
    programs: PathBuf,
    folder: TempDir,
}

impl Postgresql {
    /// Makes a cluster and starts it. Its folder is one that the user `postgres` reaches.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("benchmark-postgresql-").tempdir_in("/var/tmp")?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777))?;
        let peer = Self { programs: programs()?, folder };
        let (data, log) = (peer.data(), peer.folder.path().join("log"));
        run(peer
            .command("initdb")
            .args(["--auth=trust", "--encoding=UTF8", "--no-locale", "-D"])
            .arg(&data))?;
        let mut file = std::fs::OpenOptions::new().append(true).open(data.join("postgresql.conf"))?;
        file.write_all(SETTINGS.as_bytes())?;
        let options = format!("-k {}", peer.folder.path().display());
        let mut start = peer.command("pg_ctl");
        start.args(["-w", "-o", &options, "-l"]).arg(log).arg("-D").arg(&data).arg("start");
        // What it starts keeps what it has open, so that nothing of it is read.
        let status = start.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        ensure!(status.success(), "PostgreSQL does not start");
        peer.ask(TABLE)?;
        Ok(peer)
    }

    /// Which version it is.
    pub(crate) fn version(&self) -> anyhow::Result<String> {
        let answer = self.ask("show server_version")?;
        Ok(format!("PostgreSQL {}", answer.split_whitespace().next().context("no version")?))
    }

    /// How fast connections copy posts of so many rows, each a transaction of its own that is durable.
    pub(crate) fn copy(&self, posts: &[String], connections: usize, size: u64) -> anyhow::Result<Rate> {
        let mut scripts = vec![String::new(); connections];
        for (connection, rows) in (0..connections).cycle().zip(posts) {
            if let Some(script) = scripts.get_mut(connection) {
                script.push_str("copy usage from stdin;\n");
                script.push_str(rows);
                script.push_str("\\.\n");
            }
        }
        // Started before the clock runs.
        let mut sessions = Vec::new();
        for _ in &scripts {
            sessions.push(self.psql().stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?);
        }
        let began = Instant::now();
        thread::scope(|scope| {
            let senders: Vec<_> = sessions
                .iter_mut()
                .zip(&scripts)
                .map(|(session, script)| scope.spawn(move || send(session, script)))
                .collect();
            senders.into_iter().try_for_each(|sender| sender.join().expect("a sender does not panic"))
        })?;
        let rate = Rate { count: posts.len() as u64 * size, time: began.elapsed() };
        let count: u64 = self.ask("select count(*) from usage")?.trim().parse()?;
        ensure!(count == rate.count, "PostgreSQL has {count} rows of {}", rate.count);
        Ok(rate)
    }

    /// How fast it adds up what is in the table, by instance, resource and hour.
    pub(crate) fn sum_by_hour(&self) -> anyhow::Result<Rate> {
        let began = Instant::now();
        let answer = self.ask(SUM)?;
        let time = began.elapsed();
        let (_, count) = answer.trim().split_once('|').context("two numbers")?;
        Ok(Rate { count: count.parse()?, time })
    }

    /// Bytes of the table and its index.
    pub(crate) fn bytes(&self) -> anyhow::Result<u64> {
        Ok(self.ask("select pg_total_relation_size('usage')")?.trim().parse()?)
    }

    /// Writes the table as CSV, for other programs.
    pub(crate) fn write_csv(&self, file: &Path) -> anyhow::Result<()> {
        let status = self.psql().args(["-c", CSV]).stdout(std::fs::File::create(file)?).status()?;
        ensure!(status.success(), "psql ended with {status}");
        Ok(())
    }

    fn ask(&self, sql: &str) -> anyhow::Result<String> {
        run(self.psql().args(["-At", "-c", sql]))
    }

    fn psql(&self) -> Command {
        let mut command = self.command("psql");
        command.args(["-q", "-X", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-U", "postgres", "-h"]);
        command.arg(self.folder.path());
        command
    }

    fn command(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let mut command = if is_root() { Command::new("runuser") } else { Command::new(&path) };
        if is_root() {
            command.args(["-u", "postgres", "--"]).arg(path);
        }
        if program == "initdb" {
            command.env("PGUSER", "postgres");
        }
        command.current_dir("/");
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Postgresql {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.command("pg_ctl").args(["-m", "immediate", "-D"]).arg(self.data()).arg("stop").output();
    }
}

/// Everything at once; the session ends with its input.
fn send(session: &mut Child, script: &str) -> anyhow::Result<()> {
    let mut input = session.stdin.take().context("psql has no input")?;
    input.write_all(script.as_bytes())?;
    drop(input);
    let status = session.wait()?;
    ensure!(status.success(), "psql ended with {status}");
    Ok(())
}

/// The programs of the newest version that is installed.
fn programs() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).context(MISSING)?;
    let names = versions.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    Ok(Path::new(VERSIONS).join(names.max().context(MISSING)?.to_string()).join("bin"))
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Runs a command to its end; what it prints.
fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}
