//! How a service ended.

use std::fmt;
use std::time::Duration;

use tcs_bus::guard::Panic;

/// An exit code that an error carries: `return Err(ExitCode(137).into())`, or as context of
/// another error. The restart policy and the life cycle events see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("exit code {0}")]
pub struct ExitCode(pub u8);

/// How a service ended; the restart policy of a launcher treats it like the end of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It did its work and returned: a one-shot service, or a main loop that ended by itself.
    Completed,
    /// It stopped on request.
    Cancelled,
    /// It did not run: settings, creation or start-up failed.
    StartFailed(Failure),
    /// It ended by itself, with an error or a panic.
    Failed(Failure),
    /// It failed while stopping on request.
    StopFailed(Failure),
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// In one line.
    pub text: String,
    /// The exit code; 1 if the error carries no [`ExitCode`], 101 for a panic.
    pub exit_code: i32,
    /// What kind of failure.
    pub cause: Cause,
}

/// What kind of failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The service returned an error.
    Error,
    /// It panicked at this place (`file:line:column`), where it is known.
    Panic {
        /// Where.
        place: Option<String>,
    },
    /// It took longer than it may.
    TimedOut,
    /// It blocks its thread, and cannot be ended.
    Stuck,
}

/// The exit code of a Rust program that panics.
const PANICKED: i32 = 101;

impl Failure {
    pub(crate) fn timed_out(what: &str, limit: Duration) -> Self {
        Self {
            text: format!("{what} took longer than {} s", limit.as_secs_f64()),
            exit_code: 1,
            cause: Cause::TimedOut,
        }
    }

    pub(crate) fn stuck() -> Self {
        Self {
            text: "the service blocks its thread and cannot be stopped".to_owned(),
            exit_code: 1,
            cause: Cause::Stuck,
        }
    }
}

impl From<&anyhow::Error> for Failure {
    fn from(error: &anyhow::Error) -> Self {
        let code = error.downcast_ref::<ExitCode>().map(|code| i32::from(code.0));
        let exit_code = code.unwrap_or(1);
        Self { text: format!("{error:#}"), exit_code, cause: Cause::Error }
    }
}

impl From<Panic> for Failure {
    fn from(panic: Panic) -> Self {
        Self {
            text: panic.to_string(),
            exit_code: PANICKED,
            cause: Cause::Panic { place: panic.place },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Outcome {
    /// As a process would have exited: 0 if it went well.
    pub fn exit_code(&self) -> i32 {
        self.failure().map_or(0, |failure| failure.exit_code)
    }

    /// What went wrong, if anything did.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Completed | Self::Cancelled => None,
            Self::StartFailed(failure) | Self::Failed(failure) | Self::StopFailed(failure) => {
                Some(failure)
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Cancelled => f.write_str("stopped"),
            Self::StartFailed(failure) => write!(f, "start failed: {failure}"),
            Self::Failed(failure) => write!(f, "failed: {failure}"),
            Self::StopFailed(failure) => write!(f, "stop failed: {failure}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context as _, anyhow};

    #[test]
    fn an_error_may_carry_its_exit_code_at_any_depth() {
        let failure = Failure::from(&anyhow::Error::from(ExitCode(137)).context("out of memory"));
        assert_eq!((failure.exit_code, &*failure.text), (137, "out of memory: exit code 137"));
        let error: anyhow::Result<()> = Err(anyhow!("disk full")).context(ExitCode(3));
        assert_eq!(Failure::from(&error.unwrap_err()).exit_code, 3);
        assert_eq!(Failure::from(&anyhow!("boom")).exit_code, 1);
    }
}
