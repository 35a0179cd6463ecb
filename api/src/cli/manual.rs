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
    /// Write a page for each command to this folder
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

/// Anyone who reads may have seen enough.
fn print(bytes: &[u8]) {
    let _ = std::io::stdout().write_all(bytes);
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    /// The most words of a line of help, a default not counted.
    const MOST_WORDS: usize = 10;

    fn is_short(help: &str) -> bool {
        let text = help.split("Default:").next().unwrap_or_default();
        text.split_whitespace().count() <= MOST_WORDS
    }

    fn too_long(command: &Command, path: &str, found: &mut Vec<String>) {
        let path = format!("{path} {}", command.get_name());
        let about = command.get_about().map(|about| (String::from("about"), about.to_string()));
        let options = command
            .get_arguments()
            .filter_map(|argument| Some((argument.get_id().to_string(), argument.get_help()?.to_string())));
        let long = about.into_iter().chain(options).filter(|(_, help)| !is_short(help));
        found.extend(long.map(|(name, help)| format!("{path}, {name}: {help}")));
        for inner in command.get_subcommands() {
            too_long(inner, &path, found);
        }
    }

    #[test]
    fn a_line_of_help_has_at_most_ten_words() {
        let mut found = Vec::new();
        too_long(&Cli::command(), "", &mut found);
        assert!(
            found.is_empty(),
            "shorten these, or move details to a paragraph of their own:\n{}",
            found.join("\n")
        );
        assert!(is_short("one two three four five six seven eight nine ten. Default: eleven twelve"));
        assert!(!is_short("one two three four five six seven eight nine ten eleven"));
    }
}
