//! The grammar of `.env`, as python-dotenv reads it: the Python services of a fleet read the same
//! file.
//!
//! `KEY=value`, `export KEY=value`, `'KEY'=value`; values as they stand, up to ` #`, or in single or
//! double quotes, over several lines too. In every value, quoted or not, `${NAME}` and
//! `${NAME:-default}` are replaced; `$NAME` is not. What is set in the process wins over the file.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// One statement: a variable, and its value if it has one; a comment names none.
struct Statement {
    key: Option<String>,
    value: Option<String>,
}

/// What a file says, and the lines that cannot be read, from 1.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) variables: BTreeMap<String, String>,
    pub(super) unreadable: Vec<usize>,
}

/// Reads a file. `process`: what the environment has already.
pub(super) fn parse(text: &str, process: &BTreeMap<String, String>) -> Parsed {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // as Python reads a text file, in quotes too
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut reader = Reader { rest: &text, line: 1 };
    let mut unreadable = Vec::new();
    let mut values: BTreeMap<String, Option<String>> = BTreeMap::new();
    while !reader.rest.is_empty() {
        reader.take(&SPACE_AND_LINES);
        if reader.rest.is_empty() {
            break;
        }
        let line = reader.line;
        match reader.statement() {
            Some(Statement { key: Some(key), value }) => {
                let value = value.map(|value| expanded(&value, process, &values));
                // no environment can hold these
                let is_bad = key.contains(['=', '\0']);
                if value.as_ref().is_some_and(|value| is_bad || value.contains('\0')) {
                    unreadable.push(line);
                } else {
                    values.insert(key, value);
                }
            }
            Some(Statement { key: None, .. }) => {}
            None => {
                unreadable.push(line);
                reader.take(&REST_OF_LINE);
            }
        }
    }
    let variables = values.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    Parsed { variables, unreadable }
}

macro_rules! pattern {
    ($name:ident, $pattern:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("a valid pattern"));
    };
}

// Python's blanks: four control characters more than here
pattern!(SPACE_AND_LINES, r"^[\s\x1c-\x1f]*");
pattern!(SPACE, r"^[\s\x1c-\x1f&&[^\n]]*");
pattern!(EXPORT, r"^(?:export[\s\x1c-\x1f&&[^\n]]+)?");
pattern!(QUOTED_KEY, r"^'([^']+)'");
pattern!(KEY, r"^([^=#\s\x1c-\x1f]+)");
pattern!(EQUALS, r"^(=[\s\x1c-\x1f&&[^\n]]*)");
pattern!(SINGLE_QUOTED, r"(?s)^'((?:\\.|[^'\\])*)'");
pattern!(DOUBLE_QUOTED, r#"(?s)^"((?:\\.|[^"\\])*)""#);
pattern!(REST_OF_LINE, r"^([^\n]*)\n?");
pattern!(UNQUOTED, r"^([^\n]*)");
pattern!(COMMENT, r"^(?:[\s\x1c-\x1f&&[^\n]]*#[^\n]*)?");
pattern!(END_OF_LINE, r"^[\s\x1c-\x1f&&[^\n]]*(?:\n|\z)");
pattern!(COMMENT_AFTER_SPACE, r"[\s\x1c-\x1f]+#.*");
pattern!(VARIABLE, r"\$\{(?<name>[^}:]*)(?::-(?<default>[^}]*))?\}");
pattern!(ESCAPES, r#"\\[\\'"abfnrtv]"#);
pattern!(QUOTE_ESCAPES, r"\\[\\']");

struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Reader<'t> {
    /// What the pattern's group, else the whole of it, matches here; goes on behind it.
    fn take(&mut self, pattern: &Regex) -> Option<&'t str> {
        let found = pattern.captures(self.rest)?;
        let all = found.get(0)?;
        let taken = found.get(1).unwrap_or(all).as_str();
        self.line += all.as_str().matches('\n').count();
        self.rest = &self.rest[all.end()..];
        Some(taken)
    }

    /// `None`: it cannot be read.
    fn statement(&mut self) -> Option<Statement> {
        self.take(&EXPORT)?;
        let key = match self.rest.chars().next() {
            Some('#') => None,
            Some('\'') => Some(self.take(&QUOTED_KEY)?),
            _ => Some(self.take(&KEY)?),
        };
        self.take(&SPACE)?;
        let mut value = None;
        if self.rest.starts_with('=') {
            let sign = self.take(&EQUALS)?;
            value = Some(match self.rest.chars().next() {
                Some('#') if sign.len() > 1 => String::new(),
                Some('\'') => unescaped(self.take(&SINGLE_QUOTED)?, &QUOTE_ESCAPES),
                Some('"') => unescaped(self.take(&DOUBLE_QUOTED)?, &ESCAPES),
                _ => {
                    let text = COMMENT_AFTER_SPACE.replace(self.take(&UNQUOTED)?, "");
                    text.trim_end_matches(is_space).to_owned()
                }
            });
        }
        self.take(&COMMENT)?;
        self.take(&END_OF_LINE)?;
        Some(Statement { key: key.map(str::to_owned), value })
    }
}

fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\x1c'..='\x1f')
}

fn unescaped(text: &str, escapes: &Regex) -> String {
    let replaced = escapes.replace_all(text, |found: &Captures<'_>| {
        match &found[0][1..] {
            "a" => "\x07",
            "b" => "\x08",
            "f" => "\x0c",
            "n" => "\n",
            "r" => "\r",
            "t" => "\t",
            "v" => "\x0b",
            "'" => "'",
            "\"" => "\"",
            _ => "\\",
        }
        .to_owned()
    });
    replaced.into_owned()
}

/// Of a variable that is not set, its default, else nothing; set but empty is empty.
fn expanded(
    value: &str,
    process: &BTreeMap<String, String>,
    values: &BTreeMap<String, Option<String>>,
) -> String {
    let replaced = VARIABLE.replace_all(value, |found: &Captures<'_>| {
        let name = &found["name"];
        let set = process.get(name).map(|value| Some(value.clone()));
        let set = set.or_else(|| values.get(name).cloned());
        let default = || found.name("default").map(|default| default.as_str().to_owned());
        set.unwrap_or_else(default).unwrap_or_default()
    });
    replaced.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<(String, String)>, Vec<usize>) {
        let process = [("HOME", "/home/op"), ("EMPTY", ""), ("A", "process")];
        let process = process.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let parsed = parse(text, &process.into());
        (parsed.variables.into_iter().collect(), parsed.unreadable)
    }

    #[test]
    fn values_are_as_python_dotenv_reads_them() {
        for (text, value) in [
            ("X=pa$word", "pa$word"),
            ("X=${NOPE:-dflt}", "dflt"),
            ("X=hello world", "hello world"),
            ("X=${NOPE}", ""),
            ("X=${EMPTY:-dflt}", ""),
            ("X=${HOME}/tcs", "/home/op/tcs"),
            ("X='${HOME}'", "/home/op"),
            ("X=${A}", "process"),
            ("A=file\nX=${A}", "process"),
            ("B=file\nX=${B}-${B:-c}", "file-file"),
            ("X=a # comment", "a"),
            ("X=a#b", "a#b"),
            ("X=#b", "#b"),
            ("X= # comment", ""),
            ("X=", ""),
            ("X = a ", "a"),
            ("export X=a", "a"),
            ("export\tX=a", "a"),
            ("'X'=a", "a"),
            ("X='a b' # comment", "a b"),
            ("X='it\\'s \\n'", "it's \\n"),
            ("X=\"a\\tb\\\"c\\\\\"", "a\tb\"c\\"),
            ("X=\"one\ntwo\"", "one\ntwo"),
            ("X='one\r\ntwo'\r\nY=2", "one\ntwo"),
            ("\u{feff}X=a", "a"),
            ("X=1\nX=2", "2"),
            ("X=a=b", "a=b"),
            ("X=\u{e9}", "\u{e9}"),
        ] {
            let (variables, unreadable) = read(text);
            let found = variables.iter().find(|(name, _)| name == "X");
            assert_eq!(found.map(|(_, value)| value.as_str()), Some(value), "{text:?}");
            assert!(unreadable.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_line_and_the_rest_is_read() {
        let (variables, unreadable) =
            read("A1=1\n\n=2\nB='x\nC=3\nD='x' y\n'E\nF 4\n# comment\nG\nH=\"a\n\nb\" z\nI=5");
        let names: Vec<_> = variables.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(unreadable, [3, 4, 7, 8, 11]);
        assert_eq!(names, ["A1", "I"], "{variables:?}");
    }
}
