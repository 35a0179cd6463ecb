//! The real `slapos proxy` as a process, for comparison.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use slapledger_tests::http::Client;

/// A running `slapos proxy`; killed when it is dropped.
pub(crate) struct Peer {
    process: Child,
    address: SocketAddr,
}

impl Peer {
    /// Starts it from a virtual environment, with its database in `folder`.
    pub(crate) fn start(venv: &Path, folder: &Path, computer: &str) -> anyhow::Result<Self> {
        // It cannot say which port it took, so one that was free a moment ago is named.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let config = folder.join("slapos.cfg");
        let text = format!(
            "[slapos]\ncomputer_id = {computer}\nmaster_url = http://{address}/\n[slapproxy]\nhost = 127.0.0.1\n\
             port = {}\ndatabase_uri = {}\n",
            address.port(),
            folder.join("proxy.db").display(),
        );
        std::fs::write(&config, text)?;
        let log = File::create(folder.join("proxy.log"))?;
        let program = venv.join("bin/slapos");
        let mut command = Command::new(&program);
        command.args(["proxy", "start", "--cfg"]).arg(&config);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let process = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let mut peer = Self { process, address };
        let began = Instant::now();
        while !Client::new(address, false).get("/getRunId").is_ok_and(|answer| answer.status == 200) {
            if let Some(status) = peer.process.try_wait()? {
                bail!(
                    "slapos proxy ended with {status}: {}",
                    std::fs::read_to_string(folder.join("proxy.log"))?
                );
            }
            ensure!(began.elapsed() < Duration::from_secs(60), "slapos proxy does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(peer)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Which slapos.core it is.
    pub(crate) fn version(venv: &Path) -> anyhow::Result<String> {
        let asked = Command::new(venv.join("bin/python"))
            .args(["-c", "import importlib.metadata as m, sys; print(m.version('slapos.core'), sys.version.split()[0])"])
            .output()
            .with_context(|| format!("ask {}", venv.display()))?;
        ensure!(asked.status.success(), "no slapos.core in {}", venv.display());
        let text = String::from_utf8(asked.stdout)?;
        let (version, python) = text.trim().split_once(' ').context("a version and that of Python")?;
        Ok(format!("slapos.core {version} on Python {python}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
