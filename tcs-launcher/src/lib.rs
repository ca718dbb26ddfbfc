//! `tcsd` supervises observatory services.
//!
//! A crate of services makes its own launcher in three lines:
//!
//! ```ignore
//! use my_services as _;
//! fn main() -> std::process::ExitCode { tcs_launcher::main() }
//! ```
//!
//! [`runner`] and [`resources`] are public for the tests of this crate: they are no API.

mod cli;
mod control;
mod daemon;
mod doctor;
mod fd;
mod hash;
mod install;
mod log;
mod proc_file;
mod reload_text;
pub mod resources;
pub mod runner;
mod schedules;
mod stdout;
mod takeover;

pub use cli::main;
