//! The environment that values come from: the process's own, and `.env` below it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::problem::Problem;

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

    /// Adds what `.env` in this directory says, if there is one; of a name that it has twice, the
    /// last. Lines that cannot be read are left out, with a warning.
    pub fn with_dotenv(mut self, directory: &Path) -> (Self, Vec<Problem>) {
        let path = directory.join(".env");
        let warning = |text: String| Problem::warning(None, format!("{}: {text}", path.display()));
        let text = match fs::read(&path).map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => return (self, vec![warning("not UTF-8 text, not used".into())]),
            Err(error) if error.kind() == ErrorKind::NotFound => return (self, Vec::new()),
            Err(error) => return (self, vec![warning(format!("cannot be read: {error}"))]),
        };
        let text = text.trim_start_matches('\u{feff}');
        let mut problems = Vec::new();
        for item in dotenvy::from_read_iter(text.as_bytes()) {
            match item {
                Ok((name, value)) if !self.process.contains_key(&name) => {
                    self.dotenv.insert(name, value);
                }
                Ok(_) => {}
                // the line may hold a secret: only its number is told
                Err(dotenvy::Error::LineParse(line, _)) => {
                    let first = line.lines().next().unwrap_or_default();
                    let number = text.lines().position(|l| l.trim() == first.trim());
                    let at = number.map_or_else(String::new, |n| format!("line {}: ", n + 1));
                    problems.push(warning(format!("{at}not NAME=value, left out")));
                }
                Err(_) => problems.push(warning("cannot be read to its end".into())),
            }
        }
        (self, problems)
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
