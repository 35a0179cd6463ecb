//! Parties: those who request, sell and pay.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Outcome;
use super::calendar::Calendar;
use super::event::{Event, Stream};
use super::id::{KeyId, PartyId};
use super::sealed::Sealed;
use super::time::{TimeZone, Timestamp};

/// A party entered the books.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PartyRegistered {
    /// Who.
    pub party: PartyId,
    /// Name.
    pub name: Sealed,
    /// Where their billing periods are cut.
    pub time_zone: TimeZone,
    /// When.
    pub at: Timestamp,
}

/// What invoices say of a party beyond its name, all of it anew.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PartyDescribed {
    /// Who.
    pub party: PartyId,
    /// Legal name, address, VAT identifier and the like, as the edge writes them.
    pub details: Option<Sealed>,
    /// The country of the address.
    pub country: Option<Country>,
    /// Whether the details hold a VAT identifier.
    pub vat_id: bool,
    /// What numbers of their own invoices begin with; the first to sell has `INV` without saying so.
    pub series: Option<Series>,
    /// In how many days they pay, or are paid, if nobody says otherwise.
    pub terms_days: Option<u16>,
    /// When.
    pub at: Timestamp,
}

/// A party's months are cut in another time zone, from the beginning of one on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PartyTimeZoneSet {
    /// Who.
    pub party: PartyId,
    /// Where.
    pub time_zone: TimeZone,
    /// Since when: the beginning of a month, as they had it before.
    pub from: Timestamp,
    /// When.
    pub at: Timestamp,
}

/// A country of ISO 3166-1, by its two letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Country([u8; 2]);

/// The code is not one of a country.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 3166-1 country code such as FR")]
pub struct UnknownCountry;

/// Codes of ISO 3166-1, and XI for Northern Ireland, which EN 16931 allows besides (BR-CL-14). EL begins VAT
/// identifiers of Greece, but is no country code.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR \
BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI \
FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS \
IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA \
RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT \
TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XI YE YT ZA ZM ZW";

impl std::str::FromStr for Country {
    type Err = UnknownCountry;
    fn from_str(text: &str) -> Result<Self, UnknownCountry> {
        let code: [u8; 2] = text.as_bytes().try_into().map_err(|_| UnknownCountry)?;
        COUNTRIES
            .split_ascii_whitespace()
            .any(|known| known == text)
            .then_some(Self(code))
            .ok_or(UnknownCountry)
    }
}

impl std::fmt::Display for Country {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or("??"))
    }
}

impl Serialize for Country {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the numbers of a seller's invoices begin with: 1 to 20 capital letters and digits, a letter first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize)]
pub struct Series(Box<str>);

/// The text cannot begin a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 20 capital letters and digits, beginning with a letter, such as ACME")]
pub struct InvalidSeries;

impl Series {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Series {
    type Err = InvalidSeries;
    fn from_str(text: &str) -> Result<Self, InvalidSeries> {
        let well_formed = (1..=20).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if well_formed { Ok(Self(text.into())) } else { Err(InvalidSeries) }
    }
}

/// Enter a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterParty {
    /// Sealed under a key of its own, which becomes the party's key.
    pub name: Sealed,
    /// Where their billing periods are cut.
    pub time_zone: TimeZone,
    /// What invoices say of them beyond the name, if that is known.
    pub description: Option<Description>,
}

/// Say anew all that invoices say of a party beyond its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeParty {
    /// Who.
    pub party: PartyId,
    /// All of it.
    pub description: Description,
}

/// What invoices say of a party beyond its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// Legal name, address, VAT identifier and the like, sealed under the party's key.
    pub details: Option<Sealed>,
    /// The country of the address.
    pub country: Option<Country>,
    /// Whether the details hold a VAT identifier.
    pub vat_id: bool,
    /// What numbers of their own invoices begin with.
    pub series: Option<Series>,
    /// In how many days they pay, or are paid.
    pub terms_days: Option<u16>,
}

impl Description {
    fn event(self, party: PartyId, at: Timestamp) -> Event {
        let Self { details, country, vat_id, series, terms_days } = self;
        Event::PartyDescribed(PartyDescribed { party, details, country, vat_id, series, terms_days, at })
    }
}

/// Have a party's months cut in another time zone, from the next month on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPartyTimeZone {
    /// Who.
    pub party: PartyId,
    /// Where.
    pub time_zone: TimeZone,
}

/// The longest time to pay: ten years.
pub const MAX_TERMS_DAYS: u16 = 3650;
/// What numbers of the first party's invoices begin with, if it does not say otherwise.
pub const FIRST_SERIES: &str = "INV";
/// What stands behind a series in the numbers of credit notes.
pub const CREDIT_NOTE_SUFFIX: &str = "CN";

