//! The kit of an HTTP server: problems, bodies and their limits, forms of answers, tags.
//!
//! It knows no engine, no use case and no route. Of the core it knows the errors, which `problem` turns into statuses.

pub mod answer;
pub mod body;
pub mod collect;
pub mod conflict;
pub mod forms;
pub mod json_body;
pub mod problem;
pub mod sealing;
pub mod text;
