//! The kit of an HTTP server: problems, bodies and their limits, forms of answers, tags.
//!
//! It knows no engine, no use case and no route. Of the core it knows the errors, which `refusal` turns into
//! statuses, and `conflict` is everything that is answered 409.

pub mod answer;
pub mod body;
pub mod collect;
pub mod conflict;
pub mod forms;
pub mod json_body;
pub mod problem;
mod refusal;
pub mod sealing;
pub mod text;