/// Why a command about a party is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartyRefusal {
    /// There is no such party.
    #[error("there is no party {party}")]
    Unknown {
        /// Who.
        party: PartyId,
    },
    /// Another party numbers its documents so, or did before, or credit notes would have the numbers of invoices.
    #[error("series {series} would give documents the numbers that {party} gives")]
    SeriesTaken {
        /// Which.
        series: Series,
        /// Whose numbers they would be.
        party: PartyId,
    },
    /// The time to pay is longer than ten years.
    #[error("terms_days must be at most {MAX_TERMS_DAYS}")]
    TermsTooLong,
    /// What it was called was erased, and nothing is said of it any more.
    #[error("{party} was erased")]
    Erased {
        /// Who.
        party: PartyId,
    },
}

/// What decisions need to know of a party.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Party {
    /// The key its values are sealed under.
    pub key: KeyId,
    /// Where its billing periods are cut.
    pub calendar: Calendar,
    /// What was said of it last, but for its details.
    pub country: Option<Country>,
    /// Whether its details hold a VAT identifier.
    pub vat_id: bool,
    /// What the numbers of its invoices begin with.
    pub series: Option<Series>,
    /// In how many days it pays, or is paid.
    pub terms_days: Option<u16>,
    /// Key and digest of its details: whether others are other.
    details: Option<(KeyId, [u8; 16])>,
    /// Whether its key is destroyed: nothing is sealed under it any more.
    pub(crate) erased: bool,
}

/// All parties.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Parties {
    by_id: BTreeMap<PartyId, Party>,
    /// Every series that was ever said, and by whom: numbers that were given stay given.
    series: BTreeMap<Series, PartyId>,
}

impl Parties {
    /// The party, if there is one.
    pub fn get(&self, party: PartyId) -> Option<&Party> {
        self.by_id.get(&party)
    }

    /// What the numbers of a party's invoices begin with, if it may sell.
    pub fn series_of(&self, party: PartyId) -> Option<&str> {
        let said = self.by_id.get(&party)?.series.as_ref().map(Series::as_str);
        let first = self.by_id.first_key_value().is_some_and(|(first, _)| *first == party);
        said.or_else(|| first.then_some(FIRST_SERIES))
    }

    /// Every series that documents were ever numbered by, and its seller.
    pub(crate) fn series(&self) -> impl Iterator<Item = (&str, PartyId)> {
        let first = self.by_id.first_key_value().map(|(first, _)| (FIRST_SERIES, *first));
        first.into_iter().chain(self.series.iter().map(|(series, party)| (series.as_str(), *party)))
    }

    /// Every party may be registered: a name is no identity.
    pub(crate) fn register(
        &self,
        command: &RegisterParty,
        now: Timestamp,
    ) -> Result<Outcome<PartyId>, PartyRefusal> {
        let RegisterParty { name, time_zone, description } = command.clone();
        let party = PartyId(self.by_id.last_key_value().map_or(1, |(last, _)| last.0 + 1));
        if let Some(description) = &description {
            self.check(party, description)?;
        }
        let registered = Event::PartyRegistered(PartyRegistered { party, name, time_zone, at: now });
        let described = description.map(|description| description.event(party, now));
        let events = [registered].into_iter().chain(described);
        Ok(Outcome::of(party, events.map(|event| (Stream::Party(party), event))))
    }

    fn check(&self, party: PartyId, description: &Description) -> Result<(), PartyRefusal> {
        if let Some(series) = &description.series
            && let Some(owner) = self.in_the_way(party, series)
        {
            return Err(PartyRefusal::SeriesTaken { series: series.clone(), party: owner });
        }
        if description.terms_days.is_some_and(|days| days > MAX_TERMS_DAYS) {
            return Err(PartyRefusal::TermsTooLong);
        }
        Ok(())
    }

    pub(crate) fn describe(
        &self,
        command: &DescribeParty,
        now: Timestamp,
    ) -> Result<Outcome<()>, PartyRefusal> {
        let DescribeParty { party, description } = command.clone();
        let known = self.by_id.get(&party).ok_or(PartyRefusal::Unknown { party })?;
        if known.erased {
            return Err(PartyRefusal::Erased { party });
        }
        self.check(party, &description)?;
        let Description { ref details, country, vat_id, ref series, terms_days } = description;
        let said = (digest_of(details.as_ref()), country, vat_id, series, terms_days);
        if said == (known.details, known.country, known.vat_id, &known.series, known.terms_days) {
            return Ok(Outcome::unchanged(()));
        }
        Ok(Outcome::of((), [(Stream::Party(party), description.event(party, now))]))
    }

