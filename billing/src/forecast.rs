//! When prepaid credit runs out, if a customer goes on as in the time that is not invoiced yet.

use slapledger_core::domain::id::{PartyId, PriceBookName, Sequence};
use slapledger_core::domain::money::Amount;
use slapledger_core::domain::time::{Period, Timestamp};

use crate::rating::RatedLine;
use crate::view::BillingView;

/// When prepaid credit runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditForecast {
    /// What is left of the credits that have not expired.
    pub balance: Amount,
    /// The time that the rate is taken from: this month, as far as it is not invoiced.
    pub period: Period,
    /// What is charged for it, with tax.
    pub charged: Amount,
    /// What of that is to be paid: fees in advance were charged before.
    pub uninvoiced: Amount,
    /// What is charged in a day.
    pub per_day: Amount,
    /// When nothing is left; none, if that is more than a hundred years away.
    pub runs_out_at: Option<Timestamp>,
}

const DAY_MICROS: i128 = 86_400 * 1_000_000;

impl BillingView {
    /// When the credit of a customer runs out; none, if there are no prices or nothing of the month is left to look at.
    pub fn credit_forecast(
        &self,
        (seller, payer): (PartyId, PartyId),
        price_book: &PriceBookName,
        (as_of, now): (Sequence, Timestamp),
    ) -> Option<CreditForecast> {
        let month = self.month_so_far((seller, payer), price_book, (as_of, now))?;
        let (period, currency) = (month.period, month.currency);
        let gross = |lines: &mut dyn Iterator<Item = &RatedLine>| {
            let (base, tax) = month.base_and_tax(lines)?;
            base.checked_add(tax)
        };
        let uninvoiced = gross(&mut month.lines.iter())?;
        let charged = gross(&mut month.lines.iter().chain(&month.in_advance))?;
        let rate = ChargeRate { minor: charged.minor(), micros: period.micros().into() };
        let owner = (seller, payer, currency);
        let credits = self
            .billing
            .credits
            .open_to(owner)
            .map(|(_, credit)| CreditLeft { minor: credit.left.minor(), expires_at: credit.expires_at });
        let credits = credits.filter(|credit| credit.expires_at.is_none_or(|expiry| expiry > now)).collect();
        let per_day = charged.minor().checked_mul(DAY_MICROS)? / i128::from(period.micros());
        Some(CreditForecast {
            balance: self.billing.credits.balance(owner, now),
            period,
            charged,
            uninvoiced,
            per_day: charged.with_minor(per_day),
            runs_out_at: runs_out(credits, uninvoiced.minor(), rate, now),
        })
    }
}

/// So much in so long.
#[derive(Clone, Copy)]
struct ChargeRate {
    minor: i128,
    micros: i128,
}

struct CreditLeft {
    minor: i128,
    expires_at: Option<Timestamp>,
}

/// The longest time that is looked ahead.
const HUNDRED_YEARS: i64 = 36_525 * 86_400 * 1_000_000;

/// When credits, in the order in which they pay, are used up: by what is owed already, and then at a rate; each pays until
/// nothing is left of it or it expires.
fn runs_out(credits: Vec<CreditLeft>, owed: i128, rate: ChargeRate, now: Timestamp) -> Option<Timestamp> {
    let (mut owed, mut at) = (owed.max(0), now);
    let last = now.plus_micros(HUNDRED_YEARS);
    let mut waiting = credits;
    while !waiting.is_empty() {
        waiting.retain(|credit| credit.expires_at.is_none_or(|expiry| expiry > at));
        if waiting.is_empty() {
            break;
        }
        let credit = waiting.remove(0);
        let paid = credit.minor.min(owed);
        owed -= paid;
        let left = credit.minor - paid;
        if left == 0 {
            continue;
        }
        let used_up = (rate.minor > 0)
            .then(|| left.checked_mul(rate.micros))
            .flatten()
            .map(|product| (product + rate.minor - 1) / rate.minor)
            .and_then(|micros| i64::try_from(micros).ok())
            .filter(|micros| *micros <= HUNDRED_YEARS)
            .map(|micros| at.plus_micros(micros));
        at = match (used_up, credit.expires_at) {
            (Some(used_up), Some(expiry)) => used_up.min(expiry),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return None,
        };
        if at > last {
            return None;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::MIN.plus_micros(day * 86_400 * 1_000_000)
    }

    fn left(minor: i128, expires: Option<i64>) -> CreditLeft {
        CreditLeft { minor, expires_at: expires.map(day) }
    }

    /// 100 a day from the first day on.
    #[test]
    fn credits_are_used_up_one_after_the_other_or_expire() {
        let rate = |minor| ChargeRate { minor, micros: DAY_MICROS };
        let rows = [
            (vec![], 0, 100, Some(1)),
            (vec![left(500, None)], 0, 100, Some(6)),
            (vec![left(500, None)], 200, 100, Some(4)),
            (vec![left(500, None)], 600, 100, Some(1)),
            (vec![left(500, Some(3)), left(300, None)], 0, 100, Some(6)),
            // While the first pays for five days, the second expires.
            (vec![left(500, None), left(300, Some(4))], 0, 100, Some(6)),
            (vec![left(500, None), left(300, Some(7)), left(100, None)], 0, 100, Some(8)),
            (vec![left(500, None)], 0, 0, None),
            (vec![left(500, Some(9))], 0, 0, Some(9)),
            (vec![left(i128::MAX / 2, None)], 0, 1, None),
        ];
        for (nth, (credits, owed, minor, expected)) in rows.into_iter().enumerate() {
            let found = runs_out(credits, owed, rate(minor), day(1));
            assert_eq!(found, expected.map(day), "row {nth}");
        }
    }
}
