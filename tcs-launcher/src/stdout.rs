//! What commands print.

use std::io::{self, Write as _};

use tcs_core::service::log::clean;

/// Prints the answer of a command. A service may be called anything.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(format!("{}\n", clean(text)).as_bytes())?;
    out.flush()
}
