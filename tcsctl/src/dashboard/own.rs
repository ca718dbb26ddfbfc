//! Commands of a person's own: `commands` in `console.yaml`. Each is a program with its arguments,
//! never a line for a shell.
//!
//! ```yaml
//! commands:
//!   login:
//!     key: ctrl-g
//!     run: [ssh, "{host}"]
//!     doc: log in on the host of the selected service
//!     wait: false
//! ```
//!
//! `{service}` and `{host}` stand for the selected service. What they stand for comes from the
//! network: it is part of the one argument in which it is written, whatever is in it. With a control
//! character in it, or where it would begin an argument with `-`, nothing is run.

use serde::Deserialize;
use tcs_core::config::Several;
use tcs_core::fleet::ServiceView;
use tcs_present::text::{is_hidden, shown};

use super::event::Program;
use super::key::{Key, NotAKey};
use super::keymap::table::find;

/// As written in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    key: Option<Several<String>>,
    run: Vec<String>,
    doc: String,
    wait: Option<bool>,
}

/// A command of a person's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCommand {
    /// As typed in the palette.
    pub name: String,
    /// Its keys; it may have none.
    pub keys: Vec<Key>,
    /// What it does, for people.
    pub doc: String,
    run: Vec<String>,
    wait: bool,
}

/// Why a command cannot be used as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OwnError {
    /// Its name is none, or taken.
    #[error(
        "`commands.{0}`: a name has lower-case letters, digits and `-`, and is not a built-in command"
    )]
    Name(String),
    /// It names no program.
    #[error(
        "`commands.{0}.run`: the program and its arguments are missing\nhint: run: [ssh, \"{{host}}\"]"
    )]
    Nothing(String),
    /// The program itself would come from the network.
    #[error("`commands.{0}.run`: the program itself cannot be a placeholder")]
    Program(String),
    /// Braces that stand for nothing.
    #[error("`commands.{name}.run`: `{{{placeholder}}}` is unknown: write {{service}} or {{host}}")]
    Placeholder {
        /// Which command.
        name: String,
        /// What is in the braces.
        placeholder: String,
    },
    /// Something in it acts on a terminal.
    #[error("`commands.{0}`: control characters are not accepted")]
    Control(String),
    /// The text does not name a key.
    #[error("`commands.{name}.key`: {source}")]
    Key {
        /// Which command.
        name: String,
        /// What is wrong with it.
        source: NotAKey,
    },
}

/// What can be put into an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    Service,
    Host,
}

/// An argument, in pieces.
#[derive(Debug)]
enum Piece<'a> {
    Text(&'a str),
    Place(Placeholder),
}

/// The pieces of an argument; or what in its braces is unknown.
fn pieces(argument: &str) -> Result<Vec<Piece<'_>>, &str> {
    let mut pieces = Vec::new();
    let mut rest = argument;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((inside, behind)) = after.split_once('}') else { break };
        pieces.push(Piece::Text(before));
        pieces.push(Piece::Place(match inside {
            "service" => Placeholder::Service,
            "host" => Placeholder::Host,
            other => return Err(other),
        }));
        rest = behind;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

impl OwnCommand {
    /// Checks what is written.
    pub(super) fn new(name: &str, written: Written) -> Result<Self, OwnError> {
        let owned = || name.to_owned();
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(is_plain) || find(name).is_some() {
            return Err(OwnError::Name(shown(name).into_owned()));
        }
        let Written { key, run, doc, wait } = written;
        let Some(program) = run.first().filter(|program| !program.is_empty()) else {
            return Err(OwnError::Nothing(owned()));
        };
        if run.iter().chain([&doc]).any(|text| text.contains(is_hidden)) {
            return Err(OwnError::Control(owned()));
        }
        for argument in &run {
            if let Err(placeholder) = pieces(argument) {
                let placeholder = placeholder.to_owned();
                return Err(OwnError::Placeholder { name: owned(), placeholder });
            }
        }
        if pieces(program).is_ok_and(|it| it.len() > 1) {
            return Err(OwnError::Program(owned()));
        }
        let keys = key.iter().flat_map(|key| &key.items).map(|key| key.parse());
        let keys = keys
            .collect::<Result<Vec<Key>, NotAKey>>()
            .map_err(|source| OwnError::Key { name: owned(), source })?;
        let doc = if doc.is_empty() { format!("run {program}") } else { doc };
        Ok(Self { name: owned(), keys, doc, run, wait: wait.unwrap_or(true) })
    }

    /// Whether it is about the selected service.
    pub fn needs_service(&self) -> bool {
        self.run.iter().any(|argument| pieces(argument).is_ok_and(|pieces| pieces.len() > 1))
    }

    /// What is run about a service; or why nothing is.
    pub fn program(&self, service: Option<&ServiceView>) -> Result<Program, String> {
        let mut arguments = Vec::with_capacity(self.run.len());
        for argument in &self.run {
            let mut filled = String::new();
            for piece in pieces(argument).unwrap_or_default() {
                match piece {
                    Piece::Text(text) => filled.push_str(text),
                    Piece::Place(place) => {
                        let value = self.value(place, service)?;
                        if filled.is_empty() && value.starts_with('-') {
                            let value = shown(value);
                            return Err(format!(
                                "{}: `{value}` would be read as an option: not run",
                                self.name
                            ));
                        }
                        filled.push_str(value);
                    }
                }
            }
            arguments.push(filled);
        }
        Ok(Program { name: self.name.clone(), arguments, waits: self.wait })
    }

