//! What came back when a service or a launcher was asked: a line each, more for what it holds.

pub(crate) mod reload;

use std::borrow::Cow;
use std::time::Duration;

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tcs_core::fleet::{format_duration, format_seconds};
use tcs_core::id::check_name;
use tcs_core::wire::control::{
    Done, OperationReply, Outcome, Partly, Reached, ReloadReply, command, read_reply,
};
use tcs_core::wire::text::one_line;
use tcs_core::wire::{Status, how_ended};
use tcs_present::{Line, Role, WIDEST, text};

use super::source;
use crate::exit::Exit;

/// Lines that are shown of a failure, beyond its first.
const MOST_ROWS: usize = 20;

/// Why there is no answer that could be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It lives, and is of a kind that answers nobody.
    #[error("{0} has no remote control")]
    NoRemoteControl(String),
    /// Nobody answers, or no longer.
    #[error("{0}")]
    NotReachable(String),
    /// There, and silent.
    #[error("{0}")]
    TimedOut(String),
    /// It said no, in its own words; shown on one line.
    #[error("{}", one_line(.0))]
    Refused(String),
}

impl Failure {
    /// With the lines of whoever said no.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Refused(text) => text.into(),
            Self::NoRemoteControl(_) | Self::NotReachable(_) | Self::TimedOut(_) => {
                self.to_string().into()
            }
        }
    }

    /// For scripts.
    const fn code(&self) -> &'static str {
        match self {
            Self::NoRemoteControl(_) => "no_remote_control",
            Self::NotReachable(_) => "not_reachable",
            Self::TimedOut(_) => "timed_out",
            Self::Refused(_) => "refused",
        }
    }

    /// What the shell is told.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NoRemoteControl(_) | Self::Refused(_) => Exit::No,
            Self::NotReachable(_) | Self::TimedOut(_) => Exit::NoContact,
        }
    }
}

/// One request and its result.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The service (or launcher) it is about.
    pub id: String,
    /// What was asked for.
    pub command: &'static str,
    /// Who was asked: the service itself, or its launcher. `None`: nobody could be.
    pub asked: Option<String>,
    /// From question to answer.
    pub took: Duration,
    /// The answer.
    pub outcome: Result<Map<String, Value>, Failure>,
}

impl Reply {
    /// What the shell is told. A reload that some services did not follow has failed.
    pub fn exit(&self) -> Exit {
        match &self.outcome {
            Ok(data) => match Answer::of(self.command, data).0 {
                Answer::Reload(reload) if reload.services.iter().any(|it| it.error.is_some()) => {
                    Exit::No
                }
                Answer::Operation(_)
                | Answer::Reload(_)
                | Answer::Called(_)
                | Answer::Commands(_)
                | Answer::Own(_) => Exit::Done,
            },
            Err(failure) => failure.exit(),
        }
    }
}

/// The data of a reply, as what was asked for has it.
enum Answer<'a> {
    Operation(OperationReply),
    Reload(ReloadReply),
    /// What a command of its own has answered.
    Called(&'a Map<String, Value>),
    /// The commands of its own.
    Commands(Vec<Offered>),
    /// What a service says of itself.
    Own(&'a Map<String, Value>),
}

impl<'a> Answer<'a> {
    /// With the paths of what cannot be read.
    fn of(asked: &str, data: &'a Map<String, Value>) -> (Self, Vec<String>) {
        match asked {
            command::START | command::STOP | command::RESTART => read(data, Self::Operation),
            command::RELOAD | command::PROFILE => read(data, Self::Reload),
            "call" => (Self::Called(data), Vec::new()),
            command::COMMANDS => read(data, |list: OfferedList| Self::Commands(list.commands)),
            _ => (Self::Own(data), Vec::new()),
        }
    }
}

fn read<'a, T: DeserializeOwned + Default>(
    data: &Map<String, Value>,
    answer: impl FnOnce(T) -> Answer<'a>,
) -> (Answer<'a>, Vec<String>) {
    let Partly { value, unread } = read_reply(data);
    (answer(value), unread)
}

