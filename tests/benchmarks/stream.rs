//! Usage events per second alone, and while many readers follow the events (`GET /v1/events/stream`).
//!
//! Readers are on one thread beside the server, and take what comes as it comes. They come from several loopback
//! addresses, for the connections of one address are bounded.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::Setting;
use crate::cloud::{self, Cloud};
use crate::ingest::{Size, send};
use crate::measure::{Grouped, median, milliseconds, percentile};

/// Readers of one address.
const OF_ONE_ADDRESS: usize = 100;
/// How long all readers may take to connect.
const PATIENCE: Duration = Duration::from_secs(60);

/// What readers share.
#[derive(Default)]
struct Readers {
    connected: AtomicUsize,
    bytes: AtomicU64,
    ended: AtomicUsize,
    is_over: AtomicBool,
}

/// Pairs of runs on folders of their own: alone, and beside readers.
pub(crate) fn stream(setting: &Setting, size: &Size, readers: usize, path: &str) -> anyhow::Result<()> {
    let &Size { events, runs, clients, batch } = size;
    ensure!(batch > 0 && events >= batch && runs > 0 && clients > 0, "there is nothing to send");
    println!(
        "{} events in posts of {batch}, {clients} connections, {runs} pairs; {readers} readers of {path}",
        Grouped(events)
    );
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for run in 0..runs {
        for (count, rates) in [(0, &mut alone), (readers, &mut beside)] {
            let folder = setting.new_folder()?;
            let cloud = Cloud::new(setting, folder.path())?;
            let seed = setting.seed + run as u64;
            let bodies: Vec<String> =
                (0..events / batch).map(|n| cloud::batch(seed, n, batch, batch)).collect();
            let shared = Arc::new(Readers::default());
            let address = cloud.server.address();
            let reading = {
                let (shared, path) = (Arc::clone(&shared), path.to_owned());
                thread::spawn(move || read_all(address, count, &path, &shared))
            };
            let began = Instant::now();
            while shared.connected.load(Ordering::Relaxed) < count {
                ensure!(began.elapsed() < PATIENCE, "not all readers could connect: {}", cloud.server.log());
                thread::sleep(Duration::from_millis(5));
            }
            let sent = send(&cloud, &bodies, clients, batch);
            let memory = cloud.server.memory_kib("VmHWM")?;
            let bytes = shared.bytes.load(Ordering::Relaxed);
            shared.is_over.store(true, Ordering::Relaxed);
            let (rate, times) = sent?;
            reading.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??;
            ensure!(shared.ended.load(Ordering::Relaxed) == 0, "streams ended before their readers did");
            println!(
                "pair {}, {count} readers: {} events/s; post p50 {} ms, p99 {} ms; {} KiB sent to readers; peak {} MiB",
                run + 1,
                Grouped(rate.per_second()),
                milliseconds(median(&times).unwrap_or_default()),
                milliseconds(percentile(&times, 99).unwrap_or_default()),
                Grouped(bytes / 1024),
                memory / 1024,
            );
            rates.push(rate.per_second());
        }
    }
    let (alone, beside) = (median(&alone).unwrap_or_default(), median(&beside).unwrap_or_default());
    println!(
        "median {} events/s alone, {} beside {readers} readers: {} %",
        Grouped(alone),
        Grouped(beside),
        (beside * 100).checked_div(alone).unwrap_or_default()
    );
    Ok(())
}

fn read_all(address: SocketAddr, count: usize, path: &str, shared: &Arc<Readers>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut readers = Vec::with_capacity(count);
        for n in 0..count {
            let stream = connect(address, n, path).await.with_context(|| format!("reader {n}"))?;
            readers.push(tokio::spawn(read(stream, Arc::clone(shared))));
        }
        for reader in readers {
            reader.await??;
        }
        Ok(())
    })
}

async fn connect(address: SocketAddr, n: usize, path: &str) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let from = Ipv4Addr::new(127, 0, 1, u8::try_from(n / OF_ONE_ADDRESS + 1)?);
    socket.bind(SocketAddr::from((from, 0)))?;
    let mut stream = socket.connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// Reads until the end, and counts itself when the server says that it has caught up.
async fn read(mut stream: TcpStream, shared: Arc<Readers>) -> anyhow::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut head = Vec::new();
    loop {
        let read = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut buffer)).await;
        if shared.is_over.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Ok(read) = read else { continue };
        let read = read?;
        if read == 0 {
            shared.ended.fetch_add(1, Ordering::Relaxed);
            anyhow::bail!("the stream ended: {}", String::from_utf8_lossy(&head));
        }
        shared.bytes.fetch_add(read as u64, Ordering::Relaxed);
        if head.len() < 4096 {
            let was_there = is_caught_up(&head);
            head.extend_from_slice(&buffer[..read.min(4096)]);
            if !was_there && is_caught_up(&head) {
                shared.connected.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn is_caught_up(head: &[u8]) -> bool {
    head.windows(11).any(|bytes| bytes == b": caught up")
}
