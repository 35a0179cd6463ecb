//! Which region computers said they are in, and since when.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use slapledger_core::domain::computer::ComputerDescribed;
use slapledger_core::domain::id::ComputerId;
use slapledger_core::domain::time::{Period, Timestamp};

/// The name of the attribute.
const ATTRIBUTE: &str = "region";

/// Since when a computer is in a region, or in none that it says.
type Said = (Timestamp, Option<Box<str>>);

/// The regions of all computers that ever said one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Regions {
    by_computer: BTreeMap<ComputerId, Vec<Said>>,
}

impl Regions {
    pub(crate) fn described(&mut self, event: &ComputerDescribed) {
        let region =
            event.attributes.iter().find(|(name, _)| **name == *ATTRIBUTE).map(|(_, value)| value.clone());
        let known = self.by_computer.get(&event.computer).and_then(|regions| regions.last());
        if known.map_or(&None, |(_, region)| region) != &region {
            self.by_computer.entry(event.computer.clone()).or_default().push((event.at, region));
        }
    }

    /// The parts of a period in which a computer was in one region, or in none that it said; together they are the
    /// period.
    pub(crate) fn within<'a>(
        &'a self,
        computer: &ComputerId,
        period: Period,
    ) -> impl Iterator<Item = (Period, Option<&'a str>)> + use<'a> {
        let said = self.by_computer.get(computer).map_or(&[][..], Vec::as_slice);
        let starts = [(Timestamp::MIN, None)]
            .into_iter()
            .chain(said.iter().map(|(at, region)| (*at, region.as_deref())));
        let stops = said.iter().map(|(at, _)| *at).chain([Timestamp::MAX]);
        starts.zip(stops).filter_map(move |((start, region), stop)| {
            // The end of time belongs to the last part.
            Some((Period::new(start, stop)?.intersection(period)?, region))
        })
    }
}
