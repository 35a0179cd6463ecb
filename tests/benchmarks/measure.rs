//! Rates, medians and percentiles in integers, and what machine it is.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

/// So many of something in so much time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) count: u64,
    pub(crate) time: Duration,
}

impl Rate {
    /// In a second.
    pub(crate) fn per_second(self) -> u64 {
        let each = u128::from(self.count) * 1_000_000 / self.time.as_micros().max(1);
        u64::try_from(each).unwrap_or(u64::MAX)
    }
}

/// The middle one; of an even number the lower of the two in the middle.
pub(crate) fn median<T: Ord + Copy>(values: &[T]) -> Option<T> {
    percentile(values, 50)
}

/// The smallest value that so many of a hundred do not exceed (nearest rank).
pub(crate) fn percentile<T: Ord + Copy>(values: &[T], hundredths: usize) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * hundredths).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// A number with commas, for people.
pub(crate) struct Grouped(pub(crate) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::new();
        for (n, digit) in digits.chars().enumerate() {
            if n > 0 && (digits.len() - n).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// Hundredths as a decimal.
pub(crate) struct Hundredths(pub(crate) u64);

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}

/// Milliseconds with two digits after the point.
pub(crate) fn milliseconds(time: Duration) -> Hundredths {
    Hundredths(u64::try_from(time.as_micros() / 10).unwrap_or(u64::MAX))
}

/// One number as a multiple of another.
pub(crate) fn times(one: u64, other: u64) -> Hundredths {
    Hundredths(one.saturating_mul(100) / other.max(1))
}

/// What the files under a path hold, and what the disk keeps for them, in bytes.
pub(crate) fn bytes_under(path: &Path) -> anyhow::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::symlink_metadata(path).with_context(|| format!("look at {}", path.display()))?;
    if !found.is_dir() {
        return Ok((found.len(), found.blocks() * 512));
    }
    let mut sum = (0, 0);
    for entry in std::fs::read_dir(path)? {
        let (length, kept) = bytes_under(&entry?.path())?;
        sum = (sum.0 + length, sum.1 + kept);
    }
    Ok(sum)
}

/// Prints cores, memory, kernel, and how busy it is already.
pub(crate) fn print_machine() -> anyhow::Result<()> {
    println!("{}", machine()?);
    Ok(())
}

/// Cores, memory, kernel, and how busy it is already.
pub(crate) fn machine() -> anyhow::Result<String> {
    let read = |path: &str| std::fs::read_to_string(path).with_context(|| format!("read {path}"));
    let cpu = read("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let memory = read("/proc/meminfo")?;
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    let gib = kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024 / 1024;
    Ok(format!(
        "{} x {}, {gib} GiB, Linux {}, load before {}",
        std::thread::available_parallelism()?,
        model.map_or("unknown", |(_, model)| model.trim()),
        read("/proc/sys/kernel/osrelease")?.trim(),
        read("/proc/loadavg")?.split(' ').take(3).collect::<Vec<_>>().join(" "),
    ))
}
