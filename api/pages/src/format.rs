//! How values are written: numbers, money, dates and times, in the language of the reader.
//!
//! A quantity keeps every digit the ledger has; money has the digits of its currency. Thousands are grouped, the minus
//! sign is U+2212, and a time is a `<time>` element that carries UTC.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use chrono_tz::Tz;

use crate::language::Language;

/// The minus sign of a number that is read by people.
const MINUS: char = '\u{2212}';
/// The space that groups digits in French: narrow, and no line breaks at it.
const NARROW: char = '\u{202f}';

/// What is encoded in a segment of a path: all but what RFC 3986 leaves unreserved.
pub(crate) const SEGMENT: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The digits after the point of an amount of this currency (ISO 4217).
pub(crate) fn minor_digits(currency: &str) -> usize {
    match currency {
        "JPY" | "KRW" | "CLP" | "ISK" | "VND" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "JOD" | "KWD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// A decimal with all its digits, grouped. A text that is none is shown as it is.
pub(crate) fn number(text: &str, language: Language) -> String {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number =
        !whole.is_empty() && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !is_number {
        return text.to_owned();
    }
    let mut written = String::with_capacity(text.len() + 8);
    if negative {
        written.push(MINUS);
    }
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            written.push(match language {
                Language::English => ',',
                Language::French => NARROW,
            });
        }
        written.push(digit);
    }
    if !fraction.is_empty() {
        written.push(match language {
            Language::English => '.',
            Language::French => ',',
        });
        written.push_str(fraction);
    }
    written
}

/// An amount with at least so many digits after the point.
pub(crate) fn money(text: &str, digits: usize, language: Language) -> String {
    let has = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if has >= digits {
        return number(text, language);
    }
    let point = if has == 0 { "." } else { "" };
    number(&format!("{text}{point}{}", "0".repeat(digits - has)), language)
}

/// The same with its sign, for a change.
pub(crate) fn change(text: &str, digits: usize, language: Language) -> String {
    let written = money(text, digits, language);
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-'));
    if text.starts_with('-') || is_zero { written } else { format!("+{written}") }
}

/// How much of a time is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// 2 Nov 2026.
    Date,
    /// 2 Nov.
    Day,
    /// 2 Nov 2026, 10:00.
    Time,
    /// 2 Nov, 10:00.
    DayTime,
}

/// An instant as an element that carries UTC. A text that is no instant is shown as it is, escaped.
pub(crate) fn time(text: &str, shown: Shown, zone: Tz, language: Language) -> String {
    let Some(instant) = parse(text) else { return escape(text) };
    let local = instant.with_timezone(&zone);
    let day = match shown {
        Shown::Date | Shown::Time => date(local.date_naive(), language),
        Shown::Day | Shown::DayTime => day(local.date_naive(), language),
    };
    let clock = match shown {
        Shown::Date | Shown::Day => String::new(),
        Shown::Time | Shown::DayTime => format!(", {:02}:{:02}", local.hour(), local.minute()),
    };
    let utc = instant.format("%Y-%m-%dT%H:%M:%SZ");
    format!("<time datetime=\"{utc}\" title=\"{utc}\">{day}{clock}</time>")
}

/// The day of an instant in a zone, as it stands in an address: 2026-11-02.
pub(crate) fn iso_day(text: &str, zone: Tz) -> String {
    parse(text).map_or_else(String::new, |instant| {
        instant.with_timezone(&zone).date_naive().format("%Y-%m-%d").to_string()
    })
}

/// A period, as shortly as it can be said: a month, days, or two instants.
pub(crate) fn period(start: &str, stop: &str, zone: Tz, language: Language) -> String {
    let of = |text: &str| parse(text).map(|instant| instant.with_timezone(&zone).naive_local());
    // Days and months come as days where nobody's clock is known.
    let of_day = |text: &str| text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    let (Some(from), Some(to)) = (of_day(start).or_else(|| of(start)), of_day(stop).or_else(|| of(stop)))
    else {
        return format!("{} – {}", escape(start), escape(stop));
    };
    let midnight = |at: chrono::NaiveDateTime| at.time() == chrono::NaiveTime::MIN;
    let (first, Some(last)) = (from.date(), to.date().pred_opt()) else { return escape(start) };
    if !midnight(from) || !midnight(to) {
        let begins = time(start, Shown::Time, zone, language);
        return format!("{begins} – {}", time(stop, Shown::Time, zone, language));
    }
    if first == last {
        return date(first, language);
    }
    if first.day() == 1
        && to.date().day() == 1
        && (first.month(), first.year()) == (last.month(), last.year())
    {
        return month(first, language);
    }
    format!("{} – {}", date(first, language), date(last, language))
}

/// The month that a period is, in whichever zone: its ends are as far from those of a month as zones are from UTC.
pub(crate) fn month_of(start: &str, stop: &str) -> Option<NaiveDate> {
    let near = |text: &str| {
        let instant = parse(text)?;
        let noon = instant.checked_add_signed(chrono::TimeDelta::hours(14))?.date_naive();
        let first = noon.with_day(1)?;
        let midnight = first.and_hms_opt(0, 0, 0)?.and_utc();
        (instant.signed_duration_since(midnight).num_minutes().abs() <= 14 * 60).then_some(first)
    };
    let (from, to) = (near(start)?, near(stop)?);
    (from.checked_add_months(chrono::Months::new(1)) == Some(to)).then_some(from)
}

