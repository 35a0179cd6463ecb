//! A master of a large cloud: how fast it allocates, starts and answers with so many computers, customers and instances.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use slapledger_tests::http::{Access, Client};
use slapledger_tests::server::{Server, Setup};
use slapledger_tests::slap::{Request, form};

use crate::Setting;
use crate::cloud::{self, RELEASE, computer};
use crate::measure::{Grouped, Rate, bytes_under, median, milliseconds, percentile};
use crate::tenants::{self, Scale};

/// Lists and documents, by their addresses; those of the first ones stand for all.
const READS: [&str; 5] = [
    "/v1/instances?limit=100",
    "/v1/instances/SOFTINST-1",
    "/v1/instance-trees?limit=100",
    "/v1/computers?limit=100",
    "/v1/parties?limit=100",
];

pub(crate) fn scale(setting: &Setting, scale: Scale, times: usize) -> anyhow::Result<()> {
    let Scale { customers, computers, partitions, instances } = scale;
    ensure!(instances < computers * partitions, "there must be room for new instances");
    println!(
        "{} customers, {} computers of {partitions} partitions, {} instances",
        Grouped(customers),
        Grouped(computers),
        Grouped(instances)
    );
    let folder = setting.new_folder()?;
    // Nobody hears of these computers.
    let options = ["--plain-http", "--silent-after", "1000000000"];
    let (setup, _) = Setup::master(setting.binary.clone(), folder.path(), &options)?;
    let took = tenants::fill_master(&setup.data, setting.seed, scale)?;
    let rate = Rate { count: instances, time: took };
    println!("allocated by the ledger, durable: {} instances/s", Grouped(rate.per_second()));
    println!("{} bytes on the disk", Grouped(bytes_under(&setup.data)?.0));
    // Without a snapshot of the views: they are derived from the log.
    let mut server = setup.start()?;
    println!("first start, views derived from the log: {} ms", milliseconds(server.age()));
    cloud::settle(&server)?;
    server.stop()?;
    let mut server = setup.start()?;
    let ready = server.age();
    let behind = cloud::settle(&server)?;
    println!(
        "ready after a stop: {} ms, views up to date {} ms later",
        milliseconds(ready),
        milliseconds(behind)
    );
    let mut admin = server.client(true);
    let mut customer = Client::coming_in(server.address(), true, customer(&mut admin)?);
    let asked = |what: &str, client: &mut Client, each: &dyn Fn(&mut Client, usize) -> anyhow::Result<()>| {
        let mut taken: Vec<Duration> = Vec::with_capacity(times);
        for n in 0..times {
            let began = Instant::now();
            each(client, n)?;
            taken.push(began.elapsed());
        }
        let (middle, high) = (median(&taken).unwrap_or_default(), percentile(&taken, 99).unwrap_or_default());
        println!("{what}: median {} ms, 99 % {} ms", milliseconds(middle), milliseconds(high));
        anyhow::Ok(())
    };
    let request = |client: &mut Client, n: usize, filter: &[(&str, &str)]| {
        let reference = format!("measured {n} {filter:?}");
        let request =
            Request { reference: &reference, release: RELEASE, parameters: &[], computer: "", state: "" };
        client.post_form("/requestComputerPartition", &request.form_within(filter))?.expect(200).map(drop)
    };
    asked("request(), new", &mut customer, &|client, n| request(client, n, &[]))?;
    asked("request(), unchanged", &mut customer, &|client, n| request(client, n, &[]))?;
    let region = [("region", "region-9")];
    asked("request(), new, in a region", &mut customer, &|client, n| request(client, n, &region))?;
    let path = format!("/getFullComputerInformation?{}", form(&[("computer_id", &computer(0))]));
    asked("getFullComputerInformation", &mut admin, &|client, _| client.get(&path)?.expect(200).map(drop))?;
    for path in READS {
        asked(path, &mut admin, &|client, _| client.get(path)?.expect(200).map(drop))?;
    }
    println!("{}", memory(&server)?);
    server.stop().context("stop")
}

/// How a customer comes in.
fn customer(admin: &mut Client) -> anyhow::Result<Access> {
    let wanted = br#"{"holder":"PARTY-2","roles":["customer"],"label":"benchmark"}"#;
    let issued = admin.post("/v1/tokens", "application/json", wanted)?.expect(201)?.json()?;
    let token = issued["token"].as_str().context("no token")?;
    Ok(Access { fields: format!("Authorization: Bearer {token}\r\n"), tls: None })
}

fn memory(server: &Server) -> anyhow::Result<String> {
    let mib = |field| server.memory_kib(field).map(|kib| kib / 1024);
    Ok(format!("{} MiB resident, {} MiB at most", Grouped(mib("VmRSS")?), Grouped(mib("VmHWM")?)))
}
