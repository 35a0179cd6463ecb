//! What is decided about computers.

use std::collections::BTreeSet;

use super::commands::{
    BangComputer, ComputerRefusal, ConfigureComputer, DescribeComputer, NoticeSilence, RegisterComputer,
    RequestComputer, SetAllocationScope, UnknownComputer,
};
use super::events::{
    AllocationScope, AllocationScopeSet, ComputerBanged, ComputerConfigured, ComputerDescribed,
    ComputerFellSilent, ComputerHeard, ComputerRegistered, Offer, PartitionOffered, PartitionWithdrawn,
};
use super::state::{Computer, Computers};
use crate::domain::Outcome;
use crate::domain::event::{Event, Stream};
use crate::domain::id::{ComputerId, check_text, is_printable};
use crate::domain::instance::filter::ATTRIBUTES;
use crate::domain::party::Parties;
use crate::domain::time::{TimeZone, Timestamp};

/// The longest title or attribute, in bytes.
const TEXT_BYTES: usize = 256;
/// The most partitions of a computer.
const PARTITIONS: usize = 10_000;
/// The most bytes of all texts of its partitions: each is shown to its node, and kept in memory.
const OFFER_BYTES: usize = 4 * 1024 * 1024;
/// The longest group, and the longest list of software.
const MEMBERS: usize = 256;

impl Computers {
    pub(crate) fn register(
        &self,
        command: &RegisterComputer,
        now: Timestamp,
    ) -> Result<Outcome<()>, ComputerRefusal> {
        if self.get(command.computer.as_str()).is_some() {
            return Err(ComputerRefusal::AlreadyRegistered { computer: command.computer.clone() });
        }
        check_reference(&command.computer)?;
        let (computer, owner, time_zone) = (command.computer.clone(), command.owner, command.time_zone);
        let event = ComputerRegistered { computer, owner, time_zone, at: now };
        Ok(Outcome::of((), [(Stream::Computer(command.computer.clone()), Event::ComputerRegistered(event))]))
    }

    pub(crate) fn configure(
        &self,
        command: &ConfigureComputer,
        now: Timestamp,
    ) -> Result<Outcome<()>, ComputerRefusal> {
        let mut named = BTreeSet::new();
        if let Some(twice) = command.offers.iter().find(|offer| !named.insert(&offer.partition)) {
            return Err(ComputerRefusal::PartitionTwice { partition: twice.partition.clone() });
        }
        if command.offers.len() > PARTITIONS {
            return Err(ComputerRefusal::TooMany { what: "partition_list", max: PARTITIONS });
        }
        let bytes = command.offers.iter().map(Offer::text_bytes).sum();
        if bytes > OFFER_BYTES {
            return Err(ComputerRefusal::TooLong { bytes, max: OFFER_BYTES });
        }
        let computer = &command.computer;
        let mut events = Vec::new();
        let fresh;
        let known = match (self.get(computer.as_str()), command.owner_if_new) {
            // In a proxy everybody may bring a computer, also one that was retired.
            (Some(known), None) if known.retired => {
                return Err(ComputerRefusal::Retired { computer: computer.clone() });
            }
            (Some(known), _) => known,
            (None, Some(owner)) => {
                check_reference(computer)?;
                let time_zone = TimeZone::UTC;
                let event = ComputerRegistered { computer: computer.clone(), owner, time_zone, at: now };
                events.push(Event::ComputerRegistered(event));
                fresh = Computer::new(owner, time_zone);
                &fresh
            }
            (None, None) => return Err(UnknownComputer { computer: computer.clone() }.into()),
        };
        if (&known.address, &known.netmask) != (&command.address, &command.netmask) {
            let (address, netmask) = (command.address.clone(), command.netmask.clone());
            let event = ComputerConfigured { computer: computer.clone(), address, netmask, at: now };
            events.push(Event::ComputerConfigured(event));
        }
        for offer in &command.offers {
            let same = known.partitions.get(&offer.partition).is_some_and(|p| p.offered && p.offer == *offer);
            if !same {
                let event = PartitionOffered { computer: computer.clone(), offer: offer.clone(), at: now };
                events.push(Event::PartitionOffered(event));
            }
        }
        for (partition, _) in known.partitions.iter().filter(|(name, p)| p.offered && !named.contains(name)) {
            let (computer, partition) = (computer.clone(), partition.clone());
            events.push(Event::PartitionWithdrawn(PartitionWithdrawn { computer, partition, at: now }));
        }
        let stream = Stream::Computer(computer.clone());
        Ok(Outcome::of((), events.into_iter().map(|event| (stream.clone(), event))))
    }

    pub(crate) fn request(
        &self,
        parties: &Parties,
        command: &RequestComputer,
        now: Timestamp,
    ) -> Result<Outcome<ComputerId>, ComputerRefusal> {
        if parties.get(command.owner).is_none() {
            return Err(ComputerRefusal::UnknownParty { party: command.owner });
        }
        check("computer_title", &command.title)?;
        let titled = |known: &Computer| {
            known.owner == command.owner && !known.retired && known.title.as_deref() == Some(&*command.title)
        };
        if let Some((id, _)) = self.iter().find(|(_, known)| titled(known)) {
            return Ok(Outcome::unchanged(id.clone()));
        }
        // References that computers brought with them may look like ours.
        let numbers = (self.iter().count() + 1)..;
        let names = numbers.filter_map(|n| ComputerId::new(&format!("COMP-{n}")).ok());
        let free = names.filter(|name| self.get(name.as_str()).is_none());
        let computer =
            free.into_iter().next().ok_or(ComputerRefusal::TooMany { what: "computers", max: usize::MAX })?;
        let registered = Event::ComputerRegistered(ComputerRegistered {
            computer: computer.clone(),
            owner: command.owner,
            time_zone: command.time_zone,
            at: now,
        });
        let described = Event::ComputerDescribed(ComputerDescribed {
            computer: computer.clone(),
            title: Some(command.title.clone()),
            attributes: Vec::new(),
            at: now,
        });
        let stream = Stream::Computer(computer.clone());
        Ok(Outcome::of(computer, [registered, described].map(|event| (stream.clone(), event))))
    }

