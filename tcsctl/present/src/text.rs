//! Text from the network made harmless, measured and cut.
//!
//! A name, a message or a metric may hold anything. Control characters (so every escape sequence),
//! line ends, marks that turn the direction of writing, and characters that take no room and show
//! nothing are written as text: `\n`, `\u{1b}`.

use std::borrow::Cow;

use tcs_wire::text::escape;
use unicode_width::UnicodeWidthChar;

use super::symbols::ELLIPSIS;

pub use tcs_wire::text::is_hidden;

/// The presentation selectors: terminals disagree whether they make the sign before them wider.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}

/// `text` as it may be printed.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| is_hidden(c) || is_selector(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if is_selector(c) => {}
            c if is_hidden(c) => escape(c, &mut out),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Cells that `text` takes on a terminal.
pub fn width(text: &str) -> usize {
    // the sum over characters, because that is what `head` and `tail` cut by, and what terminals do
    if text.is_ascii() { text.len() } else { text.chars().map(cells).sum() }
}

fn cells(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// The first cells of `text`, at most `room`; a wide character is never halved.
pub fn head(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += cells(c);
        if used > room {
            return &text[..at];
        }
    }
    text
}

/// The last cells of `text`, at most `room`.
pub fn tail(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices().rev() {
        used += cells(c);
        if used > room {
            return &text[at + c.len_utf8()..];
        }
    }
    text
}

/// `text` in at most `room` cells, with the middle left out: of an id both ends tell.
pub fn cut_middle(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let rest = room.saturating_sub(width(ELLIPSIS));
    let back = rest / 2;
    format!("{}{}{}", head(text, rest - back), head(ELLIPSIS, room), tail(text, back))
}

/// `profile night`, as the launchers that run say; `None`: none is chosen.
pub fn profiles(view: &tcs_fleet::FleetView) -> Option<String> {
    let profiles = view.profiles();
    let names = profiles.iter().copied().collect::<Vec<_>>().join(", ");
    match profiles.len() {
        0 => None,
        1 => Some(format!("profile {names}")),
        _ => Some(format!("profiles {names}")),
    }
}

/// `1 service`, `2 services`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Whether the locale of this process writes UTF-8; unset counts as not (POSIX).
pub fn utf8_locale(var: impl Fn(&str) -> Option<String>) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| var(name).filter(|value| !value.is_empty()))
        .is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
}

/// `text` for a terminal without UTF-8, cell for cell: our own signs in their ASCII forms, all
/// else as `?`.
pub fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii() => out.push(c),
            '●' | '∞' => out.push('*'),
            '○' => out.push('o'),
            '◐' => out.push('%'),
            '×' => out.push('x'),
            '⚠' | '▲' => out.push('!'),
            '⟳' => out.push('@'),
            '↻' => out.push('r'),
            '▒' => out.push(':'),
            '♡' | '─' | '▅' | '▆' => out.push('-'),
            '├' | '│' => out.push('|'),
            '└' => out.push('`'),
            '┌' | '┐' | '┘' | '┴' => out.push('+'),
            '…' => out.push('~'),
            '→' | '▸' | '▌' => out.push('>'),
            '♥' | '▾' => out.push('v'),
            '▴' => out.push('^'),
            '◌' | '·' | '▃' | '▄' => out.push('.'),
            '▁' | '▂' => out.push('_'),
            '▇' => out.push('='),
            '█' => out.push('#'),
            c => out.extend(std::iter::repeat_n('?', cells(c))),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_the_terminal() {
        for (dirty, clean) in [
            ("plain ąę 漢字", "plain ąę 漢字"),
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("\x1b[2J\x1b]0;gone\x07", "\\u{1b}[2J\\u{1b}]0;gone\\u{7}"),
            ("csi \u{9b}31m", "csi \\u{9b}31m"),
            ("ok\u{202e}delaf", "ok\\u{202e}delaf"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("wind \u{26a0}\u{fe0f}!", "wind \u{26a0}!"),
        ] {
            assert_eq!(shown(dirty), clean);
            assert!(!shown(dirty).contains(is_hidden));
        }
    }

    #[test]
    fn cuts_by_cells_and_never_halves_a_character() {
        assert_eq!(width("漢字"), 4);
        assert_eq!(head("漢字", 3), "漢");
        assert_eq!(tail("漢字", 3), "字");
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(head("e\u{301}x", 1), "e\u{301}");
        assert_eq!(
            cut_middle("launcher.Kx1xDO.srv01-process-launcher", 20),
            "launcher.K…-launcher"
        );
        for room in 0..12 {
            assert!(width(&cut_middle("漢字漢字漢字", room)) <= room);
        }
    }

    #[test]
    fn the_locale_decides_on_ascii() {
        let with = |pairs: &'static [(&str, &str)]| {
            utf8_locale(move |name| {
                pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
            })
        };
        assert!(with(&[("LANG", "en_US.UTF-8")]));
        assert!(with(&[("LC_ALL", ""), ("LANG", "C.utf8")]));
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
        assert!(!with(&[]));
    }
}
