//! Checkpoints of the log (C2SP tlog-checkpoint): its size and root, under the name of the log, as the text of a note.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::merkle::Root;
use super::note::is_name;

/// What the log was at some size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log, for ever.
    pub origin: Box<str>,
    /// How many events it had.
    pub size: u64,
    /// The root of its tree.
    pub root: Root,
}

/// Why a text is no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint: {0}")]
pub struct InvalidCheckpoint(&'static str);

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root.0))
    }

    /// Reads the text of a note. Lines after the first three are extensions of others, and are left alone.
    pub fn parse(text: &str) -> Result<Self, InvalidCheckpoint> {
        let mut lines = text.lines();
        let mut line = |missing| lines.next().ok_or(InvalidCheckpoint(missing));
        let origin = line("its first line is the name of a log")?;
        if !is_name(origin) {
            return Err(InvalidCheckpoint("its first line is the name of a log"));
        }
        let number = line("its second line is the number of events")?;
        let size: u64 =
            number.parse().map_err(|_| InvalidCheckpoint("its second line is the number of events"))?;
        if size.to_string() != number {
            return Err(InvalidCheckpoint(
                "its second line is the number of events, without sign or zeros before it",
            ));
        }
        let root = BASE64.decode(line("its third line is the root in base64")?).ok();
        let root = root.and_then(|root| root.try_into().ok());
        let root = root.ok_or(InvalidCheckpoint("its third line is the root in base64"))?;
        Ok(Self { origin: origin.into(), size, root: Root(root) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_others_read_it() {
        let checkpoint = Checkpoint { origin: "example.org/log".into(), size: 0, root: Root::EMPTY };
        let text = "example.org/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
        assert_eq!(checkpoint.text(), text);
        assert_eq!(Checkpoint::parse(text), Ok(checkpoint.clone()));
        assert_eq!(Checkpoint::parse(&format!("{text}an extension\n")), Ok(checkpoint));
    }

    #[test]
    fn what_is_no_checkpoint_is_told() {
        let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        for text in [
            String::new(),
            "log\n".into(),
            format!("log\n01\n{root}\n"),
            format!("log\n+1\n{root}\n"),
            format!("a log\n1\n{root}\n"),
            "log\n1\nAA==\n".into(),
            "log\n1\n".into(),
        ] {
            assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
        }
    }
}
