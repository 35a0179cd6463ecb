//! `request()` per second, new and unchanged, of slapledger and of slapos proxy, one after the other with the same load.
//!
//! Every run is on a new folder with as many partitions as it needs, so that neither is measured full. A SLAP client
//! opens a connection for each request; with keep-alive shows what the connections cost.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use slapledger_tests::http::Client;
use slapledger_tests::server::Setup;
use slapledger_tests::slap::{Request, configuration_form};

use crate::Setting;
use crate::cloud::{RELEASE, computer};
use crate::measure::{Grouped, Rate, median, milliseconds, percentile, times};
use crate::peer::Peer;

/// What was measured of one program in one way.
#[derive(Default)]
struct Measured {
    new: Vec<u64>,
    unchanged: Vec<u64>,
    new_times: Vec<Duration>,
    unchanged_times: Vec<Duration>,
    failed: u64,
}

struct Load {
    new: usize,
    seconds: u64,
    clients: usize,
    keep_alive: bool,
}

pub(crate) fn request(
    setting: &Setting,
    venv: Option<&Path>,
    new: usize,
    seconds: u64,
    runs: usize,
) -> anyhow::Result<()> {
    if let Some(venv) = venv {
        println!("beside {}", Peer::version(venv)?);
    }
    println!(
        "{new} new, {seconds} s of unchanged, {runs} runs of each; medians, requests/s (p50 ms, p99 ms)"
    );
    for (clients, keep_alive) in [(1, false), (1, true), (8, false), (8, true)] {
        let load = Load { new, seconds, clients, keep_alive };
        let (mut ours, mut theirs) = (Measured::default(), Measured::default());
        for _ in 0..runs {
            let folder = setting.new_folder()?;
            let server = Setup::proxy(setting.binary.clone(), folder.path(), &computer(0)).start()?;
            load.run(server.address(), &mut ours)?;
            drop(server);
            if let Some(venv) = venv {
                let folder = setting.new_folder()?;
                let peer = Peer::start(venv, folder.path(), &computer(0))?;
                load.run(peer.address(), &mut theirs)?;
            }
        }
        println!("{clients} clients, {} keep-alive:", if keep_alive { "with" } else { "without" });
        ours.print("slapledger");
        if venv.is_some() {
            theirs.print("slapos proxy");
            let ratio = |ours: &[u64], theirs: &[u64]| {
                times(median(ours).unwrap_or_default(), median(theirs).unwrap_or_default())
            };
            println!(
                "  {:<12}  new {} times, unchanged {} times",
                "ratio",
                ratio(&ours.new, &theirs.new),
                ratio(&ours.unchanged, &theirs.unchanged),
            );
        }
    }
    Ok(())
}

impl Measured {
    fn print(&self, name: &str) {
        let row = |rates: &[u64], times: &[Duration]| {
            format!(
                "{} ({}, {})",
                Grouped(median(rates).unwrap_or_default()),
                milliseconds(median(times).unwrap_or_default()),
                milliseconds(percentile(times, 99).unwrap_or_default()),
            )
        };
        let (new, unchanged) = (row(&self.new, &self.new_times), row(&self.unchanged, &self.unchanged_times));
        let failed = match self.failed {
            0 => String::new(),
            failed => format!(", {failed} failed and are not counted"),
        };
        println!("  {name:<12}  new {new}, unchanged {unchanged}{failed}");
    }
}

impl Load {
    fn run(&self, address: SocketAddr, measured: &mut Measured) -> anyhow::Result<()> {
        let form = configuration_form(&computer(0), self.new);
        Client::new(address, false).post_form("/loadComputerConfigurationFromXML", &form)?.expect(200)?;
        let forms: Vec<String> = (0..self.new).map(form_of).collect();
        let next = AtomicUsize::new(0);
        let (rate, times) =
            self.send(address, measured, || forms.get(next.fetch_add(1, Ordering::Relaxed)))?;
        measured.new.push(rate.per_second());
        measured.new_times.extend(times);

        let (until, next) = (Instant::now() + Duration::from_secs(self.seconds), AtomicUsize::new(0));
        let (rate, times) = self.send(address, measured, || {
            let n = next.fetch_add(1, Ordering::Relaxed) % forms.len();
            forms.get(n).filter(|_| Instant::now() < until)
        })?;
        measured.unchanged.push(rate.per_second());
        measured.unchanged_times.extend(times);
        Ok(())
    }

    /// Each client sends the next form as soon as it has an answer, until there are no more.
    fn send<'a>(
        &self,
        address: SocketAddr,
        measured: &mut Measured,
        next: impl Fn() -> Option<&'a String> + Sync,
    ) -> anyhow::Result<(Rate, Vec<Duration>)> {
        let began = Instant::now();
        let mut times = Vec::new();
        let mut failed = 0;
        thread::scope(|scope| {
            let work = || -> std::io::Result<(Vec<Duration>, u64)> {
                let mut client = Client::new(address, self.keep_alive);
                let (mut times, mut failed) = (Vec::new(), 0);
                while let Some(form) = next() {
                    let sent = Instant::now();
                    // An answer counts if it names a partition.
                    match client.post_form("/requestComputerPartition", form) {
                        Ok(answer) if answer.status == 200 && answer.text().contains("slappart") => {
                            times.push(sent.elapsed());
                        }
                        _ => failed += 1,
                    }
                }
                Ok((times, failed))
            };
            let senders: Vec<_> = (0..self.clients).map(|_| scope.spawn(work)).collect();
            senders.into_iter().try_for_each(|sender| {
                let (theirs, of_them) = sender.join().expect("a sender does not panic")?;
                times.extend(theirs);
                failed += of_them;
                anyhow::Ok(())
            })
        })?;
        let rate = Rate { count: times.len() as u64, time: began.elapsed() };
        ensure!(!times.is_empty(), "no request succeeded");
        measured.failed += failed;
        Ok((rate, times))
    }
}

fn form_of(n: usize) -> String {
    let reference = format!("instance {n}");
    let parameters = [("domain", "example.com"), ("size", "4")];
    Request { reference: &reference, release: RELEASE, parameters: &parameters, computer: "", state: "" }
        .form()
}
