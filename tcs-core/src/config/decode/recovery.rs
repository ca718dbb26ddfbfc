//! How serde, which ends at the first mistake, is led past it to the next: the settings are read
//! again and again, each time with one wrong place more put right.

use std::collections::BTreeMap;

use super::error::{DecodeError, joined};

/// What is done about a place that is known to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    /// A [`Placeholder`](super::placeholder::Placeholder) is read instead.
    Placeholder,
    /// It is left out: no stand-in fits (an address, a time), or the key itself is wrong.
    Omit,
}

/// What a mistake means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finding {
    /// It is the file's, not one that a cure has made.
    pub(super) is_news: bool,
    /// Reading again will tell more.
    pub(super) goes_on: bool,
}

/// The wrong places found so far.
#[derive(Debug)]
pub(super) struct Recoveries {
    /// What is done first about a wrong value.
    first: Recovery,
    by_path: BTreeMap<String, Recovery>,
    /// (where, which field) is missing.
    missing: Vec<(String, &'static str)>,
}

impl Recoveries {
    pub(super) fn new(first: Recovery) -> Self {
        Self { first, by_path: BTreeMap::new(), missing: Vec::new() }
    }

    pub(super) fn at(&self, path: &str) -> Option<Recovery> {
        self.by_path.get(path).copied()
    }

    /// Fields to be made up below this path.
    pub(super) fn missing_below(&self, path: &str) -> impl Iterator<Item = &'static str> {
        let here = self.missing.iter().filter(move |(below, _)| below == path);
        here.map(|(_, name)| *name)
    }

    /// Takes in a mistake, and finds a way past it: first a stand-in; where that does not fit,
    /// without the value; where it is needed, without what it is a part of.
    pub(super) fn take(&mut self, mistake: &DecodeError) -> Finding {
        let container = &mistake.path;
        if self.at(container) == Some(Recovery::Placeholder) {
            self.by_path.insert(container.clone(), Recovery::Omit);
            return Finding { is_news: false, goes_on: true };
        }
        let own = mistake.missing.map_or_else(|| container.clone(), |name| joined(container, name));
        let is_news =
            self.at(&own).is_none() && (mistake.missing.is_some() || !self.is_any_below(&own));
        for path in [&own, container] {
            let cure = match self.at(path) {
                None if mistake.is_key => Recovery::Omit,
                None => self.first,
                Some(Recovery::Placeholder) => Recovery::Omit,
                Some(Recovery::Omit) => continue,
            };
            if path.is_empty() {
                break;
            }
            if let Some(name) = mistake.missing.filter(|_| *path == own) {
                self.missing.push((container.clone(), name));
            }
            self.by_path.insert(path.clone(), cure);
            return Finding { is_news, goes_on: true };
        }
        Finding { is_news, goes_on: false }
    }

    /// Whether something below this path was put right: what is found wrong with the whole may
    /// come of that.
    fn is_any_below(&self, path: &str) -> bool {
        self.by_path.keys().any(|cured| {
            cured
                .strip_prefix(path)
                .is_some_and(|rest| path.is_empty() || rest.starts_with(['.', '[']))
        })
    }
}
