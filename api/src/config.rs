//! What `slapledger serve` is told in a file: names, certificates, bounds. All of it has a safe default.
//!
//! A member that is not known is an error. Secrets are not in it: it names the files that hold them, which nobody but
//! their owner may read.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
#[cfg(test)]
use serde::Serialize;
use sha2::{Digest, Sha256};
use slapledger_ca as ca;
use slapledger_client::private::secret;
use slapledger_core::domain::usage::UsageLimits;
use slapledger_core::ledger::ClockBounds;
use slapledger_engine::rebuilds::RebuildSettings;
use slapledger_engine::{WriterBounds, free_space};
use slapledger_net::Connections;
use slapledger_protocols::access::{RequestLimits, ReverseProxy};
use slapledger_protocols::operations;
use zeroize::Zeroizing;

use crate::witness_link;

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen; what the command line says goes first.
    pub listen: Option<SocketAddr>,
    /// Where health is told on a listener of its own; what the command line says goes first.
    pub operations: Option<SocketAddr>,
    /// Whether that may be reached from elsewhere.
    pub operations_exposed: bool,
    /// The names and addresses under which clients reach the server: those its certificate is for.
    pub names: Vec<String>,
    /// Seconds after which a computer that is not heard of gets no new instances.
    pub silent_after_seconds: Option<u32>,
    /// The file of the master key, if it does not lie beside the key ring.
    pub master_key_file: Option<PathBuf>,
    /// A certificate from elsewhere, in place of one of the own authority.
    pub certificate: Option<OwnCertificate>,
    /// A program in front that ends TLS.
    pub terminator: Option<TerminatorConfig>,
    /// Bounds of connections.
    pub connections: Connections,
    /// Bounds of requests.
    pub requests: RequestLimits,
    /// Bounds of the clock.
    pub clock: ClockConfig,
    /// Room on the disk.
    pub disk: DiskConfig,
    /// Bounds of usage.
    pub usage: UsageConfig,
    /// How views are rebuilt while the server runs.
    pub rebuild: RebuildConfig,
    /// Copies that are made while the server runs.
    pub backup: BackupConfig,
    /// When checkpoints of the log are published.
    pub checkpoints: CheckpointConfig,
    /// Who cosigns them.
    pub witnesses: Vec<WitnessConfig>,
}

/// When checkpoints of the log are published, besides when an epoch is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// At the latest after so many seconds, if the log has grown.
    pub interval_seconds: u64,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { interval_seconds: 3600 }
    }
}

/// A witness of the log (C2SP tlog-witness).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Where it is; `add-checkpoint` is below that.
    pub url: String,
    /// The key that it cosigns with.
    pub key: String,
}

/// So many witnesses may be named: each is asked for each checkpoint.
const MOST_WITNESSES: usize = 16;

/// Bounds of usage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct UsageConfig {
    /// Groups that an instance may have of a resource in a month.
    pub most_groups: usize,
    /// Suspended usage events of one computer.
    pub most_suspended_of_node: u32,
    /// Suspended usage events of all computers of one party.
    pub most_suspended_of_party: u32,
}

impl Default for UsageConfig {
    fn default() -> Self {
        let UsageLimits { most_groups, most_suspended_of_node, most_suspended_of_party } =
            UsageLimits::default();
        Self { most_groups, most_suspended_of_node, most_suspended_of_party }
    }
}

/// How views are rebuilt while the server runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct RebuildConfig {
    /// Events per second that a rebuild reads, unless its request says otherwise; 0 sets no limit.
    pub most_events_per_second: u64,
    /// Seconds that a generation waits for its swap, and the previous one for a confirmation.
    pub kept_seconds: u64,
}

impl Default for RebuildConfig {
    fn default() -> Self {
        Self { most_events_per_second: 0, kept_seconds: RebuildSettings::default().kept.as_secs() }
    }
}

impl From<&RebuildConfig> for RebuildSettings {
    fn from(config: &RebuildConfig) -> Self {
        Self {
            most_events_per_second: NonZeroU64::new(config.most_events_per_second),
            kept: Duration::from_secs(config.kept_seconds),
        }
    }
}

