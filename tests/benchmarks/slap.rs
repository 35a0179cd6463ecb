//! What SLAP clients ask most, per second: `request()` for something new and for what is there already, and
//! `getFullComputerInformation` of a computer with 100 busy partitions. Of slapledger, of slapos proxy and of a server
//! that does nothing, one after the other under the same load.
//!
//! Every run is on a new folder with as many partitions as it needs, so that neither is measured full. A SLAP client
//! opens a connection for each request; with keep-alive shows what the connections cost.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use slapledger_tests::http::{Access, Answer, Client};
use slapledger_tests::server::Setup;
use slapledger_tests::slap::{Request, configuration_form, form, marshalled_dict};

use crate::Setting;
use crate::bare::Bare;
use crate::cloud::{PARTITIONS, RELEASE, computer};
use crate::measure::{Grouped, Rate, median, milliseconds, percentile, times};
use crate::peer::Peer;

/// What is asked, in the order it is.
pub(crate) const KINDS: [&str; 3] = ["new", "unchanged", "computer"];
const REQUEST: &str = "/requestComputerPartition";
/// How many events are appended to a file to see what the disk alone takes, and how long each is.
const APPENDS: (usize, usize) = (500, 600);

/// How much is asked.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// New instances of each run.
    pub(crate) new: usize,
    /// Seconds of all else of each run.
    pub(crate) seconds: u64,
    /// Runs of each kind.
    pub(crate) runs: usize,
}

/// What was measured of one server in one way.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) kinds: [Figure; KINDS.len()],
    pub(crate) failed: u64,
}

#[derive(Default)]
pub(crate) struct Figure {
    pub(crate) rates: Vec<u64>,
    times: Vec<Duration>,
}

pub(crate) struct Load {
    pub(crate) size: Size,
    pub(crate) clients: usize,
    pub(crate) keep_alive: bool,
    pub(crate) access: Access,
}

