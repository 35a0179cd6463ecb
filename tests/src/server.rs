//! The real program as a process: started on a free port, stopped or killed, and started again on the same folder.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::http::{Access, Client};

/// How long a start may take.
const START: Duration = Duration::from_secs(300);
/// How long a clean stop may take.
const STOP: Duration = Duration::from_secs(120);

/// How the program is started.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The program.
    pub binary: PathBuf,
    /// Where it keeps everything; its stderr is appended to `server.log` beside that folder.
    pub data: PathBuf,
    /// The computer that exists from the start.
    pub computer: String,
    /// The file that is its clock; the clock of the machine, if none.
    pub clock: Option<PathBuf>,
    /// What it is run as, and how: `proxy` and its options, or `serve` and those.
    pub command: Vec<String>,
    /// How clients come in.
    pub access: Access,
}

impl Setup {
    /// `slapledger proxy` with its data folder in `folder`.
    pub fn proxy(binary: PathBuf, folder: &Path, computer: &str) -> Self {
        let command = ["proxy", "--computer", computer].map(str::to_owned).to_vec();
        Self {
            binary,
            data: folder.join("data"),
            computer: computer.to_owned(),
            clock: None,
            command,
            access: Access::default(),
        }
    }

    /// `slapledger serve` with its data folder in `folder`, and the token of its first admin.
    pub fn master(binary: PathBuf, folder: &Path, options: &[&str]) -> anyhow::Result<(Self, String)> {
        let (data, token) = (folder.join("data"), folder.join("token"));
        let mut init = Command::new(&binary);
        init.args(["init", "--data"]).arg(&data).arg("--token-file").arg(&token).stdout(Stdio::null());
        ensure!(init.status().context("run init")?.success(), "init failed");
        let token = std::fs::read_to_string(token).context("read the token")?.trim().to_owned();
        let command = std::iter::once("serve").chain(options.iter().copied()).map(str::to_owned).collect();
        let access = Access { fields: format!("Authorization: Bearer {token}\r\n"), tls: None };
        Ok((Self { binary, data, computer: String::new(), clock: None, command, access }, token))
    }

    /// The same by a clock that shows this RFC 3339 instant.
    pub fn at(mut self, instant: &str) -> anyhow::Result<Self> {
        let clock = self.data.with_file_name("clock");
        set_clock(&clock, instant)?;
        self.clock = Some(clock);
        Ok(self)
    }

    /// Moves its clock, which it must have.
    pub fn set_clock(&self, instant: &str) -> anyhow::Result<()> {
        set_clock(self.clock.as_deref().context("it lives by the clock of the machine")?, instant)
    }

    /// Starts it, and returns when it says that it is ready.
    pub fn start(&self) -> anyhow::Result<Server> {
        let mut server = self.spawn()?;
        server.address = server.read_address()?;
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Starts it and kills it a moment later, whatever it is doing then.
    pub fn start_and_kill(&self, after: Duration) -> anyhow::Result<()> {
        let mut server = self.spawn()?;
        thread::sleep(after);
        server.kill()
    }

    fn spawn(&self) -> anyhow::Result<Server> {
        let mut command = Command::new(&self.binary);
        command.args(&self.command).args(["--listen", "127.0.0.1:0"]);
        command.arg("--data").arg(&self.data);
        if let Some(clock) = &self.clock {
            command.arg("--clock").arg(clock);
        }
        let log_path = self.data.with_file_name("server.log");
        let log = OpenOptions::new().create(true).append(true).open(&log_path);
        let log = log.with_context(|| format!("open {}", log_path.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let began = Instant::now();
        let process = command.spawn().with_context(|| {
            format!("start {} (is it built? SLAPLEDGER_BIN names another)", self.binary.display())
        })?;
        let (address, access) = (SocketAddr::from(([127, 0, 0, 1], 0)), self.access.clone());
        Ok(Server { process, address, access, log_path, began })
    }
}

fn set_clock(path: &Path, instant: &str) -> anyhow::Result<()> {
    // In one step: the program reads it for each command.
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, instant).and_then(|()| std::fs::rename(&fresh, path)).context("set the clock")
}

/// A running process; killed when it is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    address: SocketAddr,
    access: Access,
    log_path: PathBuf,
    began: Instant,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of it.
    pub fn client(&self, keep_alive: bool) -> Client {
        Client::coming_in(self.address, keep_alive, self.access.clone())
    }

    /// The same, with clients that come in otherwise.
    #[must_use]
    pub fn seen_with(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// How long ago it was started.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Its id as a process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it at once: SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill().context("kill the server")?;
        self.process.wait().context("wait for the killed server")?;
        Ok(())
    }

    /// Asks it to end: SIGTERM. It must end well.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let sent = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        ensure!(sent.context("send SIGTERM")?.success(), "send SIGTERM: it is gone already\n{}", self.log());
        let began = Instant::now();
        let status = loop {
            match self.process.try_wait().context("wait for the server")? {
                Some(status) => break status,
                None if began.elapsed() > STOP => bail!("it does not stop\n{}", self.log()),
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        ensure!(status.success(), "it ended with {status}\n{}", self.log());
        Ok(())
    }

    /// Its end, if it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// The last lines it wrote to stderr.
    pub fn log(&self) -> String {
        last_lines(&self.log_path).unwrap_or_else(|error| format!("no log: {error}"))
    }

    /// A field of /proc/PID/status in KiB, such as `VmRSS`.
    pub fn memory_kib(&self, field: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let value =
            line.and_then(|line| line.split_whitespace().next()).with_context(|| format!("no {field}"))?;
        Ok(value.parse()?)
    }

    /// The address in the line it prints when it serves. What else it prints is read and dropped.
    fn read_address(&mut self) -> anyhow::Result<SocketAddr> {
        let stdout = self.process.stdout.take().context("its output is read once")?;
        let (found, address) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(rest) = line.strip_prefix("serving")
                    && let Some((_, rest)) = rest.split_once("://")
                    && let Some((address, _)) = rest.split_once('/')
                {
                    let _ = found.send(address.parse());
                }
            }
        });
        match address.recv_timeout(START) {
            Ok(address) => address.context("read its address"),
            Err(_) => bail!("it does not serve\n{}", self.log()),
        }
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let mut client = self.client(false);
        loop {
            let last = match client.get("/readyz") {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(answer) => answer.to_string(),
                Err(error) => error.to_string(),
            };
            if let Some(status) = self.ended() {
                bail!("it ended with {status}\n{}", self.log());
            }
            ensure!(self.age() < START, "it is not ready: {last}\n{}", self.log());
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn last_lines(path: &Path) -> anyhow::Result<String> {
    const BYTES: u64 = 8000;
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
