//! Commands that run a master: `demo`, `proxy` and `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use slapledger_core::domain::Command;
use slapledger_core::domain::computer::RegisterComputer;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, PartyId, Reference, SoftwareRelease};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::product::PublishSoftwareRelease;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::ledger::Clock;
use slapledger_core::log::envelope::Actor;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Folder;
use super::client::invoice_table;
use super::init;
use super::print::say;
use super::warnings;
use crate::access::{Doors, FIRST_PARTY, Guesses, Rate};
use crate::app::{App, Open};
use crate::ca::Authority;
use crate::certification::Certifier;
use crate::clock::{FileClock, ManualClock, SystemClock};
use crate::config::{Config, TerminatorConfig};
use crate::contacts;
use crate::demo;
use crate::erasure;
use crate::http::{invoices, projects, router};
use crate::invoicing::due;
use crate::net::{self, Connections};
use crate::operations::Operations;
use crate::server_certificate::{self, ServerCertificate, Source};
use crate::shipping::Shipping;

/// The name of the one user of `proxy`.
const LOCAL_USER: &str = "local user";

pub(super) fn proxy(
    folder: &Folder,
    listen: SocketAddr,
    operations: Option<SocketAddr>,
    computer: &str,
    products: &[String],
    clock: Option<PathBuf>,
) -> anyhow::Result<()> {
    let data = &folder.data;
    loopback_alone("--listen", listen, "proxy")?;
    if let Some(operations) = operations {
        loopback_alone("--operations", operations, "proxy")?;
    }
    let products = products.iter().map(|told| product(told)).collect::<anyhow::Result<Vec<_>>>()?;
    let computer = ComputerId::new(computer).map_err(|rule| anyhow::anyhow!("--computer {rule}"))?;
    warnings::to_stderr();
    let clock: Arc<dyn Clock> = match clock {
        Some(path) => Arc::new(FileClock::open(path)?),
        None => Arc::new(SystemClock),
    };
    let mut app = App::open(Open { data, mode: Mode::Proxy, clock, master_key: folder.master_key() })?;
    prepare_user(&app)?;
    prepare_computer(&app, &computer)?;
    for (product, release) in products {
        let publisher = FIRST_PARTY;
        let publish = PublishSoftwareRelease { product, release, publisher };
        app.submit_own(Actor::system(), Command::PublishSoftwareRelease(publish))?;
    }
    app.default_computer = Some(computer.clone());
    say!("data      {}", data.display());
    say!("computer  {computer}");
    serve(app, Serving { operations, ..Serving::plain(listen) })
}

/// Where a master listens, if nothing else is said.
const DEFAULT_LISTEN: &str = "127.0.0.1:5000";
/// How long a computer may be silent, if nothing else is said.
const SILENT_AFTER_SECONDS: u32 = 3600;