    fn value<'a>(
        &self,
        place: Placeholder,
        service: Option<&'a ServiceView>,
    ) -> Result<&'a str, String> {
        let name = &self.name;
        let service = service.ok_or_else(|| format!("{name}: no service selected"))?;
        let (what, value) = match place {
            Placeholder::Service => ("name", Some(&*service.id)),
            Placeholder::Host => ("host", service.host.as_deref()),
        };
        let known = value.filter(|value| !value.is_empty());
        let known =
            known.ok_or_else(|| format!("{name}: the host of {} is not known", service.id))?;
        if known.contains(is_hidden) {
            let known = shown(known);
            return Err(format!("{name}: the {what} `{known}` has control characters: not run"));
        }
        Ok(known)
    }

    /// Its entry as in the file.
    pub(super) fn show(&self) -> String {
        let list = |texts: &mut dyn Iterator<Item = String>| {
            texts.map(|text| quoted(&text)).collect::<Vec<_>>().join(", ")
        };
        format!(
            "  {}:\n    key: [{}]\n    run: [{}]\n    doc: {}\n    wait: {}\n",
            self.name,
            list(&mut self.keys.iter().map(ToString::to_string)),
            list(&mut self.run.iter().cloned()),
            quoted(&self.doc),
            self.wait
        )
    }
}

/// A text in YAML.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::tests::fixture::{night, observatory, state};

    fn written(run: &[&str]) -> Written {
        let run = run.iter().map(|it| (*it).to_owned()).collect();
        Written { run, ..Written::default() }
    }

    fn service(id: &str, host: Option<&str>) -> ServiceView {
        let state = state(observatory(), (80, 24), night());
        let mut service = state.picture.get("guider.jk15").unwrap().clone();
        service.id = id.into();
        service.host = host.map(Into::into);
        service
    }

    fn filled(run: &[&str], service: &ServiceView) -> Result<Vec<String>, String> {
        let own = OwnCommand::new("mine", written(run)).unwrap();
        own.program(Some(service)).map(|program| program.arguments)
    }

    #[test]
    fn each_placeholder_is_a_part_of_one_argument_whatever_is_in_it() {
        let guider = service("guider.jk15", Some("srv01.oca.lan"));
        let run = ["ssh", "op@{host}", "journal", "{service}@{host}", "{}x"];
        assert_eq!(
            OwnCommand::new("mine", written(&run)).unwrap_err().to_string(),
            "`commands.mine.run`: `{}` is unknown: write {service} or {host}"
        );
        assert_eq!(
            filled(&run[..4], &guider).unwrap(),
            ["ssh", "op@srv01.oca.lan", "journal", "guider.jk15@srv01.oca.lan"]
        );
        let evil = service("guider.jk15", Some("a b; rm -rf / $(x) {service}"));
        assert_eq!(filled(&["x", "{host}"], &evil).unwrap(), ["x", "a b; rm -rf / $(x) {service}"]);
    }

    #[test]
    fn what_the_network_says_is_no_option_and_acts_on_no_terminal() {
        let option = service("guider.jk15", Some("-oProxyCommand=sh"));
        let why = filled(&["ssh", "{host}"], &option).unwrap_err();
        assert!(why.contains("`-oProxyCommand=sh` would be read as an option"), "{why}");
        assert!(filled(&["ssh", "x@{host}"], &option).is_ok());
        let control = service("guider.jk15", Some("srv\u{1b}[2J\n01"));
        let why = filled(&["ssh", "op@{host}"], &control).unwrap_err();
        assert!(why.contains("has control characters") && !why.contains('\u{1b}'), "{why}");
        let nowhere = service("guider.jk15", None);
        assert!(filled(&["ssh", "{host}"], &nowhere).unwrap_err().contains("is not known"));
        let own = OwnCommand::new("mine", written(&["ssh", "{host}"])).unwrap();
        assert_eq!(own.program(None).unwrap_err(), "mine: no service selected");
        assert!(!OwnCommand::new("mine", written(&["htop"])).unwrap().needs_service());
    }

    #[test]
    fn what_is_written_wrong_is_told() {
        let wrong =
            |name: &str, run: &[&str]| OwnCommand::new(name, written(run)).unwrap_err().to_string();
        assert!(wrong("quit", &["x"]).contains("is not a built-in command"));
        assert!(wrong("My tool", &["x"]).contains("lower-case letters"));
        assert!(wrong("mine", &[]).contains("the program and its arguments are missing"));
        assert!(wrong("mine", &["{service}", "x"]).contains("cannot be a placeholder"));
        assert!(wrong("mine", &["x", "a\u{7}"]).contains("control characters"));
        let key = Some(Several { items: vec!["hyper-x".to_owned()], is_list: false });
        let written = Written { key, ..written(&["x"]) };
        assert!(OwnCommand::new("mine", written).unwrap_err().to_string().contains("is not a key"));
    }
}
