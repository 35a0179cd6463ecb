//! What both sides of a wire say, in no format: tokens, and what is told of computers and instances.
//!
//! It knows the words of the core and nothing else.

pub mod documents;
pub mod token;
