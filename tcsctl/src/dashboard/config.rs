//! A person's own settings of the dashboard: `~/.config/tcsctl/console.yaml`.
//!
//! ```yaml
//! theme: night
//! mouse: false
//! bell: true
//! notify: osc9
//! keys:
//!   quit: [q, ctrl-c]
//!   pause: p
//! commands:
//!   login: {key: ctrl-g, run: [ssh, "{host}"], doc: log in on its host, wait: false}
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use tcs_core::config::{ConfigErrors, Several, read_yaml};

use super::bell::{Bell, Desktop};
use super::keymap::{Keymap, KeymapError, TABLE};
use super::own::{OwnCommand, OwnError, Written, quoted};
use super::theme::ThemeName;

/// What counts, with the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The theme to begin with.
    pub theme: ThemeName,
    /// Take the mouse.
    pub mouse: bool,
    /// How a new alarm is signalled.
    pub bell: Bell,
    /// Which key does what.
    pub keymap: Keymap,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            theme: ThemeName::default(),
            mouse: true,
            bell: Bell::default(),
            keymap: Keymap::default(),
        }
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
    /// There is no such way to notify.
    #[error("{}: `notify: {name}`: none, osc9 or osc777 is expected", path.display())]
    Notify {
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
    /// A command of one's own cannot be used.
    #[error("{}: {source}", path.display())]
    Own {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: OwnError,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    theme: Option<String>,
    mouse: Option<bool>,
    bell: Option<bool>,
    notify: Option<String>,
    keys: BTreeMap<String, Several<String>>,
    commands: BTreeMap<String, Written>,
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
        let desktop = match file.notify {
            None => Desktop::default(),
            Some(name) => Desktop::ALL
                .into_iter()
                .find(|desktop| desktop.as_str() == name)
                .ok_or_else(|| ConfigError::Notify { path: path(), name: name.clone() })?,
        };
        let bell = Bell { sound: file.bell.unwrap_or(false), desktop };
        let keys: BTreeMap<String, Vec<String>> =
            file.keys.into_iter().map(|(command, keys)| (command, keys.items)).collect();
        let own = file.commands.into_iter().map(|(name, it)| OwnCommand::new(&name, it));
        let own = own
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| ConfigError::Own { path: path(), source })?;
        let keymap = Keymap::new(&keys).and_then(|keymap| keymap.with_own(own));
        let keymap = keymap.map_err(|source| ConfigError::Keys { path: path(), source })?;
        Ok(Self { theme, mouse: file.mouse.unwrap_or(true), bell, keymap })
    }

    /// The whole of it as such a file.
    pub fn show(&self) -> String {
        let themes: Vec<_> = ThemeName::ALL.iter().map(|theme| theme.as_str()).collect();
        let mut out = format!(
            "theme: {}  # {}\nmouse: {}\nbell: {}  # on a new alarm\nnotify: {}  # on a new alarm: none, \
             osc9, osc777\nkeys:\n",
            self.theme.as_str(),
            themes.join(", "),
            self.mouse,
            self.bell.sound,
            self.bell.desktop.as_str()
        );
        for entry in TABLE {
            let keys: Vec<String> = self
                .keymap
                .keys(entry.command)
                .iter()
                .map(|key| quoted(&key.to_string()))
                .collect();
            let line = format!("  {}: [{}]", entry.name, keys.join(", "));
            let _ = writeln!(out, "{line:<34} # {}", entry.doc_with_pages());
        }
        if !self.keymap.own().is_empty() {
            out.push_str("commands:\n");
            out.extend(self.keymap.own().iter().map(OwnCommand::show));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::keymap::Command;
    use crate::dashboard::page::Page;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("console.yaml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_shown_is_read_again() {
        let config =
            parse("theme: night\nmouse: false\nbell: true\nnotify: osc777\nkeys:\n  pause: p\n  quit: [Q, ctrl-c]\n").unwrap();
        assert_eq!((config.theme, config.mouse), (ThemeName::Night, false));
        assert_eq!(config.bell, Bell { sound: true, desktop: Desktop::Osc777 });
        assert_eq!(config.keymap.shown(Page::Fleet, Command::Pause), "p");
        assert_eq!(parse(&config.show()), Ok(config));
        assert_eq!(parse("# nothing\n\n"), Ok(Config::default()));
        assert_eq!(parse(&Config::default().show()), Ok(Config::default()));
    }

    #[test]
    fn commands_of_ones_own_are_checked_and_shown() {
        let text = "commands:\n  login:\n    key: ctrl-g\n    run: [ssh, \"{host}\"]\n    \
                    doc: its host\n    wait: false\n  journal: {run: [less, \"/log/{service} a\\\\b\"]}\n";
        let config = parse(text).unwrap();
        let names: Vec<_> = config.keymap.own().iter().map(|own| own.name.as_str()).collect();
        assert_eq!(names, ["journal", "login"]);
        assert_eq!(config.keymap.own_of("ctrl-g".parse().unwrap()), Some(1));
        assert_eq!(parse(&config.show()), Ok(config));
        let wrong = |text: &str| parse(text).unwrap_err();
        assert!(
            wrong("commands: {a: {run: [x], key: q}}").contains("bound to both `quit` and `a`")
        );
        // a key that means something on one page alone too
        assert!(
            wrong("commands: {a: {run: [x], key: w}}").contains("bound to both `wrap` and `a`")
        );
        assert!(
            wrong("commands: {a: {run: [x], key: ctrl-g}, b: {run: [x], key: ctrl-g}}")
                .contains("bound to both `a` and `b`")
        );
        assert!(wrong("commands: {a: {run: [x], shell: true}}").contains("unknown key"));
        assert!(wrong("commands: {a: {run: [x, \"{id}\"]}}").contains("`{id}` is unknown"));
    }

    #[test]
    fn the_handbooks_example_is_one() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/handbook/dashboard.md");
        let page = std::fs::read_to_string(page).unwrap();
        let examples: Vec<_> = page.split("```yaml\n").skip(1).collect();
        let example = examples.iter().find(|it| it.starts_with("commands:")).unwrap();
        let config = parse(example.split("```").next().unwrap()).unwrap();
        assert_eq!(config.keymap.own()[0].name, "login");
    }

    #[test]
    fn what_is_wrong_is_told_with_the_file() {
        let wrong = |text: &str| parse(text).unwrap_err();
        assert!(wrong("theme: pink").starts_with("console.yaml: `pink` is not a theme"));
        assert!(wrong("notify: mail").contains("osc9 or osc777 is expected"));
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
