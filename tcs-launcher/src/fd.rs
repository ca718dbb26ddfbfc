//! Open files.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// A copy of an open file.
pub(crate) fn copy(file: impl AsFd) -> io::Result<OwnedFd> {
    file.as_fd().try_clone_to_owned()
}
