//! The prompt: history, completion, and lines that go on until they are complete.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::eval::Console;
use super::parser::{self, KEYWORDS};
use crate::catalogue::state_folder;
use crate::print::{note, say};

/// How many lines are remembered.
const MOST_LINES: usize = 1000;
const PROMPT: &str = ">>> ";

/// Asks for lines and carries them out until there are no more.
pub(super) fn run(console: &mut Console<'_>, url: &str) -> anyhow::Result<()> {
    let config = Config::builder()
        .max_history_size(MOST_LINES)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .build();
    let mut editor: Editor<ScopeNames, FileHistory> =
        Editor::with_config(config).context("open the terminal")?;
    let history = history();
    if let Some(path) = &history {
        // None is there the first time.
        let _ = editor.load_history(path);
    }
    say!("slapledger console, master {url}");
    say!("help() says what there is; ctrl-d leaves");
    loop {
        editor.set_helper(Some(ScopeNames(console.names())));
        let text = match editor.readline(PROMPT) {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error).context("read a line"),
        };
        if text.trim().is_empty() {
            continue;
        }
        if matches!(text.trim(), "exit" | "exit()" | "quit" | "quit()") {
            return Ok(());
        }
        if editor.add_history_entry(text.as_str()).unwrap_or(false)
            && let Some(path) = &history
        {
            // The line is carried out whether or not it can be remembered.
            let _ = editor.append_history(path);
        }
        if let Err(fault) = console.run(&text) {
            let is_long = text.contains('\n');
            note!("{}", if is_long { fault.to_string() } else { fault.text().to_owned() });
        }
    }
}

/// The file of the history, for nobody else to read. None, if it cannot be kept.
fn history() -> Option<PathBuf> {
    let folder = state_folder()?;
    let path = folder.join("console-history");
    let make = |folder: &Path, path: &Path| {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))
    };
    match make(&folder, &path) {
        Ok(()) => Some(path),
        Err(error) => {
            note!("no history is kept in {}: {error}", path.display());
            None
        }
    }
}

/// Names in scope, with the methods of what they stand for.
struct ScopeNames(BTreeMap<String, &'static [&'static str]>);

impl ScopeNames {
    /// Where the word before the cursor starts, and what it may become.
    fn candidates(&self, line: &str) -> (usize, Vec<String>) {
        let last_word = |text: &str| text.trim_end_matches(parser::is_word_part).len();
        let start = last_word(line);
        let (before, word) = line.split_at(start);
        let Some(owner) = before.strip_suffix('.') else {
            let names = self.0.keys().map(String::as_str).chain(KEYWORDS);
            return (
                start,
                names.filter(|name| !word.is_empty() && name.starts_with(word)).map(str::to_owned).collect(),
            );
        };
        let owner = &owner[last_word(owner)..];
        let methods = self.0.get(owner).copied().unwrap_or_default();
        (start, methods.iter().filter(|name| name.starts_with(word)).map(|name| format!("{name}(")).collect())
    }
}

impl Helper for ScopeNames {}

impl Completer for ScopeNames {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, names) = self.candidates(line.get(..position).unwrap_or(line));
        let pair = |name: String| Pair { display: name.clone(), replacement: name };
        Ok((start, names.into_iter().map(pair).collect()))
    }
}

impl Hinter for ScopeNames {
    type Hint = String;
}

impl Highlighter for ScopeNames {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Borrowed(prompt)
    }
}

impl Validator for ScopeNames {
    /// A text with an open bracket or an open long text goes on in the next line.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let is_incomplete = parser::parse(context.input()).is_err_and(|fault| fault.is_incomplete);
        Ok(if is_incomplete { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_methods_are_completed() {
        let names = ScopeNames(BTreeMap::from([
            ("kvm".to_owned(), [].as_slice()),
            ("kvm_instance".to_owned(), ["getId", "getParameter", "getState"].as_slice()),
        ]));
        let check = |line: &str, start: usize, expected: &[&str]| {
            assert_eq!(
                names.candidates(line),
                (start, expected.iter().map(|name| (*name).to_owned()).collect())
            );
        };
        check("kv", 0, &["kvm", "kvm_instance"]);
        check("print(kvm_", 6, &["kvm_instance"]);
        check("a = é(N", 7, &["None"]);
        check("kvm_instance.getS", 13, &["getState("]);
        check("kvm_instance.", 13, &["getId(", "getParameter(", "getState("]);
        check("other.get", 6, &[]);
        check("", 0, &[]);
    }
}