    /// Whose numbers a party's would be under this series.
    fn in_the_way(&self, party: PartyId, series: &Series) -> Option<PartyId> {
        let wanted = series.as_str();
        let mut clashes = self.series().filter(|(taken, owner)| {
            (*taken == wanted && *owner != party)
                || taken.strip_suffix(CREDIT_NOTE_SUFFIX) == Some(wanted)
                || wanted.strip_suffix(CREDIT_NOTE_SUFFIX) == Some(*taken)
        });
        clashes.next().map(|(_, owner)| owner)
    }

    pub(crate) fn set_time_zone(
        &self,
        command: &SetPartyTimeZone,
        now: Timestamp,
    ) -> Result<Outcome<()>, PartyRefusal> {
        let SetPartyTimeZone { party, time_zone } = *command;
        let known = self.by_id.get(&party).ok_or(PartyRefusal::Unknown { party })?;
        if known.calendar.newest() == time_zone {
            return Ok(Outcome::unchanged(()));
        }
        let event = PartyTimeZoneSet { party, time_zone, from: known.calendar.next_month(now), at: now };
        Ok(Outcome::of((), [(Stream::Party(party), Event::PartyTimeZoneSet(event))]))
    }

    pub(crate) fn registered(&mut self, event: &PartyRegistered) {
        let party = Party {
            key: event.name.key,
            calendar: Calendar::of(event.time_zone),
            country: None,
            vat_id: false,
            series: None,
            terms_days: None,
            details: None,
            erased: false,
        };
        self.by_id.insert(event.party, party);
    }

    pub(crate) fn described(&mut self, event: &PartyDescribed) {
        if let Some(party) = self.by_id.get_mut(&event.party) {
            party.country = event.country;
            party.vat_id = event.vat_id;
            party.series.clone_from(&event.series);
            party.terms_days = event.terms_days;
            party.details = digest_of(event.details.as_ref());
        }
        if let Some(series) = &event.series {
            self.series.insert(series.clone(), event.party);
        }
    }

    pub(crate) fn time_zone_set(&mut self, event: &PartyTimeZoneSet) {
        if let Some(party) = self.by_id.get_mut(&event.party) {
            party.calendar.change(event.from, event.time_zone);
        }
    }

    pub(crate) fn erased(&mut self, party: PartyId) {
        if let Some(party) = self.by_id.get_mut(&party) {
            party.erased = true;
        }
    }
}

fn digest_of(details: Option<&Sealed>) -> Option<(KeyId, [u8; 16])> {
    details.map(|details| (details.key, details.digest))
}

#[cfg(test)]
mod tests {
    use crate::domain::Answer;
    use crate::domain::event::{Event, Stream};
    use crate::domain::given::{Given, at, register_party, register_party_in, sealed};
    use crate::domain::id::PartyId;

    use super::{
        Country, DescribeParty, Description, PartyDescribed, PartyRefusal, PartyRegistered, PartyTimeZoneSet,
        RegisterParty, Series, SetPartyTimeZone,
    };

    fn describe(party: u64, series: Option<&str>) -> DescribeParty {
        DescribeParty { party: PartyId(party), description: acme(series) }
    }

    fn acme(series: Option<&str>) -> Description {
        Description {
            details: Some(sealed("party", "Acme SAS")),
            country: Some("FR".parse().expect("a country")),
            vat_id: true,
            series: series.map(|text| text.parse().expect(text)),
            terms_days: Some(14),
        }
    }

    fn acme_series() -> Series {
        "ACME".parse().expect("a series")
    }

    fn move_to(party: u64, zone: &str) -> SetPartyTimeZone {
        SetPartyTimeZone { party: PartyId(party), time_zone: zone.parse().expect(zone) }
    }

    fn two() -> Given {
        Given::nothing().done(register_party()).done(register_party())
    }

    #[test]
    fn a_description_is_taken_whole() {
        let given = two();
        let Description { details, country, vat_id, series, terms_days } = acme(Some("ACME"));
        let party = PartyId(2);
        let event = PartyDescribed { party, details, country, vat_id, series, terms_days, at: given.now };
        let given = given
            .when(describe(2, Some("ACME")))
            .then([(Stream::Party(PartyId(2)), Event::PartyDescribed(event))])
            .answered(&Answer::Done)
            .and();
        let given = given.when(describe(2, Some("ACME"))).unchanged().and();
        let bare = DescribeParty { party: PartyId(2), description: Description::default() };
        let given = given.when(bare.clone()).then_named(&["PartyDescribed"]).and();
        let party = given.project().parties.get(PartyId(2)).expect("it is there");
        assert_eq!(
            (party.country, party.vat_id, &party.series, party.terms_days),
            (None, false, &None, None)
        );
        given.when(bare).unchanged();
    }

    #[test]
    fn each_member_of_a_description_is_a_change() {
        let changes: [fn(&mut Description); 5] = [
            |said| said.details = Some(sealed("party", "Acme SA")),
            |said| said.country = None,
            |said| said.vat_id = false,
            |said| said.series = None,
            |said| said.terms_days = Some(30),
        ];
        for change in changes {
            let mut other = describe(2, Some("ACME"));
            change(&mut other.description);
            two().done(describe(2, Some("ACME"))).when(other).then_named(&["PartyDescribed"]);
        }
    }

