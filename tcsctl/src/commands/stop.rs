//! `tcsctl stop`: launchers are asked to stop services, at once or when these have finished.

use std::process::ExitCode;

use tcs_core::wire::control::command;

use super::operate::operate;
use super::session::{Ended, Session};
use crate::cli::StopArgs;
use crate::exit::Exit;

pub(super) async fn run(session: &Session, args: &StopArgs) -> Result<ExitCode, Ended> {
    let comment = args.message.as_deref().map(str::trim);
    if comment.is_some_and(str::is_empty) {
        return Err(Ended::new(Exit::Usage, "`--message` is empty: say why"));
    }
    operate(session, &args.end.operate, command::STOP, Some(&args.end.patience), comment).await
}
