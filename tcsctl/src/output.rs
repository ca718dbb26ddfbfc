//! Everything that is printed, and the only place that prints.
//!
//! What to print is made as lines of text with roles by `tcs_present` and by the modules here; a
//! [`Screen`] renders them for what it writes to: colour or not, ASCII or not.

pub mod check;
mod harmless;
mod paint;
pub mod reply;
mod screen;
mod source;

pub use harmless::{json_line, json_text};
pub use screen::{Color, Screen, TimeFormat, Word};
pub use source::{Malformed, Mode, Source};

#[cfg(test)]
mod tests;
