//! The web pages: HTML from the very values that routes answer as JSON.
//!
//! This crate knows no HTTP and no engine. It takes the serialised answer of a route and a [`PageContext`] (who reads, in
//! which language, with which CSRF token and nonce) and gives HTML.
//!
//! To add a page:
//! 1. Add a row to [`PAGES`]: the route whose answer it shows, its template, the entry of the navigation. A page without
//!    a REST twin needs a route of its own under `/ui/`, with a policy (`protocols/src/pages/routes.rs`); a page whose
//!    route does not exist keeps the server from starting.
//! 2. Write `templates/NAME.html`, which extends `frame.html`, and list it in `render.rs`. The answer is `it`, parts have
//!    the names that the row gives them, and what `derived/` computes is `d`.
//! 3. Write every value through the filters: `num`, `money`, `change`, `date`, `day`, `time`, `daytime`, `period()`,
//!    `state`, `seq`, `name` for what others have named, `resource`, `unit`. `t()` is a text, `th()` one with HTML in it,
//!    `here()` the address of this page with other parameters.
//! 4. Add its texts to `locales/en.ftl` and `locales/fr.ftl`.
//! 5. A form is a POST with `form-head` of `parts.html` in it (CSRF token and idempotency key), to a route of
//!    `protocols/src/pages/forms.rs`, which hands it to the REST route that does it.

mod answers;
pub mod assets;
mod chart;
mod context;
mod derived;
mod form;
mod format;
mod language;
mod navigation;
mod page;
mod past;
mod problem_words;
mod render;
mod texts;
mod writer;

pub use answers::{Answers, PageRequest, Part};
pub use context::{PageContext, PageReader, Refused, Theme};
pub use form::{FORMS, FormBody, FormResult, PageForm};
pub use language::Language;
pub use page::{PAGES, WebPage, find};
pub use past::AS_OF;
pub use problem_words::problem_words;
pub use render::{RenderFault, page, problem, result, sign_in};
