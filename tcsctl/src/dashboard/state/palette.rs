//! The palette: what it offers for what is typed, what Tab makes of it, and what Enter does.

use std::borrow::Cow;
use std::sync::Arc;

use tcs_core::config::nearest;
use tcs_core::fleet::{Filter, ServiceView};
use tcs_present::by_host::Order;
use tcs_present::columns::Column;

use super::overlay::{Line, Overlay, Purpose, found};
use super::{Page, Stale, State};
use crate::dashboard::event::{Action, Operation};
use crate::dashboard::keymap::{Argument, Command, Entry, TABLE};
use crate::dashboard::theme::ThemeName;

/// Services offered at most.
const MOST: usize = 200;

/// A line of the palette.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is offered: the name of a command, or what stands behind it.
    pub text: String,
    /// What can be typed behind it: `TIME`.
    pub hint: &'static str,
    /// For people.
    pub doc: Cow<'static, str>,
    /// Its keys on this page.
    pub keys: String,
    /// Whether it does something here and now.
    pub is_valid: bool,
    does: Does,
}

/// What Enter does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Does {
    /// A command.
    Command(Command),
    /// A command, with what is typed behind its name.
    With(Command, String),
    /// The command of one's own with this number.
    Own(usize),
}

/// A command that takes something behind its name, and what is typed there.
pub fn with_argument(typed: &str) -> Option<(&'static Entry, Argument, &str)> {
    let (name, rest) = typed.trim_start().split_once(' ')?;
    let entry = TABLE.iter().find(|entry| entry.name == name)?;
    entry.command.argument().map(|argument| (entry, argument, rest.trim()))
}

impl State {
    /// What is offered for what is typed, the best first.
    pub fn choices(&self, typed: &str) -> Vec<Choice> {
        match with_argument(typed) {
            Some((entry, argument, rest)) => self.arguments(entry, argument, rest),
            None => self.commands(typed.trim()),
        }
    }

    fn commands(&self, typed: &str) -> Vec<Choice> {
        let keymap = &self.options.keymap;
        let own = keymap.own().iter().enumerate();
        let own = own.filter(|(_, own)| own.name.contains(typed) && !typed.is_empty());
        let own = own.map(|(i, own)| {
            let keys: Vec<_> = own.keys.iter().map(ToString::to_string).collect();
            Choice {
                text: own.name.clone(),
                hint: "",
                doc: own.doc.clone().into(),
                keys: keys.join(" "),
                is_valid: !own.needs_service() || self.table.chosen().is_some(),
                does: Does::Own(i),
            }
        });
        let known = found(typed).into_iter().map(|entry| Choice {
            text: entry.name.to_owned(),
            hint: entry.command.argument().map_or("", Argument::as_str),
            doc: entry.doc.into(),
            keys: keymap.shown(self.page, entry.command),
            is_valid: self.is_valid(entry.command),
            does: Does::Command(entry.command),
        });
        own.chain(known).collect()
    }

