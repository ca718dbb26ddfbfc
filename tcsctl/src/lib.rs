//! `tcsctl`: the console for observatory services over NATS.

pub mod cli;
pub mod commands;
pub mod dashboard;
pub mod output;
pub mod settings;
