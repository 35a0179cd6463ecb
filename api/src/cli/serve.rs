//! Commands that run a master: `demo`, `proxy` and `serve`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use slapledger_core::domain::Command;
use slapledger_core::domain::computer::RegisterComputer;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, PartyId, Reference, SoftwareRelease};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::product::PublishSoftwareRelease;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::ledger::Clock;
use slapledger_core::log::envelope::Actor;

use super::client::invoice_table;
use super::print::say;
use crate::app::{App, Open};
use crate::clock::{FileClock, ManualClock, SystemClock};
use crate::contacts;
use crate::demo;
use crate::http::{invoices, router};
use crate::invoicing::due;
use crate::net::{self, Connections};

/// The name of the one user of `proxy`.
const LOCAL_USER: &str = "local user";

pub(super) fn proxy(
    data: &Path,
    listen: SocketAddr,
    computer: &str,
    products: &[String],
    clock: Option<PathBuf>,
) -> anyhow::Result<()> {
    loopback_alone(listen, "proxy")?;
    let products = products.iter().map(|told| product(told)).collect::<anyhow::Result<Vec<_>>>()?;
    let computer = ComputerId::new(computer).map_err(|rule| anyhow::anyhow!("--computer {rule}"))?;
    log_to_stderr();
    let clock: Arc<dyn Clock> = match clock {
        Some(path) => Arc::new(FileClock::open(path)?),
        None => Arc::new(SystemClock),
    };
    let mut app = App::open(Open { data, mode: Mode::Proxy, clock })?;
    prepare_user(&app)?;
    prepare_computer(&app, &computer)?;
    for (product, release) in products {
        let publisher = app.local;
        let publish = PublishSoftwareRelease { product, release, publisher };
        app.submit_own(Actor::system(), Command::PublishSoftwareRelease(publish))?;
    }
    app.default_computer = Some(computer.clone());
    say!("data      {}", data.display());
    say!("computer  {computer}");
    serve(app, listen, None)
}

/// The master of a cloud. Until there are identities everybody is the local user, so only this machine may reach it.
pub(super) fn master(data: &Path, listen: SocketAddr, silent_after: Duration) -> anyhow::Result<()> {
    loopback_alone(listen, "serve")?;
    log_to_stderr();
    let app = App::open(Open { data, mode: Mode::Serve, clock: Arc::new(SystemClock) })?;
    prepare_user(&app)?;
    say!("data      {}", data.display());
    serve(app, listen, Some(silent_after))
}

fn loopback_alone(listen: SocketAddr, command: &str) -> anyhow::Result<()> {
    ensure!(
        listen.ip().is_loopback(),
        "--listen {listen}: {command} has no sign-in and listens on loopback alone"
    );
    Ok(())
}

/// `PRODUCT=RELEASE`, as on the command line.
fn product(told: &str) -> anyhow::Result<(Reference, SoftwareRelease)> {
    let form = || anyhow::anyhow!("--product {told}: must be PRODUCT=RELEASE");
    let (product, release) = told.split_once('=').ok_or_else(form)?;
    let wrong = |rule| anyhow::anyhow!("--product {told}: {rule}");
    Ok((Reference::new(product).map_err(wrong)?, SoftwareRelease::new(release).map_err(wrong)?))
}

/// The local user exists from the start. Done again after a crash in the middle.
fn prepare_user(app: &App) -> anyhow::Result<()> {
    if !app.billing_now(|view| view.billing.knows_party(app.local))? {
        let name = app.keys.seal(app.keys.fresh()?, LOCAL_USER.as_bytes())?;
        let register = RegisterParty { name, time_zone: TimeZone::UTC, description: None };
        app.submit_own(Actor::system(), Command::RegisterParty(register))?;
    }
    Ok(())
}

/// And so does the computer of `proxy`.
fn prepare_computer(app: &App, computer: &ComputerId) -> anyhow::Result<()> {
    if !app.slap_now(|view| view.inventory.computer(computer.as_str()).is_some())? {
        let register =
            RegisterComputer { computer: computer.clone(), owner: app.local, time_zone: TimeZone::UTC };
        app.submit_own(Actor::system(), Command::RegisterComputer(register))?;
    }
    Ok(())
}

pub(super) fn demo(data: &Path, listen: Option<SocketAddr>, seed: u64) -> anyhow::Result<()> {
    if let Some(listen) = listen {
        loopback_alone(listen, "demo")?;
    }
    log_to_stderr();
    // The month is in the past; once it is played the clock of the machine goes on, never before the last event.
    let opening =
        Timestamp::parse_rfc3339("2026-09-28T08:00:00Z").context("the demo begins at an instant")?;
    let manual = Arc::new(ManualClock::new(opening));
    let clock = Arc::new(demo::DemoClock::new(Arc::clone(&manual), SystemClock));
    let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let app = App::open(Open { data, mode: Mode::Demo, clock: as_clock })?;
    if app.billing_now(|view| view.billing.knows_party(PartyId(1)))? {
        say!("the demo in this folder was played before; this is what it holds");
    } else {
        let played = demo::play(&app, &manual, seed)?;
        say!("October 2026 in an invented cloud, from seed {seed}");
        say!(
            "{} customers, {} computers, {} instances",
            played.customers,
            played.computers,
            played.instances
        );
        let usage = played.usage;
        say!(
            "{} usage events metered, {} duplicates, {} suspended, {} rejected",
            usage.accepted,
            usage.duplicates,
            usage.suspended,
            usage.rejected
        );
    }
    clock.play_over();
    let items = invoices::all_as_json(&app)?;
    say!("{}", invoice_table(&items));
    let head = app.ledger.head().last;
    say!("log       {} ({} events)", data.join("log").display(), head.0);
    say!("look      slapledger log --data {} --limit 20", data.display());
    say!("again     slapledger rebuild --data {}", data.display());
    if let Some(listen) = listen {
        return serve(app, listen, None);
    }
    app.shut_down();
    Ok(())
}

/// Serves until it is stopped by SIGINT or SIGTERM, then finishes what is under way.
/// Computers that are silent for longer than `silent_after` are closed, if it is said.
fn serve(app: App, listen: SocketAddr, silent_after: Option<Duration>) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let app = Arc::new(app);
    let result = runtime.block_on(async {
        let listener =
            tokio::net::TcpListener::bind(listen).await.with_context(|| format!("listen on {listen}"))?;
        let address = listener.local_addr().context("find the address that was bound")?;
        say!("serving   http://{address}/ until stopped (ctrl-c)");
        if let Some(silent_after) = silent_after {
            tokio::spawn(contacts::watch(Arc::clone(&app), silent_after));
        }
        tokio::spawn(due::watch(Arc::clone(&app)));
        let routes = router::router(Arc::clone(&app));
        let bounds = Connections::default();
        let serving = async move { net::serve(listener, routes, None, &bounds, stopped()).await };
        // By a thread of the runtime: this one would hand every connection over to one of them, and be woken for it.
        tokio::spawn(serving).await.context("serve")?.context("serve")
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(10));
    app.shut_down();
    tracing::info!(last = app.ledger.head().last.0, "stopped");
    result
}

async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}

/// Faults and what an operator wants to know go to stderr; `RUST_LOG` says how much of it.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // A second call (in a test) keeps the first subscriber.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a thread panicked")));
}
