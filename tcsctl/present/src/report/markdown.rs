//! A report as Markdown.

use std::fmt::Write as _;

use tcs_fleet::history::Chronicle;

use super::document::{Block, Table};
use crate::timeline::{Shown, lines as timeline_lines};
use crate::{Line, Look};

/// Cells of the timeline.
const WIDE: usize = 110;

pub(super) fn text(document: &[Block], chronicle: &Chronicle, look: &Look) -> String {
    let mut out = String::new();
    for block in document {
        let _ = match block {
            Block::Title(title) => writeln!(out, "# {}\n", escape(title)),
            Block::Heading(heading) => writeln!(out, "## {}\n", escape(heading)),
            Block::Entry(line) => writeln!(out, "### {}\n", of_line(line)),
            Block::Paragraph(line) => writeln!(out, "{}\n", of_line(line)),
            Block::List(lines) => {
                let items: Vec<_> =
                    lines.iter().map(|line| format!("- {}\n", of_line(line))).collect();
                writeln!(out, "{}", items.concat())
            }
            Block::Table(table) => writeln!(out, "{}", of_table(table)),
            Block::Timeline => {
                let look = Look { width: Some(WIDE), ..*look };
                let lines = timeline_lines(chronicle, &Shown::default(), &look);
                // no line of it can end the block: each begins with a name or a blank
                let strip: Vec<_> =
                    lines.iter().map(|line| format!("    {}\n", line.plain())).collect();
                writeln!(out, "{}", strip.concat())
            }
        };
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn of_table(table: &Table) -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let head = row(table.head.iter().map(|title| escape(title)).collect());
    let rule = table.right.iter().map(|right| if *right { "--:" } else { "---" }.to_owned());
    let rows = table.rows.iter().map(|cells| row(cells.iter().map(of_line).collect()));
    std::iter::once(head).chain([row(rule.collect())]).chain(rows).collect()
}

fn of_line(line: &Line) -> String {
    escape(&line.plain())
}

/// What Markdown would take for its own, or for HTML.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(
            c,
            '\\' | '`'
                | '*'
                | '_'
                | '{'
                | '}'
                | '['
                | ']'
                | '<'
                | '>'
                | '#'
                | '|'
                | '&'
                | '~'
                | '!'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
