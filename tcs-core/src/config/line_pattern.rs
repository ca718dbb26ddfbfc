//! What a line of output is looked for with.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// Bytes that a compiled one may take: the bound keeps it from taking the launcher's memory.
const MAX_SIZE: usize = 1 << 20;

/// A regular expression that lines of output are held against; equal where it is written the same.
#[derive(Debug, Clone)]
pub struct LinePattern(Regex);

impl LinePattern {
    /// Compiles it; or says why it is none.
    pub fn new(text: &str) -> Result<Self, String> {
        RegexBuilder::new(text).size_limit(MAX_SIZE).build().map(Self).map_err(|error| {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            format!("not a regular expression: {reason}")
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether a part of the line is so.
    pub fn is_match(&self, line: &str) -> bool {
        self.0.is_match(line)
    }
}

impl PartialEq for LinePattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for LinePattern {}

impl fmt::Display for LinePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
