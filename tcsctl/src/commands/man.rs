//! `tcsctl man`: a manual page, made from the same definitions as `--help`.

use std::process::ExitCode;

use tcs_core::manual;

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
    session.screen.write(&String::from_utf8_lossy(&page(command)?))?;
    Ok(Exit::Done.into())
}

fn page(command: clap::Command) -> std::io::Result<Vec<u8>> {
    let end = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (has_commands, is_program) = (command.has_subcommands(), command.get_version().is_some());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let name = manual::name(command.get_name(), &about);
    let man = clap_mangen::Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    page.extend(name.into_bytes());
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    page.extend(manual::sections(&end).into_bytes());
    if is_program {
        man.render_version_section(&mut page)?;
    }
    let other = if is_program { "tcsd" } else { "tcsctl" };
    page.extend(manual::see_also(&[other]).into_bytes());
    Ok(page)
}
