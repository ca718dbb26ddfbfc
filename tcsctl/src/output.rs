//! Everything that is printed, and the only place that prints.
//!
//! What to print is made as lines of styled text ([`Line`]) by pure functions, one module for each
//! form; a [`Screen`] then renders them for what it writes to: colour or not, ASCII or not. Text
//! goes into a line in one way only, and comes out of it harmless ([`text`]).

pub mod changes;
pub mod check;
pub mod detailed;
pub mod events;
mod harmless;
pub mod json;
pub mod legend;
pub mod list;
pub mod logs;
mod paint;
pub mod reply;
mod role;
mod screen;
mod source;
mod span;
pub mod symbols;
mod table;
pub mod text;
mod time;
pub mod touched;

pub use harmless::json_text;
pub use role::Role;
pub use screen::{Color, Screen, TimeFormat, Word};
pub use source::{Malformed, Mode, Source};
pub use span::Line;
pub use time::{Times, ago};

/// How things are to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// Cells in a line; `None`: as many as it takes.
    pub width: Option<usize>,
    /// How times are written.
    pub times: Times,
}

/// In fewer cells, what can be told in fewer is.
const NARROW: usize = 100;

impl Look {
    fn is_narrow(&self) -> bool {
        self.width.is_some_and(|width| width < NARROW)
    }
}

#[cfg(test)]
mod tests;