/// The reply to `commands`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OfferedList {
    commands: Vec<Offered>,
}

/// A command that a service offers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Offered {
    name: String,
    /// As JSON Schema.
    parameters: Value,
}

/// The names of the commands that a service offers, in its reply to `commands`; without those that
/// nobody could type.
pub fn offered(data: &Map<String, Value>) -> Vec<String> {
    let list: OfferedList = read_reply(data).value;
    let names = list.commands.into_iter().map(|one| one.name);
    names.filter(|name| check_name("command", name).is_ok()).collect()
}

impl Offered {
    fn line(&self) -> Line {
        let name = if self.name.is_empty() { "?" } else { &self.name };
        let mut line = Line::new().with(Role::Text, &format!("  {name}"));
        let parameters = form(&self.parameters, LEVELS);
        if parameters != "{}" && !self.parameters.is_null() {
            line.push(Role::Dim, &format!("  {parameters}"));
        }
        line
    }
}

/// Levels of parameters that are shown.
const LEVELS: usize = 4;

/// A JSON Schema for people: `{count: integer, to?: string}`.
fn form(schema: &Value, levels: usize) -> String {
    if let Some(choice) = schema.get("enum").and_then(Value::as_array) {
        return choice.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|");
    }
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or("anything");
    let inner = |field: &str| schema.get(field).filter(|_| levels > 0);
    match kind {
        "array" => {
            inner("items").map_or("[...]".to_owned(), |it| format!("[{}]", form(it, levels - 1)))
        }
        "object" => {
            let Some(Value::Object(fields)) = inner("properties") else {
                return "{...}".to_owned();
            };
            let required = schema.get("required").and_then(Value::as_array);
            let is_required =
                |name: &str| required.is_some_and(|all| all.iter().any(|it| it == name));
            let field = |(name, value): (&String, &Value)| {
                let mark = if is_required(name) { "" } else { "?" };
                format!("{name}{mark}: {}", form(value, levels - 1))
            };
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        kind => kind.to_owned(),
    }
}

/// As JSON: `tcsctl.reply.v1`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "reply",
    title = "What `tcsctl start`, `stop`, `restart`, `reload`, `health`, `stats` and \
        `call` print with `--json`, one object per line",
    description = "One request and its result. Times are RFC 3339 in UTC; durations are in \
                   seconds. A later version of v1 only adds fields.",
    extend("$id" = "tcsctl.reply.v1")
)]
pub struct Object<'a> {
    #[schemars(extend("const" = "tcsctl.reply.v1"))]
    schema: &'static str,
    /// The service (of reload: the launcher) that it is about.
    id: &'a str,
    #[schemars(extend("enum" = ["start", "stop", "restart", "reload", "health", "stats", "commands", "call"]))]
    command: &'static str,
    /// Who was asked: the service itself or its launcher; null: nobody could be.
    asked: Option<&'a str>,
    #[serde(rename = "took_s", serialize_with = "source::seconds")]
    #[schemars(with = "f64")]
    took: Duration,
    /// Whether it was done, of a reload for all services.
    ok: bool,
    /// The answer as it came.
    data: Option<&'a Map<String, Value>>,
    error: Option<Trouble>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Trouble {
    #[schemars(extend("enum" = ["no_remote_control", "not_reachable", "timed_out", "refused"]))]
    code: &'static str,
    message: String,
}

impl<'a> Object<'a> {
    /// Of one reply.
    pub fn new(reply: &'a Reply) -> Self {
        let trouble =
            |failure: &Failure| Trouble { code: failure.code(), message: failure.text().into() };
        Self {
            schema: "tcsctl.reply.v1",
            id: &reply.id,
            command: reply.command,
            asked: reply.asked.as_deref(),
            took: reply.took,
            ok: reply.exit() == Exit::Done,
            data: reply.outcome.as_ref().ok(),
            error: reply.outcome.as_ref().err().map(trouble),
        }
    }
}

