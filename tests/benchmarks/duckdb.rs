//! A real DuckDB, from a Python virtual environment, for comparison: the same sums over a Parquet file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::measure::Rate;

/// What DuckDB is asked, through its Python package.
const SCRIPT: &str = include_str!("sums.py");

/// A Python with DuckDB.
pub(crate) struct Duckdb {
    python: PathBuf,
}

impl Duckdb {
    /// In an environment where `pip install duckdb pytz` was run.
    pub(crate) fn in_environment(venv: &Path) -> Self {
        Self { python: venv.join("bin/python") }
    }

    /// Which version it is.
    pub(crate) fn version(&self) -> anyhow::Result<String> {
        Ok(format!("DuckDB {}", self.run(["version".as_ref()])?.trim()))
    }

    /// Makes a Parquet file of rows in CSV.
    pub(crate) fn write_parquet(&self, csv: &Path, parquet: &Path) -> anyhow::Result<()> {
        self.run(["write".as_ref(), csv.as_os_str(), parquet.as_os_str()]).map(drop)
    }

    /// How fast it adds up a Parquet file, by instance, resource and hour.
    pub(crate) fn sum_by_hour(&self, parquet: &Path) -> anyhow::Result<Rate> {
        let told: Value = serde_json::from_str(&self.run(["sum".as_ref(), parquet.as_os_str()])?)?;
        let number = |n: usize| told[n].as_u64().context("three numbers");
        Ok(Rate { count: number(0)?, time: Duration::from_nanos(number(2)?) })
    }

    fn run<const N: usize>(&self, arguments: [&OsStr; N]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.python);
        command.args(["-c", SCRIPT]).args(arguments);
        let output = command.output().with_context(|| format!("start {}", self.python.display()))?;
        ensure!(output.status.success(), "DuckDB: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}
