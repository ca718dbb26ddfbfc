//! The environment that values come from: the process's own, and `.env` below it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::dotenv;
use super::problem::{ConfigErrors, Place, Problem, Report};

/// Variables by name. What the process has is never overridden by `.env`.
#[derive(Clone, Default)]
pub struct Environment {
    process: BTreeMap<String, String>,
    dotenv: BTreeMap<String, String>,
}

impl fmt::Debug for Environment {
    /// Names alone: values may be passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

impl Environment {
    /// From pairs, such as `std::env::vars_os()`. Names and values that are not UTF-8 are left
    /// out: no setting can be meant by them.
    pub fn new(
        variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> Self {
        let process = variables
            .into_iter()
            .filter_map(|(name, value)| {
                Some((name.into().into_string().ok()?, value.into().into_string().ok()?))
            })
            .collect();
        Self { process, dotenv: BTreeMap::new() }
    }

    /// This process's, and what `.env` in this directory says.
    ///
    /// # Errors
    /// Lines of `.env` cannot be read.
    pub fn of_process(directory: &Path) -> Result<Self, ConfigErrors> {
        let (environment, report) = Self::new(std::env::vars_os()).with_dotenv(directory);
        if report.has_errors() { Err(ConfigErrors::new(report)) } else { Ok(environment) }
    }

    /// Adds what `.env` in this directory says, if there is one, as python-dotenv reads it. Lines
    /// that cannot be read are errors; the rest is used. What stands there is not shown: it may be
    /// a secret.
    pub fn with_dotenv(self, directory: &Path) -> (Self, Report) {
        let path = directory.join(".env");
        let name = path.display().to_string();
        match fs::read(&path) {
            Ok(bytes) => self.with_dotenv_bytes(&name, &bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => (self, Report::empty(&name)),
            Err(error) => {
                let problem = Problem::error(None, format!("cannot be read: {error}"));
                (self, Report::new(Report::empty(&name).source, vec![problem]))
            }
        }
    }

    /// The same from a file's content; `name` is what problems call it.
    pub fn with_dotenv_bytes(mut self, name: &str, bytes: &[u8]) -> (Self, Report) {
        let mut problems = Vec::new();
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                let parsed = dotenv::parse(text, &self.process);
                for line in parsed.unreadable {
                    let problem = Problem::error(Place::new(line, 1, 1), "not NAME=value");
                    problems.push(problem.hint(
                        "write `NAME=value`; put a value with quotes or `#` in it in single quotes",
                    ));
                }
                self.dotenv = parsed.variables;
                self.dotenv.retain(|name, _| !self.process.contains_key(name));
            }
            Err(_) => problems.push(Problem::error(None, "not UTF-8 text")),
        }
        (self, Report::new(Report::empty(name).source, problems))
    }

    /// The value of a variable, which may be empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.process.get(name).or_else(|| self.dotenv.get(name)).map(String::as_str)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.process.iter().chain(&self.dotenv).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What `.env` adds: to be passed on to children, who inherit the rest.
    pub fn added(&self) -> impl Iterator<Item = (&str, &str)> {
        self.dotenv.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
