//! `slapledger console`: SLAP by hand, in lines that look like Python.
//!
//! The language is a small part of Python's: assignments, calls, attributes and literals. It reaches the master and
//! nothing else: no file, no clock, no process. Texts and values are bounded; nothing a text says ends the console but
//! its own end. `parser` reads it, `eval` carries it out, `terminal` is the prompt.
//!
//! Not here: operators, conditions, loops, functions of one's own, modules. A script that needs them is written in Python,
//! with slapos.core.

mod builtins;
mod eval;
mod fault;
mod instance;
mod parser;
mod terminal;
#[cfg(test)]
mod tests;
mod value;

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use crate::later::Later;
use crate::master::MasterError;
use anyhow::{Context, ensure};
use clap::Args;

use crate::options::Client;
use eval::{Console, MAX_TEXT};
pub use fault::MasterMessage;

#[derive(Args)]
pub struct ConsoleArgs {
    /// Run this file and exit
    #[arg(value_name = "FILE", conflicts_with = "code")]
    file: Option<PathBuf>,
    #[command(flatten)]
    client: Client,
    /// Run this text and exit
    #[arg(short, value_name = "CODE")]
    code: Option<String>,
}

/// Runs the console: what is given as text, file or standard input, else at the terminal.
pub fn run(options: &ConsoleArgs) -> anyhow::Result<()> {
    let (master, mut catalogue) = options.client.open()?;
    // A console of a master that does not answer is one too; each line that needs the products says so.
    let listed = master.server().list("/v1/products", &[]);
    let fault = listed.map(|products| catalogue.add_products(&products)).err();
    let fault = fault.map(|error| match error.downcast::<Later>() {
        Ok(later) => MasterError::TryAgain(later.to_string()),
        Err(error) => MasterError::Refused(format!("{error:#}")),
    });
    let url = master.server().url().to_owned();
    let mut console = Console::new(master, catalogue, Box::new(std::io::stdout()));
    console.without_products(fault);
    let text = match (&options.code, &options.file) {
        (Some(code), _) => code.clone(),
        (None, Some(file)) => {
            let open = std::fs::File::open(file).map_err(anyhow::Error::from);
            open.and_then(read).with_context(|| format!("read {}", file.display()))?
        }
        (None, None) if std::io::stdin().is_terminal() => return terminal::run(&mut console, &url),
        (None, None) => read(std::io::stdin()).context("read standard input")?,
    };
    console.run(&text).map_err(fault::ConsoleFault::into_error)
}

fn read(source: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    let most = MAX_TEXT as u64 + 1;
    source.take(most).read_to_string(&mut text)?;
    ensure!(text.len() <= MAX_TEXT, "it is longer than {} MiB", MAX_TEXT >> 20);
    Ok(text)
}
