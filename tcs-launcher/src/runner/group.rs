//! Who belongs to a run: found, and ended.
//!
//! A process belongs to a run if it carries one of the run's marks, is in its group, or descends
//! from one that does. There are two marks ([`marks`]): an entry of the environment, and a resource
//! limit that nobody uses. Both are inherited through `setsid`, double forks and the death of
//! parents; the second survives `env -i`, `sudo` and programs that overwrite their environment, can
//! be read of another user's processes, and of those that have ended and were not waited for.
//!
//! **No member of a run is overlooked**, however fast its processes fork and exit. The launcher is
//! their subreaper: a member whose parent has ended is a child of the launcher. So whenever
//! something of a run is there, it has a topmost process that is the launcher's child, and that
//! process cannot vanish while nobody reaps orphans: it lives, or it is a zombie with a mark.
//! [`Look`] lists the launcher's children while [`Orphans`] are not reaped; a run is over when such
//! a look shows neither a living member nor a zombie. Zombies are reaped after the look, so the
//! next one shows only those that have ended since.

use std::fs;

mod census;
pub mod marks;
mod orphans;
mod processes;

pub(crate) use census::{Census, Hunt};
pub use census::{Look, Members};
pub use marks::{LAUNCHER_MARK, Mark, Marks, SERVICE_MARK};
pub use orphans::Orphans;
pub use processes::Process;
pub(crate) use processes::Stat;

/// This boot of this machine.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}