/// Copies that are made while the server runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct BackupConfig {
    /// The folder that sealed epochs are copied to as they are sealed.
    pub ship_to: Option<PathBuf>,
}

/// A certificate that somebody else issued for this server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(deny_unknown_fields)]
pub struct OwnCertificate {
    /// It and those between it and its root, PEM.
    pub chain_file: PathBuf,
    /// Its key, PEM.
    pub key_file: PathBuf,
}

/// A program that ends TLS and hands on the certificates of clients (`client-cert`, RFC 9440).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(deny_unknown_fields)]
pub struct TerminatorConfig {
    /// Where it connects from.
    pub addresses: Vec<IpAddr>,
    /// The file of the secret that it sends as `slapledger-terminator`.
    pub secret_file: PathBuf,
}

/// How far the clock may step before the writer records nothing until somebody confirms it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct ClockConfig {
    /// Seconds by which it may step, and be behind the last event at the start.
    pub most_step_seconds: u64,
    /// Seconds by which it may be ahead of the last event at the start.
    pub most_absence_seconds: u64,
}

impl Default for ClockConfig {
    fn default() -> Self {
        let ClockBounds { most_step, most_absence } = ClockBounds::default();
        Self { most_step_seconds: most_step.as_secs(), most_absence_seconds: most_absence.as_secs() }
    }
}

/// Room on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(deny_unknown_fields, default)]
pub struct DiskConfig {
    /// Bytes that the ledger leaves free; 0 switches it off.
    pub reserve_bytes: Option<u64>,
    /// Bytes of the log after which an epoch is sealed.
    pub epoch_bytes: Option<u64>,
}

/// Where a master listens, if nothing else is said.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:5000";

/// How long an epoch may be: each has its files, and a tail of that length is laid out for it.
const EPOCH_BYTES: RangeInclusive<u64> = 64 * 1024..=1024 * 1024 * 1024;

