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
mod hash;
pub mod log;
pub mod reload_text;
pub mod resources;
pub mod runner;

pub use cli::main;
