//! What there is to know, printed: the end of `--help`, the manual page, completions for shells.

use std::io;
use std::process::ExitCode;

use clap_complete::Shell;
use tcs_core::{config, manual};

use super::print;

/// After the options, in `--help` and in the manual page.
pub(super) const HELP: &str = "\
Examples:
  tcsd                              what config/services.yaml lists; Ctrl-C stops it
  tcsd check -c FILE                every mistake in a file, and what would run
  tcsd check -c FILE --connect      and whether the broker and its streams do
  tcsd plan -c FILE                 what a reload of the running one would touch
  tcsd schema > services.schema.json
                                    what editors complete and check the file by
  tcsd --launcher async -c FILE     Rust services as tasks, in one process
  tcsd new my_services              a workspace for services of your own
  tcsctl restart guider.jk15        ask the running one; see tcsctl --help

Signals:
  SIGTERM, SIGINT  stop all in reverse order; a second one kills what is left
  SIGHUP           read the configuration again, and touch only what has changed

Exit codes:
  0  all that was wanted ran to the end
  1  a wanted service had failed, or something was killed by a second signal,
     or tcsd could not do its work
  2  wrong arguments

Environment:
  NATS_URL, NATS_HOST, NATS_PORT, NATS_USER, NATS_PASSWORD, NATS_CREDS, ...
                     the broker, where the file names none (see tcsctl --help)
  {SERVICE_TYPE}_{FIELD}
                     a setting of a service, where the file has none
  TCS_LOG            debug, info (default), warning or error
  RUNTIME_DIRECTORY  for its lock, its journal of processes and its sockets;
                     else XDG_RUNTIME_DIR/tcs, else a folder of its own in /tmp
  STATE_DIRECTORY    for the count of events that wait, which outlives a reboot;
                     else XDG_STATE_HOME/tcs, else the runtime directory
  NOTIFY_SOCKET, WATCHDOG_USEC, JOURNAL_STREAM
                     as systemd sets them

Files:
  config/services.yaml  the Python fleet's; what is new is in `launch:`
  .env                  in the working directory: added to the environment, also
                        to that of what is started";

/// `tcsd man`.
pub(super) fn man(command: clap::Command) -> io::Result<ExitCode> {
    printed(|page| {
        let man = clap_mangen::Man::new(command);
        man.render_title(page)?;
        man.render_name_section(page)?;
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        man.render_options_section(page)?;
        man.render_subcommands_section(page)?;
        page.extend(manual::sections(HELP).into_bytes());
        man.render_version_section(page)
    })
}

/// `tcsd schema`.
pub(super) fn schema() -> io::Result<ExitCode> {
    printed(|text| Ok(serde_json::to_writer_pretty(text, &config::schema())?))
}

/// `tcsd completions SHELL`.
pub(super) fn completions(mut command: clap::Command, shell: Shell) -> io::Result<ExitCode> {
    printed(|script| {
        clap_complete::generate(shell, &mut command, "tcsd", script);
        Ok(())
    })
}

fn printed(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<ExitCode> {
    let mut text = Vec::new();
    write(&mut text)?;
    print(String::from_utf8_lossy(&text).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