/// The fewest seconds after which a computer is taken for silent: with fewer, all of them would be.
pub const LEAST_SILENCE: u32 = 10;

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("read {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let place = error.span().map(|span| place(text, span.start)).unwrap_or_default();
            anyhow::anyhow!("{place}{}", error.message().replace('\n', ", "))
        })?;
        config.check()?;
        Ok(config)
    }

    /// Says which value cannot be meant.
    pub fn check(&self) -> anyhow::Result<()> {
        self.connections.check()?;
        if let Some(operations) = self.operations {
            operations::check_address(operations, self.operations_exposed)?;
            let listen = self.listen.or_else(|| DEFAULT_LISTEN.parse().ok());
            ensure!(
                operations.port() == 0 || listen != Some(operations),
                "operations {operations}: is the address of `listen`; name another port"
            );
        }
        let RequestLimits { most_at_a_time, most_at_a_time_of_one, most_body_bytes, .. } = self.requests;
        let most_parameter_bytes = self.requests.most_parameter_bytes;
        ensure!((1..=100_000).contains(&most_at_a_time), "requests.most_at_a_time must be 1 to 100000");
        ensure!(
            (1..=most_at_a_time).contains(&most_at_a_time_of_one),
            "requests.most_at_a_time_of_one must be 1 to {most_at_a_time}, as requests.most_at_a_time is"
        );
        let RequestLimits { most_streams, most_streams_of_one, most_stream_bytes_per_second, .. } =
            self.requests;
        ensure!((1..=100_000).contains(&most_streams), "requests.most_streams must be 1 to 100000");
        ensure!(
            (1..=most_streams).contains(&most_streams_of_one),
            "requests.most_streams_of_one must be 1 to {most_streams}, as requests.most_streams is"
        );
        ensure!(
            (64 * 1024..=1024 * 1024 * 1024).contains(&most_stream_bytes_per_second),
            "requests.most_stream_bytes_per_second must be 65536 to 1073741824"
        );
        let bytes = 64 * 1024..=256 * 1024 * 1024;
        ensure!(bytes.contains(&most_body_bytes), "requests.most_body_bytes must be 65536 to 268435456");
        ensure!(
            (64 * 1024..=16 * 1024 * 1024).contains(&most_parameter_bytes),
            "requests.most_parameter_bytes must be 65536 to 16777216"
        );
        let silent = self.silent_after_seconds.is_none_or(|seconds| seconds >= LEAST_SILENCE);
        ensure!(silent, "silent_after_seconds must be {LEAST_SILENCE} or more");
        self.check_guards()?;
        let kept = self.rebuild.kept_seconds;
        ensure!((60..=604_800).contains(&kept), "rebuild.kept_seconds must be 60 to 604800, not {kept}");
        let interval = self.checkpoints.interval_seconds;
        ensure!(
            (10..=86_400).contains(&interval),
            "checkpoints.interval_seconds must be 10 to 86400, not {interval}"
        );
        ensure!(self.witnesses.len() <= MOST_WITNESSES, "witnesses: name at most {MOST_WITNESSES}");
        let mut names = BTreeSet::new();
        for witness in &self.witnesses {
            let key = witness_link::key_of(&witness.url, &witness.key)?;
            let name = key.name();
            ensure!(names.insert(name.to_owned()), "witnesses.key: {name} is named twice; name each once");
        }
        let addresses = self.terminator.as_ref().map_or(&[][..], |terminator| &terminator.addresses);
        let elsewhere = addresses.iter().find(|address| !address.is_loopback());
        if let Some(address) = elsewhere {
            bail!(
                "terminator.addresses: {address} never connects: without TLS a master listens on loopback alone"
            );
        }
        for name in &self.names {
            ca::check_server_name(name).context("names")?;
        }
        Ok(())
    }

    fn check_guards(&self) -> anyhow::Result<()> {
        if let Some(bytes) = self.disk.epoch_bytes {
            let (least, most) = EPOCH_BYTES.into_inner();
            ensure!(
                (least..=most).contains(&bytes),
                "disk.epoch_bytes must be {least} to {most}, not {bytes}"
            );
        }
        let ClockConfig { most_step_seconds: step, most_absence_seconds: absence } = self.clock;
        let UsageConfig { most_groups: groups, most_suspended_of_node, most_suspended_of_party } = self.usage;
        let suspended = [
            ("most_suspended_of_node", most_suspended_of_node),
            ("most_suspended_of_party", most_suspended_of_party),
        ];
        for (name, most) in suspended {
            ensure!((100..=10_000_000).contains(&most), "usage.{name} must be 100 to 10000000, not {most}");
        }
        ensure!((1..=1_000_000).contains(&groups), "usage.most_groups must be 1 to 1000000, not {groups}");
        ensure!((5..=86_400).contains(&step), "clock.most_step_seconds must be 5 to 86400, not {step}");
        ensure!(
            (3600..=3_155_760_000).contains(&absence),
            "clock.most_absence_seconds must be 3600 to 3155760000, not {absence}"
        );
        Ok(())
    }

    /// Says whether the reserve can be meant on the disk of the data folder.
    pub fn check_disk(&self, data: &Path) -> anyhow::Result<()> {
        let Some(reserve) = self.disk.reserve_bytes else { return Ok(()) };
        let space =
            free_space(data).with_context(|| format!("look at the free space of {}", data.display()))?;
        ensure!(
            reserve < space.total,
            "disk.reserve_bytes must be below {}, the size of the file system of {}, not {reserve}; 0 switches it off",
            space.total,
            data.display()
        );
        Ok(())
    }

    /// What the writer watches.
    pub fn guards(&self) -> WriterBounds {
        let clock = ClockBounds {
            most_step: Duration::from_secs(self.clock.most_step_seconds),
            most_absence: Duration::from_secs(self.clock.most_absence_seconds),
        };
        let DiskConfig { reserve_bytes, epoch_bytes, .. } = self.disk;
        let UsageConfig { most_groups, most_suspended_of_node, most_suspended_of_party } = self.usage;
        let usage = UsageLimits { most_groups, most_suspended_of_node, most_suspended_of_party };
        WriterBounds { clock, reserve_bytes, epoch_bytes, usage }
    }

    /// What goes with TLS, and what without.
    pub fn check_scheme(&self, plain_http: bool) -> anyhow::Result<()> {
        if plain_http {
            let listen = self.listen.filter(|listen| !listen.ip().is_loopback());
            if let Some(listen) = listen {
                bail!("listen {listen}: without TLS a master listens on loopback alone");
            }
            ensure!(self.certificate.is_none(), "certificate goes with TLS, and not with --plain-http");
        } else {
            ensure!(self.terminator.is_none(), "a terminator of TLS goes with --plain-http");
        }
        Ok(())
    }
}

