//! Why keys cannot be used.

use crate::dashboard::key::{Key, NotAKey};

/// Why keys cannot be used as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// No command has this name.
    #[error("`{0}` is not a command of the dashboard\nhint: `tcsctl config show` lists them")]
    Command(String),
    /// The text does not name a key.
    #[error("keys of `{command}`: {source}")]
    Key {
        /// Whose.
        command: String,
        /// What is wrong with it.
        source: NotAKey,
    },
    /// One key for two commands that are at home on the same page, or on none.
    #[error("key `{key}` is bound to both `{first}` and `{second}`")]
    Clash {
        /// Which key.
        key: Key,
        /// Who has it.
        first: String,
        /// Who wants it too.
        second: String,
    },
    /// A command that must have a key has none.
    #[error("`{0}` must have a key")]
    Unreachable(&'static str),
    /// A command that must have a key everywhere has none on a page.
    #[error("`{command}` must have a key on the {page} page too: there its keys do something else")]
    Hidden {
        /// Which command.
        command: &'static str,
        /// Where.
        page: &'static str,
    },
}
