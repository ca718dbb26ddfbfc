//! A report before it is text, Markdown or HTML.

use crate::Line;

/// A table: the first column is on the left, numbers are on the right.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) head: Vec<&'static str>,
    /// Whether a column is aligned on the right.
    pub(super) right: Vec<bool>,
    pub(super) rows: Vec<Vec<Line>>,
}

/// One part of it.
#[derive(Debug, Clone)]
pub(super) enum Block {
    Title(String),
    Heading(String),
    /// A heading of an incident.
    Entry(Line),
    Paragraph(Line),
    List(Vec<Line>),
    Table(Table),
    /// The timeline is drawn here.
    Timeline,
}
