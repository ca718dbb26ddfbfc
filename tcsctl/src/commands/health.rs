//! `tcsctl health`: what a service answers when it is asked how it is.

use std::process::ExitCode;

use tcs_core::wire::control::command;

use super::remote::Remote;
use super::session::{Ended, Session};
use crate::cli::HealthArgs;

pub(super) async fn run(session: &Session, args: &HealthArgs) -> Result<ExitCode, Ended> {
    let remote = Remote::new(session).await?;
    remote.ask_services(&args.service, command::HEALTH, args.json).await
}
