//! `tcsctl config show`: the dashboard's keys and theme, as they count.

use std::process::ExitCode;

use super::session::{Ended, Session};
use crate::cli::{ConfigArgs, ConfigCommand};
use crate::dashboard::config::{self, Config, ConfigError};
use crate::exit::Exit;

impl From<ConfigError> for Ended {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}

/// The settings that count for this person.
pub(super) fn read() -> Result<Config, Ended> {
    match config::path(|name| std::env::var(name).ok()) {
        Some(path) => Ok(Config::read(&path)?),
        None => Ok(Config::default()),
    }
}

pub(super) fn run(session: &Session, args: &ConfigArgs) -> Result<ExitCode, Ended> {
    let ConfigCommand::Show = args.command;
    let config = read()?;
    let from = match config::path(|name| std::env::var(name).ok()) {
        Some(path) if path.exists() => format!("# from {}\n", path.display()),
        Some(path) => format!("# the defaults; changes go into {}\n", path.display()),
        None => "# the defaults\n".to_owned(),
    };
    session.screen.write(&format!("{from}{}", config.show()))?;
    Ok(Exit::Done.into())
}
