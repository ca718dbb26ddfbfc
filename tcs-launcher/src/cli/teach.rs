//! What there is to know, printed: the end of `--help`, the manual page, completions for shells.

use std::io;
use std::process::ExitCode;

use clap_complete::Shell;
use tcs_core::{config, manual};

use crate::stdout::print;

/// Before the options.
pub(super) const EXAMPLES: &str = "\
Examples:
  tcsd                              run config/services.yaml until Ctrl-C
  tcsd check -c FILE                list mistakes in a file, and what would run
  tcsd check -c FILE --connect      also check the broker and its streams
  tcsd plan -c FILE                 show what a reload would change
  tcsd schema > services.schema.json
                                    write the schema for editors
  tcsd --launcher async -c FILE     run Rust services as tasks of one process
  sudo tcsd install --dry-run       show how it would be installed under systemd
  tcsd doctor                       list what is wrong on this host
  tcsd new my_services              create a workspace for your own services
  tcsctl restart guider.jk15        restart a service of the running launcher";

/// After the options, in `--help` and in the manual page.
pub(super) const HELP: &str = "\
Signals:
  SIGTERM, SIGINT  stop all services in reverse order; a second signal
                   kills them
  SIGHUP           reread the configuration, and change only the services
                   whose entries changed

Exit codes:
  0  every service that should run could run
  1  a service that should run has failed, a second signal killed services,
     or tcsd could not do its work
  2  wrong arguments

Environment:
  NATS_URL, NATS_HOST, NATS_PORT, NATS_USER, NATS_PASSWORD, NATS_CREDS, ...
                     the broker, if the file names none (see tcsctl --help)
  {SERVICE_TYPE}_{FIELD}
                     a setting of a service, if the file does not set it
  TCS_LOG            log level: debug, info (default), warning or error
  RUNTIME_DIRECTORY  directory of the lock, the run journal and the sockets;
                     else XDG_RUNTIME_DIR/tcs, else a directory in /tmp
  STATE_DIRECTORY    directory of the count of unsent events, which must survive
                     a reboot; else XDG_STATE_HOME/tcs, else the runtime
                     directory
  NOTIFY_SOCKET, WATCHDOG_USEC, JOURNAL_STREAM
                     set by systemd

Files:
  config/services.yaml  same format as for the Python launchers, with additions
                        in `launch:`
  .env                  in the working directory: added to the environment of
                        tcsd and of the services";

/// `tcsd man`: of the program, or of one of its commands.
pub(super) fn man(command: clap::Command) -> io::Result<ExitCode> {
    let is_program = command.get_version().is_some();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let name = manual::name(command.get_name(), &about);
    printed(|page| {
        let man = clap_mangen::Man::new(command);
        man.render_title(page)?;
        page.extend(name.into_bytes());
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        man.render_options_section(page)?;
        if is_program {
            man.render_subcommands_section(page)?;
            page.extend(manual::sections(&format!("{EXAMPLES}\n\n{HELP}")).into_bytes());
            man.render_version_section(page)?;
        }
        let other = if is_program { "tcsctl" } else { "tcsd" };
        page.extend(manual::see_also(&[other]).into_bytes());
        Ok(())
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
