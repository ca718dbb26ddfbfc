//! Options of the commands that keep a site in order.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use tcs_core::wire::control::Fault;

use super::moment::span;

/// Of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Folder for the backup; it is created, or must be empty
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
}

/// Of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Folder with a backup
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
    /// Only check that the backup is whole; needs no broker
    #[arg(long, conflicts_with = "force")]
    pub check: bool,
    /// Add the backup to streams that are not empty
    #[arg(long)]
    pub force: bool,
}

/// Of `upgrade`.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// Full name of a launcher, or a filter [default: all running launchers]
    #[arg(value_name = "LAUNCHER")]
    pub launcher: Option<String>,
    /// Skip confirmation
    #[arg(long, short)]
    pub yes: bool,
}

/// Of `drill`.
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// Fault to inject
    #[arg(value_name = "FAULT")]
    pub fault: DrillFault,
    /// Full name of the service
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// How long the fault lasts [default: until 10 s after it should be noticed]
    #[arg(long = "for", value_name = "DURATION", value_parser = span)]
    pub span: Option<Duration>,
    /// Skip confirmation
    #[arg(long, short)]
    pub yes: bool,
    /// Also require that an alarm is raised; the fault lasts long enough for that
    #[arg(long)]
    pub alarm: bool,
}

/// A fault that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DrillFault {
    /// The process is killed.
    Crash,
    /// The process is stopped (SIGSTOP).
    Freeze,
    /// The service writes 2,000 lines a second.
    Flood,
    /// The clock of its launcher is 60 s ahead.
    Clock,
    /// Its launcher sends nothing to the broker.
    Broker,
}

impl From<DrillFault> for Fault {
    fn from(fault: DrillFault) -> Self {
        match fault {
            DrillFault::Crash => Self::Crash,
            DrillFault::Freeze => Self::Freeze,
            DrillFault::Flood => Self::Flood,
            DrillFault::Clock => Self::Clock,
            DrillFault::Broker => Self::Broker,
        }
    }
}
