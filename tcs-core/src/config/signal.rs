//! The signal that asks a program to stop, as a file names it.

use std::fmt;
use std::str::FromStr;

use nix::sys::signal::Signal;

use super::grammar::VARIABLE;
use super::nearest::nearest;

/// The signal that asks a program to stop: `SIGTERM`, where nobody says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopSignal(Signal);

impl StopSignal {
    /// `SIGTERM`.
    pub const TERM: Self = Self(Signal::SIGTERM);

    /// As the system calls it: `SIGTERM`.
    pub fn as_str(self) -> &'static str {
        self.0.as_str()
    }

    /// As the system counts it.
    pub fn number(self) -> i32 {
        self.0 as i32
    }

    /// As files have it: `TERM`.
    pub(super) fn bare(self) -> &'static str {
        bare(self.as_str())
    }
}

impl Default for StopSignal {
    fn default() -> Self {
        Self::TERM
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StopSignal {
    type Err = String;

    /// By name, with `SIG` before it or not, in capitals or not; or by number.
    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.to_ascii_uppercase();
        let full = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
        let by_number = || {
            let number = text.starts_with(|c| matches!(c, '1'..='9')).then(|| text.parse::<i32>());
            Signal::try_from(number?.ok()?).ok()
        };
        Signal::from_str(&full).ok().or_else(by_number).map(Self).ok_or_else(|| {
            let typed = full.strip_prefix("SIG").unwrap_or(&full);
            let near = nearest(typed, names());
            let hint = near.map(|near| format!("\nhint: did you mean `SIG{near}`?"));
            let hint = hint.unwrap_or_default();
            format!("`{text}` is not a signal{hint}")
        })
    }
}

/// What all names of signals begin with makes none like another.
fn bare(name: &'static str) -> &'static str {
    name.strip_prefix("SIG").unwrap_or(name)
}

/// All of them, without `SIG`.
pub(super) fn names() -> Vec<&'static str> {
    Signal::iterator().map(Signal::as_str).map(bare).collect()
}

/// For the schema: their names, with `SIG` before them or not, in capitals or not; their numbers; or a
/// variable.
pub(super) fn pattern() -> String {
    let letter = |c: char| match (c.to_ascii_lowercase(), c) {
        (small, capital) if small != capital => format!("[{capital}{small}]"),
        (_, c) => c.to_string(),
    };
    let words = names().into_iter().map(|word| word.chars().map(letter).collect::<String>());
    let words = words.collect::<Vec<_>>().join("|");
    format!("^([Ss][Ii][Gg])?({words})$|^([1-9]|[12][0-9]|3[01])$|{VARIABLE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_compared_without_what_all_names_begin_with() {
        let signal = str::parse::<StopSignal>;
        assert_eq!(signal("FOO").unwrap_err(), "`FOO` is not a signal");
        let hint = "`TREM` is not a signal\nhint: did you mean `SIGTERM`?";
        assert_eq!(signal("TREM").unwrap_err(), hint);
        assert_eq!(signal("int").unwrap().as_str(), "SIGINT");
    }
}
