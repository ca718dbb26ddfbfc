//! Taking typed values out of one mapping whose keys are known.

use std::time::Duration;

use super::nearest::nearest;
use super::problem::{Place, Problem, Problems, Severity};
use super::value::{Key, Mapping, Node, Value};

/// One mapping of the file, by its name in messages. A key without a value counts as absent.
pub(super) struct Section<'t, 'p> {
    pub(super) name: &'p str,
    pub(super) map: &'t Mapping,
    pub(super) problems: &'p mut Problems,
}

impl<'t> Section<'t, '_> {
    /// The value of a key that has one.
    pub(super) fn node(&self, key: &str) -> Option<&'t Node> {
        self.map.get(key).filter(|node| !node.is_null())
    }

    fn wrong(&mut self, key: &str, node: &Node, expected: &str) {
        let message = format!("`{key}` must be {expected}, found {}", node.kind());
        let mut problem = Problem::error(node.at, message);
        if matches!(node.value, Value::Bool(_)) && expected.starts_with("text") {
            problem = problem.hint("put it in quotes");
        }
        self.problems.push(problem);
    }

    /// Text; a number is taken as it was written.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let node = self.node(key)?;
        let text = node.scalar_text();
        if text.is_none() {
            self.wrong(key, node, "text");
        }
        text.map(str::to_owned)
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let node = self.node(key)?;
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        self.wrong(key, node, "true or false");
        None
    }

    /// A number as Python's `float()` takes it, in a range.
    pub(super) fn number(&mut self, key: &str, at_least: f64, what: &str) -> Option<f64> {
        let node = self.node(key)?;
        let number = match &node.value {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        };
        let number = number.filter(|number| number.is_finite() && *number >= at_least);
        if number.is_none() {
            self.wrong(key, node, &format!("{what}, {at_least} or more"));
        }
        number
    }

    /// Seconds.
    pub(super) fn seconds(&mut self, key: &str) -> Option<Duration> {
        let seconds = self.number(key, 0.0, "a number of seconds")?;
        // longer than any machine lives, and still addable to a clock
        Some(Duration::from_secs_f64(seconds.min(1e9)))
    }

    pub(super) fn whole(&mut self, key: &str) -> Option<u64> {
        let node = self.node(key)?;
        let number = match &node.value {
            Value::Int(number) => u64::try_from(*number).ok(),
            Value::Text(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
        };
        if number.is_none() {
            self.wrong(key, node, "a whole number, 0 or more");
        }
        number
    }

    /// Bytes: a number, or one with a unit (`64K`, `10M`, `1.5GiB`; 1 K is 1024).
    pub(super) fn size(&mut self, key: &str) -> Option<u64> {
        let node = self.node(key)?;
        let size = match &node.value {
            Value::Int(number) => u64::try_from(*number).ok(),
            Value::Text(text) => parse_size(text),
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
        };
        if size.is_none() {
            self.wrong(key, node, "a size in bytes, such as 65536, 64K or 10M");
        }
        size
    }

    pub(super) fn mapping(&mut self, key: &str) -> Option<&'t Mapping> {
        let node = self.node(key)?;
        if let Value::Map(map) = &node.value {
            return Some(map);
        }
        self.wrong(key, node, "keys and values");
        None
    }

    /// A list of texts with their places; one text alone is a list of one.
    pub(super) fn texts(&mut self, key: &str) -> Vec<(String, Place)> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut texts = Vec::new();
        for item in items {
            match item.scalar_text() {
                Some(text) => texts.push((text.to_owned(), item.at)),
                None => self.wrong(key, item, "text or a list of texts"),
            }
        }
        texts
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let node = self.node(key)?;
        let text = self.text(key)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|&(_, value)| value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|&(word, _)| word).collect();
            let message = format!("`{key}` is one of {}; found `{text}`", words.join(", "));
            let near = nearest(&text, words);
            self.problems.push(Problem::error(node.at, message).suggest(near));
        }
        found
    }

    /// Says which keys are not known here, each with the nearest known name.
    pub(super) fn unknown_keys(&mut self, known: &[&str], severity: Severity) {
        for (key, _) in self.map.iter().filter(|(key, _)| !known.contains(&key.text.as_str())) {
            let problem = unknown_key(key, self.name, known.iter().copied());
            self.problems.push(Problem { severity, ..problem });
        }
    }
}

pub(super) fn unknown_key<'a>(
    key: &Key,
    section: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Problem {
    let near = nearest(&key.text, known.clone());
    let problem = Problem::error(key.at, format!("unknown key `{}` in {section}", key.text));
    match near {
        Some(_) => problem.suggest(near),
        None => problem.hint(format!("known: {}", Vec::from_iter(known).join(", "))),
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    (bytes <= 1e18).then_some(bytes as u64)
}