/// A line that says what came of it, by whom and how long it took; below it what the answer holds.
/// `names`: cells for the name; `width`: the terminal's.
pub fn lines(reply: &Reply, names: usize, width: Option<usize>) -> Vec<Line> {
    let mut head = Line::new().with(Role::Text, &reply.id);
    head.pad_to(names).push(Role::Text, "  ");
    let mut below = Vec::new();
    match &reply.outcome {
        Err(failure) => {
            let text = failure.text();
            // the name stands before it
            let own = text.strip_prefix(&reply.id).and_then(|rest| rest.strip_prefix(' '));
            let mut rows = own.unwrap_or(&text).lines();
            head.push(Role::Bad, rows.next().unwrap_or_default());
            // a mistake in a file has its place shown
            let more =
                rows.take(MOST_ROWS).map(|row| Line::new().with(Role::Bad, &format!("  {row}")));
            below.extend(more);
        }
        Ok(data) => {
            let (answer, unread) = Answer::of(reply.command, data);
            answered(&answer, &mut head, &mut below);
            below.extend(unreadable(&unread));
        }
    }
    if let Some(asked) = &reply.asked {
        let took = match TimeDelta::from_std(reply.took).unwrap_or_default() {
            short if short < TimeDelta::seconds(1) => format!("{} ms", short.num_milliseconds()),
            long => format_duration(long),
        };
        let by = match &reply.outcome {
            _ if *asked == reply.id => String::new(),
            Ok(_) => format!("answered by {asked}, "),
            Err(_) => format!("asked {asked}, "),
        };
        // who was asked is in the list too; what came of it is nowhere else
        let told = [format!("  ({by}{took})"), format!("  ({took})")];
        let fits = |told: &&String| {
            width.is_none_or(|width| head.width() + text::width(&text::shown(told)) <= width)
        };
        if let Some(told) = told.iter().find(fits) {
            head.push(Role::Dim, told);
        }
    }
    let mut lines = vec![head];
    lines.append(&mut below);
    lines
}

/// What an answer holds: beside the name, and below it.
fn answered(answer: &Answer<'_>, head: &mut Line, below: &mut Vec<Line>) {
    match answer {
        Answer::Operation(operation) => {
            let (role, words) = operated(operation);
            head.push(role, &words).push(Role::Text, &reached(&operation.outcome));
        }
        Answer::Reload(reload) => {
            let (role, words) = reload::head(reload);
            head.push(role, words);
            below.extend(reload.notes.iter().map(|it| reload::note(it)));
            below.extend(reload.services.iter().map(reload::service));
        }
        Answer::Called(data) => {
            head.push(Role::Good, "done");
            figures(data, "", below);
        }
        Answer::Commands(offered) => {
            head.push(Role::Text, if offered.is_empty() { "no commands" } else { "commands:" });
            below.extend(offered.iter().map(Offered::line));
        }
        Answer::Own(data) => {
            let (role, words) = own(data);
            head.push(role, &words);
            for field in ["checks", "stats"] {
                if let Some(Value::Object(inner)) = data.get(field) {
                    figures(inner, "", below);
                }
            }
        }
    }
}

/// What of an answer cannot be read.
fn unreadable(paths: &[String]) -> Option<Line> {
    let [first, rest @ ..] = paths else { return None };
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    Some(Line::new().with(Role::Warn, &format!("  not readable: {first}{more}")))
}

/// Cells for the names.
pub fn name_width<'a>(names: impl IntoIterator<Item = &'a str>) -> usize {
    names.into_iter().map(|name| text::width(&text::shown(name))).max().unwrap_or(0).min(WIDEST)
}

/// `started`; an aim that was reached before is said to be.
fn operated(reply: &OperationReply) -> (Role, String) {
    let done = reply.result.as_str();
    match reply.outcome.state {
        Some(Reached::Starting) => (Role::Moving, not_ready(reply.result)),
        _ if reply.changed => (Role::Good, done.to_owned()),
        _ => (Role::Text, format!("already {done}")),
    }
}

fn not_ready(done: Done) -> String {
    format!("{}, not ready yet", done.as_str())
}

