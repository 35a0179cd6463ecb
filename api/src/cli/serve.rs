//! Commands that run a master: `demo`, `proxy` and `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use slapledger_ca::Authority;
use slapledger_client::invoices::invoice_table;
use slapledger_client::print::say;
use slapledger_core::backup::check_destination;
use slapledger_core::domain::Command;
use slapledger_core::domain::computer::RegisterComputer;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, PartyId, ProjectId, Reference, SoftwareRelease};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::product::PublishSoftwareRelease;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::ledger::Clock;
use slapledger_core::log::envelope::Actor;
use slapledger_engine::certifier::Certifier;
use slapledger_engine::clock::{FileClock, ManualClock, SystemClock};
use slapledger_engine::publishing::{Publishing, PublishingOptions};
use slapledger_engine::shipping::Shipping;
use slapledger_engine::witnesses::WitnessLink;
use slapledger_engine::{Engine, Open, accepted};
use slapledger_net::{self as net, Connections};
use slapledger_protocols::access::{AccessControl, FailedAttempts, Gateway, RateLimits, RequestLimits};
use slapledger_protocols::multimaster::OtherMasters;
use slapledger_protocols::operations::Operations;
use slapledger_protocols::rest::invoices;
use slapledger_protocols::router;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::credit_expiry;
use slapledger_usecases::due_usage;
use slapledger_usecases::first_parties::enter_first_parties;
use slapledger_usecases::invoicing::{due, threshold};
use slapledger_usecases::loss::finish_retirements;
use slapledger_usecases::{contacts, erasure};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Folder, hints, init, log_key, progress, warnings};
use crate::config::{Config, TerminatorConfig};
use crate::demo;
use crate::multimaster;
use crate::server_certificate::{self, CertificateSource, ServerCertificate};
use crate::witness_link::HttpWitness;

/// The name of the one user of `proxy`.
const LOCAL_USER: &str = "local user";

pub(super) fn proxy(
    folder: &Folder,
    listen: SocketAddr,
    operations: Option<SocketAddr>,
    computer: &str,
    products: &[String],
    (cfg, clock): (Option<PathBuf>, Option<PathBuf>),
) -> anyhow::Result<()> {
    let data = &folder.data;
    loopback_alone("--listen", listen, "proxy")?;
    if let Some(operations) = operations {
        loopback_alone("--operations", operations, "proxy")?;
    }
    let masters = cfg.as_deref().map(multimaster::read).transpose()?.unwrap_or_default();
    let products = products.iter().map(|told| product(told)).collect::<anyhow::Result<Vec<_>>>()?;
    let computer = ComputerId::new(computer).map_err(|rule| anyhow::anyhow!("--computer {rule}"))?;
    warnings::to_stderr();
    let clock: Arc<dyn Clock> = match clock {
        Some(path) => Arc::new(FileClock::open(path)?),
        None => Arc::new(SystemClock),
    };
    let (mode, master_key, progress) = (Mode::Proxy, folder.master_key(), progress::of_views());
    let accept = || check_free(&[Some(listen), operations]);
    let mut engine =
        Engine::open(Open { data, mode, clock, master_key, progress: &progress, accept: &accept })?;
    log_key::make(&data.join(log_key::SIGNING_KEY))?;
    log_key::take_up(&engine, data)?;
    engine.default_computer = Some(computer.clone());
    let ctx = RequestContext::local(Arc::new(engine));
    prepare_user(&ctx)?;
    prepare_computer(&ctx, &computer)?;
    for (product, release) in products {
        let publisher = FIRST_PARTY;
        let publish = PublishSoftwareRelease { product, release, publisher };
        ctx.submit_own(Actor::system(), Command::PublishSoftwareRelease(publish))?;
    }
    say!("data      {}", data.display());
    say!("computer  {computer}");
    for master in &masters.0 {
        say!("forwards  {} releases to {}", master.software_releases.len(), master.url);
    }
    let has_room = ctx.slap_now(|view| {
        view.inventory.computer(computer.as_str()).is_some_and(|known| !known.partitions().is_empty())
    })?;
    let ready = hints::of_proxy(&ctx, data, &computer, has_room);
    serve(ctx, None, Serving { operations, masters, ready: Box::new(ready), ..Serving::plain(listen) })
}

/// How long a computer may be silent, if nothing else is said.
const SILENT_AFTER_SECONDS: u32 = 3600;

