//! Memory and time to start with many usage events: when they have come, after a kill, and after a stop.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use slapledger_tests::server::Server;

use crate::Setting;
use crate::cloud::{self, Cloud};
use crate::measure::{Grouped, Rate, milliseconds};
use crate::stored::print_size;

/// As many as there are until `THE_END`.
const MOST_EVENTS: u64 = 100_000_000;
/// After the last usage that this makes.
const THE_END: &str = "2027-07-01T00:00:00Z";
/// How long memory may settle before it is looked at.
const REST: Duration = Duration::from_secs(5);

pub(crate) fn memory(setting: &Setting, events: u64) -> anyhow::Result<()> {
    ensure!(events <= MOST_EVENTS, "at most {MOST_EVENTS} events: usage from October 2026 to June 2027");
    let folder = setting.new_folder()?;
    let mut cloud = Cloud::new(setting, folder.path())?;
    print("with 1,000 instances", &cloud.server)?;
    cloud.setup.set_clock(THE_END)?;
    let began = Instant::now();
    cloud.fill(setting.seed, events)?;
    let rate = Rate { count: events, time: began.elapsed() };
    // The bodies are made while it runs, so this is no figure of the program alone.
    println!("sent {} events, {} events/s with their making", Grouped(events), Grouped(rate.per_second()));
    println!("views up to date {} ms later", milliseconds(cloud.settle()?));
    print("after the last event", &cloud.server)?;

    // Without a last snapshot there is most to catch up with.
    cloud.server.kill()?;
    restart(&mut cloud, "after a kill and a restart")?;
    let sequence = cloud::sequence(&cloud.server)?;
    let began = Instant::now();
    cloud.server.stop()?;
    println!("stopped in {} ms", milliseconds(began.elapsed()));
    restart(&mut cloud, "after a stop and a restart")?;
    cloud.server.stop()?;
    print_size(&folder.path().join("data"), sequence)
}

fn restart(cloud: &mut Cloud, when: &str) -> anyhow::Result<()> {
    cloud.server = cloud.setup.start()?;
    let ready = cloud.server.age();
    let settled = cloud.settle()?;
    println!(
        "{when}: ready after {} ms, views up to date {} ms later",
        milliseconds(ready),
        milliseconds(settled)
    );
    print(when, &cloud.server)?;
    // What is read and written first may cost memory too.
    let mut client = cloud.server.client(true);
    let path = "/v1/usage?instance=SOFTINST-1&from=2026-10-01&to=2026-11-01&step=day";
    client.get(path)?.expect(200)?.json()?["resources"].as_array().context("no readings")?;
    cloud::check(
        cloud::post(&mut client, &cloud::batch(u64::from(cloud.server.id()), 0, 1000, 1000))?,
        1000,
    )?;
    print("with a read and a post", &cloud.server)
}

fn print(when: &str, server: &Server) -> anyhow::Result<()> {
    thread::sleep(REST);
    let mib = |field| server.memory_kib(field).map(|kib| kib / 1024);
    println!("{when}: {} MiB resident, {} MiB at most", Grouped(mib("VmRSS")?), Grouped(mib("VmHWM")?));
    Ok(())
}