    #[test]
    fn what_cannot_be_said_of_a_party() {
        let of_days = |days, series| Description { terms_days: Some(days), ..acme(series) };
        let long = |party| DescribeParty { party: PartyId(party), description: of_days(3651, Some("ACME")) };
        let given = two().when(long(3)).refused(PartyRefusal::Unknown { party: PartyId(3) });
        let given = given.done(describe(2, Some("ACME")));
        let given = given
            .when(long(1))
            .refused(PartyRefusal::SeriesTaken { series: acme_series(), party: PartyId(2) });
        let given = given.when(long(2)).refused(PartyRefusal::TermsTooLong);
        let given = given.done(DescribeParty { party: PartyId(2), description: of_days(3650, None) });
        let described = |series| RegisterParty { description: Some(acme(series)), ..register_party() };
        given
            .when(RegisterParty { description: Some(of_days(3651, None)), ..register_party() })
            .refused(PartyRefusal::TermsTooLong)
            .when(described(Some("ACME")))
            .refused(PartyRefusal::SeriesTaken { series: acme_series(), party: PartyId(2) })
            .when(described(Some("OTHER")))
            .then_named(&["PartyRegistered", "PartyDescribed"])
            .answered(&Answer::Party(PartyId(3)));
    }

    #[test]
    fn a_series_is_of_one_party_for_ever() {
        // Party, series, and who is in the way.
        let rows = [
            (1, "INV", None),
            (2, "INV", Some(1)),
            (2, "INVCN", Some(1)),
            (1, "INVCN", Some(1)),
            (1, "ACME", Some(2)),
            (1, "ACMECN", Some(2)),
            (1, "AC", None),
            (2, "ACME", None),
            (2, "ACMECN", Some(2)),
            (2, "NEW", None),
            (1, "B", Some(2)),
        ];
        for (party, series, owner) in rows {
            let given = two().done(describe(2, Some("BCN"))).done(describe(2, Some("ACME")));
            let when = given.done(describe(1, None)).when(describe(party, Some(series)));
            match owner {
                None => drop(when.and()),
                Some(owner) => {
                    let series = series.parse().expect(series);
                    when.refused(PartyRefusal::SeriesTaken { series, party: PartyId(owner) });
                }
            }
        }
    }

    #[test]
    fn another_zone_counts_from_the_next_month_on() {
        let given = two().at("2026-10-31T23:30:00Z");
        let event = PartyTimeZoneSet {
            party: PartyId(2),
            time_zone: "Europe/Paris".parse().expect("a zone"),
            from: at("2026-11-01T00:00:00Z"),
            at: given.now,
        };
        given
            .when(move_to(2, "Europe/Paris"))
            .then([(Stream::Party(PartyId(2)), Event::PartyTimeZoneSet(event))])
            .answered(&Answer::Done)
            .and()
            .when(move_to(2, "Europe/Paris"))
            .unchanged()
            .and()
            .when(move_to(2, "UTC"))
            .then_named(&["PartyTimeZoneSet"])
            .and()
            .when(move_to(3, "UTC"))
            .refused(PartyRefusal::Unknown { party: PartyId(3) });
    }

    #[test]
    fn countries_and_series_are_well_formed() {
        for text in ["FR", "XI", "GR"] {
            assert_eq!(text.parse::<Country>().map(|country| country.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "fr", "FRA", "XX", "EL", "F "] {
            assert!(text.parse::<Country>().is_err(), "{text}");
        }
        for (text, good) in [("A", true), ("A1", true), ("1A", false), ("", false), ("Ab", false)] {
            assert_eq!(text.parse::<Series>().is_ok(), good, "{text}");
        }
        assert!("A".repeat(20).parse::<Series>().is_ok());
        assert!("A".repeat(21).parse::<Series>().is_err());
    }

    #[test]
    fn every_registration_is_another_party() {
        let given = Given::nothing().done(register_party());
        let at = given.now;
        let paris = register_party_in("Europe/Paris");
        let event = PartyRegistered {
            party: PartyId(2),
            name: paris.name.clone(),
            time_zone: "Europe/Paris".parse().expect("a zone"),
            at,
        };
        let given = given
            .when(paris)
            .then([(Stream::Party(PartyId(2)), Event::PartyRegistered(event))])
            .answered(&Answer::Party(PartyId(2)))
            .and();
        let party = given.project().parties.get(PartyId(2)).expect("it was registered");
        assert_eq!(party.key, crate::domain::given::key("party"));
        assert_eq!(given.project().parties.get(PartyId(3)), None);
    }
}
