//! Directories that nobody else can put things into, or read.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// Modes: for our user only; and passable for others, who must know a name in it.
const CLOSED: u32 = 0o700;
const PASSAGE: u32 = 0o711;

/// The directory of a launcher's files: where it is root, services of other users have sockets
/// in it.
pub(crate) fn make_runtime(dir: &Path) -> io::Result<()> {
    make(dir, nix::unistd::geteuid().is_root())
}

/// Makes `dir` and what is missing above it; where it is there already it must be ours, and not a
/// link to somewhere else. With `passage` other users can reach what they know the name of, and may
/// open by its own rights.
pub(crate) fn make(dir: &Path, passage: bool) -> io::Result<()> {
    let mode = if passage { PASSAGE } else { CLOSED };
    fs::DirBuilder::new().recursive(true).mode(mode).create(dir)?;
    let about = fs::symlink_metadata(dir)?;
    if !about.is_dir() || about.uid() != nix::unistd::geteuid().as_raw() {
        return Err(io::Error::other("it exists, and is not a directory of this user"));
    }
    let rights = about.mode() & 0o777;
    if passage && rights & 0o011 != 0o011 {
        fs::set_permissions(dir, fs::Permissions::from_mode(rights | PASSAGE))?;
    }
    Ok(())
}
