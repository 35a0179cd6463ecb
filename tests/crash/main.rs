//! The crash drill: the real program is killed again and again while it is asked for instances and given usage, always
//! on the same folder; then everything it ever answered is held against it.
//!
//! After every start: nothing acknowledged is missing, nothing is there twice, and no answer, also "duplicate" and
//! "unchanged", rested on something that was lost. What was under way when the program was killed may have happened or
//! not, but once, and whole. At the end the log is read offline, and everything derived from it is derived again.
//!
//! The moments come from a seed (`SLAPLEDGER_SEED`), but threads and the kernel have their own: a seed repeats the
//! intentions, not the run. This kills processes, not power: that fdatasync comes before the answer is the test of
//! the system calls.

mod known;
mod load;
mod record;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use slapledger_tests::random::Random;
use slapledger_tests::server::{Server, Setup};
use slapledger_tests::slap::{Request, configuration_form};
use slapledger_tests::{binary, quick, told_seed};

use known::Known;
use load::{Counters, Load};
use record::Record;

const COMPUTER: &str = "COMP-1";
const PARTITIONS: usize = 2000;
/// Instances that are there from the beginning, for the usage of October.
const METERED: usize = 8;
const THREADS: usize = 4;

#[test]
fn nothing_acknowledged_is_lost_or_there_twice() -> anyhow::Result<()> {
    let kills = if quick() { 3 } else { 30 };
    let seed = told_seed().unwrap_or(20_261_123);
    let result = drill(seed, kills, Disk::Honest);
    if result.is_err() {
        eprintln!("the drill failed; SLAPLEDGER_SEED={seed} has the same intentions");
    }
    result
}

/// A drill that cannot fail shows nothing.
#[test]
fn a_disk_that_forgets_is_found_out() {
    let error = drill(1, 1, Disk::Forgets).expect_err("all that was answered was lost");
    assert!(format!("{error:#}").contains("was answered, the log is at"), "{error:#}");
}

/// What becomes of the data folder when the program is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    /// It is left alone.
    Honest,
    /// It is put back to what it was before the load.
    Forgets,
}

fn drill(seed: u64, kills: u32, disk: Disk) -> anyhow::Result<()> {
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir()?;
    let setup = Setup::proxy(binary(), folder.path(), COMPUTER).at("2026-10-01T00:00:00Z")?;
    let mut server = setup.start()?;
    let mut known = Known::default();
    prepare(&server, &mut known)?;
    setup.set_clock("2026-11-01T00:00:00Z")?;
    let copy = folder.path().join("copy");
    if disk == Disk::Forgets {
        server.stop()?;
        copy_folder(&setup.data, &copy)?;
        server = setup.start()?;
    }

    let (mut record, counters) = (Record::default(), Counters::default());
    let mut starts = 1_u64;
    for kill in 1..=kills {
        let round = Round { random: &mut random, known: &known, counters: &counters };
        let journals = round.run(&mut server)?;
        for journal in journals {
            known.take(journal);
        }
        if disk == Disk::Forgets {
            std::fs::remove_dir_all(&setup.data)?;
            copy_folder(&copy, &setup.data)?;
        }
        // A clock that was put wrong meanwhile, or right again.
        let hour = random.below(24);
        setup.set_clock(&format!("2026-11-{:02}T{hour:02}:00:00Z", u64::from(kill) / 2 + 1))?;
        if random.once_in(4) {
            setup.start_and_kill(Duration::from_micros(random.below(60_000)))?;
        }
        server = setup.start().with_context(|| format!("start after kill {kill}"))?;
        starts += 1;
        let checked = record
            .catch_up(&mut server.client(true))
            .and_then(|()| known.check(&server, &record, &mut random));
        checked.with_context(|| format!("after kill {kill}; the server says\n{}", server.log()))?;
    }
    server.stop()?;
    println!("{kills} kills; {}", known.summary());

    check_offline(&setup, &known, &record)?;
    ensure!(record.terms() >= starts, "{} terms in the log after {starts} starts", record.terms());
    Ok(())
}

/// A computer with partitions, and instances for the usage of October.
fn prepare(server: &Server, known: &mut Known) -> anyhow::Result<()> {
    let mut client = server.client(true);
    let form = configuration_form(COMPUTER, PARTITIONS);
    client.post_form("/loadComputerConfigurationFromXML", &form)?.expect(200)?;
    for n in 0..METERED {
        let reference = format!("metered {n}");
        let form = Request {
            reference: &reference,
            release: load::RELEASE,
            parameters: &[("v", "0")],
            computer: "",
            state: "",
        };
        let answer = client.post_form("/requestComputerPartition", &form.form())?.expect(200)?;
        known.prepared(&reference, load::place(&answer)?);
    }
    Ok(())
}

struct Round<'a> {
    random: &'a mut Random,
    known: &'a Known,
    counters: &'a Counters,
}

impl Round<'_> {
    /// Everybody sends, until the program is killed.
    fn run(self, server: &mut Server) -> anyhow::Result<Vec<load::Journal>> {
        let address = server.address();
        let moment = Duration::from_millis(self.random.below(450) + 30);
        let began = Instant::now();
        let shared = load::Shared::new(self.counters);
        thread::scope(|scope| {
            let mut senders = Vec::new();
            for thread in 0..THREADS {
                let load = Load::new(address, self.random.fork(), self.known, &shared, thread);
                senders.push(scope.spawn(move || load.run()));
            }
            thread::sleep(moment.saturating_sub(began.elapsed()));
            let killed = server.kill();
            shared.stop();
            let journals = senders.into_iter().map(|sender| sender.join().expect("a sender does not panic"));
            let journals: anyhow::Result<Vec<_>> = journals.collect();
            killed?;
            journals.with_context(|| format!("the server says\n{}", server.log()))
        })
    }
}

/// The log as the program prints it without serving, and everything that is derived from it.
fn check_offline(setup: &Setup, known: &Known, online: &Record) -> anyhow::Result<()> {
    let printed = Command::new(&setup.binary).args(["log", "--json", "--data"]).arg(&setup.data).output()?;
    ensure!(printed.status.success(), "print the log: {}", String::from_utf8_lossy(&printed.stderr));
    let mut offline = Record::default();
    for line in std::str::from_utf8(&printed.stdout)?.lines() {
        offline.take(line)?;
    }
    offline.same_so_far(online).context("the log printed offline is not the one that was served")?;
    known.check_record(&offline)?;
    let rebuilt =
        Command::new(&setup.binary).args(["rebuild", "--json", "--data"]).arg(&setup.data).output()?;
    let (told, error) = (String::from_utf8_lossy(&rebuilt.stdout), String::from_utf8_lossy(&rebuilt.stderr));
    ensure!(rebuilt.status.success(), "what is derived from the log is not what was live: {told}\n{error}");
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            std::fs::copy(&from, &to).with_context(|| format!("copy {}", from.display()))?;
        }
    }
    Ok(())
}

/// Counts one up.
fn next(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed)
}
