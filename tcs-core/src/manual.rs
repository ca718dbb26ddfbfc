//! The texts of `--help`, and the parts of a manual page that are made from them, for the programs
//! of this workspace.

use std::fmt::Write as _;

/// The order of `--help`: examples, which stand before it, then the options, then the rest.
pub const TEMPLATE: &str =
    "{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}";

/// Columns that `--help` takes at most, however wide the terminal is.
pub const WIDEST: usize = 100;

/// Joins the lines of running text into one a paragraph, for `--help` to be wrapped to the width of
/// the terminal. Indented lines, and those that end with `:`, stay.
pub fn flowing(help: &str) -> String {
    let mut joined = String::new();
    let mut was_text = false;
    for line in help.lines() {
        let is_text = !line.is_empty() && !line.starts_with(' ') && !line.ends_with(':');
        if !joined.is_empty() {
            joined.push(if is_text && was_text { ' ' } else { '\n' });
        }
        joined.push_str(line);
        was_text = is_text;
    }
    joined
}

/// The NAME section, by which `apropos` finds a page: the first line of `about`.
pub fn name(program: &str, about: &str) -> String {
    let first = about.lines().next().unwrap_or_default().trim_end_matches('.');
    format!(".SH NAME\n{} \\- {}\n", escaped(program), escaped(first))
}

/// The section that names other pages: `tcsctl-check`.
pub fn see_also(pages: &[&str]) -> String {
    let pages: Vec<String> =
        pages.iter().map(|page| format!(".BR {} (1)", escaped(page))).collect();
    format!(".SH SEE ALSO\n{}\n", pages.join(",\n"))
}

/// Paragraphs of `help` that begin with a line `Name:` become sections of their own, in which
/// indented lines stay as they are; all else is running text.
pub fn sections(help: &str) -> String {
    let mut page = String::new();
    for paragraph in help.split("\n\n") {
        let mut is_table = false;
        for (n, line) in paragraph.lines().enumerate() {
            let indented = line.strip_prefix("  ");
            if indented.is_some() != is_table {
                is_table = indented.is_some();
                page.push_str(if is_table { ".nf\n" } else { ".fi\n.PP\n" });
            }
            match (n, line.strip_suffix(':')) {
                (0, Some(name)) => writeln!(page, ".SH {}", escaped(&name.to_uppercase())),
                (0, None) if !is_table => writeln!(page, ".PP\n{}", escaped(line)),
                (_, _) => writeln!(page, "{}", escaped(indented.unwrap_or(line))),
            }
            .unwrap_or_default(); // a string takes all
        }
        if is_table {
            page.push_str(".fi\n");
        }
    }
    page
}

/// Escapes what the formatter would take for a command.
fn escaped(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_name_and_neighbours() {
        assert_eq!(name("a-b", "Do it: now.\nOr later."), ".SH NAME\na\\-b \\- Do it: now\n");
        assert_eq!(see_also(&["tcsd", "a"]), ".SH SEE ALSO\n.BR tcsd (1),\n.BR a (1)\n");
    }

    #[test]
    fn only_running_text_is_joined() {
        let help = "Exit codes:\n  0  done\n  1  no\nSee a.\nSee b.\n\nThe\nend";
        let joined = "Exit codes:\n  0  done\n  1  no\nSee a. See b.\n\nThe end";
        assert_eq!(flowing(help), joined);
        assert_eq!(
            sections(joined),
            sections(help).replace("\nSee b", " See b").replace("The\n", "The ")
        );
    }

    #[test]
    fn tables_stay_and_text_flows() {
        let help = "Exit codes:\n  0  done\n    .x\nSee a-b.\n\nThe\n'end'";
        let page = ".SH EXIT CODES\n.nf\n0  done\n  .x\n.fi\n.PP\nSee a\\-b.\n.PP\nThe\n\\&'end'\n";
        assert_eq!(sections(help), page);
    }
}
