//! The kit of an HTTP server: problems, bodies and their limits, forms of answers, tags.
//!
//! It knows no engine, no use case and no route. Of the core it knows the errors: `refusal` turns them into statuses and
//! codes, `code` is the table of all codes, and `conflict` is everything that is answered 409.

pub mod answer;
pub mod body;
pub mod code;
pub mod collect;
pub mod conflict;
pub mod forms;
pub mod json_body;
pub mod layer;
pub mod problem;
pub mod refusal;
pub mod representation;
pub mod sealing;
pub mod text;
