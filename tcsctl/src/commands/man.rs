//! `tcsctl man`: a manual page, made from the same definitions as `--help`.

use std::process::ExitCode;

use super::session::{Ended, Session};
use crate::cli::ManArgs;
use crate::exit::Exit;

pub(super) fn run(session: &Session, args: &ManArgs) -> Result<ExitCode, Ended> {
    let mut command = super::command_line();
    command.build();
    if let Some(name) = &args.command {
        let found = command.find_subcommand(name).cloned();
        command = found
            .ok_or_else(|| Ended::new(Exit::Usage, format!("there is no command `{name}`")))?
            .name(format!("tcsctl-{name}"));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    session.screen.write(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Done.into())
}
