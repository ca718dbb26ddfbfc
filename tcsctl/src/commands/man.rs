//! `tcsctl man`: a manual page, made from the same definitions as `--help`.

use std::process::ExitCode;

use tcs_core::manual;

use super::session::{Ended, Session};
use crate::cli::{Cli, ManArgs};
use crate::exit::Exit;

pub(super) fn run(session: &Session, args: &ManArgs) -> Result<ExitCode, Ended> {
    let mut command = Cli::definition();
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
    let parts = [command.get_before_help(), command.get_after_help()];
    let parts: Vec<String> = parts.into_iter().flatten().map(ToString::to_string).collect();
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
    page.extend(manual::sections(&parts.join("\n\n")).into_bytes());
    if is_program {
        man.render_version_section(&mut page)?;
    }
    let other = if is_program { "tcsd" } else { "tcsctl" };
    page.extend(manual::see_also(&[other]).into_bytes());
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page as it is read, without the marks of the formatter.
    fn read(command: clap::Command) -> String {
        let page = String::from_utf8(page(command).unwrap()).unwrap();
        let text = page.lines().filter(|line| !line.starts_with('.')).collect::<Vec<_>>().join(" ");
        let text = text.replace("\\-", "-").replace("\\e", "\\").replace("\\&", "");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn pages_have_the_text_of_the_help() {
        let mut program = Cli::definition();
        program.build();
        let with_text = |it: &&clap::Command| it.get_before_help().is_some();
        let commands: Vec<_> = program.get_subcommands().filter(with_text).cloned().collect();
        assert!(commands.len() > 30, "{}", commands.len());
        for command in commands.into_iter().chain([program]) {
            let parts = [command.get_before_help(), command.get_after_help()];
            let texts: Vec<String> = parts.into_iter().flatten().map(ToString::to_string).collect();
            let page = read(command);
            for line in texts.iter().flat_map(|text| text.lines()) {
                let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(line.ends_with(':') || page.contains(&line), "`{line}` is not in:\n{page}");
            }
        }
    }
}
