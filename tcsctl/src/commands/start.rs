//! `tcsctl start`: launchers are asked to start services.

use std::process::ExitCode;

use tcs_core::wire::control::command;

use super::operate::operate;
use super::session::{Ended, Session};
use crate::cli::OperateArgs;

pub(super) async fn run(session: &Session, args: &OperateArgs) -> Result<ExitCode, Ended> {
    operate(session, args, command::START, None, None).await
}
