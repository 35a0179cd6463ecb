//! What is said of the route that compares prices.

use super::Comparison;
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;
use crate::rest::prices;

pub(crate) fn compare(operation: Operation) -> Operation {
    let operation = operation.called(
        "compareWhatIf",
        "prices",
        "What a period would have cost by other prices, beside what it costs by the published ones; nothing is recorded",
    );
    prices::describe::book(operation)
        .description(
            "Both are rated from all that is known now. The other prices count for all of the period, whatever their \
             `valid_from` says. Fees in advance are counted for the time they are for; there is no tax.",
        )
        .required_query::<schema::StartStop>("period", "When; where each payer is")
        .query::<schema::PriceBookName>("against", "The published book to compare with; that of the same name, if none is said")
        .query::<bool>("lines", "Whether to tell the difference by kind of line and resource too")
        .query::<schema::Limit>("limit", "How many customers, at most; 100, if it is not said")
        .query::<schema::Cursor>("cursor", "The `next` of an earlier answer: the customers after those")
        .query::<schema::Sequence>("min_sequence", "Wait until at least this sequence is reflected")
        .writes::<Comparison>(200, "Some customers, by both prices")
        .problem(404)
}
