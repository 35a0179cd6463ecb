//! Words and texts in one language.

use fluent_bundle::FluentArgs;

use crate::language::Language;
use crate::texts::PageTexts;

/// Writes values in one language.
pub(crate) struct ValueWriter {
    pub(crate) language: Language,
    pub(crate) texts: PageTexts,
}

impl ValueWriter {
    pub(crate) fn of(language: Language) -> Self {
        Self { language, texts: PageTexts::of(language) }
    }

    /// A text; its key, if nobody has written it.
    pub(crate) fn text(&self, key: &str, arguments: &[(&'static str, String)]) -> String {
        let mut fluent = FluentArgs::new();
        for (name, value) in arguments {
            set(&mut fluent, name, value);
        }
        self.texts.text(key, &fluent).unwrap_or_else(|| key.to_owned())
    }

    /// The word for a value of a kind; the value itself, if there is none.
    pub(crate) fn word(&self, kind: &str, value: &str) -> String {
        let plain: String = value.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let key = format!("{kind}-{}", plain.to_ascii_lowercase());
        if self.texts.has(&key) { self.text(&key, &[]) } else { value.to_owned() }
    }

    /// The title of a resource.
    pub(crate) fn resource(&self, resource: &str) -> String {
        let short = resource.rsplit('/').next().unwrap_or(resource);
        let word = self.word("resource", short);
        if word == short { resource.to_owned() } else { word }
    }

    /// The plural of a unit.
    pub(crate) fn unit(&self, unit: &str) -> String {
        let word = self.word("unit", unit);
        if word == unit { unit.replace('_', "-") } else { word }
    }
}

/// Whole numbers choose a plural form; everything else stands as it is.
pub(crate) fn set(arguments: &mut FluentArgs<'_>, name: &str, value: &str) {
    match value.parse::<u32>() {
        Ok(number) if !value.starts_with('+') && (value == "0" || !value.starts_with('0')) => {
            arguments.set(name.to_owned(), f64::from(number));
        }
        _ => arguments.set(name.to_owned(), value.to_owned()),
    }
}
