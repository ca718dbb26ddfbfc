//! `tcsctl restart`: launchers are asked to restart services, at once or when these have finished.

use std::process::ExitCode;

use tcs_core::wire::control::command;

use super::operate::operate;
use super::session::{Ended, Session};
use crate::cli::EndArgs;

pub(super) async fn run(session: &Session, args: &EndArgs) -> Result<ExitCode, Ended> {
    operate(session, &args.operate, command::RESTART, Some(&args.patience), None).await
}
