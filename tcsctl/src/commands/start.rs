//! `tcsctl start`: launchers are asked to start services.

use std::process::ExitCode;

use super::operate::operate;
use super::session::{Ended, Session};
use crate::cli::OperateArgs;

pub(super) async fn run(session: &Session, args: &OperateArgs) -> Result<ExitCode, Ended> {
    operate(session, args, "start", None, None).await
}
