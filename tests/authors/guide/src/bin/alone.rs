//! One service of this crate by itself: `alone TYPE [CONFIG] [VARIANT]`.

use guide as _;
use tcs_core::service::{Registry, main_of};

fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    match Registry::of_this_program().and_then(|all| all.find(&name)) {
        Ok(service) => main_of(service, arguments),
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}
