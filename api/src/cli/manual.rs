//! What packages ship beside the program: completions of shells and manual pages, made from the command line itself.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;

/// The name of the program.
const PROGRAM: &str = "slapledger";

#[derive(Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

#[derive(Args)]
pub(super) struct Man {
    /// Write a page for each command to this folder, instead of printing the page of the program
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn completions(asked: &Completions) {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut Cli::command(), PROGRAM, &mut script);
    print(&script);
}

pub(super) fn man(asked: &Man) -> anyhow::Result<()> {
    if let Some(folder) = &asked.out {
        return write_pages(folder).with_context(|| format!("write manual pages to {}", folder.display()));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    print(&page);
    Ok(())
}

fn write_pages(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), folder)?;
    Ok(())
}

/// Whoever reads may have seen enough.
fn print(bytes: &[u8]) {
    let _ = std::io::stdout().write_all(bytes);
}
