//! `tcsctl`: see the library of the same name.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
use tikv_jemallocator::Jemalloc;

/// Gives back what a flood of messages has taken. glibc's, with threads that allocate what others
/// free, keeps it for good (see ARCHITECTURE.md).
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    tcsctl::commands::run()
}
