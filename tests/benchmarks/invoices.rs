//! The invoice run: drafts for all customers of a month, and invoices of them, by the program as it is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use slapledger_tests::server::{Server, Setup};

use crate::Setting;
use crate::cloud::{self, computer};
use crate::measure::{Grouped, Hundredths, Rate, bytes_under, median, milliseconds};
use crate::tenants::{self, Size};

/// A fee for each instance, a line for each resource: by units, by tiers, by volume, by packages.
const BOOK: &str = r#"
name = "benchmark"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
resources = [
    { resource = "service_module/cpu_load_percent", kind = "gauge", meter = "time_integral", unit = "percent_hour" },
    { resource = "service_module/memory_used", kind = "gauge", meter = "time_integral", reported_in = "MiB", unit = "GiB_hour" },
    { resource = "service_module/disk_used", kind = "gauge", meter = "max", unit = "GB" },
    { resource = "service_module/requests", kind = "counter", meter = "sum", unit = "request" },
]
rates = [
    { kind = "recurring", every = "month", when = "arrears", price = "4.99" },
    { kind = "per_unit", resource = "service_module/cpu_load_percent", price = "0.00015" },
    { kind = "graduated", resource = "service_module/memory_used", tiers = [
        { up_to = "20", price = "0.02" }, { price = "0.01" },
    ] },
    { kind = "volume", resource = "service_module/disk_used", tiers = [
        { up_to = "50", price = "0.05" }, { price = "0.04" },
    ] },
    { kind = "package", resource = "service_module/requests", size = "1000", price = "0.10" },
]
"#;

/// What other prices add: each comes up on many invoices.
const MORE_RATES: &str = r#"
    { kind = "recurring", item = "support", every = "month", when = "arrears", price = "1.00", trial = { days = 14 } },
    { kind = "maximum", per = "line", of = "usage", price = "2.00" },
    { kind = "maximum", per = "instance", price = "9.00" },
    { kind = "maximum", per = "customer", price = "80.00" },
    { kind = "discount", item = "welcome", percent = "10", months = 12 },
    { kind = "discount", item = "partner", amount = "1.00", of = "usage", order = 1, invoices = 6 },
]
"#;