    pub(crate) fn describe(
        &self,
        command: &DescribeComputer,
        now: Timestamp,
    ) -> Result<Outcome<()>, ComputerRefusal> {
        let known = self.known(&command.computer)?;
        if let Some(title) = &command.title {
            check("title", title)?;
        }
        for (name, value) in &command.attributes {
            if !ATTRIBUTES.contains(&&**name) {
                return Err(ComputerRefusal::UnknownAttribute { name: name.clone() });
            }
            check(name, value)?;
        }
        if (&known.title, &known.attributes) == (&command.title, &command.attributes) {
            return Ok(Outcome::unchanged(()));
        }
        let attributes = command.attributes.iter().map(|(name, value)| (name.clone(), value.clone()));
        let (computer, title, attributes) =
            (command.computer.clone(), command.title.clone(), attributes.collect());
        let event = ComputerDescribed { computer, title, attributes, at: now };
        Ok(one(&command.computer, Event::ComputerDescribed(event)))
    }

    pub(crate) fn set_scope(
        &self,
        parties: &Parties,
        command: &SetAllocationScope,
        now: Timestamp,
    ) -> Result<Outcome<()>, ComputerRefusal> {
        let known = self.known(&command.computer)?;
        if known.retired {
            return Err(ComputerRefusal::Retired { computer: command.computer.clone() });
        }
        if let AllocationScope::Group(members) = &command.scope {
            if members.len() > MEMBERS {
                return Err(ComputerRefusal::TooMany { what: "scope", max: MEMBERS });
            }
            if let Some(&party) = members.iter().find(|member| parties.get(**member).is_none()) {
                return Err(ComputerRefusal::UnknownParty { party });
            }
        }
        if command.software.len() > MEMBERS {
            return Err(ComputerRefusal::TooMany { what: "software", max: MEMBERS });
        }
        if (&known.scope, &known.software, known.capacity)
            == (&command.scope, &command.software, command.capacity)
        {
            return Ok(Outcome::unchanged(()));
        }
        let event = AllocationScopeSet {
            computer: command.computer.clone(),
            scope: command.scope.clone(),
            software: command.software.iter().cloned().collect(),
            capacity: command.capacity,
            at: now,
        };
        Ok(one(&command.computer, Event::AllocationScopeSet(event)))
    }

    pub(crate) fn notice_silence(
        &self,
        command: &NoticeSilence,
        now: Timestamp,
    ) -> Result<Outcome<()>, ComputerRefusal> {
        let known = self.known(&command.computer)?;
        let computer = command.computer.clone();
        let event = match (known.silent, command.since) {
            (false, Some(since)) if !known.retired => {
                Event::ComputerFellSilent(ComputerFellSilent { computer, since, at: now })
            }
            (true, None) => Event::ComputerHeard(ComputerHeard { computer, at: now }),
            _ => return Ok(Outcome::unchanged(())),
        };
        Ok(one(&command.computer, event))
    }

    pub(crate) fn bang(
        &self,
        command: &BangComputer,
        now: Timestamp,
    ) -> Result<Outcome<()>, ComputerRefusal> {
        self.known(&command.computer)?;
        let (computer, message) = (command.computer.clone(), command.message.clone());
        Ok(one(&command.computer, Event::ComputerBanged(ComputerBanged { computer, message, at: now })))
    }
}

fn one(computer: &ComputerId, event: Event) -> Outcome<()> {
    Outcome::of((), [(Stream::Computer(computer.clone()), event)])
}

/// What ids of other things begin with.
const OTHER_IDS: [&str; 7] = ["PARTY-", "SOFTINST-", "PROJ-", "RUN-", "CREDIT-", "CHARGE-", "INV-"];

/// Whether a computer may be registered under a reference: it is a part of addresses and the subject of certificates, and
/// must not be taken for anything else there. Those that are registered already keep theirs.
fn check_reference(computer: &ComputerId) -> Result<(), ComputerRefusal> {
    let text = computer.as_str();
    let bad = |rule| Err(ComputerRefusal::BadReference { rule });
    let looks_like = |prefix: &str| {
        let (begin, rest) = text.split_at_checked(prefix.len()).unwrap_or_default();
        begin.eq_ignore_ascii_case(prefix) && rest.starts_with(|c: char| c.is_ascii_digit())
    };
    if OTHER_IDS.into_iter().any(looks_like) {
        return bad("must not look like the id of something else, such as PARTY-1 or SOFTINST-1");
    }
    if matches!(text, "." | "..") {
        return bad("must not be . or ..");
    }
    if text.chars().any(|c| c.is_whitespace() || matches!(c, '/' | '=') || !is_printable(c)) {
        return bad("must not contain blanks, /, =, control or format characters");
    }
    Ok(())
}

fn check(what: &str, text: &str) -> Result<(), ComputerRefusal> {
    check_text(text, TEXT_BYTES).map_err(|rule| ComputerRefusal::BadText { what: what.into(), rule })
}
