//! A key as it is pressed, written and read: `q`, `ctrl-c`, `PgUp`.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

/// One key, with what was held down beside it. Shift is in the character itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Which.
    pub code: Code,
    /// With control.
    pub ctrl: bool,
    /// With alt.
    pub alt: bool,
}

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are the keys of that name")]
pub enum Code {
    Char(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

/// Names other than single characters. The first of two names is the one shown.
const NAMES: [(&str, Code); 20] = [
    ("Enter", Code::Enter),
    ("Esc", Code::Esc),
    ("Tab", Code::Tab),
    ("BackTab", Code::BackTab),
    ("Bksp", Code::Backspace),
    ("Backspace", Code::Backspace),
    ("Del", Code::Delete),
    ("Delete", Code::Delete),
    ("↑", Code::Up),
    ("Up", Code::Up),
    ("↓", Code::Down),
    ("Down", Code::Down),
    ("←", Code::Left),
    ("Left", Code::Left),
    ("→", Code::Right),
    ("Right", Code::Right),
    ("Home", Code::Home),
    ("End", Code::End),
    ("PgUp", Code::PageUp),
    ("PgDn", Code::PageDown),
];

/// A text that names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a key: write `q`, `ctrl-c`, `alt-x`, `Space`, `Enter`, `Esc`, `Tab`, `Up`, `PgDn`, `F1`"
)]
pub struct NotAKey(pub String);

impl Key {
    /// A key by itself.
    pub const fn plain(code: Code) -> Self {
        Self { code, ctrl: false, alt: false }
    }

    /// A character by itself.
    pub const fn char(c: char) -> Self {
        Self::plain(Code::Char(c))
    }

    /// A character with control.
    pub const fn ctrl(c: char) -> Self {
        Self { code: Code::Char(c), ctrl: true, alt: false }
    }
}

impl FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let mut key = Self::plain(Code::Esc);
        let mut rest = text;
        loop {
            let lower = rest.to_lowercase();
            if lower.starts_with("ctrl-") && !key.ctrl {
                key.ctrl = true;
            } else if lower.starts_with("alt-") && !key.alt {
                key.alt = true;
            } else {
                break;
            }
            rest = &rest[rest.find('-').map_or(0, |at| at + 1)..];
        }
        let mut chars = rest.chars();
        key.code = match (chars.next(), chars.next()) {
            (Some(c), None) if NAMES.iter().all(|(name, _)| *name != rest) => Code::Char(c),
            _ if rest.eq_ignore_ascii_case("space") => Code::Char(' '),
            _ => {
                let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(rest));
                let function = || {
                    let number = rest.strip_prefix(['F', 'f'])?.parse().ok()?;
                    (1..=12).contains(&number).then_some(Code::F(number))
                };
                named.map(|(_, code)| *code).or_else(function).ok_or(NotAKey(text.to_owned()))?
            }
        };
        if key.code == Code::Char(' ') && rest.is_empty() {
            return Err(NotAKey(text.to_owned()));
        }
        Ok(key)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        if self.ctrl {
            text.push_str("ctrl-");
        }
        if self.alt {
            text.push_str("alt-");
        }
        match self.code {
            Code::Char(' ') => text.push_str("Space"),
            Code::Char(c) => text.push(c),
            Code::F(n) => {
                let _ = write!(text, "F{n}");
            }
            code => {
                text.push_str(
                    NAMES.iter().find(|(_, named)| *named == code).map_or("", |(n, _)| n),
                );
            }
        }
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let codes = NAMES.iter().map(|(_, code)| *code).chain((1..=12).map(Code::F));
        let keys = codes.map(Key::plain).chain(" q-?:[{ä".chars().map(Key::char));
        for key in keys.chain([Key::ctrl('c'), Key { code: Code::Up, ctrl: true, alt: true }]) {
            assert_eq!(key.to_string().parse(), Ok(key), "{key}");
        }
        assert_eq!("ctrl-C".parse::<Key>().unwrap().code, Code::Char('C'));
        assert_eq!("pgdn".parse(), Ok(Key::plain(Code::PageDown)));
        for wrong in ["", "ctrl-", "hyper-x", "F13", "qq"] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong}");
        }
    }
}
