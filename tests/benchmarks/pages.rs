//! Pages at the server, on a ledger with many instances and invoices: how long each takes, and how long it is.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use slapledger_tests::http::{Access, Client};
use slapledger_tests::server::Setup;

use crate::Setting;
use crate::cloud::{self, computer};
use crate::invoices;
use crate::measure::{Grouped, bytes_under, median, milliseconds, percentile};
use crate::tenants::{self, Size};

/// The pages, by their addresses; those of the first invoice and instance stand for all.
const PAGES: &[&str] = &[
    "/ui/home?month=2026-10",
    "/v1/invoices",
    "/v1/invoices?month=2026-10",
    "/v1/invoices/INV-2026-000001",
    "/v1/invoices/INV-2026-000001?line=2",
    "/ui/usage?month=2026-10",
    "/v1/instance-trees",
    "/v1/instance-trees?state=wrong",
    "/v1/instance-trees?q=99999",
    "/v1/instance-trees/SOFTINST-1",
    "/v1/computers",
    "/v1/catalogue",
    "/v1/price-books",
    "/v1/parties",
    "/v1/invoice-runs",
    "/v1/trial-balance",
    "/v1/journal",
    "/v1/events",
    "/v1/events?order=oldest",
    "/v1/events?sequence=1000",
    "/v1/events?type=InvoiceFinalised",
    "/v1/events?type=LedgerCreated",
    "/v1/events?from=2026-10-01&to=2026-10-02&stream=usage",
    "/v1/credentials",
    "/ui/operation",
];

pub(crate) fn pages(
    setting: &Setting,
    size: Size,
    times: usize,
    filled: Option<PathBuf>,
) -> anyhow::Result<()> {
    let folder = setting.new_folder()?;
    let data = if let Some(filled) = filled {
        filled
    } else {
        let filled = folder.path().join("filled");
        let began = Instant::now();
        tenants::fill(&filled, setting.seed, size)?;
        println!("filled in {} s, {} bytes", began.elapsed().as_secs(), Grouped(bytes_under(&filled)?.0));
        invoices::derive(setting, &filled, &invoices::book(false))?;
        filled
    };
    let parent = data.parent().context("a data folder is in another")?;
    let setup = Setup::proxy(setting.binary.clone(), parent, &computer(0)).at("2026-11-15T00:00:00Z")?;
    let mut server = Setup { data: data.clone(), ..setup }.start()?;
    let mut json = server.client(true);
    cloud::settle(&server)?;
    let opened = json.post(
        "/v1/invoice-runs",
        "application/json",
        br#"{"period":{"start":"2026-10-01","stop":"2026-11-01"},"grace_hours":0}"#,
    )?;
    if opened.status == 201 {
        let run = opened.json()?;
        let path =
            format!("/v1/invoice-runs/{}/finalise", run["id"].as_str().context("a run without an id")?);
        json.post(&path, "application/json", b"{}")?.expect(200)?;
    }
    println!("{} events in the log", Grouped(cloud::sequence(&server)?));
    let fields = "Accept: text/html\r\nAccept-Encoding: gzip\r\n".to_owned();
    let mut browser = Client::coming_in(server.address(), true, Access { fields, tls: None });
    let mut slowest = Duration::ZERO;
    for path in PAGES {
        let mut taken = Vec::with_capacity(times);
        let mut bytes = 0;
        for _ in 0..times {
            let began = Instant::now();
            let answer = browser.get(path)?;
            taken.push(began.elapsed());
            ensure!(answer.status == 200, "{path}: {}", answer.status);
            bytes = answer.body.len();
        }
        let (middle, high) = (median(&taken).unwrap_or_default(), percentile(&taken, 99).unwrap_or_default());
        slowest = slowest.max(high);
        println!(
            "{path}: median {} ms, 99 % {} ms, {} bytes compressed",
            milliseconds(middle),
            milliseconds(high),
            Grouped(bytes as u64)
        );
    }
    println!("slowest at 99 %: {} ms", milliseconds(slowest));
    server.stop()
}
