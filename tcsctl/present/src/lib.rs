//! What people and scripts are told of a fleet, made from its view once, as lines of text with roles
//! and as JSON: the list, the details, the dashboard and whatever comes later lay it out.
//!
//! Pure. Text goes into a [`Line`] in one way only, and comes out of it harmless ([`text`]).

pub mod alarms;
pub mod by_host;
pub mod changes;
pub mod columns;
pub mod detail;
pub mod difference;
pub mod events;
pub mod graph;
pub mod json;
pub mod legend;
mod line;
pub mod list;
pub mod logs;
pub mod metrics;
pub mod newest;
pub mod problems;
pub mod report;
pub mod rhythm;
mod role;
mod schema;
pub mod selection;
pub mod symbols;
mod table;
pub mod text;
pub mod tick;
pub mod timeline;
mod times;
pub mod top;
pub mod touched;
pub mod usage;
pub mod why;

pub use line::Line;
pub use role::Role;
pub use table::WIDEST;
pub use times::{Times, ago};

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
