//! What the commands that ask share: whom a name means, the question, and what became of it.

mod gone;

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use serde_json::{Map, Value};
use tcs_core::bus::Bus;
use tcs_core::bus::rpc::RequestError;
use tcs_core::clock;
use tcs_core::config::nearest;
use tcs_core::fleet::{FleetView, IntervalSource, ServiceView, Verdict, format_duration};
use tcs_core::id::check_name;
use tcs_core::wire::control::command;
use tcs_core::wire::text::one_line;

use self::gone::Gone;
use super::list::parse;
use super::picture::{self, Picture};
use super::session::{Ended, LEAST, Session, interrupted};
use crate::exit::Exit;
use crate::output::Source;
use crate::output::reply::{self, Failure, Object, Reply};

/// Questions under way at once; a launcher works on as many.
const AT_ONCE: usize = 16;
/// Who is asked for something that may take longer than this is watched meanwhile.
const LONG: Duration = Duration::from_mins(2);
/// How often the time waited so far is shown.
const TELL: Duration = Duration::from_millis(500);

/// How many commands are named if the one typed is not offered.
const SHOWN: usize = 20;
/// Appended to the error if a request that changes something was not answered.
const PERHAPS: &str = "; the request may still take effect";

/// The fleet as it is, and the connection to ask over.
pub(super) struct Remote<'a> {
    pub(super) session: &'a Session,
    pub(super) bus: Bus,
    pub(super) view: FleetView,
    source: Source,
    gone: OnceLock<Gone>,
}

/// How long answers may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    /// Each of them.
    Each(Duration),
    /// All together, from now on.
    All(Duration),
}

/// One question.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// What it is about.
    pub(super) id: String,
    /// As the shell knows it: `stop`.
    pub(super) command: &'static str,
    /// Who is asked; or why nobody is.
    pub(super) whom: Result<String, Failure>,
    /// The end of the subject: `stop.guider.jk15`.
    pub(super) call: String,
    /// Parameters.
    pub(super) data: Value,
    /// Whether it changes something.
    pub(super) acts: bool,
}

impl<'a> Remote<'a> {
    /// Connects, and reads the picture of now.
    pub(super) async fn new(session: &'a Session) -> Result<Self, Ended> {
        let Picture { bus, view, source, .. } =
            picture::take(session, &picture::Want::default()).await?;
        Ok(Self { session, bus, view, source, gone: OnceLock::new() })
    }

    /// The error that nothing has this name, or, if the picture was not read, that it is not known.
    pub(super) fn nothing(&self, typed: &str) -> Ended {
        self.nobody(&format!(
            "no service matches `{}`\nhint: tcsctl --all lists them",
            one_line(typed)
        ))
    }

    /// The error `message`, that nothing was found, or, if the picture was not read, that this is
    /// not known.
    pub(super) fn nobody(&self, message: &str) -> Ended {
        if !self.source.answered {
            self.source.warn(&self.session.screen);
            return Ended::new(Exit::NoContact, "the fleet could not be read");
        }
        Ended::new(Exit::No, message)
    }

    /// Asks services themselves: the one of this name, or all running ones that match. A whole name
    /// is asked for also where no stream tells of it.
    pub(super) async fn ask_services(
        &self,
        typed: &str,
        command: &'static str,
        json: bool,
    ) -> Result<ExitCode, Ended> {
        let ids = if self.view.get(typed).is_some() {
            vec![typed.to_owned()]
        } else {
            let filter = parse(Some(typed))?;
            let up = |service: &&ServiceView| service.phase.is_up() && filter.matches(service);
            self.view.services.iter().filter(up).map(|service| service.id.to_string()).collect()
        };
        let ids = match ids {
            none if none.is_empty() => {
                if self.source.answered || check_name("service", typed).is_err() {
                    return Err(self.nothing(typed));
                }
                vec![typed.to_owned()]
            }
            ids => ids,
        };
        let question = |id: String| Question {
            whom: Ok(id.clone()),
            id,
            command,
            call: command.to_owned(),
            data: Value::Object(Map::new()),
            acts: false,
        };
        let questions = ids.into_iter().map(question).collect();
        self.ask_all(questions, Limit::All(self.session.left()), json).await
    }

    /// What is left of the time-out, if somebody has set one; else each answer may take `own`.
    pub(super) fn limit(&self, own: Duration) -> Limit {
        match self.session.connection.timeout {
            Some(_) => Limit::All(self.session.left()),
            None => Limit::Each(own),
        }
    }

