//! Rows of cells, in columns that line up, inside the terminal's width.

use super::Line;

/// Blank cells between two columns.
const GAP: usize = 2;
/// What the last column gets at least, where it has that much to say, before others are left out
/// or cut for it: three eighths of the line.
fn room_for_last(width: usize) -> usize {
    (width * 3 / 8).max(20)
}

/// The widest that a column is made: what is wider moves the rest of its own row, and no other.
pub const WIDEST: usize = 64;

/// A column other than the last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// Which goes first when there is no room: the highest. `0` never goes.
    pub(crate) dispensable: u8,
}

/// Makes cells of rows anew, in so many cells.
pub(crate) struct Shorten<First, Last> {
    /// The first cell of a row.
    pub(crate) first: First,
    /// To so many cells before any column is left out: what is longer tells little.
    pub(crate) first_to: usize,
    /// Its last.
    pub(crate) last: Last,
}

/// Lays the rows out. Each has one cell for each of `columns`, and one more, the last, which is cut
/// at `width`; `width` `None` cuts nothing. Columns are left out for the last, the most dispensable
/// first; then the first column is cut, down to two fifths of the width.
pub(crate) fn lay_out(
    mut rows: Vec<Vec<Line>>,
    columns: &[Column],
    width: Option<usize>,
    shorten: &Shorten<impl Fn(usize, usize) -> Line, impl Fn(usize, usize) -> Line>,
) -> Vec<Line> {
    let mut widths: Vec<usize> = (0..columns.len())
        .map(|i| rows.iter().map(|row| row[i].width()).max().unwrap_or(0).min(WIDEST))
        .collect();
    if let Some(width) = width {
        let last = rows.iter().map(|row| row[columns.len()].width()).max().unwrap_or(0);
        let wanted = last.min(room_for_last(width));
        let mut order: Vec<usize> =
            (1..columns.len()).filter(|i| columns[*i].dispensable > 0).collect();
        order.sort_by_key(|i| columns[*i].dispensable);
        let over = |widths: &[usize]| (used(widths) + wanted).saturating_sub(width);
        let first_to = shorten.first_to.min(WIDEST);
        widths[0] -= over(&widths).min(widths[0].saturating_sub(first_to));
        while over(&widths) > 0
            && let Some(i) = order.pop()
        {
            widths[i] = 0;
        }
        widths[0] -= over(&widths).min(widths[0].saturating_sub(width * 2 / 5));
        let room = width.saturating_sub(used(&widths));
        for (i, row) in rows.iter_mut().enumerate() {
            if row[0].width() > widths[0] {
                row[0] = (shorten.first)(i, widths[0]);
            }
            if row[columns.len()].width() > room {
                row[columns.len()] = (shorten.last)(i, room);
            }
        }
    }
    rows.into_iter()
        .map(|row| {
            let mut line = Line::new();
            let mut end = 0;
            let next = |line: &Line, end: usize| match line.width() {
                0 => end,
                wide => end.max(wide + GAP),
            };
            for (i, cell) in row.into_iter().enumerate() {
                match widths.get(i) {
                    Some(0) => {}
                    Some(wide) => {
                        line.pad_to(next(&line, end));
                        end += wide + GAP;
                        line.extend(cell);
                    }
                    None if cell.is_empty() => {}
                    None => {
                        line.pad_to(next(&line, end));
                        line.extend(cell);
                    }
                }
            }
            match width {
                Some(width) => line.cut(width),
                None => line,
            }
        })
        .collect()
}

/// Where the last column begins.
fn used(widths: &[usize]) -> usize {
    widths.iter().filter(|wide| **wide > 0).map(|wide| wide + GAP).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn laid_out(names: &[&str], width: Option<usize>) -> Vec<String> {
        let cell = |text: &str| Line::new().with(Role::Text, text);
        let rows =
            names.iter().map(|name| vec![cell(name), cell("ok"), cell("the cause")]).collect();
        let first = |i: usize, room: usize| cell(&names[i].chars().take(room).collect::<String>());
        let last = |_: usize, _: usize| cell("the cause");
        let first_to = names.iter().map(|name| name.len()).max().unwrap_or_default();
        let columns = [Column { dispensable: 0 }, Column { dispensable: 1 }];
        let lines = lay_out(rows, &columns, width, &Shorten { first, first_to, last });
        lines.iter().map(Line::plain).collect()
    }

    #[test]
    fn one_enormous_name_moves_no_other_row() {
        let enormous = "x".repeat(3000);
        let lines = laid_out(&["a.b", &enormous, "guider.jk15"], None);
        assert_eq!(lines[0], format!("{:WIDEST$}  ok  the cause", "a.b"));
        assert_eq!(lines[1], format!("{enormous}  ok  the cause"));
        let lines = laid_out(&["a.b", &enormous], Some(120));
        assert_eq!(lines[0], format!("{:WIDEST$}  ok  the cause", "a.b"));
        assert_eq!(lines[1], format!("{}  ok  the cause", "x".repeat(WIDEST)));
        assert_eq!(
            laid_out(&["a.b", "c.dd"], None),
            ["a.b   ok  the cause", "c.dd  ok  the cause"]
        );
    }
}