/// The master of a cloud.
pub(super) fn master(folder: Folder, config: Config, plain_http: bool) -> anyhow::Result<()> {
    let Folder { data, master_key } = folder;
    let listen =
        config.listen.unwrap_or(crate::config::DEFAULT_LISTEN.parse().context("the usual address is one")?);
    // Again, with what the command line adds to the file.
    config.check()?;
    config.check_scheme(plain_http)?;
    warnings::to_stderr();
    let unmade = |what: &str| {
        format!("{} has no {what}; `slapledger init --data {}` makes it", data.display(), data.display())
    };
    init::check_folder(&data)?;
    if let Some(to) = &config.backup.ship_to {
        ensure!(
            !to.exists() || to.is_dir(),
            "backup.ship_to: {} is not a folder; name a folder",
            to.display()
        );
        check_destination(Some(&data), to).context("backup.ship_to")?;
    }
    // A folder that is something else is told so when it is opened.
    ensure!(data.join("log").is_dir(), unmade("ledger of a master"));
    let master_key = master_key.or(config.master_key_file.clone());
    config.check_disk(&data)?;
    let authority = data.join(init::AUTHORITY);
    // What is wrong is told before anything is written.
    let accept = || {
        ensure!(authority.exists(), unmade("certificate authority"));
        Authority::open(&authority)?;
        log_key::check(&data)?;
        if let Some(to) = &config.backup.ship_to {
            ensure!(
                to.is_dir(),
                "backup.ship_to: {} is not there; create it, or mount its disk",
                to.display()
            );
        }
        check_free(&[Some(listen), config.operations])
    };
    let open = Open {
        data: &data,
        mode: Mode::Serve,
        clock: Arc::new(SystemClock),
        master_key: master_key.as_deref(),
        progress: &progress::of_views(),
        accept: &accept,
    };
    let mut engine =
        Engine::open_guarded(open, config.guards()).with_context(|| format!("open {}", data.display()))?;
    log_key::take_up(&engine, &data)?;
    let authority = Authority::open(&authority)?;
    let head = engine.ledger.head().last;
    let billing = engine.billing_of(ProjectId::DEFAULT);
    let has_party = billing.read_at_blocking(head, |view, _| view.billing.knows_party(FIRST_PARTY))?;
    ensure!(has_party, unmade("first party"));
    let names = names(&config, listen);
    let source = match config.certificate {
        None => CertificateSource::Own(names.clone()),
        Some(files) => CertificateSource::Files { files, names: config.names.clone() },
    };
    let shown =
        (!plain_http).then(|| ServerCertificate::open(source, &authority, engine.now())).transpose()?;
    let tls = shown.as_ref().map(|shown| net::tls(shown.shown(), &authority.client_roots_pem()));
    let tls = tls.transpose()?.map(Arc::new);
    let access = AccessControl {
        https: tls.is_some() || config.terminator.is_some(),
        names: names.clone(),
        reverse_proxy: config.terminator.as_ref().map(TerminatorConfig::open).transpose()?,
        failed_attempts: FailedAttempts::default(),
        rate: RateLimits::new(config.requests.most_per_second, config.requests.most_per_second_unknown),
    };
    if let Some(to) = &config.backup.ship_to {
        let shipping = Shipping::start(to, &engine.log, engine.ledger.created(), engine.ledger.clock());
        engine.shipping = Some(shipping.context("start a thread that ships sealed epochs")?);
    }
    let mut witnesses: Vec<Arc<dyn WitnessLink>> = Vec::new();
    for witness in &config.witnesses {
        witnesses.push(Arc::new(HttpWitness::new(&witness.url, &witness.key)?));
    }
    let interval = Duration::from_secs(config.checkpoints.interval_seconds);
    let options = PublishingOptions { interval, witnesses };
    let publishing = Publishing::start(&engine.notary, &engine.ledger, &engine.log, options);
    engine.publishing = Some(publishing.context("start a thread that publishes checkpoints")?);
    engine.rebuilds = (&config.rebuild).into();
    engine.most_parameter_bytes = config.requests.most_parameter_bytes;
    engine.certifier = Some(Arc::new(Certifier::new(authority, &data.join("certificates"))?));
    let ctx = RequestContext::local(Arc::new(engine));
    say!("data      {}", data.display());
    say!("root      {}", data.join(init::AUTHORITY).join("root.pem").display());
    say!("names     {}", names.join(", "));
    if config.names.is_empty() && !listen.ip().is_loopback() {
        say!(
            "          clients elsewhere call it something else: --name NAME, or names in the file, lets them in"
        );
    }
    if !init::has_admin(&ctx)? {
        say!(
            "admin     none; `slapledger token issue --data {} --role admin --all-projects` lets one in",
            data.display()
        );
    }
    let silent_after = config.silent_after_seconds.unwrap_or(SILENT_AFTER_SECONDS);
    let silent_after = Some(Duration::from_secs(silent_after.into()));
    let terminators = config.terminator.map(|terminator| terminator.addresses).unwrap_or_default();
    let connections = Connections { terminators, ..config.connections };
    let known = Some((access, config.requests));
    serve(
        ctx,
        known,
        Serving {
            operations: config.operations,
            tls,
            shown,
            connections,
            silent_after,
            ..Serving::plain(listen)
        },
    )
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

/// Refuses addresses that the server could not listen on, while nothing was written yet.
fn check_free(addresses: &[Option<SocketAddr>]) -> anyhow::Result<()> {
    let listeners = addresses.iter().flatten().map(|address| {
        std::net::TcpListener::bind(address).with_context(|| {
            format!("listen on {address}: choose another address, or stop what listens there")
        })
    });
    // All at once, so that none of them takes the place of another.
    listeners.collect::<anyhow::Result<Vec<_>>>().map(drop)
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
fn prepare_user(ctx: &RequestContext) -> anyhow::Result<()> {
    if !ctx.billing_now(|view| view.billing.knows_party(FIRST_PARTY))? {
        let name = ctx.keys().seal(ctx.keys().fresh()?, LOCAL_USER.as_bytes())?;
        let register = RegisterParty { name, time_zone: TimeZone::UTC, description: None };
        ctx.submit_own(Actor::system(), Command::RegisterParty(register))?;
    }
    Ok(())
}

/// And so does the computer of `proxy`.
fn prepare_computer(ctx: &RequestContext, computer: &ComputerId) -> anyhow::Result<()> {
    if !ctx.slap_now(|view| view.inventory.computer(computer.as_str()).is_some())? {
        let register =
            RegisterComputer { computer: computer.clone(), owner: FIRST_PARTY, time_zone: TimeZone::UTC };
        ctx.submit_own(Actor::system(), Command::RegisterComputer(register))?;
    }
    Ok(())
}

pub(super) fn demo(folder: &Folder, listen: Option<SocketAddr>, seed: u64) -> anyhow::Result<()> {
    let data = &folder.data;
    if let Some(listen) = listen {
        loopback_alone("--listen", listen, "demo")?;
        // Before the month is played, and before there is a folder.
        check_free(&[Some(listen)])?;
    }
    warnings::to_stderr();
    // The months are in the past; once they are played the clock of the machine goes on, never before the last event.
    let opening = Timestamp::parse_rfc3339(demo::OPENING).context("the demo begins at an instant")?;
    let manual = Arc::new(ManualClock::new(opening));
    let clock = Arc::new(demo::DemoClock::new(Arc::clone(&manual), SystemClock));
    let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let (mode, master_key, progress) = (Mode::Demo, folder.master_key(), progress::of_views());
    let engine = Engine::open(Open {
        data,
        mode,
        clock: as_clock,
        master_key,
        progress: &progress,
        accept: &accepted,
    })?;
    let ctx = RequestContext::local(Arc::new(engine));
    if ctx.billing_now(|view| view.billing.knows_party(PartyId(1)))? {
        say!("the demo in this folder was played before; this is what it holds");
    } else {
        let played = demo::play(&ctx, &manual, seed)?;
        say!("September and October 2026 in an invented cloud, from seed {seed}");
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
    log_key::make(&data.join(log_key::SIGNING_KEY))?;
    log_key::take_up(&ctx.engine, data)?;
    let items = invoices::all_as_json(&ctx)?;
    invoice_table(&items).print();
    let head = ctx.ledger().head().last;
    say!("log       {} ({} events)", data.join("log").display(), head.0);
    let Some(listen) = listen else {
        ctx.engine.shut_down()?;
        say!("look      slapledger log --data {} --limit 20", data.display());
        say!("again     slapledger rebuild --data {}", data.display());
        return Ok(());
    };
    demo::publish_products(&ctx)?;
    let ready = hints::of_demo(&ctx, data, &items);
    let nodes = Some(Arc::new(ctx.clone()));
    serve(ctx, None, Serving { nodes, ready: Box::new(ready), ..Serving::plain(listen) })
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
    /// To whom requests for some software are forwarded.
    masters: OtherMasters,
    /// On whose behalf the nodes of the demo work.
    nodes: Option<Arc<RequestContext>>,
    /// Says what a user can do next, when the address is known.
    ready: Box<dyn FnOnce(SocketAddr)>,
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
            masters: OtherMasters::default(),
            nodes: None,
            ready: Box::new(|_| {}),
        }
    }
}

/// Serves until it is stopped by SIGINT or SIGTERM, then finishes what is under way. The error is what failed, also while
/// it closed what it had open.
fn serve(
    ctx: RequestContext,
    known: Option<(AccessControl, RequestLimits)>,
    serving: Serving,
) -> anyhow::Result<()> {
    let Serving { listen, operations, tls, shown, connections, silent_after, masters, nodes, ready } =
        serving;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let ctx = Arc::new(ctx);
    let watching = ctx.engine.health.watch(Arc::clone(ctx.ledger().store()));
    let start = |address| Operations::start(Arc::clone(&ctx.engine), address);
    let operations = operations.map(start).transpose()?;
    let result = runtime.block_on(async {
        // Before it is said that it serves: a signal from then on is no end in the middle of something.
        let signals = Signals::listen().context("wait for signals")?;
        if ctx.mode() == Mode::Serve {
            enter_first_parties(&ctx).await.map_err(|problem| anyhow!("{}", problem.detail))?;
            finish_retirements(&ctx).await;
        }
        let listener =
            tokio::net::TcpListener::bind(listen).await.with_context(|| format!("listen on {listen}"))?;
        let address = listener.local_addr().context("find the address that was bound")?;
        if let Some(operations) = &operations {
            say!("operations http://{}/", operations.address);
        }
        let scheme = if tls.is_some() { "https" } else { "http" };
        say!("serving   {scheme}://{address}/ until stopped (ctrl-c)");
        ready(address);
        if let Some(silent_after) = silent_after {
            tokio::spawn(contacts::watch(Arc::clone(&ctx), silent_after));
        }
        if let (Some(shown), Some(certifier)) = (shown, &ctx.engine.certifier) {
            tokio::spawn(server_certificate::watch(shown, Arc::clone(&ctx), Arc::clone(certifier)));
        }
        tokio::spawn(due::watch(Arc::clone(&ctx)));
        tokio::spawn(threshold::watch(Arc::clone(&ctx)));
        tokio::spawn(credit_expiry::watch(Arc::clone(&ctx)));
        tokio::spawn(due_usage::watch(Arc::clone(&ctx)));
        tokio::spawn(erasure::watch(Arc::clone(&ctx)));
        let mut gateway = Gateway { masters, ..Gateway::open(Arc::clone(&ctx.engine)) };
        if let Some((access, limits)) = known {
            gateway = Gateway { access: Some(access), limits, ..gateway };
        }
        let mut routes = router::router(Arc::new(gateway));
        if let Some(nodes) = nodes {
            routes = routes.layer(axum::middleware::from_fn_with_state(nodes, demo::node::work));
        }
        let stop = {
            let engine = Arc::clone(&ctx.engine);
            async move {
                signals.stopped().await;
                engine.health.stop();
            }
        };
        let serving = async move { net::serve(listener, routes, tls, &connections, stop).await };
        // By a thread of the runtime: this one would hand every connection over to one of them, and be woken for it.
        tokio::spawn(serving).await.context("serve")?.context("serve")
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(10));
    let closed = ctx.engine.shut_down();
    // Last: health is told until everything is closed.
    drop((operations, watching));
    // What does not end holds the log open, and it would end with the process in the middle of something.
    let closed = closed.and_then(|()| {
        ensure!(
            Arc::strong_count(&ctx.engine) == 1,
            "did not close the log: a request was still under way; what was acknowledged is in it, start it again"
        );
        Ok(())
    });
    tracing::info!(last = ctx.ledger().head().last.0, "stopped");
    match (result, closed) {
        (Ok(()), closed) => closed,
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(fault)) => Err(error.context(fault.to_string())),
    }
}

/// What ends a server.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// They are caught from now on.
    pub(super) fn listen() -> std::io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate })
    }

    /// Waits for one of them.
    pub(super) async fn stopped(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
