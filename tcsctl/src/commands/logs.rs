//! `tcsctl logs`: what a service has written, as its launcher holds it, and as it comes.

use std::collections::HashSet;
use std::process::ExitCode;

use tcs_core::clock;
use tcs_core::fleet::{Phase, ServiceView};
use tcs_core::observer::{Following, Observer};
use tcs_core::wire::Kind;
use tcs_core::wire::control::{LogLine, LogsReply};
use tcs_present::logs::{Object, line};

use super::list::parse;
use super::operate::{names, whom};
use super::remote::Remote;
use super::session::{Ended, Session, finished};
use crate::cli::LogsArgs;
use crate::exit::Exit;
use crate::logs::{self, LEASE, RENEW};
use crate::output::Word;
use crate::output::reply::Failure;

pub(super) async fn run(session: &Session, args: &LogsArgs) -> Result<ExitCode, Ended> {
    let ended = finished();
    tokio::select! {
        result = read(session, args) => result,
        () = ended => Ok(Exit::Done.into()),
    }
}

async fn read(session: &Session, args: &LogsArgs) -> Result<ExitCode, Ended> {
    let remote = Remote::new(session).await?;
    let service = chosen(&remote, &args.service)?;
    if service.is_launcher {
        let text =
            format!("{} is a launcher; read its log on its host: journalctl -u tcsd", service.id);
        return Err(Ended::new(Exit::No, text));
    }
    let whom = whom(&remote, service).map_err(|failure| failed(&failure))?;
    let log = Log { remote: &remote, args, id: service.id.to_string(), whom };
    let is_new = service.phase == Phase::Declared;
    if !args.follow {
        let held = log.held(args.lines, 0).await.map_err(|failure| failed(&failure))?;
        for line in &held.lines {
            log.print(line)?;
        }
        if held.never_started.unwrap_or(is_new && held.lines.is_empty()) {
            let message = format!("{}: never started, no output", service.id);
            return Err(Ended::new(Exit::No, message));
        }
        return Ok(Exit::Done.into());
    }
    log.follow().await
}

fn failed(failure: &Failure) -> Ended {
    Ended::new(failure.exit(), failure.to_string())
}

/// The one service that is meant.
fn chosen<'a>(remote: &'a Remote<'_>, typed: &str) -> Result<&'a ServiceView, Ended> {
    if let Some(service) = remote.view.get(typed) {
        return Ok(service);
    }
    let filter = parse(Some(typed))?;
    let matches = |service: &&ServiceView| !service.is_launcher && filter.matches(service);
    let found: Vec<_> = remote.view.services.iter().filter(matches).collect();
    match found[..] {
        [] => Err(remote.nothing(typed)),
        [service] => Ok(service),
        _ => {
            let names = names(found.iter().map(|service| &service.id));
            let message = format!("`{typed}` matches {} services: name one\n{names}", found.len());
            Err(Ended::new(Exit::Usage, message))
        }
    }
}

/// The log of one service.
struct Log<'a> {
    remote: &'a Remote<'a>,
    args: &'a LogsArgs,
    id: String,
    whom: String,
}

impl Log<'_> {
    /// The last lines that its launcher holds; `lease`: for how many seconds it sends live ones.
    async fn held(&self, lines: u32, lease: u64) -> Result<LogsReply, Failure> {
        let Remote { bus, session, .. } = self.remote;
        let wanted = (u64::from(lines), lease);
        let held = logs::held(bus, &self.whom, &self.id, wanted, session.left()).await;
        held.map_err(|error| self.remote.failure(&self.whom, error, false))
    }

    fn print(&self, log: &LogLine) -> Result<(), Ended> {
        let screen = &self.remote.session.screen;
        if self.args.json {
            screen.print_json(&Object::new(&self.id, log), false)?;
        } else {
            let at = |time| screen.look.times.stamp(time, clock::wall());
            screen.print([&line(log, at, true)])?;
        }
        Ok(())
    }

    /// Goes on for ever. The journal is listened to only while a launcher answers: without one
    /// nobody writes there, but a Python program, which a mere listener slows down.
    async fn follow(&self) -> Result<ExitCode, Ended> {
        let screen = &self.remote.session.screen;
        // journals may be in no stream
        let observer = Observer::new(self.remote.bus.clone()).with_core(true);
        let subject = self.remote.bus.subjects().journal(&self.id);
        self.held(0, LEASE).await.map_err(|failure| failed(&failure))?;
        let mut live: Option<Following> = Some(observer.follow(&[Kind::Journal]));
        let held = self.held(self.args.lines, LEASE).await.map_err(|failure| failed(&failure))?;
        if held.never_started == Some(true) {
            screen.tell(Word::Warning, &format!("{}: never started, no output yet", self.id));
        }
        for line in &held.lines {
            self.print(line)?;
        }
        // what was sent while it answered is in the answer too
        let mut told: HashSet<LogLine> = held.lines.into_iter().collect();
        let mut renew = tokio::time::interval_at((clock::monotonic() + RENEW).into(), RENEW);
        loop {
            let batch = async {
                match &mut live {
                    Some(live) => live.next().await.unwrap_or_default(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                batch = batch => {
                    for line in batch.iter().filter_map(|one| logs::live(one, &subject)) {
                        if !told.remove(&line) {
                            self.print(&line)?;
                        }
                    }
                }
                _ = renew.tick() => match (self.held(0, LEASE).await, live.is_some()) {
                    (Ok(_), true) => told.clear(),
                    (Ok(_), false) => {
                        screen.tell(Word::Warning, &format!("{} answers again", self.whom));
                        live = Some(observer.follow(&[Kind::Journal]));
                    }
                    (Err(failure), true) => {
                        screen.tell(Word::Warning, &format!("{failure}; asking again"));
                        live = None;
                    }
                    (Err(_), false) => {}
                },
            }
        }
    }
}
