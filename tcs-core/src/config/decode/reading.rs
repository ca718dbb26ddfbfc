//! One pass of serde over a tree: its input, and what it finds.

use std::cell::RefCell;

use super::error::joined;
use super::recovery::{Recoveries, Recovery};
use crate::config::nearest::nearest;
use crate::config::problem::{Place, Problem};
use crate::config::value::{Node, Value};

/// How values are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Dialect {
    /// A service's settings: each value as its field's type has it.
    Settings,
    /// What the launcher takes, as Python's does: text may look like a number, a number may be in
    /// quotes, and a key without a value is not there.
    Launcher {
        /// Keys that are not known are somebody else's.
        is_open: bool,
    },
}

impl Dialect {
    pub(super) fn is_absent(self, node: &Node) -> bool {
        self.is_lenient() && matches!(node.value, Value::Null)
    }

    pub(super) fn is_lenient(self) -> bool {
        matches!(self, Self::Launcher { .. })
    }

    /// What is done first about a wrong value: what is needed needs a stand-in, the launcher's own
    /// fields have defaults.
    pub(super) fn first_recovery(self) -> Recovery {
        match self {
            Self::Settings => Recovery::Placeholder,
            Self::Launcher { .. } => Recovery::Omit,
        }
    }
}

/// One pass of serde over a configuration tree, and the mistakes found in it.
pub(in crate::config) struct Reading<'c> {
    pub(super) recovery: &'c Recoveries,
    pub(super) warnings: RefCell<Vec<Problem>>,
    pub(super) dialect: Dialect,
}

impl Reading<'_> {
    pub(in crate::config) fn warn(&self, problem: Problem) {
        self.warnings.borrow_mut().push(problem);
    }

    /// Where `name` below `path` is none of the `known`.
    pub(in crate::config) fn warn_unknown(
        &self,
        path: &str,
        name: &str,
        at: Place,
        known: &'static [&'static str],
    ) {
        let ignored = match self.dialect {
            Dialect::Launcher { is_open: true } => return,
            Dialect::Launcher { is_open: false } => "it is ignored",
            Dialect::Settings => "the service ignores it",
        };
        if !known.contains(&name) {
            let message = format!("unknown key `{}`: {ignored}", joined(path, name));
            let near = nearest(name, known.iter().copied());
            self.warn(Problem::warning(at, message).suggest(near));
        }
    }
}
