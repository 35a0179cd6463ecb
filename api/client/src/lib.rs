//! Commands that ask a running master: the client of SLAP and REST, and the console.
//!
//! It knows the wire of SLAP, the words of the core and JSON. It knows no engine: nothing here opens a data folder.

#![warn(clippy::print_stdout, clippy::print_stderr)]
#![expect(missing_docs, reason = "a comment of arguments is the help of their command")]

pub mod books;
pub mod catalogue;
pub mod catalogue_entries;
pub mod changes;
pub mod compare;
pub mod computer;
pub mod console;
pub mod invoice;
pub mod invoices;
pub mod later;
pub mod master;
pub mod options;
pub mod party;
pub mod prices;
pub mod print;
pub mod private;
pub mod project;
pub mod request;
pub mod revenue;
pub mod server;
pub mod service;
pub mod table;
pub mod token;
pub mod usage;
pub mod user;
