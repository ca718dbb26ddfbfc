//! Exit codes: the one place that defines them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done; the reader of our output having gone is success too.
    Done,
    /// The answer is no: nothing matches, `wait` timed out, an operation failed.
    No,
    /// The command line or the settings cannot be understood.
    Usage,
    /// The broker could not be reached, or the picture is incomplete.
    NoContact,
}

impl Exit {
    /// The number the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::NoContact => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What `check` ends with: the monitoring plugins' convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// All is well.
    Ok,
    /// Late, degraded or restarting.
    Warning,
    /// Failed, error or lost; or stopped, for a service named in full.
    Critical,
    /// No contact, an incomplete picture, or nothing known of what was asked for.
    Unknown,
}

impl Check {
    /// The number the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    /// Which of several results the whole has: a fault that is seen says more than a doubt.
    pub const fn weight(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Unknown => 1,
            Self::Warning => 2,
            Self::Critical => 3,
        }
    }

    /// The word at the beginning of the line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl From<Check> for ExitCode {
    fn from(check: Check) -> Self {
        Self::from(check.code())
    }
}

/// For `--help`.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  no: nothing matches, `wait` timed out, an operation failed
  2  usage: the command line or the settings cannot be understood
  3  the broker could not be reached, or not everything could be read
`tcsctl check` has its own exit codes: see `tcsctl check --help`. A closed pipe is success.";

/// For `check --help`.
pub const CHECK_HELP: &str = "\
Exit codes (the monitoring plugins' convention):
  0  OK        no problems
  1  WARNING   late, degraded or restarting
  2  CRITICAL  failed, error or lost; or stopped, if given by its full name
  3  UNKNOWN   no connection, incomplete data, unknown service, wrong usage";
