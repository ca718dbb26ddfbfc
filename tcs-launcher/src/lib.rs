//! `tcsd` supervises observatory services.
//!
//! A crate of services makes its own launcher in three lines:
//!
//! ```ignore
//! use my_services as _;
//! fn main() -> std::process::ExitCode { tcs_launcher::main() }
//! ```

pub mod cli;
pub mod control;
pub mod daemon;
mod doctor;
mod hash;
mod install;
pub mod log;
mod proc_file;
pub mod reload_text;
pub mod resources;
pub mod runner;
mod schedules;
mod takeover;

pub use cli::main;
