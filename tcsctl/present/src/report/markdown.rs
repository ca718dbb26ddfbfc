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
            Block::Paragraph(line) => writeln!(out, "{}\n", begun(&of_line(line))),
            Block::List(lines) => {
                let items: Vec<_> =
                    lines.iter().map(|line| format!("- {}\n", begun(&of_line(line)))).collect();
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

/// What would begin a list, a rule or a heading where it stands first.
fn begun(text: &str) -> String {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    let marks = if digits > 0 { ".)" } else { "-+=" };
    if rest.starts_with(|c| marks.contains(c)) {
        return format!("{number}\\{rest}");
    }
    text.to_owned()
}

/// What Markdown would take for its own, or for HTML; what GitHub makes links and formulas of.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let is_link = match c {
            ':' => text[at..].starts_with("://"),
            '.' => text[..at].to_ascii_lowercase().ends_with("www"),
            _ => false,
        };
        if is_link || "\\`*_{}[]<>#|&~!$@".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_text() {
        for (text, escaped) in [
            ("camera.main: exit code 3", "camera.main: exit code 3"),
            ("<b>*a* [x](y)", r"\<b\>\*a\* \[x\](y)"),
            ("https://evil.example", r"https\://evil.example"),
            ("Www.evil.example a@b", r"Www\.evil.example a\@b"),
            ("$x$ #1 a|b", r"\$x\$ \#1 a\|b"),
        ] {
            assert_eq!(escape(text), escaped);
        }
        for (text, at_start) in [
            ("- x", r"\- x"),
            ("+ x", r"\+ x"),
            ("12. x", r"12\. x"),
            ("1) x", r"1\) x"),
            ("02:13:05 x", "02:13:05 x"),
            ("== x", r"\== x"),
            ("x - y", "x - y"),
        ] {
            assert_eq!(begun(&escape(text)), at_start);
        }
    }
}