/// The master of a cloud.
pub(super) fn master(folder: Folder, config: Config, plain_http: bool) -> anyhow::Result<()> {
    let Folder { data, master_key } = folder;
    let listen = config.listen.unwrap_or(DEFAULT_LISTEN.parse().context("the usual address is one")?);
    // Again, with what the command line adds to the file.
    config.check()?;
    config.check_scheme(plain_http)?;
    warnings::to_stderr();
    let unmade = |what: &str| {
        format!("{} has no {what}; `slapledger init --data {}` makes it", data.display(), data.display())
    };
    init::check_folder(&data)?;
    // A folder that is something else is told so when it is opened.
    ensure!(data.join("log").is_dir(), unmade("ledger of a master"));
    let master_key = master_key.or(config.master_key_file.clone());
    config.check_disk(&data)?;
    let open = Open {
        data: &data,
        mode: Mode::Serve,
        clock: Arc::new(SystemClock),
        master_key: master_key.as_deref(),
    };
    let mut app =
        App::open_guarded(open, config.guards()).with_context(|| format!("open {}", data.display()))?;
    let authority = data.join(init::AUTHORITY);
    ensure!(authority.exists(), unmade("certificate authority"));
    let authority = Authority::open(&authority)?;
    ensure!(app.billing_now(|view| view.billing.knows_party(FIRST_PARTY))?, unmade("first party"));
    init::check_signing_key(&data)?;
    let names = names(&config, listen);
    let source = match config.certificate {
        None => Source::Own(names.clone()),
        Some(files) => Source::Files { files, names: config.names.clone() },
    };
    let shown = (!plain_http).then(|| ServerCertificate::open(source, &authority, app.now())).transpose()?;
    let tls = shown.as_ref().map(|shown| net::tls(shown.shown(), &authority.client_roots_pem()));
    let tls = tls.transpose()?.map(Arc::new);
    app.doors = Some(Arc::new(Doors {
        https: tls.is_some() || config.terminator.is_some(),
        names: names.clone(),
        terminator: config.terminator.as_ref().map(TerminatorConfig::open).transpose()?,
        guesses: Guesses::default(),
        rate: Rate::new(config.requests.most_per_second, config.requests.most_per_second_unknown),
    }));
    app.requests = Arc::new(config.requests.clone());
    if let Some(to) = &config.backup.ship_to {
        ensure!(to.is_dir(), "backup.ship_to: {} is not there; create it, or mount its disk", to.display());
        let shipping = Shipping::start(to, &app.log, app.ledger.created(), app.ledger.clock());
        app.shipping = Some(shipping.context("start a thread that ships sealed epochs")?);
    }
    app.certifier = Some(Arc::new(Certifier::new(authority, &data.join("certificates"))?));
    say!("data      {}", data.display());
    say!("root      {}", data.join(init::AUTHORITY).join("root.pem").display());
    say!("names     {}", names.join(", "));
    if config.names.is_empty() && !listen.ip().is_loopback() {
        say!(
            "          clients elsewhere call it something else: --name NAME, or names in the file, lets them in"
        );
    }
    if !init::has_admin(&app)? {
        say!(
            "admin     none; `slapledger token issue --data {} --role admin --all-projects` lets one in",
            data.display()
        );
    }
    let silent_after = config.silent_after_seconds.unwrap_or(SILENT_AFTER_SECONDS);
    let silent_after = Some(Duration::from_secs(silent_after.into()));
    let terminators = config.terminator.map(|terminator| terminator.addresses).unwrap_or_default();
    let connections = Connections { terminators, ..config.connections };
    serve(app, Serving { listen, operations: config.operations, tls, shown, connections, silent_after })
}