/// The prices, perhaps with all that prices can be.
pub(crate) fn book(all_prices: bool) -> String {
    let trial = r#"price = "0.00015", trial = { quantity = "100" }"#;
    match BOOK.trim_end().strip_suffix(']') {
        Some(rates) if all_prices => format!("{}{MORE_RATES}", rates.replace(r#"price = "0.00015""#, trial)),
        _ => BOOK.to_owned(),
    }
}

/// What a run of the program took.
struct Taken {
    opening: Duration,
    finalising: Duration,
    peak_kib: u64,
}

pub(crate) fn invoices(
    setting: &Setting,
    size: Size,
    (runs, all_prices): (usize, bool),
    filled: Option<PathBuf>,
) -> anyhow::Result<()> {
    let folder = setting.new_folder()?;
    let filled = if let Some(filled) = filled {
        filled
    } else {
        let filled = folder.path().join("filled");
        let began = Instant::now();
        tenants::fill(&filled, setting.seed, size)?;
        println!("filled in {} s", began.elapsed().as_secs());
        derive(setting, &filled, &book(all_prices))?;
        filled
    };
    let mut taken = Vec::new();
    for run in 1..=runs {
        let copy = folder.path().join(format!("run-{run}"));
        println!("run {run} of {runs}");
        taken.push(one(setting, &filled, &copy, size.customers)?);
        if !setting.keep {
            std::fs::remove_dir_all(&copy)?;
        }
    }
    let middle = |of: fn(&Taken) -> Duration| median(&taken.iter().map(of).collect::<Vec<_>>());
    let all = middle(|taken| taken.opening + taken.finalising).unwrap_or_default();
    println!(
        "medians: drafts {} ms, final {} ms, both {} ms, {} invoices/s; {} MiB at most",
        milliseconds(middle(|taken| taken.opening).unwrap_or_default()),
        milliseconds(middle(|taken| taken.finalising).unwrap_or_default()),
        milliseconds(all),
        Grouped(Rate { count: size.customers, time: all }.per_second()),
        Grouped(median(&taken.iter().map(|taken| taken.peak_kib).collect::<Vec<_>>()).unwrap_or(0) / 1024),
    );
    Ok(())
}

/// Starts the program once, which derives its views from the log, publishes prices, and stops, which keeps the views.
pub(crate) fn derive(setting: &Setting, data: &Path, book: &str) -> anyhow::Result<()> {
    let folder = data.parent().context("a data folder is in another")?;
    let setup = Setup::proxy(setting.binary.clone(), folder, &computer(0)).at("2026-11-15T00:00:00Z")?;
    let mut server = Setup { data: data.to_owned(), ..setup }.start()?;
    let mut client = server.client(true);
    client.post("/v1/price-books", "application/toml", book.as_bytes())?.expect(201)?;
    cloud::settle(&server)?;
    println!("views derived after {} ms; {}", milliseconds(server.age()), memory(&server)?);
    server.stop()
}

/// Invoices October on a copy of a data folder.
fn one(setting: &Setting, filled: &Path, folder: &Path, customers: u64) -> anyhow::Result<Taken> {
    std::fs::create_dir_all(folder)?;
    let copied = Command::new("cp").arg("-a").arg(filled).arg(folder.join("data")).status()?;
    ensure!(copied.success(), "copy {}", filled.display());
    let setup = Setup::proxy(setting.binary.clone(), folder, &computer(0)).at("2026-11-15T00:00:00Z")?;
    let mut server = setup.start()?;
    let mut client = server.client(true);
    cloud::settle(&server)?;
    let log = folder.join("data/log");
    let before = bytes_under(&log)?.0;
    println!(
        "  {} events, {} bytes of log; views up to date after {} ms; {}",
        Grouped(cloud::sequence(&server)?),
        Grouped(before),
        milliseconds(server.age()),
        memory(&server)?
    );

    // Opening draws the drafts up, and is answered when they are there.
    let period = r#"{"period":{"start":"2026-10-01","stop":"2026-11-01"}}"#;
    let began = Instant::now();
    let opened = client.post("/v1/invoice-runs", "application/json", period.as_bytes())?.expect(201)?;
    let opening = began.elapsed();
    let run = opened.json()?;
    let drafts = run["invoices"].as_array().context("a run without invoices")?.len();
    ensure!(drafts as u64 == customers, "{drafts} drafts");
    // The invented usage ends before the month does, which the run says of each computer; it must say nothing else.
    let mut warnings = run["warnings"].as_array().into_iter().flatten();
    let other = warnings.find(|told| told["type"] != "silent_computer" && told["type"] != "more_computers");
    ensure!(other.is_none(), "a warning: {}", other.unwrap_or(&Value::Null));
    println!("  {} drafts after {} ms; {}", Grouped(customers), milliseconds(opening), memory(&server)?);

    let path = format!("/v1/invoice-runs/{}/finalise", run["id"].as_str().context("a run without an id")?);
    let began = Instant::now();
    let done = client.post(&path, "application/json", b"{}")?.expect(200)?;
    let finalising = began.elapsed();
    ensure!(done.json()?["state"] == "final", "it is not final: {done}");
    let rate = Rate { count: customers, time: finalising };
    println!(
        "  {} invoices after {} ms, {}/s; {}",
        Grouped(customers),
        milliseconds(finalising),
        Grouped(rate.per_second()),
        memory(&server)?
    );
    let peak_kib = server.memory_kib("VmHWM")?;
    let lines = check(&server, customers)?;
    server.stop()?;
    let after = bytes_under(&log)?.0;
    let grown = after.saturating_sub(before);
    println!(
        "  {} lines; {} bytes of log more when it is closed, {} for each line",
        Grouped(lines),
        Grouped(grown),
        Hundredths(grown.saturating_mul(100) / lines.max(1))
    );
    Ok(Taken { opening, finalising, peak_kib })
}

/// Every number is given once, in order; every document adds up. How many lines there are.
fn check(server: &Server, customers: u64) -> anyhow::Result<u64> {
    let mut client = server.client(true);
    let (mut numbers, mut lines) = (Vec::new(), 0);
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/v1/invoices?state=final&limit=100{cursor}"))?.expect(200)?.json()?;
        for invoice in page["items"].as_array().context("a list without items")? {
            let cents =
                |text: &Value| text.as_str().and_then(|text| text.replace('.', "").parse::<i64>().ok());
            let of = invoice["lines"].as_array().context("an invoice without lines")?;
            let sum: Option<i64> = of.iter().map(|line| cents(&line["amount"])).sum();
            ensure!(sum.is_some() && sum == cents(&invoice["net"]), "it does not add up: {invoice}");
            numbers.push(invoice["id"].as_str().context("no number")?.to_owned());
            lines += of.len() as u64;
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<String> = (1..=customers).map(|n| format!("INV-2026-{n:06}")).collect();
    ensure!(numbers == expected, "the numbers are not 1 to {customers}");
    Ok(lines)
}

fn memory(server: &Server) -> anyhow::Result<String> {
    let mib = |field| server.memory_kib(field).map(|kib| kib / 1024);
    Ok(format!("{} MiB resident, {} MiB at most", Grouped(mib("VmRSS")?), Grouped(mib("VmHWM")?)))
}