/// `, pid 4711` or `, exit code 3`
fn reached(outcome: &Outcome) -> String {
    let pid = outcome.pid.map(|pid| format!(", pid {pid}"));
    let code = outcome.exit_code.filter(|code| *code != 0);
    let code = code.map(|code| format!(", {}", how_ended(code)));
    [pid, code].into_iter().flatten().collect()
}

/// What a service says of itself: its status, or how long it runs.
fn own(data: &Map<String, Value>) -> (Role, String) {
    if let Some(status) = data.get("status").and_then(Value::as_str) {
        let role = status.parse::<Status>().map_or(Role::Text, Role::from);
        let message = data.get("message").and_then(Value::as_str).filter(|it| !it.is_empty());
        let message = message.map(|message| format!(": {message}")).unwrap_or_default();
        return (role, format!("{status}{message}"));
    }
    let up = data.get("uptime_seconds").and_then(Value::as_f64);
    (Role::Text, format!("up {}", up.map_or_else(|| "?".to_owned(), format_seconds)))
}

/// Figures within figures by their path: `outbox.waiting`.
fn figures(map: &Map<String, Value>, above: &str, lines: &mut Vec<Line>) {
    for (name, value) in map {
        let path = format!("{above}{name}");
        match value {
            Value::Object(inner) => figures(inner, &format!("{path}."), lines),
            Value::String(word) => {
                let role = word.parse::<Status>().map_or(Role::Text, Role::from);
                lines.push(figure(&path).with(role, word));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                lines.push(figure(&path).with(Role::Text, &value.to_string()));
            }
        }
    }
}

fn figure(path: &str) -> Line {
    Line::new().with(Role::Dim, &format!("  {path}: "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failure_names_nobody_twice_and_shows_the_place_of_a_mistake() {
        let failed = |why: Failure| {
            let reply = Reply {
                id: "a.b".to_owned(),
                command: "reload",
                asked: Some("a.b".to_owned()),
                took: Duration::from_millis(4),
                outcome: Err(why),
            };
            lines(&reply, 3, Some(80)).iter().map(Line::plain).collect::<Vec<_>>()
        };
        let unreachable = Failure::NotReachable("a.b cannot be asked: it is lost".to_owned());
        assert_eq!(failed(unreachable), ["a.b  cannot be asked: it is lost  (4 ms)"]);
        let mistake = "s.yaml:2:1: error: unknown key\n  2 | x\u{1b}[2J\n    | ^";
        assert_eq!(
            failed(Failure::Refused(mistake.to_owned())),
            ["a.b  s.yaml:2:1: error: unknown key  (4 ms)", "    2 | x\\u{1b}[2J", "      | ^"]
        );
        let endless = "no\n".repeat(1000);
        assert!(failed(Failure::Refused(endless)).len() < 30);
    }

    #[test]
    fn a_wrong_entry_is_named_and_loses_no_other() {
        let told = |command, data: Value| {
            let Value::Object(data) = data else { unreachable!() };
            let (id, took) = ("a.b".to_owned(), Duration::ZERO);
            let reply = Reply { id, command, asked: None, took, outcome: Ok(data) };
            let lines = lines(&reply, 3, None);
            (reply.exit(), lines.iter().map(Line::plain).collect::<Vec<_>>())
        };
        let commands = json!({"commands": [{"name": "park"}, {"name": 5}, "x", {"name": "reset",
            "parameters": {"type": "object", "properties": {"why": {"type": "string"}}}}]});
        let offered = [
            "a.b  commands:",
            "  park",
            "  ?",
            "  reset  {why?: string}",
            "  not readable: commands[1].name and 1 more",
        ];
        assert_eq!(told("commands", commands), (Exit::Done, offered.map(str::to_owned).to_vec()));
        let started = json!({"result": 5, "pid": "x", "exit_code": 1e308});
        let told_of = ["a.b  done", "  not readable: exit_code and 2 more"];
        assert_eq!(told("start", started), (Exit::Done, told_of.map(str::to_owned).to_vec()));
        let (_, absurd) = told("stats", json!({"uptime_seconds": 1e308}));
        assert_eq!(absurd, ["a.b  up ?"]);
    }
}