/// Something to send.
#[derive(Clone, Copy)]
enum Ask<'a> {
    Form(&'a str),
    Get(&'a str),
}

pub(crate) fn slap(setting: &Setting, venv: Option<&Path>, size: Size) -> anyhow::Result<()> {
    if let Some(venv) = venv {
        println!("beside {}", Peer::version(venv)?);
    }
    print_disk(setting)?;
    let Size { new, seconds, runs } = size;
    println!(
        "{new} new, {seconds} s of all else, {runs} runs of each; medians, requests/s (p50 ms, p99 ms)\n"
    );
    println!("| clients | keep-alive | | slapledger | slapos proxy | ratio | nothing but the answer |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (clients, keep_alive) in [(1, false), (1, true), (8, false), (8, true)] {
        let load = Load { size, clients, keep_alive, access: Access::default() };
        let (mut ours, mut theirs, mut bare) = Default::default();
        for _ in 0..runs {
            let folder = setting.new_folder()?;
            let server = Setup::proxy(setting.binary.clone(), folder.path(), &computer(0)).start()?;
            let answers = load.run(server.address(), &mut ours)?;
            drop(server);
            if let Some(venv) = venv {
                let folder = setting.new_folder()?;
                let peer = Peer::start(venv, folder.path(), &computer(0))?;
                load.run(peer.address(), &mut theirs)?;
            }
            load.run_bare(&answers, &mut bare)?;
        }
        load.print([&ours, &theirs, &bare]);
    }
    Ok(())
}

/// What an answer that is durable cannot be faster than: appending to a file, and waiting for the disk.
pub(crate) fn print_disk(setting: &Setting) -> anyhow::Result<()> {
    let folder = setting.new_folder()?;
    let mut file = File::create(folder.path().join("appended"))?;
    let (count, length) = APPENDS;
    let mut times = Vec::new();
    for n in 0..count {
        let began = Instant::now();
        file.write_all(&vec![u8::try_from(n % 256)?; length])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    let (p50, p99) = (percentile(&times, 50).unwrap_or_default(), percentile(&times, 99).unwrap_or_default());
    println!(
        "the disk alone, {length} bytes appended and fdatasync: {} ms, p99 {}",
        milliseconds(p50),
        milliseconds(p99)
    );
    Ok(())
}

impl Figure {
    fn add(&mut self, (rate, times): (Rate, Vec<Duration>)) {
        self.rates.push(rate.per_second());
        self.times.extend(times);
    }

    pub(crate) fn text(&self) -> String {
        let Some(rate) = median(&self.rates) else { return "-".to_owned() };
        let at = |hundredths| milliseconds(percentile(&self.times, hundredths).unwrap_or_default());
        format!("{} ({}, {})", Grouped(rate), at(50), at(99))
    }
}

impl Load {
    /// Asks a server all there is to ask; gives one answer of each kind.
    pub(crate) fn run(
        &self,
        address: SocketAddr,
        measured: &mut Measured,
    ) -> anyhow::Result<[Answer; KINDS.len()]> {
        let mut client = Client::coming_in(address, self.keep_alive, self.access.clone());
        configure(&mut client, &computer(0), self.size.new)?;
        let forms: Vec<String> = (0..self.size.new).map(|n| form_of(n, "")).collect();
        let new = self.ask_once(address, &forms, measured)?;
        let unchanged =
            self.ask_on(address, &|n| Ask::Form(&forms[n % forms.len()]), &is_placed, measured)?;
        let again = client.post_form(REQUEST, &forms[0])?.expect(200)?;
        measured.kinds[0].add(new);
        measured.kinds[1].add(unchanged);

        let path = fill(&mut client, &computer(1))?;
        let whole = client.get(&path)?.expect(200)?;
        let busy = whole.text().matches("<string>_need_modification</string><int>1</int>").count() as u64;
        ensure!(busy == PARTITIONS, "{busy} partitions of {} are busy: {whole}", computer(1));
        let is_whole = |answer: &Answer| answer.body == whole.body;
        let asked = self.ask_on(address, &|_| Ask::Get(&path), &is_whole, measured)?;
        measured.kinds[2].add(asked);
        Ok([again.clone(), again, whole])
    }

    /// The same against servers that do nothing but give these answers.
    fn run_bare(&self, answers: &[Answer; KINDS.len()], measured: &mut Measured) -> anyhow::Result<()> {
        let forms: Vec<String> = (0..self.size.new).map(|n| form_of(n, "")).collect();
        let path = path_of(&computer(1));
        for (kind, answer) in answers.iter().enumerate() {
            let server = Bare::start(answer, self.clients)?;
            let is_it = |got: &Answer| got.body == answer.body;
            let asked = match kind {
                0 => self.ask_once(server.address(), &forms, measured)?,
                1 => {
                    self.ask_on(server.address(), &|n| Ask::Form(&forms[n % forms.len()]), &is_it, measured)?
                }
                _ => self.ask_on(server.address(), &|_| Ask::Get(&path), &is_it, measured)?,
            };
            measured.kinds[kind].add(asked);
        }
        Ok(())
    }

    /// Sends each of these once.
    fn ask_once(
        &self,
        address: SocketAddr,
        forms: &[String],
        measured: &mut Measured,
    ) -> anyhow::Result<(Rate, Vec<Duration>)> {
        self.send(address, &|n| Some(Ask::Form(forms.get(n)?)), &is_placed, measured)
    }

    /// Sends the n-th again and again, until time is up.
    fn ask_on<'a>(
        &self,
        address: SocketAddr,
        nth: &(impl Fn(usize) -> Ask<'a> + Sync),
        counts: &(impl Fn(&Answer) -> bool + Sync),
        measured: &mut Measured,
    ) -> anyhow::Result<(Rate, Vec<Duration>)> {
        let until = Instant::now() + Duration::from_secs(self.size.seconds);
        let next = |n| (Instant::now() < until).then(|| nth(n));
        self.send(address, &next, counts, measured)
    }

    /// Each client sends the next one as soon as it has an answer, until there are no more.
    fn send<'a>(
        &self,
        address: SocketAddr,
        nth: &(impl Fn(usize) -> Option<Ask<'a>> + Sync),
        counts: &(impl Fn(&Answer) -> bool + Sync),
        measured: &mut Measured,
    ) -> anyhow::Result<(Rate, Vec<Duration>)> {
        let next = AtomicUsize::new(0);
        let began = Instant::now();
        let mut times = Vec::new();
        thread::scope(|scope| {
            let work = || {
                let mut client = Client::coming_in(address, self.keep_alive, self.access.clone());
                let (mut times, mut failed) = (Vec::new(), 0);
                while let Some(ask) = nth(next.fetch_add(1, Ordering::Relaxed)) {
                    let sent = Instant::now();
                    let answer = match ask {
                        Ask::Form(form) => client.post_form(REQUEST, form),
                        Ask::Get(path) => client.get(path),
                    };
                    let took = sent.elapsed();
                    match answer {
                        Ok(answer) if answer.status == 200 && counts(&answer) => times.push(took),
                        _ => failed += 1,
                    }
                }
                (times, failed)
            };
            let senders: Vec<_> = (0..self.clients).map(|_| scope.spawn(work)).collect();
            for sender in senders {
                let (theirs, failed) = sender.join().expect("a sender does not panic");
                times.extend(theirs);
                measured.failed += failed;
            }
        });
        let rate = Rate { count: times.len() as u64, time: began.elapsed() };
        ensure!(!times.is_empty(), "no request succeeded");
        Ok((rate, times))
    }

    fn print(&self, [ours, theirs, bare]: [&Measured; 3]) {
        let keep_alive = if self.keep_alive { "with" } else { "without" };
        for (n, kind) in KINDS.iter().enumerate() {
            let [ours, theirs, bare] = [ours, theirs, bare].map(|measured| &measured.kinds[n]);
            let ratio = match (median(&ours.rates), median(&theirs.rates)) {
                (Some(ours), Some(theirs)) => times(ours, theirs).to_string(),
                _ => "-".to_owned(),
            };
            let (clients, [ours, theirs, bare]) = (self.clients, [ours, theirs, bare].map(Figure::text));
            println!("| {clients} | {keep_alive} | {kind} | {ours} | {theirs} | {ratio} | {bare} |");
        }
        for (name, measured) in [("slapledger", ours), ("slapos proxy", theirs), ("the bare server", bare)] {
            if measured.failed > 0 {
                println!("{name}: {} failed and are not counted", measured.failed);
            }
        }
    }
}

/// An answer to a request counts if it names a partition.
fn is_placed(answer: &Answer) -> bool {
    std::str::from_utf8(&answer.body).is_ok_and(|text| text.contains("slappart"))
}

fn configure(client: &mut Client, computer: &str, partitions: usize) -> anyhow::Result<()> {
    let form = configuration_form(computer, partitions);
    client.post_form("/loadComputerConfigurationFromXML", &form)?.expect(200)?;
    Ok(())
}

/// Puts an instance that was reached before into each of the partitions of a computer; gives the path it is asked by.
fn fill(client: &mut Client, computer: &str) -> anyhow::Result<String> {
    let partitions = usize::try_from(PARTITIONS)?;
    configure(client, computer, partitions)?;
    for n in 0..partitions {
        client.post_form(REQUEST, &form_of(n, computer))?.expect(200)?;
        let connection =
            [("url", "https://[2001:db8::1]:8443/"), ("user", "admin"), ("password", "5f3a1c7e9b")];
        let partition = format!("slappart{n}");
        let set = form(&[
            ("computer_id", computer),
            ("computer_partition_id", &partition),
            ("connection_xml", &marshalled_dict(&connection)),
        ]);
        client.post_form("/setComputerPartitionConnectionXml", &set)?.expect(200)?;
    }
    Ok(path_of(computer))
}

fn path_of(computer: &str) -> String {
    format!("/getFullComputerInformation?computer_id={computer}")
}

fn form_of(n: usize, computer: &str) -> String {
    let reference = format!("instance {n} {computer}");
    let parameters = [("domain", "example.com"), ("size", "4")];
    Request { reference: reference.trim(), release: RELEASE, parameters: &parameters, computer, state: "" }
        .form()
}
