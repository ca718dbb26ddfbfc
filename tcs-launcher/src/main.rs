//! `tcsd`: see [`tcs_launcher`].

use std::process::ExitCode;

use tcs_samples as _;
use tikv_jemallocator::Jemalloc;

/// Gives back what a flood of messages has taken. glibc's, with threads that allocate what others
/// free, keeps it for good (see ARCHITECTURE.md).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    tcs_launcher::main()
}
