//! `tcsd`: see [`tcs_launcher`].

use std::process::ExitCode;

fn main() -> ExitCode {
    tcs_launcher::runner::helper_main().unwrap_or(ExitCode::SUCCESS)
}
