//! `tcsctl`: the console for observatory services over NATS.

pub mod cli;
pub mod commands;
pub mod dashboard;
pub mod exit;
pub mod logs;
pub mod output;
pub mod recording;
mod sentinel;
pub mod settings;
