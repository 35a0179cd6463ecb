//! What is said of the route of gaps.

use super::{GapCounts, UsageGap};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn counts(operation: Operation) -> Operation {
    operation
        .called("countUsageGaps", "usage", "How much usage is missing, by computer")
        .description(
            "The gaps of the list but for suspended usage, those of a computer together; the computers with the most \
             missing hours first. A count looks at so many computers as have 1,000 instances; the list has all.",
        )
        .required_query::<schema::StartStop>("period", "When; where the seller is")
        .query::<schema::Limit>("limit", "The most computers to list. Default: 100")
        .reads::<GapCounts>("The counts")
}

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called(
            "listUsageGaps",
            "usage",
            "Which computers were silent with instances on them, which reports never came, and what is suspended",
        )
        .required_query::<schema::StartStop>("period", "When; where the seller is")
        .query::<schema::ComputerId>("computer", "Of this computer alone")
        .lists::<UsageGap>("A part of the list, by computer")
}