    fn arguments(&self, entry: &'static Entry, argument: Argument, rest: &str) -> Vec<Choice> {
        let choice = |text: &str, doc: Cow<'static, str>| Choice {
            text: text.to_owned(),
            hint: "",
            doc,
            keys: String::new(),
            is_valid: true,
            does: Does::With(entry.command, text.to_owned()),
        };
        let words = |words: &mut dyn Iterator<Item = &str>| {
            let fits = words.filter(|word| word.contains(rest));
            fits.map(|word| choice(word, entry.doc.into())).collect::<Vec<_>>()
        };
        match argument {
            Argument::Time | Argument::Filter => vec![choice(rest, entry.doc.into())],
            Argument::Theme => words(&mut ThemeName::ALL.iter().map(|theme| theme.as_str())),
            Argument::View => words(&mut Order::ALL.iter().map(|order| order.as_str())),
            Argument::Column => {
                let usage = self.table.shows_usage;
                let sorts = |it: &&Column| it.layout().sorts && it.is_shown(usage);
                let names: Vec<String> =
                    Column::ALL.iter().filter(sorts).map(|it| column_name(*it)).collect();
                words(&mut names.iter().map(String::as_str))
            }
            Argument::Host => named(self.hosts_to_maintain(), rest, choice),
            Argument::Maintenance => named(self.maintenances(), rest, choice),
            Argument::Profile => named(self.profiles.offered(), rest, choice),
            Argument::Service => {
                let rest = rest.to_lowercase();
                // launchers are neither operated, nor have they output
                let with_launchers = matches!(entry.command, Command::Open | Command::Why);
                let mut fits: Vec<(bool, &ServiceView)> = Vec::new();
                for service in &self.picture.services {
                    let id = service.id.to_lowercase();
                    if id.contains(&rest) && (with_launchers || !service.is_launcher) {
                        fits.push((!id.starts_with(&rest), service));
                    }
                }
                fits.sort_by_key(|(is_inside, service)| (*is_inside, service.verdict));
                let offered = fits.into_iter().take(MOST).map(|(_, service)| {
                    let host = service.short_host().map(|host| format!(" @{host}"));
                    let doc = format!("{}{}", service.verdict, host.unwrap_or_default());
                    choice(&service.id, doc.into())
                });
                offered.collect()
            }
        }
    }

    /// Completes what is typed to the chosen line.
    pub(super) fn complete(&mut self) {
        let Some(Overlay::Palette { line, choice }) = &self.overlay else { return };
        let typed = line.text().to_owned();
        let Some(chosen) = self.choices(&typed).into_iter().nth(*choice) else { return };
        let text = match (&chosen.does, with_argument(&typed)) {
            (Does::With(command, text), _) => format!("{} {text}", command.entry().name),
            (_, _) if chosen.hint.is_empty() => chosen.text,
            _ => format!("{} ", chosen.text),
        };
        self.overlay = Some(Overlay::Palette { line: Line::new(&text), choice: 0 });
    }

    /// Takes a line of the palette.
    pub(super) fn pick_in_palette(&mut self, choice: usize) -> Vec<Action> {
        let Some(Overlay::Palette { line, .. }) = &self.overlay else { return Vec::new() };
        let typed = line.text().to_owned();
        let Some(chosen) = self.choices(&typed).into_iter().nth(choice) else {
            if let Some((_, argument, rest)) = with_argument(&typed) {
                self.enter_profile_later();
                self.tell(self.unknown(argument, rest), !self.profiles.is_awaited());
            }
            return Vec::new();
        };
        match chosen.does {
            Does::Command(command) => {
                self.overlay = None;
                self.command(command)
            }
            Does::Own(number) => {
                self.overlay = None;
                self.run_own(number)
            }
            Does::With(command, argument) => match self.command_with(command, &argument) {
                Ok(actions) => {
                    if matches!(self.overlay, Some(Overlay::Palette { .. })) {
                        self.overlay = None;
                    }
                    actions
                }
                // what cannot be understood stays typed
                Err(why) => {
                    self.tell(why, true);
                    Vec::new()
                }
            },
        }
    }

    fn unknown(&self, argument: Argument, typed: &str) -> String {
        if let Some(why) = self.nothing_offered(argument) {
            return why;
        }
        let what = argument.as_str().to_lowercase();
        let ids = self.picture.services.iter().map(|service| &*service.id);
        match nearest(typed, ids).filter(|_| argument == Argument::Service) {
            Some(near) => format!("`{typed}` is not a {what}; did you mean {near}?"),
            None => format!("`{typed}` is not a {what}"),
        }
    }

    /// Why nothing is offered for an argument, whatever is typed.
    pub fn nothing_offered(&self, argument: Argument) -> Option<String> {
        match argument {
            Argument::Profile => self.profiles.nothing_offered(),
            Argument::Maintenance if self.maintenances().is_empty() => {
                Some("no service is stopped for a maintenance".to_owned())
            }
            _ => None,
        }
    }

    /// Does a command with what is typed behind its name.
    fn command_with(&mut self, command: Command, argument: &str) -> Result<Vec<Action>, String> {
        match command {
            Command::At => return self.travel_to_typed(argument),
            Command::Filter => {
                self.table.filter = Filter::parse(argument).map_err(|error| error.to_string())?;
                self.leave_page();
            }
            Command::Theme => {
                self.theme = ThemeName::find(argument).unwrap_or(self.theme);
            }
            Command::Sort => {
                let column = Column::ALL.into_iter().find(|it| column_name(*it) == argument);
                self.table.reverse = false;
                self.table.sort = column.unwrap_or(self.table.sort);
                self.leave_page();
            }
            Command::View => {
                let view = Order::ALL.into_iter().find(|order| order.as_str() == argument);
                self.table.view = view.unwrap_or(self.table.view);
                self.leave_page();
            }
            command @ (Command::Maintenance | Command::EndMaintenance | Command::Profile) => {
                let any: Arc<str> = argument.into();
                if let Some(why) = self.refusal_of(command, Some(&any)) {
                    return Err(why.into_owned());
                }
                match command {
                    Command::Maintenance => self.ask_for_maintenance(Some(argument)),
                    Command::EndMaintenance => self.ask_for_end_of_maintenance(argument),
                    _ => return Ok(self.plan_profile(argument)),
                }
            }
            command => {
                let id: Arc<str> = argument.into();
                if let Some(why) = self.refusal_of(command, Some(&id)) {
                    return Err(why.into_owned());
                }
                let operation = match command {
                    Command::StopForWork => {
                        self.ask_for_work_on(vec![id], false);
                        return Ok(Vec::new());
                    }
                    Command::Start => Operation::Start,
                    Command::Stop => Operation::Stop,
                    Command::Restart => Operation::Restart,
                    command => {
                        self.problems.focus = false;
                        self.table.reveal(&id, &self.picture);
                        self.table.choose_service(id, &self.picture, self.rows());
                        self.stale = Stale::Now;
                        // opened from anywhere, and never closed
                        self.page = Page::Fleet;
                        return Ok(self.command(command));
                    }
                };
                // not those that are marked
                self.ask_about(Purpose::Request, operation, vec![id], false);
            }
        }
        Ok(Vec::new())
    }

    /// Runs a command of one's own for the selected service.
    pub(super) fn run_own(&mut self, number: usize) -> Vec<Action> {
        if self.options.read_only {
            self.tell("read-only: commands of console.yaml are disabled", true);
            return Vec::new();
        }
        let Some(own) = self.options.keymap.own().get(number) else { return Vec::new() };
        match own.program(self.chosen()) {
            Ok(program) => vec![Action::Run(program)],
            Err(why) => {
                self.tell(why, true);
                Vec::new()
            }
        }
    }
}

/// Those of these names that hold what is typed.
fn named(
    all: Vec<(Arc<str>, String)>,
    rest: &str,
    choice: impl Fn(&str, Cow<'static, str>) -> Choice,
) -> Vec<Choice> {
    let mut fits: Vec<_> = all.into_iter().filter(|(name, _)| name.contains(rest)).collect();
    fits.sort_by_key(|(name, _)| (**name != *rest, !name.starts_with(rest)));
    fits.into_iter().map(|(name, doc)| choice(&name, doc.into())).collect()
}

/// A column's title as it is typed.
fn column_name(column: Column) -> String {
    column.layout().title.to_lowercase().replace(' ', "-")
}
