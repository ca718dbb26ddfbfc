//! What comes from outside.

use nix::sys::signal::Signal;

use crate::dashboard::key::Key;

/// Something from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A key.
    Key(Key),
    /// Pasted text.
    Paste(String),
    /// The left button, at this column and row.
    Click(u16, u16),
    /// The wheel, at this column and row, down is positive.
    Wheel(u16, u16, i32),
    /// Perhaps another size: the terminal itself tells which.
    Resize,
    /// The terminal is gone.
    Gone,
    /// Told to end, by this signal.
    End(Signal),
    /// Told to stop, as by ctrl-z.
    Stop,
    /// Goes on after a stop.
    Continue,
}
