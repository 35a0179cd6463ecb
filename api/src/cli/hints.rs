//! What `demo` and `proxy` print at their end: commands that work as they are printed, in another terminal.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;
use slapledger_client::computer::EXAMPLE_SOFTWARE;
use slapledger_client::invoices::text_of;
use slapledger_client::print::{note, say};
use slapledger_core::domain::id::ComputerId;
use slapledger_projections::SlapViews;
use slapledger_usecases::context::RequestContext;

/// The configuration of SLAP clients, in the data folder.
const CLIENT_FILE: &str = "slapos-client.cfg";
/// What the program is called where it is installed.
const PROGRAM: &str = "slapledger";

/// For a demo that is served.
pub(super) fn of_demo(ctx: &RequestContext, data: &Path, items: &[Value]) -> impl FnOnce(SocketAddr) + use<> {
    let (products, line) = (products(ctx), line_of(items));
    let file = data.join(CLIENT_FILE);
    move |address| {
        let (program, url) = (program(), format!("http://{address}"));
        say_file(&file, &url, &products);
        say!("try       in another terminal:");
        for command in [
            line.map(|line| format!("explain {line}")),
            Some("log --limit 20".to_owned()),
            Some("rebuild".to_owned()),
            Some("request i1 kvm".to_owned()),
            Some("console".to_owned()),
        ]
        .into_iter()
        .flatten()
        {
            say!("  {program} {command} --url {url}");
        }
    }
}

/// For a proxy. One without partitions has nothing to request from.
pub(super) fn of_proxy(
    ctx: &RequestContext,
    data: &Path,
    computer: &ComputerId,
    has_room: bool,
) -> impl FnOnce(SocketAddr) + use<> {
    let (products, file, computer) = (products(ctx), data.join(CLIENT_FILE), computer.to_string());
    move |address| {
        let (program, url) = (program(), format!("http://{address}"));
        say_file(&file, &url, &products);
        if has_room {
            return;
        }
        say!("try       without a node, in another terminal:");
        say!("  {program} computer example {} --url {url}", shell_word(Path::new(&computer)));
        say!("  {program} request i1 kvm --url {url}");
    }
}

/// A line of an invoice that can be explained.
fn line_of(items: &[Value]) -> Option<String> {
    let invoice = items.iter().find(|invoice| invoice["state"] == "final")?;
    let lines = invoice["lines"].as_array().map_or(0, Vec::len);
    (lines > 0).then(|| format!("{}/{}", text_of(&invoice["id"]), lines.min(2)))
}

/// Names of software and the best release of each; those of the examples where the ledger has none.
fn products(ctx: &RequestContext) -> Vec<(String, String)> {
    let of_view = |view: &SlapViews| {
        let page = view.catalogue.products(None, 1000);
        let best = page
            .items
            .into_iter()
            .filter_map(|product| Some((product.product.to_string(), product.releases.first()?.to_string())));
        best.collect::<Vec<_>>()
    };
    let mut products = ctx.slap_now(of_view).unwrap_or_default();
    for (name, release) in EXAMPLE_SOFTWARE {
        if !products.iter().any(|(known, _)| known == name) {
            products.push((name.to_owned(), release.to_owned()));
        }
    }
    products
}

/// Writes the configuration of SLAP clients, and says where it is. A folder that cannot be written to has none.
fn say_file(file: &Path, url: &str, products: &[(String, String)]) {
    match write_file(file, url, products) {
        Ok(()) => say!("clients   slapos console --cfg {}", shell_word(file)),
        Err(error) => note!("slapledger: {error:#}"),
    }
}

fn write_file(file: &Path, url: &str, products: &[(String, String)]) -> anyhow::Result<()> {
    let mut text = format!(
        "# For slapos console, slapos request and slapledger --catalogue. Written at each start.\n\
         [slapos]\nmaster_url = {url}/\n\n[slapconsole]\nalias =\n"
    );
    // A blank ends a name in such files, and a line break an alias.
    let fits = |text: &str| !text.contains(char::is_whitespace) && !text.contains(char::is_control);
    for (name, release) in products.iter().filter(|(name, release)| fits(name) && fits(release)) {
        let _ = writeln!(text, "  {name} {release}");
    }
    let fresh = file.with_extension("cfg.new");
    fs::write(&fresh, text)
        .and_then(|()| fs::rename(&fresh, file))
        .with_context(|| format!("write {}", file.display()))
}

/// How to call this program from anywhere: by its name where that finds it, else by its path.
fn program() -> String {
    let Ok(this) = std::env::current_exe().and_then(fs::canonicalize) else { return PROGRAM.to_owned() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(PROGRAM)).find(|file| file.is_file());
    if found.and_then(|file| fs::canonicalize(file).ok()).is_some_and(|file| file == this) {
        return PROGRAM.to_owned();
    }
    shell_word(&this)
}

/// A path as a word of a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn words_survive_a_shell() {
        let check = |text: &str, expected: &str| assert_eq!(shell_word(&PathBuf::from(text)), expected);
        check("./slapledger-data", "./slapledger-data");
        check("/a b", "'/a b'");
        check("it's", "'it'\\''s'");
        check("$HOME;x", "'$HOME;x'");
        check("", "''");
    }

    #[test]
    fn a_client_finds_the_master_and_the_software() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(CLIENT_FILE);
        let products = [("kvm", "https://example.org/kvm"), ("a b", "x"), ("odd", "x\ny")];
        let products = products.map(|(name, release)| (name.to_owned(), release.to_owned()));
        write_file(&file, "http://127.0.0.1:5000", &products).expect("written");
        let text = fs::read_to_string(&file).expect("read");
        assert!(text.contains("[slapos]\nmaster_url = http://127.0.0.1:5000/\n"), "{text}");
        assert!(text.ends_with("alias =\n  kvm https://example.org/kvm\n"), "{text}");
    }
}
