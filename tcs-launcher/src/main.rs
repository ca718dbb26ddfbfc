//! `tcsd`: see [`tcs_launcher`].

use std::process::ExitCode;

fn main() -> ExitCode {
    tcs_launcher::main()
}
