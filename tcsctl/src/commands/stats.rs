//! `tcsctl stats`: the figures a service answers with.

use std::process::ExitCode;

use tcs_core::wire::control::command;

use super::remote::Remote;
use super::session::{Ended, Session};
use crate::cli::HealthArgs;

pub(super) async fn run(session: &Session, args: &HealthArgs) -> Result<ExitCode, Ended> {
    let remote = Remote::new(session).await?;
    remote.ask_services(&args.service, command::STATS, args.json).await
}
