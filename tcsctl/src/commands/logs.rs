//! `tcsctl logs`: what services have written, as their launchers hold it, and as it comes; that of
//! several services in the order of time.

mod follow;

use std::collections::{BTreeSet, HashMap};
use std::process::ExitCode;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, stream};
use tcs_core::clock;
use tcs_core::fleet::{Phase, ServiceView};
use tcs_core::wire::control::{LogLine, LogRun, LogsReply};
use tcs_present::logs::{Object, line, separator};
use tcs_present::{Line, Role, text};

use super::list::parse;
use super::operate::whom;
use super::remote::Remote;
use super::session::{Ended, Session, finished};
use crate::cli::LogsArgs;
use crate::exit::Exit;
use crate::logs::{self, LEASE, LogsWanted, Told};
use crate::output::Word;
use crate::output::reply::Failure;

/// Services whose output is read together.
const MOST: usize = 200;
/// Launchers asked at once.
const AT_ONCE: usize = 16;
/// Lines that are asked for, of all services together, when some may have been missed.
const MISSED: u32 = 1000;
/// A clock may be ahead by so much.
const AHEAD: TimeDelta = TimeDelta::minutes(1);

pub(super) async fn run(session: &Session, args: &LogsArgs) -> Result<ExitCode, Ended> {
    let ended = finished();
    tokio::select! {
        result = read(session, args) => result,
        () = ended => Ok(Exit::Done.into()),
    }
}

async fn read(session: &Session, args: &LogsArgs) -> Result<ExitCode, Ended> {
    let remote = Remote::new(session).await?;
    let mut sources = Vec::new();
    for service in chosen(&remote, &args.service)? {
        let whom = whom(&remote, service).map_err(|failure| failed(&failure))?;
        let is_new = service.phase == Phase::Declared;
        let host = service.host.as_ref().and_then(|host| remote.view.hosts.get(host));
        let skew = host.and_then(|host| host.skew).unwrap_or_default();
        sources.push(Source { id: service.id.to_string(), whom, is_new, skew });
    }
    let reader = Reader::new(&remote, args, sources);
    if args.follow { follow::follow(reader).await } else { reader.once().await }
}

fn failed(failure: &Failure) -> Ended {
    Ended::new(failure.exit(), failure.to_string())
}

/// The services that are meant.
fn chosen<'a>(remote: &'a Remote<'_>, typed: &str) -> Result<Vec<&'a ServiceView>, Ended> {
    if let Some(service) = remote.view.get(typed) {
        if service.is_launcher {
            let text = format!(
                "{} is a launcher; read its log on its host: journalctl -u tcsd",
                service.id
            );
            return Err(Ended::new(Exit::No, text));
        }
        return Ok(vec![service]);
    }
    let filter = parse(Some(typed))?;
    let matches = |service: &&ServiceView| !service.is_launcher && filter.matches(service);
    let found: Vec<_> = remote.view.services.iter().filter(matches).collect();
    // what no launcher runs has no output that anybody holds
    let managed: Vec<_> = found.iter().copied().filter(|service| service.managed).collect();
    match (found.len(), managed.len()) {
        (0, _) => Err(remote.nothing(typed)),
        (1, _) => Ok(found),
        (_, 0) => Err(Ended::new(Exit::No, format!("no launcher runs what matches `{typed}`"))),
        (_, n) if n > MOST => {
            let message = format!(
                "`{typed}` matches {n} services; {MOST} at most can be read together\n\
                 hint: narrow it, for example with host: or launcher:"
            );
            Err(Ended::new(Exit::Usage, message))
        }
        _ => Ok(managed),
    }
}

/// A service whose output is read.
struct Source {
    id: String,
    /// Its launcher.
    whom: String,
    /// It is declared, and nobody has seen it run.
    is_new: bool,
    /// The broker's time minus that of its host.
    skew: TimeDelta,
}

/// Reads and prints.
struct Reader<'a> {
    remote: &'a Remote<'a>,
    args: &'a LogsArgs,
    sources: Vec<Source>,
    /// Cells of a name before its line; 0: of one service no name is printed.
    names: usize,
    /// The run of the last line printed, by service.
    last_runs: HashMap<String, u64>,
    runs: HashMap<String, Vec<LogRun>>,
    /// What was printed, by source.
    told: Vec<Told>,
    /// A launcher did not say what was missed.
    is_behind: bool,
}

impl<'a> Reader<'a> {
    fn new(remote: &'a Remote<'a>, args: &'a LogsArgs, sources: Vec<Source>) -> Self {
        let widths = sources.iter().map(|it| text::width(&text::shown(&it.id)));
        let names = if sources.len() > 1 { widths.max().unwrap_or_default().min(40) } else { 0 };
        let (last_runs, runs) = (HashMap::new(), HashMap::new());
        let told = sources.iter().map(|_| Told::default()).collect();
        Self { remote, args, sources, names, last_runs, runs, told, is_behind: false }
    }

