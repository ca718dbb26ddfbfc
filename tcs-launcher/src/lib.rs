//! `tcsd` supervises observatory services.

pub mod cli;
pub mod control;
pub mod reload;
pub mod runner;
pub mod services;
pub mod supervisor;