/// Where something stands in a file, and in which member: `line 3: requests.most_per_second: `.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count();
    let table = before.lines().rev().find_map(|line| line.trim().strip_prefix('[')?.split(']').next());
    let key = text.lines().nth(line).and_then(|line| Some(line.split_once('=')?.0.trim()));
    let member = match (table, key) {
        (Some(table), Some(key)) => format!("{}.{key}: ", table.trim()),
        (None, Some(key)) => format!("{key}: "),
        (_, None) => String::new(),
    };
    format!("line {}: {member}", line + 1)
}

impl TerminatorConfig {
    /// The terminator, its secret read.
    pub fn open(&self) -> anyhow::Result<ReverseProxy> {
        ensure!(!self.addresses.is_empty(), "terminator.addresses must name where it connects from");
        let secret = secret(&self.secret_file).context("terminator.secret_file")?;
        ensure!(
            secret.len() >= 16,
            "terminator.secret_file: {} must hold at least 16 bytes",
            self.secret_file.display()
        );
        let digest = Sha256::digest(secret.as_bytes());
        Ok(ReverseProxy { addresses: self.addresses.clone(), secret: Zeroizing::new(digest.into()) })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_not_known_is_an_error_and_what_is_not_said_is_safe() {
        let read = |text: &str| Config::parse(text).map_err(|error| format!("{error:#}"));
        assert_eq!(read(""), Ok(Config::default()));
        let error = read("listens = \"127.0.0.1:1\"").expect_err("it is not known");
        assert!(
            error.starts_with("line 1: listens: unknown field `listens`, expected one of `listen`"),
            "{error}"
        );
        let check = |text: &str, rule: &str| assert_eq!(read(text), Err(rule.to_owned()), "{text}");
        check("[requests]\nmost_at_a_time = 0", "requests.most_at_a_time must be 1 to 100000");
        check("[requests]\nmost_body_bytes = 1", "requests.most_body_bytes must be 65536 to 268435456");
        let zero = "line 3: requests.most_per_second: invalid value: integer `0`, expected a nonzero u32";
        check("names = []\n[requests]\nmost_per_second = 0", zero);
        check("listen = \"here\"", "line 1: listen: invalid socket address syntax");
        check("[certificate]\nchain_file = \"a\"", "line 1: missing field `key_file`");
        check(
            "[usage]\nmost_suspended_of_node = 99",
            "usage.most_suspended_of_node must be 100 to 10000000, not 99",
        );
        let quota = read("[usage]\nmost_suspended_of_party = 100").map(|config| config.guards().usage);
        assert_eq!(quota, Ok(UsageLimits { most_suspended_of_party: 100, ..UsageLimits::default() }));
        check("[rebuild]\nkept_seconds = 59", "rebuild.kept_seconds must be 60 to 604800, not 59");
        let slow = read("[rebuild]\nmost_events_per_second = 5000");
        let slow = slow.map(|config| RebuildSettings::from(&config.rebuild).most_events_per_second);
        assert_eq!(slow, Ok(NonZeroU64::new(5000)));
        check("[connections]\nmost = 0", "connections.most must be 1 to 1000000, not 0");
        check(
            "[connections]\nmost_head_fields = 1",
            "connections.most_head_fields must be 32 to 1000, not 1",
        );
        check(
            "[connections]\nmost = 10",
            "connections.most_per_address must be 1 to 10, as connections.most is, not 128",
        );
        check(
            "[requests]\nmost_at_a_time_of_one = 1000",
            "requests.most_at_a_time_of_one must be 1 to 512, as requests.most_at_a_time is",
        );
        check(
            "[requests]\nmost_streams = 10",
            "requests.most_streams_of_one must be 1 to 10, as requests.most_streams is",
        );
        check("[clock]\nmost_step_seconds = 4", "clock.most_step_seconds must be 5 to 86400, not 4");
        check(
            "[clock]\nmost_absence_seconds = 1",
            "clock.most_absence_seconds must be 3600 to 3155760000, not 1",
        );
        check(
            "operations = \"0.0.0.0:9000\"",
            "operations 0.0.0.0:9000: anybody who reaches it may ask, in the clear; name a loopback address, such \
             as 127.0.0.1:9000, or set operations_exposed = true in the file of --config",
        );
        assert!(read("operations = \"0.0.0.0:9000\"\noperations_exposed = true").is_ok());
        assert!(read("operations = \"[::1]:9000\"").is_ok());
        check("silent_after_seconds = 9", "silent_after_seconds must be 10 or more");
        check("names = [\"[::1]\"]", "names: \"[::1]\" is neither a DNS name nor an IP address");
        check(
            "[terminator]\naddresses = [\"10.0.0.1\"]\nsecret_file = \"s\"",
            "terminator.addresses: 10.0.0.1 never connects: without TLS a master listens on loopback alone",
        );
    }

    #[test]
    fn what_goes_with_tls_and_what_without() {
        let check = |text: &str, plain_http| {
            let config = Config::parse(text).expect("it is well-formed");
            config.check_scheme(plain_http).map_err(|error| error.to_string())
        };
        let certificate = "[certificate]\nchain_file = \"a\"\nkey_file = \"b\"";
        let terminator = "[terminator]\naddresses = [\"127.0.0.1\"]\nsecret_file = \"s\"";
        assert_eq!((check(certificate, false), check(terminator, true)), (Ok(()), Ok(())));
        let rule = "certificate goes with TLS, and not with --plain-http";
        assert_eq!(check(certificate, true), Err(rule.to_owned()));
        assert_eq!(check(terminator, false), Err("a terminator of TLS goes with --plain-http".to_owned()));
        let everywhere = "listen = \"0.0.0.0:5000\"";
        let rule = "listen 0.0.0.0:5000: without TLS a master listens on loopback alone";
        assert_eq!((check(everywhere, false), check(everywhere, true)), (Ok(()), Err(rule.to_owned())));
    }

    #[test]
    fn every_member_is_described_with_its_default() {
        let text = include_str!("../../docs/security.md");
        let config = Config {
            certificate: Some(OwnCertificate { chain_file: "a".into(), key_file: "b".into() }),
            terminator: Some(TerminatorConfig { addresses: Vec::new(), secret_file: "c".into() }),
            ..Config::default()
        };
        let mut members = Vec::new();
        // Without defaults of their own: what they are without it is said in words.
        for (name, value) in
            serde_json::to_value(&config).expect("it is written").as_object().expect("an object")
        {
            match value.as_object() {
                None => members.push((name.clone(), String::new())),
                Some(inner) => members.extend(inner.iter().map(|(inner, value)| {
                    (format!("{name}.{inner}"), value.as_u64().map_or_else(String::new, |n| n.to_string()))
                })),
            }
        }
        assert!(members.len() > 20);
        for (member, default) in members {
            let row = text.lines().find(|line| line.starts_with(&format!("| `{member}` |")));
            let row = row.unwrap_or_else(|| panic!("{member} is not described"));
            let without = row.split('|').nth(2).expect("a second column").trim();
            assert!(default.is_empty() || without == default, "{member}: {without} is not {default}");
        }
    }

    #[test]
    fn the_reserve_must_fit_the_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let check = |reserve: u64| {
            let config =
                Config::parse(&format!("[disk]\nreserve_bytes = {reserve}")).expect("it is well-formed");
            config.check_disk(folder.path()).map_err(|error| error.to_string())
        };
        assert_eq!((check(0), check(1 << 20)), (Ok(()), Ok(())));
        let error = check(i64::MAX.cast_unsigned()).expect_err("no disk is as large");
        assert!(error.starts_with("disk.reserve_bytes must be below "), "{error}");
    }

    #[test]
    fn a_secret_that_others_may_read_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        fs::write(&path, "0123456789abcdef\n").expect("written");
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        set(0o640);
        assert!(secret(&path).expect_err("others may read it").to_string().contains("(mode 0640)"));
        set(0o600);
        assert_eq!(secret(&path).expect("it is ours alone").as_str(), "0123456789abcdef");
    }
}