/// 2 Nov 2026.
pub(crate) fn date(at: NaiveDate, language: Language) -> String {
    format!("{} {}", day(at, language), at.year())
}

/// 2 Nov.
pub(crate) fn day(at: NaiveDate, language: Language) -> String {
    const ENGLISH: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const FRENCH: [&str; 12] =
        ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."];
    let names = match language {
        Language::English => ENGLISH,
        Language::French => FRENCH,
    };
    format!("{} {}", at.day(), names[at.month0() as usize])
}

/// November 2026.
pub(crate) fn month(at: NaiveDate, language: Language) -> String {
    const ENGLISH: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const FRENCH: [&str; 12] = [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ];
    let names = match language {
        Language::English => ENGLISH,
        Language::French => FRENCH,
    };
    format!("{} {}", names[at.month0() as usize], at.year())
}

/// The instant that a text says, if it says one.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.to_utc())
}

/// Whether a character turns the direction of what follows it: nobody sees it, and all see what it does.
fn is_turn(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text in HTML, in an element or between quotes. What would turn the text around it is shown as a replacement
/// character.
pub(crate) fn escape(text: &str) -> String {
    escaped(text, is_turn)
}

/// The same for what stands apart from the text around it, or goes back as it came.
pub(crate) fn escape_exact(text: &str) -> String {
    escaped(text, |_| false)
}

fn escaped(text: &str, is_replaced: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#x27;"),
            // Controls have no place in HTML.
            other if is_replaced(other) || (other.is_control() && !matches!(other, '\n' | '\t')) => {
                escaped.push('\u{fffd}');
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARIS: Tz = chrono_tz::Europe::Paris;

    #[test]
    fn a_quantity_keeps_every_digit_and_money_has_those_of_its_currency() {
        let check = |text, english, french| {
            assert_eq!(
                (number(text, Language::English).as_str(), number(text, Language::French).as_str()),
                (english, french)
            );
        };
        check("23764.8", "23,764.8", "23\u{202f}764,8");
        check("-0.000000054", "\u{2212}0.000000054", "\u{2212}0,000000054");
        check("1000", "1,000", "1\u{202f}000");
        check("999", "999", "999");
        check("NaN", "NaN", "NaN");
        check("", "", "");
        assert_eq!(money("4", 2, Language::English), "4.00");
        assert_eq!(money("-0.5", 2, Language::French), "\u{2212}0,50");
        assert_eq!(money("3.56472", 2, Language::English), "3.56472");
        assert_eq!(money("100", minor_digits("JPY"), Language::English), "100");
        assert_eq!(change("63.11", 2, Language::English), "+63.11");
        assert_eq!(change("-1", 2, Language::English), "\u{2212}1.00");
        assert_eq!(change("0.00", 2, Language::English), "0.00");
    }

    #[test]
    fn a_time_carries_utc_and_is_read_in_a_zone() {
        let at = "2026-11-02T09:00:00Z";
        let shown = |shown, language| time(at, shown, PARIS, language);
        let utc = "<time datetime=\"2026-11-02T09:00:00Z\" title=\"2026-11-02T09:00:00Z\">";
        assert_eq!(shown(Shown::Time, Language::English), format!("{utc}2 Nov 2026, 10:00</time>"));
        assert_eq!(shown(Shown::DayTime, Language::French), format!("{utc}2 nov., 10:00</time>"));
        assert_eq!(time("<b>", Shown::Date, PARIS, Language::English), "&lt;b&gt;");
    }

    #[test]
    fn a_period_is_said_as_shortly_as_it_can_be() {
        let said = |start, stop| period(start, stop, PARIS, Language::English);
        assert_eq!(said("2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"), "October 2026");
        assert_eq!(said("2026-10-01", "2026-11-01"), "October 2026");
        assert_eq!(said("2026-10-01", "2026-10-02"), "1 Oct 2026");
        assert_eq!(said("2026-10-01", "2026-12-01"), "1 Oct 2026 – 30 Nov 2026");
        assert!(said("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z").contains("02:00"));
        let of = |start, stop| month_of(start, stop).map(|day| day.to_string());
        assert_eq!(of("2026-10-01T03:00:00Z", "2026-11-01T03:00:00Z").as_deref(), Some("2026-10-01"));
        assert_eq!(of("2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z").as_deref(), Some("2026-10-01"));
        assert_eq!(of("2026-09-15T00:00:00Z", "2026-10-15T00:00:00Z"), None);
    }

    #[test]
    fn nothing_that_html_could_read_is_left() {
        assert_eq!(escape("<script>\"'&\u{0}"), "&lt;script&gt;&quot;&#x27;&amp;\u{fffd}");
        assert_eq!(escape("a\u{202e}b\u{2066}"), "a\u{fffd}b\u{fffd}");
        assert_eq!(escape_exact("<a\u{202e}"), "&lt;a\u{202e}");
    }
}
