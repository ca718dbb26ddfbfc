//! A person's own settings of the dashboard: `~/.config/tcsctl/console.yaml`.
//!
//! ```yaml
//! theme: night
//! mouse: false
//! keys:
//!   quit: [q, ctrl-c]
//!   pause: p
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use tcs_core::config::{ConfigErrors, Several, read_yaml};

use super::keymap::{Keymap, KeymapError, TABLE};
use super::theme::ThemeName;

/// What counts, with the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The theme to begin with.
    pub theme: ThemeName,
    /// Take the mouse.
    pub mouse: bool,
    /// Which key does what.
    pub keymap: Keymap,
}

impl Default for Config {
    fn default() -> Self {
        Self { theme: ThemeName::default(), mouse: true, keymap: Keymap::default() }
    }
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not as it should be; each mistake with its place.
    #[error(transparent)]
    Form(#[from] ConfigErrors),
    /// There is no theme of this name.
    #[error("{}: `{name}` is not a theme: terminal, night, contrast or colour-blind", path.display())]
    Theme {
        /// Which file.
        path: PathBuf,
        /// As written.
        name: String,
    },
    /// The keys do not go together.
    #[error("{}: {source}", path.display())]
    Keys {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: KeymapError,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    theme: Option<String>,
    mouse: Option<bool>,
    keys: BTreeMap<String, Several<String>>,
}

/// Where the file is looked for, by the environment's variables.
pub fn path(var: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(folder.join("tcsctl/console.yaml"))
}

impl Config {
    /// Reads the file; one that is not there says nothing.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let path = || path.to_owned();
        let file: File = read_yaml(&path().display().to_string(), text)?;
        let theme = match file.theme {
            None => ThemeName::default(),
            Some(name) => ThemeName::find(&name)
                .ok_or_else(|| ConfigError::Theme { path: path(), name: name.clone() })?,
        };
        let keys: BTreeMap<String, Vec<String>> =
            file.keys.into_iter().map(|(command, keys)| (command, keys.items)).collect();
        let keymap =
            Keymap::new(&keys).map_err(|source| ConfigError::Keys { path: path(), source })?;
        Ok(Self { theme, mouse: file.mouse.unwrap_or(true), keymap })
    }

    /// The whole of it as such a file.
    pub fn show(&self) -> String {
        let themes: Vec<_> = ThemeName::ALL.iter().map(|theme| theme.as_str()).collect();
        let mut out = format!(
            "theme: {}  # {}\nmouse: {}\nkeys:\n",
            self.theme.as_str(),
            themes.join(", "),
            self.mouse
        );
        for entry in TABLE {
            let keys: Vec<String> = self
                .keymap
                .keys(entry.command)
                .iter()
                .map(|key| {
                    format!("\"{}\"", key.to_string().replace('\\', "\\\\").replace('"', "\\\""))
                })
                .collect();
            let line = format!("  {}: [{}]", entry.name, keys.join(", "));
            let _ = writeln!(out, "{line:<34} # {}", entry.doc);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::keymap::Command;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("console.yaml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_shown_is_read_again() {
        let config =
            parse("theme: night\nmouse: false\nkeys:\n  pause: p\n  quit: [Q, ctrl-c]\n").unwrap();
        assert_eq!((config.theme, config.mouse), (ThemeName::Night, false));
        assert_eq!(config.keymap.shown(Command::Pause), "p");
        assert_eq!(parse(&config.show()), Ok(config));
        assert_eq!(parse("# nothing\n\n"), Ok(Config::default()));
        assert_eq!(parse(&Config::default().show()), Ok(Config::default()));
    }

    #[test]
    fn what_is_wrong_is_told_with_the_file() {
        let wrong = |text: &str| parse(text).unwrap_err();
        assert!(wrong("theme: pink").starts_with("console.yaml: `pink` is not a theme"));
        assert!(wrong("keys: {pause: q}").contains("key `q` is bound to both `pause` and `quit`"));
        assert!(wrong("colour: red").starts_with("console.yaml:1:1: error: unknown key `colour`"));
        assert!(wrong("keys: {pause: [p, {}]}").contains("`keys.pause[1]`: expected text, found"));
    }

    #[test]
    fn it_lies_where_a_person_keeps_such_files() {
        let with = |pairs: &'static [(&str, &str)]| {
            path(move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        let home = with(&[("HOME", "/home/op")]).unwrap();
        assert_eq!(home, Path::new("/home/op/.config/tcsctl/console.yaml"));
        let xdg = with(&[("HOME", "/home/op"), ("XDG_CONFIG_HOME", "/etc/op")]).unwrap();
        assert_eq!(xdg, Path::new("/etc/op/tcsctl/console.yaml"));
        assert_eq!(with(&[]), None);
    }
}
