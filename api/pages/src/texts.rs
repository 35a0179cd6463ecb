//! The texts of the pages: Fluent files (`locales/`). A text that a language lacks is taken from English; one that English
//! lacks fails the rendering, and a test finds it.

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

use crate::language::Language;

/// The texts of one language.
pub(crate) struct PageTexts {
    own: FluentBundle<FluentResource>,
    english: FluentBundle<FluentResource>,
}

impl PageTexts {
    pub(crate) fn of(language: Language) -> Self {
        Self { own: bundle(language), english: bundle(Language::English) }
    }

    /// Texts of one language from a file of their own.
    pub(crate) fn of_source(language: Language, source: &'static str) -> Self {
        Self { own: bundle_of(language, source), english: bundle_of(Language::English, "") }
    }

    /// An attribute of a text.
    pub(crate) fn attribute(&self, key: &str, name: &str) -> Option<String> {
        let message = self.own.get_message(key)?;
        let pattern = message.get_attribute(name)?.value();
        let mut errors = Vec::new();
        let text = self.own.format_pattern(pattern, None, &mut errors).into_owned();
        errors.is_empty().then_some(text)
    }

    /// A text with what is to stand in it; `None` if nobody has written it.
    pub(crate) fn text(&self, key: &str, arguments: &FluentArgs<'_>) -> Option<String> {
        [&self.own, &self.english].into_iter().find_map(|bundle| {
            let pattern = bundle.get_message(key)?.value()?;
            let mut errors = Vec::new();
            let text = bundle.format_pattern(pattern, Some(arguments), &mut errors).into_owned();
            errors.is_empty().then_some(text)
        })
    }

    /// Whether there is such a text.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.own.has_message(key) || self.english.has_message(key)
    }
}

fn source(language: Language) -> &'static str {
    match language {
        Language::English => include_str!("../locales/en.ftl"),
        Language::French => include_str!("../locales/fr.ftl"),
    }
}

fn grouped(value: &FluentValue<'_>, language: Language) -> Option<String> {
    match value {
        FluentValue::Number(number) => Some(crate::format::number(&number.value.to_string(), language)),
        _ => None,
    }
}

fn bundle(language: Language) -> FluentBundle<FluentResource> {
    bundle_of(language, source(language))
}

fn bundle_of(language: Language, source: &'static str) -> FluentBundle<FluentResource> {
    let id: LanguageIdentifier = language.tag().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![id]);
    // Names are isolated where they stand, by `<bdi>`.
    bundle.set_use_isolating(false);
    // A number stands in a text as we write it, not as Fluent would.
    bundle.set_formatter(Some(match language {
        Language::English => |value, _| grouped(value, Language::English),
        Language::French => |value, _| grouped(value, Language::French),
    }));
    let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(resource, _)| resource);
    bundle.add_resource_overriding(resource);
    bundle
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn keys(language: Language) -> BTreeSet<String> {
        let of = |line: &str| line.split_once(" = ").map(|(key, _)| key.to_owned());
        let source = source(language);
        let is_key = |line: &&str| line.starts_with(|first: char| first.is_ascii_lowercase());
        let multi = |line: &str| line.strip_suffix(" =").map(str::to_owned);
        source.lines().filter(is_key).filter_map(|line| of(line).or_else(|| multi(line))).collect()
    }

    #[test]
    fn both_languages_have_the_same_texts_and_all_can_be_read() {
        assert_eq!(keys(Language::English), keys(Language::French));
        for language in Language::ALL {
            let read = FluentResource::try_new(source(language).to_owned());
            assert!(read.is_ok(), "{language:?}: {:?}", read.err().map(|(_, errors)| errors));
            for key in keys(language) {
                assert!(bundle(language).has_message(&key), "{language:?}: {key}");
            }
        }
    }
}
