//! `tcsctl`: the console for observatory services over NATS.

mod alarm_stream;
pub mod backup;
pub mod cli;
pub mod commands;
pub mod dashboard;
mod drill;
pub mod exit;
pub mod logs;
mod maintenance;
pub mod output;
mod profile;
pub mod recording;
mod report;
mod resources;
mod sentinel;
pub mod serve;
pub mod settings;
mod why;
