//! A report as one HTML file: no scripts, no references to other files, light and dark, and readable
//! when printed.

use std::fmt::Write as _;

use tcs_fleet::history::Chronicle;

use super::document::{Block, Table};
use super::markup::escape;
use super::style::STYLE;
use super::svg;
use crate::{Line, Look, Role};

/// How to read the timeline.
const LEGEND: &str = "The taller a bar, the worse: failed, lost and error above restarting, late and degraded, above \
                      ok. A mark above a row: a restart. Grey from top to bottom: not all was stored.";

pub(super) fn page(document: &[Block], chronicle: &Chronicle, look: &Look) -> String {
    let title = document.iter().find_map(|block| match block {
        Block::Title(title) => Some(escape(title)),
        _ => None,
    });
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        title.unwrap_or_default()
    );
    for block in document {
        let _ = match block {
            Block::Title(title) => writeln!(out, "<h1>{}</h1>", escape(title)),
            Block::Heading(heading) => writeln!(out, "<h2>{}</h2>", escape(heading)),
            Block::Entry(line) => writeln!(out, "<h3>{}</h3>", of_line(line)),
            Block::Paragraph(line) => writeln!(out, "<p>{}</p>", of_line(line)),
            Block::List(lines) => {
                let items =
                    joined(lines.iter().map(|line| format!("<li>{}</li>\n", of_line(line))));
                writeln!(out, "<ul>\n{items}</ul>")
            }
            Block::Table(table) => writeln!(out, "{}", of_table(table)),
            Block::Timeline => {
                writeln!(out, "{}\n<p class=\"dim\">{LEGEND}</p>", svg::draw(chronicle, look))
            }
        };
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn of_table(table: &Table) -> String {
    let class = |column: usize| if table.right[column] { " class=\"right\"" } else { "" };
    let head = joined(table.head.iter().enumerate().map(|(column, title)| {
        format!("<th scope=\"col\"{}>{}</th>", class(column), escape(title))
    }));
    let row = |cells: &Vec<Line>| {
        let cell =
            |(column, cell): (usize, &Line)| format!("<td{}>{}</td>", class(column), of_line(cell));
        let cells = joined(cells.iter().enumerate().map(cell));
        format!("<tr>{cells}</tr>\n")
    };
    let rows = joined(table.rows.iter().map(row));
    format!(
        "<div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table></div>"
    )
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().concat()
}

/// Runs of text, each in the class of its role.
fn of_line(line: &Line) -> String {
    line.spans()
        .map(|(text, role)| match role {
            Role::Text => escape(text),
            role => format!("<span class=\"{}\">{}</span>", role.name(), escape(text)),
        })
        .collect()
}
