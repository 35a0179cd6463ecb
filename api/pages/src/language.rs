//! The languages of the pages.

/// A language that pages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// French.
    French,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::French];

    /// As HTML and HTTP write it.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }

    /// The language of a tag.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The one that a reader prefers (`Accept-Language`, RFC 9110, section 12.5.4); English, if there is none.
    pub fn preferred(accepted: &str) -> Self {
        let ranges = accepted.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let language = Self::of_tag(parts.next()?)?;
            let quality = parts.find_map(|part| part.strip_prefix("q=")).unwrap_or("1");
            // Of equal ones the first is meant: digits compare as texts where all have one digit before the point.
            Some((language, quality.to_owned()))
                .filter(|(_, quality)| !quality.trim_matches(['0', '.']).is_empty())
        });
        let best = ranges.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map_or(Self::English, |(language, _)| language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_answered_in_the_language_preferred() {
        let check = |accepted, expected| assert_eq!(Language::preferred(accepted), expected, "{accepted}");
        check("", Language::English);
        check("fr-FR,fr;q=0.9,en;q=0.8", Language::French);
        check("de, fr;q=0.5, en;q=0.7", Language::English);
        check("fr;q=0, en;q=0.1", Language::English);
        check("de", Language::English);
    }
}
