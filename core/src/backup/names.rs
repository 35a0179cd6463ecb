//! Names of the files of a log, as a backup knows them: a fixed grammar, so that no name leads out of a folder.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A file of the folder of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogFile {
    /// The manifest of a sealed epoch.
    Manifest(u32),
    /// The settings of the database of a sealed epoch.
    Settings(u32),
    /// The database of a sealed epoch.
    Database(u32),
    /// The tail of an epoch that is not sealed.
    Tail(u32),
}

/// The text names no file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be epoch-NNNNNN.manifest, epoch-NNNNNN.conf, epoch-NNNNNN.db or epoch-NNNNNN.tail, such as \
     epoch-000001.manifest"
)]
pub struct InvalidLogFile;

impl LogFile {
    /// Where it is in the folder of a log.
    pub fn path(self) -> PathBuf {
        match self {
            Self::Manifest(epoch) => format!("epoch-{epoch:06}.manifest").into(),
            Self::Settings(epoch) => format!("epoch-{epoch:06}/conf").into(),
            Self::Database(epoch) => format!("epoch-{epoch:06}/db").into(),
            Self::Tail(epoch) => format!("epoch-{epoch:06}.tail").into(),
        }
    }

    /// The files of a sealed epoch, the manifest last: it is what seals an epoch.
    pub fn of_sealed(epoch: u32) -> [Self; 3] {
        [Self::Settings(epoch), Self::Database(epoch), Self::Manifest(epoch)]
    }
}

/// One segment of a path, so that it can stand in the address of a resource.
impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(epoch) => write!(f, "epoch-{epoch:06}.manifest"),
            Self::Settings(epoch) => write!(f, "epoch-{epoch:06}.conf"),
            Self::Database(epoch) => write!(f, "epoch-{epoch:06}.db"),
            Self::Tail(epoch) => write!(f, "epoch-{epoch:06}.tail"),
        }
    }
}

impl FromStr for LogFile {
    type Err = InvalidLogFile;
    fn from_str(text: &str) -> Result<Self, InvalidLogFile> {
        let name = text.strip_prefix("epoch-").and_then(|name| name.split_once('.'));
        let (digits, kind) = name.ok_or(InvalidLogFile)?;
        let epoch = digits.parse().map_err(|_| InvalidLogFile)?;
        let file = match kind {
            "manifest" => Self::Manifest(epoch),
            "conf" => Self::Settings(epoch),
            "db" => Self::Database(epoch),
            "tail" => Self::Tail(epoch),
            _ => return Err(InvalidLogFile),
        };
        // One spelling of each name: no signs, no other number of digits.
        if file.to_string() == text { Ok(file) } else { Err(InvalidLogFile) }
    }
}

impl Serialize for LogFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|rule| de::Error::custom(format!("{text:?} {rule}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling_and_stay_in_their_folder() {
        let good = [LogFile::Tail(2), LogFile::Database(1_234_567)];
        for file in good.into_iter().chain(LogFile::of_sealed(1)) {
            assert_eq!(file.to_string().parse(), Ok(file));
            assert!(file.path().components().all(|part| matches!(part, std::path::Component::Normal(_))));
        }
        for wrong in [
            "",
            "term",
            "lock",
            "head",
            "epoch-1.db",
            "epoch-000001",
            "epoch-000001/db",
            "epoch-000001.db.new",
            "epoch-+00001.db",
            "epoch-0000001.db",
            "epoch-000001.snap",
            "../term",
            "epoch-000001../db",
            "epoch-99999999999.db",
            "Epoch-000001.db",
            "epoch-000001.db\0",
        ] {
            assert_eq!(wrong.parse::<LogFile>(), Err(InvalidLogFile), "{wrong}");
        }
    }
}