    /// The last lines that a launcher holds; `lease`: for how many seconds it sends live ones.
    async fn held(&self, source: &Source, lines: u32, lease: u64) -> Result<LogsReply, Failure> {
        let Remote { bus, session, .. } = self.remote;
        let is_narrowed = self.args.level.is_some() || self.args.stream.is_some();
        // what is left out then is left out here
        let lines = if is_narrowed && lines > 0 { u64::MAX } else { lines.into() };
        let wanted = LogsWanted { lines, lease, run: self.args.run };
        let held = logs::held(bus, &source.whom, &source.id, wanted, session.left()).await;
        held.map_err(|error| self.remote.failure(&source.whom, error, false))
    }

    /// Asks all launchers.
    async fn ask_all(&self, lines: u32, lease: u64) -> Vec<(usize, Result<LogsReply, Failure>)> {
        let ask = |(i, source)| async move { (i, self.held(source, lines, lease).await) };
        stream::iter(self.sources.iter().enumerate()).map(ask).buffered(AT_ONCE).collect().await
    }

    /// Prints the lines that launchers hold; returns the worst exit code.
    async fn once(mut self) -> Result<ExitCode, Ended> {
        let replies = self.ask_all(self.args.lines, 0).await;
        Ok(self.print_held(replies)?.into())
    }

    /// Prints what launchers hold, in the order of time. One service that cannot be read, or has no
    /// output, ends it; of several it is told.
    fn print_held(
        &mut self,
        replies: Vec<(usize, Result<LogsReply, Failure>)>,
    ) -> Result<Exit, Ended> {
        let screen = &self.remote.session.screen;
        let is_one = self.sources.len() == 1;
        let mut exit = Exit::Done;
        let mut lines = Vec::new();
        for (i, reply) in replies {
            let source = &self.sources[i];
            let told = match reply {
                Ok(reply) => {
                    let never = never(source, &reply, self.args);
                    self.runs.insert(source.id.clone(), reply.runs);
                    lines.extend(self.told[i].held(reply.lines).into_iter().map(|line| (i, line)));
                    never
                }
                Err(failure) if is_one => return Err(failed(&failure)),
                Err(failure) => {
                    exit = exit.max(failure.exit());
                    Some((failure.exit(), failure.to_string()))
                }
            };
            match told {
                Some((exit, text)) if is_one && !self.args.follow => {
                    return Err(Ended::new(exit, text));
                }
                Some((_, text)) => screen.tell(Word::Warning, &text),
                None => {}
            }
        }
        self.print_last(lines, self.args.lines as usize)?;
        if !self.args.follow {
            self.print_last_ends()?;
        }
        Ok(exit)
    }

    /// Prints the last `most` lines of those that are wanted, in the order of time.
    fn print_last(&mut self, mut lines: Vec<(usize, LogLine)>, most: usize) -> Result<(), Ended> {
        lines.retain(|(_, line)| self.is_wanted(line));
        self.sort(&mut lines);
        let skip = lines.len().saturating_sub(most);
        lines[skip..].iter().try_for_each(|(i, line)| self.print(*i, line))
    }

    /// Prints what launchers hold and did not come live.
    async fn catch_up(&mut self) -> Result<(), Ended> {
        let each = MISSED / u32::try_from(self.sources.len()).unwrap_or(MISSED);
        let replies = self.ask_all(each.max(self.args.lines).max(1), LEASE).await;
        self.is_behind = replies.iter().any(|(_, reply)| reply.is_err());
        let mut lines = Vec::new();
        for (i, reply) in replies {
            let Ok(reply) = reply else { continue };
            self.runs.insert(self.sources[i].id.clone(), reply.runs);
            lines.extend(self.told[i].held(reply.lines).into_iter().map(|line| (i, line)));
        }
        self.print_last(lines, usize::MAX)
    }

    /// Prints a line that came live, unless it was printed before.
    fn print_live(&mut self, i: usize, line: LogLine) -> Result<(), Ended> {
        match self.told[i].live(line) {
            Some(line) if self.is_wanted(&line) => self.print(i, &line),
            Some(_) | None => Ok(()),
        }
    }

    /// Sorts lines by time, and tells which launchers have dated some in the future.
    fn sort(&self, lines: &mut [(usize, LogLine)]) {
        let skews: Vec<TimeDelta> = self.sources.iter().map(|source| source.skew).collect();
        let wrong = sort_by_time(lines, &skews, self.remote.view.now + AHEAD);
        let whom: BTreeSet<&str> = wrong.iter().map(|i| &*self.sources[*i].whom).collect();
        for whom in whom.into_iter().filter(|_| self.sources.len() > 1) {
            let text = format!(
                "{whom}: dates output in the future; those lines come first (is the clock of its host wrong?)"
            );
            self.remote.session.screen.tell(Word::Warning, &text);
        }
    }

    fn is_wanted(&self, line: &LogLine) -> bool {
        self.args.level.is_none_or(|level| line.level >= level.into())
            && self.args.stream.is_none_or(|stream| line.stream == Some(stream.into()))
    }

