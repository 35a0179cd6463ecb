//! Problems in the language of a reader: what a code means, what to do about it, and the details that are frequent.
//!
//! The server writes problems in English. In another language the meaning and the remedy come from a table by code, and
//! a detail that is a known sentence is translated. Any other detail stays English, and its page says so.

use std::sync::LazyLock;

use fluent_bundle::FluentArgs;

use crate::language::Language;
use crate::texts::PageTexts;

static MEANINGS: LazyLock<PageTexts> =
    LazyLock::new(|| PageTexts::of_source(Language::French, include_str!("../locales/problems.fr.ftl")));

/// A sentence in both languages, each in the pieces between its wildcards.
struct KnownDetail {
    english: Vec<&'static str>,
    french: Vec<&'static str>,
}

static DETAILS: LazyLock<Vec<KnownDetail>> = LazyLock::new(|| {
    let lines = include_str!("../locales/details.fr.txt").lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once(" => "));
    let pieces = |text: &'static str| text.split('*').collect();
    pairs.map(|(english, french)| KnownDetail { english: pieces(english), french: pieces(french) }).collect()
});

/// What a code means and what to do about it, where the server's own words are not in this language.
pub fn problem_words(language: Language, code: &str) -> Option<(String, String)> {
    if language == Language::English {
        return None;
    }
    let meaning = MEANINGS.text(code, &FluentArgs::new())?;
    Some((meaning, MEANINGS.attribute(code, "remedy")?))
}

impl KnownDetail {
    /// The sentence in French, if this is it.
    fn translated(&self, detail: &str) -> Option<String> {
        let [first, between @ ..] = &self.english[..] else { return None };
        let mut rest = detail.strip_prefix(first)?;
        let mut words = Vec::new();
        for (at, piece) in between.iter().enumerate() {
            let is_last = at + 1 == between.len();
            let end = if is_last { rest.len().checked_sub(piece.len())? } else { rest.find(piece)? };
            let (word, after) = (rest.get(..end)?, rest.get(end..)?);
            rest = after.strip_prefix(piece)?;
            // A name may be anything; a wildcard that is empty is another sentence.
            if word.is_empty() {
                return None;
            }
            words.push(word);
        }
        if !rest.is_empty() || self.french.len() != self.english.len() {
            return None;
        }
        let mut words = words.into_iter();
        let mut written = String::new();
        for piece in &self.french {
            written.push_str(piece);
            written.push_str(words.next().unwrap_or_default());
        }
        Some(written)
    }
}

/// A detail in a language; `None`, if only English has it.
pub(crate) fn detail(language: Language, detail: &str) -> Option<String> {
    match language {
        Language::English => Some(detail.to_owned()),
        Language::French => DETAILS.iter().find_map(|known| known.translated(detail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_details_are_translated_and_their_names_stay() {
        let french = |text: &str| detail(Language::French, text);
        assert_eq!(french("is missing").as_deref(), Some("manque"));
        assert_eq!(
            french("must be a number from 1 to 1000").as_deref(),
            Some("doit être un nombre de 1 à 1000")
        );
        assert_eq!(
            french("there is no invoice run RUN-9").as_deref(),
            Some("il n’y a pas de facturation RUN-9")
        );
        assert_eq!(
            french("price book a * b has no version 7").as_deref(),
            Some("le tarif a * b n’a pas de version 7")
        );
        assert_eq!(french("there is no party "), None);
        assert_eq!(french("something else"), None);
        assert_eq!(detail(Language::English, "something else").as_deref(), Some("something else"));
    }

    #[test]
    fn both_languages_of_a_detail_have_the_same_wildcards() {
        assert!(DETAILS.len() > 30);
        for known in DETAILS.iter() {
            assert_eq!(known.english.len(), known.french.len(), "{}", known.english.join("*"));
        }
    }

    #[test]
    fn a_code_is_explained_in_french_alone() {
        let (meaning, remedy) = problem_words(Language::French, "run-final").expect("it is there");
        assert!(meaning.starts_with("La facturation est définitive") && remedy.starts_with("Ouvrez"));
        assert_eq!(problem_words(Language::English, "run-final"), None);
        assert_eq!(problem_words(Language::French, "no-such-code"), None);
    }
}
