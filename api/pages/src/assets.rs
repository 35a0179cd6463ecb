//! Style and scripts, embedded in the binary and compressed once.
//!
//! They are served under an address that has their digest in it, so a browser keeps them for ever. The scripts are those
//! of htmx.org 4.0.1 from npm, unchanged; `assets/README.md` records where they come from.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// A file that pages need.
pub struct Asset {
    /// Its name.
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// As it is.
    pub bytes: &'static [u8],
    /// The same, compressed.
    pub gzip: Vec<u8>,
}

/// All files that pages need.
pub struct Assets {
    /// The first digits of the digest of all of them.
    pub digest: String,
    files: Vec<Asset>,
}

const FILES: [(&str, &str, &[u8]); 6] = [
    ("style.css", "text/css; charset=utf-8", include_bytes!("../assets/style.css")),
    ("htmx.js", "text/javascript; charset=utf-8", include_bytes!("../assets/htmx.min.js")),
    ("hx-csp.js", "text/javascript; charset=utf-8", include_bytes!("../assets/hx-csp.min.js")),
    ("keys.js", "text/javascript; charset=utf-8", include_bytes!("../assets/keys.js")),
    ("live.js", "text/javascript; charset=utf-8", include_bytes!("../assets/live.js")),
    ("icon.svg", "image/svg+xml", include_bytes!("../assets/icon.svg")),
];

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let digest = FILES
        .iter()
        .fold(Sha256::new(), |digest, (name, _, bytes)| digest.chain_update(name).chain_update(bytes));
    let digest: [u8; 32] = digest.finalize().into();
    let digest = hex(&digest[..8]);
    let files = FILES.map(|(name, media_type, bytes)| Asset { name, media_type, bytes, gzip: gzip(bytes) });
    Assets { digest, files: files.into() }
});

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// All files that pages need.
pub fn assets() -> &'static Assets {
    &ASSETS
}

impl Assets {
    /// A file, under the digest that the pages name.
    pub fn find(&self, digest: &str, name: &str) -> Option<&Asset> {
        self.files.iter().find(|file| digest == self.digest && file.name == name)
    }

    /// Where a file is served.
    pub fn address(&self, name: &str) -> String {
        format!("/ui/assets/{}/{name}", self.digest)
    }
}

/// Compressed with gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    // A vector takes all there is.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_first_view_are_within_their_budget() {
        let size = |names: &[&str]| -> usize {
            let of = |name: &&str| assets().find(&assets().digest, name).expect("it is there").gzip.len();
            names.iter().map(of).sum()
        };
        assert!(size(&["style.css"]) < 7 * 1024, "{}", size(&["style.css"]));
        assert!(size(&["htmx.js", "hx-csp.js", "keys.js", "live.js"]) < 30 * 1024);
        assert!(assets().find("another", "style.css").is_none());
    }

    /// The vendored files are those that `assets/README.md` records.
    #[test]
    fn vendored_scripts_are_unchanged() {
        let record = include_str!("../assets/README.md");
        for (name, bytes) in [
            ("htmx.min.js", include_bytes!("../assets/htmx.min.js").as_slice()),
            ("hx-csp.min.js", include_bytes!("../assets/hx-csp.min.js").as_slice()),
        ] {
            let digest = hex(&Sha256::digest(bytes));
            assert!(record.contains(&digest), "{name} is {digest}");
        }
    }
}
