//! `tcsctl restart`: launchers are asked to restart services, at once or when these have finished.

use std::process::ExitCode;

use super::operate::operate;
use super::session::{Ended, Session};
use crate::cli::EndArgs;

pub(super) async fn run(session: &Session, args: &EndArgs) -> Result<ExitCode, Ended> {
    operate(session, &args.operate, "restart", Some(&args.patience), None).await
}