/// What clients may call the server: what is configured, and what it is called on its own machine.
fn names(config: &Config, listen: SocketAddr) -> Vec<String> {
    let mut names = config.names.clone();
    let address =
        Some(listen.ip()).filter(|address| !address.is_unspecified()).map(|address| address.to_string());
    let local = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    for name in address.into_iter().chain(local) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn loopback_alone(option: &str, listen: SocketAddr, command: &str) -> anyhow::Result<()> {
    ensure!(
        listen.ip().is_loopback(),
        "{option} {listen}: {command} has no sign-in and listens on loopback alone"
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
    if !app.billing_now(|view| view.billing.knows_party(FIRST_PARTY))? {
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
            RegisterComputer { computer: computer.clone(), owner: FIRST_PARTY, time_zone: TimeZone::UTC };
        app.submit_own(Actor::system(), Command::RegisterComputer(register))?;
    }
    Ok(())
}

pub(super) fn demo(folder: &Folder, listen: Option<SocketAddr>, seed: u64) -> anyhow::Result<()> {
    let data = &folder.data;
    if let Some(listen) = listen {
        loopback_alone("--listen", listen, "demo")?;
    }
    warnings::to_stderr();
    // The month is in the past; once it is played the clock of the machine goes on, never before the last event.
    let opening =
        Timestamp::parse_rfc3339("2026-09-28T08:00:00Z").context("the demo begins at an instant")?;
    let manual = Arc::new(ManualClock::new(opening));
    let clock = Arc::new(demo::DemoClock::new(Arc::clone(&manual), SystemClock));
    let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let app = App::open(Open { data, mode: Mode::Demo, clock: as_clock, master_key: folder.master_key() })?;
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
        return serve(app, Serving::plain(listen));
    }
    app.shut_down()
}

/// How something is served.
struct Serving {
    listen: SocketAddr,
    /// Where health is told beside that.
    operations: Option<SocketAddr>,
    /// Without it, in the clear.
    tls: Option<Arc<rustls::ServerConfig>>,
    /// What it shows, to be replaced in time.
    shown: Option<ServerCertificate>,
    connections: Connections,
    /// Computers that are silent for longer are closed, if it is said.
    silent_after: Option<Duration>,
}

impl Serving {
    /// As `proxy` and `demo` are: for one user on this machine.
    fn plain(listen: SocketAddr) -> Self {
        Self {
            listen,
            operations: None,
            tls: None,
            shown: None,
            connections: Connections::default(),
            silent_after: None,
        }
    }
}

/// Serves until it is stopped by SIGINT or SIGTERM, then finishes what is under way. The error is what failed, also while
/// it closed what it had open.
fn serve(app: App, serving: Serving) -> anyhow::Result<()> {
    let Serving { listen, operations, tls, shown, connections, silent_after } = serving;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let app = Arc::new(app);
    let watching = app.health.watch(Arc::clone(app.ledger.store()));
    let operations = operations.map(|address| Operations::start(Arc::clone(&app), address)).transpose()?;
    let result = runtime.block_on(async {
        // Before it is said that it serves: a signal from then on is no end in the middle of something.
        let signals = Signals::listen().context("wait for signals")?;
        if app.mode == Mode::Serve {
            projects::enter_first_parties(&app).await.map_err(|problem| anyhow!("{}", problem.detail))?;
        }
        let listener =
            tokio::net::TcpListener::bind(listen).await.with_context(|| format!("listen on {listen}"))?;
        let address = listener.local_addr().context("find the address that was bound")?;
        if let Some(operations) = &operations {
            say!("operations http://{}/", operations.address);
        }
        let scheme = if tls.is_some() { "https" } else { "http" };
        say!("serving   {scheme}://{address}/ until stopped (ctrl-c)");
        if let Some(silent_after) = silent_after {
            tokio::spawn(contacts::watch(Arc::clone(&app), silent_after));
        }
        if let (Some(shown), Some(certifier)) = (shown, &app.certifier) {
            tokio::spawn(server_certificate::watch(shown, Arc::clone(&app), Arc::clone(certifier)));
        }
        tokio::spawn(due::watch(Arc::clone(&app)));
        tokio::spawn(erasure::watch(Arc::clone(&app)));
        let routes = router::router(Arc::clone(&app));
        let stop = {
            let app = Arc::clone(&app);
            async move {
                signals.stopped().await;
                app.health.stop();
            }
        };
        let serving = async move { net::serve(listener, routes, tls, &connections, stop).await };
        // By a thread of the runtime: this one would hand every connection over to one of them, and be woken for it.
        tokio::spawn(serving).await.context("serve")?.context("serve")
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(10));
    let closed = app.shut_down();
    // Last: health is told until everything is closed.
    drop((operations, watching));
    // What does not end holds the log open, and it would end with the process in the middle of something.
    let closed = closed.and_then(|()| {
        ensure!(
            Arc::strong_count(&app) == 1,
            "did not close the log: a request was still under way; what was acknowledged is in it, start it again"
        );
        Ok(())
    });
    tracing::info!(last = app.ledger.head().last.0, "stopped");
    match (result, closed) {
        (Ok(()), closed) => closed,
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(fault)) => Err(error.context(fault.to_string())),
    }
}

/// What ends a server.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// They are caught from now on.
    fn listen() -> std::io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate })
    }

    /// Waits for one of them.
    async fn stopped(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