    /// Prints a line; before the first one of another run, how the run before ended.
    fn print(&mut self, i: usize, log: &LogLine) -> Result<(), Ended> {
        let screen = &self.remote.session.screen;
        let id = &self.sources[i].id;
        if self.args.json {
            screen.print_json(&Object::new(id, log), false)?;
            return Ok(());
        }
        let at = |time| screen.look.times.stamp(time, clock::wall());
        if let Some(run) = log.run {
            let before = self.last_runs.insert(id.clone(), run).filter(|before| *before != run);
            if let Some(before) = before {
                let end =
                    self.runs.get(id).and_then(|runs| runs.iter().find(|it| it.run == before));
                self.print_line(i, separator(before, end, at))?;
            }
        }
        self.print_line(i, line(log, at, true))
    }

    /// Prints how each ended run ended, below its last line.
    fn print_last_ends(&self) -> Result<(), Ended> {
        let screen = &self.remote.session.screen;
        if self.args.json {
            return Ok(());
        }
        let at = |time| screen.look.times.stamp(time, clock::wall());
        for (i, source) in self.sources.iter().enumerate() {
            let Some(run) = self.last_runs.get(&source.id) else { continue };
            let runs = self.runs.get(&source.id).into_iter().flatten();
            if let Some(end) = runs.into_iter().find(|end| end.run == *run) {
                self.print_line(i, separator(*run, Some(end), at))?;
            }
        }
        Ok(())
    }

    /// Prints a line, with the service's name in front if there are several services.
    fn print_line(&self, i: usize, rest: Line) -> Result<(), Ended> {
        let mut line = Line::new();
        if self.names > 0 {
            let name = text::cut_middle(&text::shown(&self.sources[i].id), self.names);
            line.push(Role::Strong, &name).pad_to(self.names + 2);
        }
        line.extend(rest);
        self.remote.session.screen.print([&line])?;
        Ok(())
    }
}

/// Sorts lines by time, those of one service in its order. A time after `latest` is none: lines with
/// it would take the places of all others. Returns the services that have such lines.
fn sort_by_time(
    lines: &mut [(usize, LogLine)],
    skews: &[TimeDelta],
    latest: DateTime<Utc>,
) -> BTreeSet<usize> {
    let time = |i: usize, line: &LogLine| {
        let skew = skews.get(i).copied().unwrap_or_default();
        let at = line.timestamp?.time().checked_add_signed(skew);
        at.filter(|at| *at <= latest)
    };
    let wrong = lines.iter().filter(|(i, it)| it.timestamp.is_some() && time(*i, it).is_none());
    let wrong = wrong.map(|(i, _)| *i).collect();
    // stable
    lines.sort_by_key(|(i, line)| time(*i, line));
    wrong
}

/// Why a service has no lines, if that must be reported.
fn never(source: &Source, reply: &LogsReply, args: &LogsArgs) -> Option<(Exit, String)> {
    let id = &source.id;
    if reply.never_started.unwrap_or(source.is_new && reply.lines.is_empty()) {
        let yet = if args.follow { " yet" } else { "" };
        return Some((Exit::No, format!("{id}: never started, no output{yet}")));
    }
    let back = args.run?;
    match reply.run {
        None if reply.never_started.is_none() => {
            let text = format!("{id}: its launcher ({}) does not distinguish runs", source.whom);
            Some((Exit::No, text))
        }
        None => Some((Exit::No, format!("{id}: there was no run {back}"))),
        Some(run) if reply.lines.is_empty() => {
            let text = format!("{id}: run {run} has no output, or none that is still held");
            Some((Exit::No, text))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use tcs_core::wire::{Level, Timestamp};

    use super::*;

    fn line(second: i64, text: &str) -> LogLine {
        let at = DateTime::from_timestamp(1_795_393_000 + second, 0);
        LogLine {
            timestamp: at.map(Timestamp::new),
            stream: None,
            level: Level::INFO,
            logger: None,
            run: None,
            message: text.to_owned(),
        }
    }

    #[test]
    fn lines_dated_in_the_future_take_no_places() {
        let now = DateTime::from_timestamp(1_795_393_100, 0).unwrap();
        let year_9999 = 251_000_000_000;
        let mut lines = vec![
            (0, line(10, "a")),
            (1, line(year_9999, "far 1")),
            (1, line(year_9999 + 1, "far 2")),
            // a clock that is an hour ahead, which is known
            (2, line(3620, "b")),
            (0, line(30, "c")),
        ];
        let skews = [TimeDelta::zero(), TimeDelta::zero(), TimeDelta::hours(-1)];
        let wrong = sort_by_time(&mut lines, &skews, now);
        let texts: Vec<&str> = lines.iter().map(|(_, line)| &*line.message).collect();
        assert_eq!(texts, ["far 1", "far 2", "a", "b", "c"]);
        assert_eq!(wrong, BTreeSet::from([1]));
    }
}
