//! Bodies for `POST /v1/usage-events`.

use std::fmt::Write;

use uuid::Uuid;

/// The type of a batch of CloudEvents.
pub const BATCH: &str = "application/cloudevents-batch+json";

/// A usage event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEvent {
    /// Its sender's name of it.
    pub id: Uuid,
    /// What it belongs to.
    pub subject: String,
    /// What was measured.
    pub resource: String,
    /// How much, in thousandths.
    pub thousandths: u64,
    /// Since when, in minutes from the start of 2026; until the end of 2027.
    pub start_minute: u32,
    /// For how many minutes.
    pub minutes: u32,
}

/// A batch of events of one computer.
pub fn batch(source: &str, events: &[UsageEvent]) -> String {
    let mut body = String::with_capacity(events.len() * 320 + 2);
    body.push('[');
    for event in events {
        if body.len() > 1 {
            body.push(',');
        }
        let (whole, thousandths) = (event.thousandths / 1000, event.thousandths % 1000);
        let (start, stop) = (Minute(event.start_minute), Minute(event.start_minute + event.minutes));
        write!(
            body,
            "{{\"specversion\":\"1.0\",\"type\":\"org.slapos.usage\",\"source\":\"{source}\",\"id\":\"{}\",\
             \"subject\":\"{}\",\"time\":\"{stop}\",\"data\":{{\"resource\":\"{}\",\
             \"quantity\":\"{whole}.{thousandths:03}\",\"start\":\"{start}\",\"stop\":\"{stop}\"}}}}",
            event.id.as_hyphenated(),
            event.subject,
            event.resource,
        )
        .expect("a string takes what is written to it");
    }
    body.push(']');
    body
}

/// The same events as rows in PostgreSQL's text format of COPY: id, reporter, subject, resource, quantity, start, stop.
pub fn copy_rows(source: &str, events: &[UsageEvent]) -> String {
    let mut rows = String::with_capacity(events.len() * 180);
    for event in events {
        let (whole, thousandths) = (event.thousandths / 1000, event.thousandths % 1000);
        let (start, stop) = (Minute(event.start_minute), Minute(event.start_minute + event.minutes));
        writeln!(
            rows,
            "{}\t{source}\t{}\t{}\t{whole}.{thousandths:03}\t{start}\t{stop}",
            event.id.as_hyphenated(),
            event.subject,
            event.resource,
        )
        .expect("a string takes what is written to it");
    }
    rows
}

const MONTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/// The days of 2026, and those of 2027.
const YEAR_DAYS: u32 = 365;

/// A minute of the years 2026 and 2027, counted from the start of 2026, printed in RFC 3339.
struct Minute(u32);

impl std::fmt::Display for Minute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (day, minute) = (self.0 / 1440, self.0 % 1440);
        let (year, mut day) = (2026 + day / YEAR_DAYS, day % YEAR_DAYS);
        let mut month = 0;
        while let Some(days) = MONTHS.get(month)
            && day >= *days
        {
            day -= days;
            month += 1;
        }
        write!(f, "{year}-{:02}-{:02}T{:02}:{:02}:00Z", month + 1, day + 1, minute / 60, minute % 60)
    }
}

/// The minute at which a month of 2026 begins.
pub fn minute_of_month(month: u32) -> u32 {
    MONTHS.iter().take(month.saturating_sub(1) as usize).sum::<u32>() * 1440
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_those_of_two_years() {
        let rows = [
            (0, "2026-01-01T00:00:00Z"),
            (59 * 1440 + 61, "2026-03-01T01:01:00Z"),
            (365 * 1440 - 1, "2026-12-31T23:59:00Z"),
            (365 * 1440, "2027-01-01T00:00:00Z"),
            (730 * 1440 - 1, "2027-12-31T23:59:00Z"),
        ];
        for (minute, expected) in rows {
            assert_eq!(Minute(minute).to_string(), expected);
        }
        assert_eq!(Minute(minute_of_month(10)).to_string(), "2026-10-01T00:00:00Z");
    }

    #[test]
    fn a_batch_is_json_or_rows() {
        let event = UsageEvent {
            id: Uuid::nil(),
            subject: "slappart0".into(),
            resource: "cpu".into(),
            thousandths: 12_005,
            start_minute: 0,
            minutes: 15,
        };
        let row = format!(
            "{}\tCOMP-1\tslappart0\tcpu\t12.005\t2026-01-01T00:00:00Z\t2026-01-01T00:15:00Z\n",
            Uuid::nil()
        );
        assert_eq!(copy_rows("COMP-1", std::slice::from_ref(&event)), row);
        let batch: serde_json::Value =
            serde_json::from_str(&batch("COMP-1", &[event.clone(), event])).unwrap();
        assert_eq!(batch[1]["data"]["quantity"], "12.005");
        assert_eq!(batch[1]["data"]["stop"], "2026-01-01T00:15:00Z");
    }
}
