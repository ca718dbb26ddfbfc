//! Text from elsewhere made harmless. A name, a message or a value may hold anything.

use std::fmt::Write as _;

use crate::MAX_TEXT;

/// Characters that would act on a terminal, or deceive the reader, rather than show: control
/// characters (so every escape sequence), line ends, marks that turn the direction of writing, and
/// what takes no room and shows nothing.
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'              // C0, DEL, C1: every escape sequence begins so
        | '\u{61c}' | '\u{200b}'..='\u{200f}'          // Arabic mark, zero widths, left-right marks
        | '\u{2028}'..='\u{202e}'                      // line and paragraph ends, embeddings, overrides
        | '\u{2060}'..='\u{206f}' | '\u{feff}'         // joiners, isolates, byte order mark
        | '\u{ad}' | '\u{180e}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}') // tags
}

/// `text` as it may be printed or logged: its lines stay lines, what is hidden is written as text.
pub fn clean(text: &str) -> String {
    written(text, |c| matches!(c, '\n' | '\t'))
}

/// The same on one line, for a place within a message.
pub fn one_line(text: &str) -> String {
    written(text.trim_end(), |_| false)
}

/// Cuts `text` to the [`MAX_TEXT`] bytes that a receiver keeps, between two characters.
pub fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
}

fn written(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) && !is_kept(c) {
            escape(c, &mut out);
        } else {
            out.push(c);
        }
    }
    out
}

/// Writes a hidden character as text: `\n`, `\u{1b}`.
pub fn escape(c: char, out: &mut String) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        // writing to a text does not fail
        c => drop(write!(out, "\\u{{{:x}}}", u32::from(c))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_and_lines_stay_where_they_may() {
        let evil = "a\nhint: b\t\u{1b}[2J\u{202e}c\u{9b}d\u{2028}e\n";
        let (many, one) = (clean(evil), one_line(evil));
        assert_eq!(many, "a\nhint: b\t\\u{1b}[2J\\u{202e}c\\u{9b}d\\u{2028}e\n");
        assert_eq!(one, "a\\nhint: b\\t\\u{1b}[2J\\u{202e}c\\u{9b}d\\u{2028}e");
        assert!(!one.contains(is_hidden));
    }
}