    /// Asks them all, and prints each answer as it comes, in their order.
    pub(super) async fn ask_all(
        &self,
        questions: Vec<Question>,
        limit: Limit,
        json: bool,
    ) -> Result<ExitCode, Ended> {
        let screen = &self.session.screen;
        let names = reply::name_width(questions.iter().map(|one| one.id.as_str()));
        let all = questions.len();
        let mut left = questions.clone().into_iter();
        let mut waiting = left.next();
        let start = clock::monotonic();
        let ask = |question| async move {
            let limit = match limit {
                Limit::Each(limit) => limit,
                Limit::All(limit) => limit.saturating_sub(start.elapsed()).max(LEAST),
            };
            self.ask(question, limit).await
        };
        let mut replies = stream::iter(questions).map(ask).buffered(AT_ONCE).boxed();
        let mut tell = tokio::time::interval_at((start + TELL).into(), TELL);
        let mut exit = Exit::Done;
        let mut done = 0;
        let ended = interrupted();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                reply = replies.next() => {
                    screen.progress(None);
                    let Some(reply) = reply else { return Ok(exit.into()) };
                    exit = exit.max(reply.exit());
                    if json {
                        screen.print_json(&Object::new(&reply), false)?;
                    } else {
                        screen.print(&reply::lines(&reply, names, screen.look.width))?;
                    }
                    waiting = left.next();
                    done += 1;
                }
                _ = tell.tick() => if let Some(Question { whom: Ok(whom), .. }) = &waiting {
                    let since = span(clock::monotonic() - start);
                    let what = what(waiting.as_ref(), done, all);
                    screen.progress(Some(&format!("{what}: waiting {since} for {whom}")));
                },
                () = &mut ended => {
                    screen.progress(None);
                    let acts = waiting.as_ref().is_some_and(|question| question.acts);
                    let perhaps = if acts { PERHAPS } else { "" };
                    let what = what(waiting.as_ref(), done, all);
                    let message = format!("{what}: interrupted{perhaps}");
                    return Err(Ended::new(Exit::NoContact, message));
                }
            }
        }
    }

    /// Asks them all, in their order, and prints nothing.
    pub(super) async fn ask_silently(
        &self,
        questions: Vec<Question>,
        limit: Duration,
    ) -> Vec<Reply> {
        let ask = |question| self.ask(question, limit);
        stream::iter(questions).map(ask).buffered(AT_ONCE).collect().await
    }

    /// Asks once.
    pub(super) async fn ask(&self, question: Question, limit: Duration) -> Reply {
        let Question { id, command, whom, call, data, acts } = question;
        let whom = match whom {
            Ok(whom) => whom,
            Err(failure) => {
                let (asked, took) = (None, Duration::ZERO);
                return Reply { id, command, asked, took, outcome: Err(failure) };
            }
        };
        let start = clock::monotonic();
        let outcome = tokio::select! {
            outcome = self.bus.request(&whom, &call, &data, limit) => match outcome {
                Err(RequestError::NotReachable { .. }) if command == "call" => {
                    Err(self.not_offered(&whom, &call, limit).await)
                }
                outcome => outcome.map_err(|error| self.failure(&whom, error, acts)),
            },
            why = self.gone(&whom, limit) => {
                let perhaps = if acts { PERHAPS } else { "" };
                Err(Failure::NotReachable(format!("{why}{perhaps}")))
            }
        };
        let took = clock::monotonic().saturating_duration_since(start);
        Reply { id, command, asked: Some(whom), took, outcome }
    }

    /// Why a launcher can no longer answer, once that is so. Only who is waited for long is watched.
    async fn gone(&self, launcher: &str, limit: Duration) -> String {
        if limit <= LONG {
            return std::future::pending().await;
        }
        self.gone.get_or_init(|| Gone::follow(self.bus.clone(), &self.view)).of(launcher).await
    }

    /// Why nobody answers to a command of its own: whoever answers at all says which there are.
    async fn not_offered(&self, whom: &str, command: &str, limit: Duration) -> Failure {
        let nothing = Map::<String, Value>::new();
        let Ok(list) = self.bus.request(whom, command::COMMANDS, &nothing, limit).await else {
            return self.unreachable(whom);
        };
        let offered = reply::offered(&list);
        let near = nearest(command, offered.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
        let more = offered.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let offered = offered.into_iter().take(SHOWN).collect::<Vec<_>>();
        let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
        Failure::Refused(format!("no command `{command}`{near}; it offers {offered}{more}"))
    }

    /// In words, with what is known of who was asked.
    pub(super) fn failure(&self, whom: &str, error: RequestError, acts: bool) -> Failure {
        let perhaps = if acts { PERHAPS } else { "" };
        match error {
            RequestError::NotReachable { .. } => self.unreachable(whom),
            RequestError::TimedOut { after, .. } => {
                Failure::TimedOut(format!("{whom} did not answer in {}{perhaps}", span(after)))
            }
            RequestError::Refused(why) => Failure::Refused(why),
            RequestError::Disconnected => {
                Failure::NotReachable(format!("the connection was lost{perhaps}"))
            }
            error @ (RequestError::Denied(_) | RequestError::Unreadable { .. }) => {
                Failure::NotReachable(error.to_string())
            }
        }
    }

    /// Nobody listens there. What beats without telling its interval is the Python framework's,
    /// which answers nobody (`docs/spec/wire.md#requests`); nor does a program that a launcher
    /// speaks for.
    fn unreachable(&self, whom: &str) -> Failure {
        let Some(service) = self.view.get(whom) else {
            return Failure::NotReachable(format!("{whom} cannot be asked: it is not known"));
        };
        let alive = service.phase.is_up() && service.verdict != Verdict::Lost;
        let spoken_for = service.record.status().is_some_and(|kept| kept.message.by_launcher());
        if alive && (spoken_for || service.interval_source != IntervalSource::Said) {
            return Failure::NoRemoteControl(whom.to_owned());
        }
        let verdict = service.verdict;
        Failure::NotReachable(if alive {
            format!("{whom} does not answer, though it is {verdict}")
        } else {
            format!("{whom} cannot be asked: it is {verdict}")
        })
    }
}

/// The data of a request.
pub(super) fn parameters(request: &impl Serialize) -> Value {
    // these are structs of plain fields, which always have a form in JSON
    serde_json::to_value(request).unwrap_or_default()
}

/// `restart guider.jk15 (3 of 10)`
fn what(question: Option<&Question>, done: usize, all: usize) -> String {
    let asked = question.map_or_else(String::new, |one| format!("{} {}", one.command, one.id));
    if all > 1 { format!("{asked} ({} of {all})", done + 1) } else { asked }
}

/// `1.2 s`
pub(super) fn span(span: Duration) -> String {
    format_duration(TimeDelta::from_std(span).unwrap_or_default())
}
