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
    /// The name people know them by.
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

/// Codes of ISO 3166-1, and XI and EL, which VAT has besides.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR \
BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI \
FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS \
IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA \
RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT \
TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

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
}

/// All parties.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Parties {
    by_id: BTreeMap<PartyId, Party>,
}

impl Parties {
    /// The party, if there is one.
    pub fn get(&self, party: PartyId) -> Option<&Party> {
        self.by_id.get(&party)
    }

    /// Every party may be registered: a name is no identity.
    pub(crate) fn register(&self, command: &RegisterParty, now: Timestamp) -> Outcome<PartyId> {
        let party = PartyId(self.by_id.last_key_value().map_or(1, |(last, _)| last.0 + 1));
        let event =
            PartyRegistered { party, name: command.name.clone(), time_zone: command.time_zone, at: now };
        Outcome::of(party, [(Stream::Party(party), Event::PartyRegistered(event))])
    }

    pub(crate) fn registered(&mut self, event: &PartyRegistered) {
        let party = Party {
            key: event.name.key,
            calendar: Calendar::of(event.time_zone),
            country: None,
            vat_id: false,
            series: None,
            terms_days: None,
        };
        self.by_id.insert(event.party, party);
    }

    pub(crate) fn described(&mut self, event: &PartyDescribed) {
        if let Some(party) = self.by_id.get_mut(&event.party) {
            party.country = event.country;
            party.vat_id = event.vat_id;
            party.series.clone_from(&event.series);
            party.terms_days = event.terms_days;
        }
    }

    pub(crate) fn time_zone_set(&mut self, event: &PartyTimeZoneSet) {
        if let Some(party) = self.by_id.get_mut(&event.party) {
            party.calendar.change(event.from, event.time_zone);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Answer;
    use crate::domain::event::{Event, Stream};
    use crate::domain::given::{Given, register_party, register_party_in};
    use crate::domain::id::PartyId;

    use super::PartyRegistered;

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
        let party = given.state.parties.get(PartyId(2)).expect("it was registered");
        assert_eq!(party.key, crate::domain::given::key("party"));
        assert_eq!(given.state.parties.get(PartyId(3)), None);
    }
}
