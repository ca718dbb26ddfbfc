//! A report as text.

use tcs_fleet::history::Chronicle;

use super::document::{Block, Table};
use crate::timeline::{Shown, lines as timeline_lines};
use crate::{Line, Look, Role, symbols, text};

/// Where there is no terminal.
const WIDE: usize = 100;
/// Lines that one fact takes at most.
const MOST: usize = 4;

pub(super) fn lines(document: &[Block], chronicle: &Chronicle, look: &Look) -> Vec<Line> {
    let width = look.width.unwrap_or(WIDE);
    let look = Look { width: Some(width), ..*look };
    let mut out: Vec<Line> = Vec::new();
    for block in document {
        if !out.is_empty() && !matches!(block, Block::List(_)) {
            out.push(Line::new());
        }
        match block {
            Block::Title(title) => {
                out.push(Line::new().with(Role::Title, title).cut(width));
                out.push(Line::new().with(Role::Border, &symbols::RULE.repeat(width)));
            }
            Block::Heading(heading) => {
                out.push(Line::new().with(Role::Title, &heading.to_uppercase()));
            }
            Block::Entry(line) => out.extend(line.clone().wrap(width, 3, MOST)),
            Block::Paragraph(line) => out.extend(line.clone().wrap(width, 0, MOST)),
            Block::List(lines) => {
                let item = |line: &Line| {
                    let mut item = Line::new().with(Role::Text, "   ");
                    item.extend(line.clone());
                    item.wrap(width, 5, MOST)
                };
                out.extend(lines.iter().flat_map(item));
            }
            Block::Table(table) => out.extend(rows(table, width)),
            Block::Timeline => out.extend(timeline_lines(chronicle, &Shown::default(), &look)),
        }
    }
    out
}

/// Columns from the right are left out where there is no room for them; names are cut before.
fn rows(table: &Table, width: usize) -> Vec<Line> {
    let head: Vec<Line> =
        table.head.iter().map(|title| Line::new().with(Role::Dim, title)).collect();
    let all = || std::iter::once(&head).chain(&table.rows);
    let mut widths: Vec<usize> = (0..head.len())
        .map(|column| all().map(|row| row[column].width()).max().unwrap_or(0))
        .collect();
    if let Some(first) = widths.first_mut() {
        *first = (*first).min(width / 3);
    }
    let mut used = 0;
    let fits = |wide: &&usize| {
        used += **wide + 2;
        used <= width + 2
    };
    let columns = widths.iter().take_while(fits).count();
    let line = |row: &Vec<Line>| {
        let mut line = Line::new();
        for (column, cell) in row.iter().take(columns).enumerate() {
            let cell = match column {
                0 => cut_middle(cell, widths[0]),
                _ => cell.clone(),
            };
            let missing = widths[column].saturating_sub(cell.width());
            if column > 0 {
                line.push(Role::Text, "  ");
            }
            if table.right[column] {
                line.push(Role::Text, &" ".repeat(missing)).extend(cell);
            } else {
                line.extend(cell).push(Role::Text, &" ".repeat(missing));
            }
        }
        line
    };
    all().map(line).collect()
}

fn cut_middle(cell: &Line, room: usize) -> Line {
    Line::new().with(Role::Text, &text::cut_middle(&cell.plain(), room))
}
