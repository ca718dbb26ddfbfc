//! `tcsctl maintenance`: what runs on a host is stopped for planned work, and started again when the
//! host is back.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value};
use tcs_alarms::{MAX_SHELF, ShelfMatch, Span};
use tcs_core::clock;
use tcs_core::fleet::{Filter, FleetView, Phase, ServiceView, Verdict};
use tcs_core::observer::Observer;
use tcs_core::wire::control::{MAX_COMMENT, command};
use tcs_core::wire::{Kind, Status};
use tcs_present::selection::launcher;
use tcs_present::text;

use super::alarms::Book;
use super::list::parse;
use super::operate::{PATIENCE, asked, confirm, whom};
use super::remote::{Question, Remote};
use super::session::{Ended, Session, interrupted};
use super::shelve;
use crate::cli::{MaintenanceArgs, PatienceArgs};
use crate::exit::Exit;
use crate::maintenance::{host_of, is_to_run, prefix, waves};
use crate::output::Word;
use crate::output::reply::{self, Reply};

/// How often the fleet is looked at while the work is done.
const LOOK: Duration = Duration::from_millis(250);

pub(super) async fn run(session: &Session, args: &MaintenanceArgs) -> Result<ExitCode, Ended> {
    let filter = parse(Some(&args.filter))?;
    if filter.is_empty() {
        return Err(Ended::new(Exit::Usage, "the filter is empty: it would stop everything"));
    }
    let remote = Remote::new(session).await?;
    let (Some(span), Some(message)) = (args.span, &args.message) else {
        let work = prefix(filter.text());
        let ids = chosen(&remote.view, &filter, |it| {
            it.planned().is_some_and(|planned| planned.comment.starts_with(&work))
        });
        // for what, they tell when they have
        for id in chosen(&remote.view, &filter, |it| it.phase == Phase::Stopping) {
            let message = format!("{id} is stopping; try again when it has stopped");
            session.screen.tell(Word::Warning, &text::shown(&message));
        }
        if ids.is_empty() {
            return Err(remote.nobody(&format!(
                "no service is stopped for a maintenance of {}",
                text::shown(filter.text())
            )));
        }
        return end(&remote, &filter, &ids).await;
    };
    let work = format!("{}{}", prefix(filter.text()), message.trim());
    let usage = |message: &str| Err(Ended::new(Exit::Usage, message));
    if message.trim().is_empty() {
        return usage("`--message` is empty: say why");
    }
    if work.chars().count() > MAX_COMMENT {
        return usage("`--message` is too long: 400 characters");
    }
    if span.delta() > MAX_SHELF || span.delta().is_zero() {
        return usage("`--for` must be more than 0 and at most 7 days");
    }
    let ids = chosen(&remote.view, &filter, is_to_run);
    if ids.is_empty() {
        let shown = text::shown(filter.text());
        return Err(remote.nobody(&format!("nothing runs that matches {shown}; nothing was done")));
    }
    if !args.yes && !agree(&remote, &ids).await? {
        return Ok(Exit::No.into());
    }
    shelve(session, &filter, span, &work).await?;
    let runs = launcher_runs(&remote.view, &ids);
    let over = clock::monotonic() + span.delta().to_std().unwrap_or_default();
    stop(&remote, &filter, &ids, &work, args.max_wait).await?;
    let view = wait(&remote, &filter, &runs, over).await?;
    let ids = ours(session, &view, &filter, ids);
    end(&remote, &filter, &ids).await
}

/// Those that nobody has stopped for other work meanwhile.
fn ours(session: &Session, view: &FleetView, filter: &Filter, ids: Vec<String>) -> Vec<String> {
    let prefix = prefix(filter.text());
    let is_ours = |id: &String| {
        let planned = view.get(id).and_then(ServiceView::planned);
        let Some(planned) = planned.filter(|it| !it.comment.starts_with(&prefix)) else {
            return true;
        };
        let by = planned.by.as_deref().unwrap_or("somebody");
        let message = format!("{id} stays stopped: stopped by {by} meanwhile: {}", planned.comment);
        session.screen.tell(Word::Warning, &text::shown(&message));
        false
    };
    ids.into_iter().filter(is_ours).collect()
}

/// Services of a launcher that match, and are so.
fn chosen(view: &FleetView, filter: &Filter, is_so: impl Fn(&ServiceView) -> bool) -> Vec<String> {
    // of one that waits for its first start the host is not told yet
    let placed = |it: &ServiceView| {
        let mut placed = it.clone();
        placed.host = host_of(view, it).cloned();
        placed
    };
    let is_meant = |it: &&ServiceView| {
        it.managed && !it.is_launcher && is_so(it) && filter.matches(&placed(it))
    };
    let services = view.services.iter().filter(is_meant);
    services.map(|service| service.id.to_string()).collect()
}

async fn agree(remote: &Remote<'_>, ids: &[String]) -> Result<bool, Ended> {
    if !remote.session.screen.can_ask() {
        let message =
            "confirm it in a terminal; nothing was done\nhint: --yes skips the confirmation";
        return Err(Ended::new(Exit::Usage, message));
    }
    let services: Vec<&ServiceView> = ids.iter().filter_map(|id| remote.view.get(id)).collect();
    let question = format!("stop {} for maintenance?", text::count(ids.len(), "service"));
    confirm(remote.session, &remote.view, &services, question).await
}

/// Where no alarms are kept there are none to shelve.
async fn shelve(session: &Session, filter: &Filter, span: Span, work: &str) -> Result<(), Ended> {
    let screen = &session.screen;
    let mut book = match Book::open(session, None).await {
        Ok(book) => book,
        Err(Ended::Failed { message, .. }) => {
            let why = message.lines().next().unwrap_or_default();
            screen.tell(Word::Warning, &format!("no alarms are shelved: {why}"));
            return Ok(());
        }
        Err(ended) => return Err(ended),
    };
    let covers = ShelfMatch { rule: None, filter: Some(filter.text().to_owned()) };
    let (id, until) = shelve::put(&mut book, covers, span, work).await?;
    let until = screen.look.times.point(until, book.fleet.now);
    screen.tell(Word::Note, &format!("alarms are shelved until {until} (shelf {id})"));
    Ok(())
}

/// Ends the shelves of this work.
async fn unshelve(session: &Session, filter: &Filter) -> Result<(), Ended> {
    let Ok(mut book) = Book::open(session, None).await else { return Ok(()) };
    let work = prefix(filter.text());
    let is_ours = |reason: &str| reason.starts_with(&work);
    let shelves = book.alarms().shelves();
    let ours = shelves.filter(|(_, shelf)| is_ours(&shelf.held.record.reason));
    let ours: Vec<String> = ours.map(|(id, _)| id.to_owned()).collect();
    for id in ours {
        if shelve::end(&mut book, &id).await? {
            session.screen.tell(Word::Note, &format!("shelf {id} ended"));
        }
    }
    Ok(())
}

/// Stops them in the reverse of the order in which they start. One that does not stop ends it.
async fn stop(
    remote: &Remote<'_>,
    filter: &Filter,
    ids: &[String],
    work: &str,
    max_wait: Option<Duration>,
) -> Result<(), Ended> {
    let screen = &remote.session.screen;
    let is_busy =
        |id: &&String| remote.view.get(id).is_some_and(|it| it.own_status == Some(Status::Busy));
    let busy: Vec<&str> = ids.iter().filter(is_busy).map(String::as_str).collect();
    if !busy.is_empty() {
        let busy = busy.join(", ");
        screen.tell(Word::Note, &format!("waiting until these are idle: {}", text::shown(&busy)));
    }
    let patience = PatienceArgs { when_idle: true, max_wait };
    let (data, limit) = asked(Some(&patience), Some(work));
    let mut failed = 0;
    for wave in waves(&remote.view, ids).into_iter().rev() {
        failed += ask(remote, filter, command::STOP, &wave, &data, limit).await?.len();
    }
    if failed == 0 {
        return Ok(());
    }
    let message = format!(
        "{} did not stop; the others are stopped\nhint: tcsctl maintenance {} --end starts them again",
        text::count(failed, "service"),
        text::shown(filter.text())
    );
    Err(Ended::new(Exit::No, message))
}

/// Starts them in order, and tells which did not come back.
async fn end(remote: &Remote<'_>, filter: &Filter, ids: &[String]) -> Result<ExitCode, Ended> {
    let screen = &remote.session.screen;
    let nothing = Value::Object(Map::new());
    let mut missing = Vec::new();
    for wave in waves(&remote.view, ids) {
        missing.extend(ask(remote, filter, command::START, &wave, &nothing, PATIENCE).await?);
    }
    unshelve(remote.session, filter).await?;
    let back = ids.len() - missing.len();
    let of = text::count(ids.len(), "service");
    if missing.is_empty() {
        screen.tell(Word::Note, &format!("{of} back: the maintenance is over"));
        return Ok(Exit::Done.into());
    }
    let missing = missing.join(", ");
    let message = format!("{back} of {of} back; not back: {}", text::shown(&missing));
    Err(Ended::new(Exit::No, message))
}

/// Asks for one thing of several services, and prints the answers; those that refuse it.
async fn ask(
    remote: &Remote<'_>,
    filter: &Filter,
    command: &'static str,
    ids: &[String],
    data: &Value,
    limit: Duration,
) -> Result<Vec<String>, Ended> {
    let question = |id: &String| Question {
        whom: match remote.view.get(id) {
            Some(service) => whom(remote, service),
            None => Err(reply::Failure::NotReachable(format!("{id} is not known"))),
        },
        call: format!("{command}.{id}"),
        id: id.clone(),
        command,
        data: data.clone(),
        acts: true,
    };
    let questions = ids.iter().map(question).collect();
    let replies = tokio::select! {
        replies = remote.ask_silently(questions, limit) => replies,
        () = interrupted() => {
            let message = format!(
                "{command}: interrupted; requests may still take effect\n\
                 hint: tcsctl maintenance {} --end starts the services again",
                text::shown(filter.text())
            );
            return Err(Ended::new(Exit::NoContact, message));
        }
    };
    let screen = &remote.session.screen;
    let names = reply::name_width(ids.iter().map(String::as_str));
    for reply in &replies {
        screen.print(&reply::lines(reply, names, screen.look.width))?;
    }
    let failed = |Reply { id, outcome, .. }: Reply| outcome.is_err().then_some(id);
    Ok(replies.into_iter().filter_map(failed).collect())
}

/// The launchers of services, and which run of each it is.
fn launcher_runs(view: &FleetView, ids: &[String]) -> BTreeMap<String, Option<String>> {
    let launchers = ids.iter().filter_map(|id| launcher(view, view.get(id)?));
    launchers.map(|name| (name.to_owned(), launcher_run(view, name))).collect()
}

fn launcher_run(view: &FleetView, name: &str) -> Option<String> {
    view.get(name)?.launcher_run().map(str::to_owned)
}

/// Those that do not live in another run than before.
fn not_back<'a>(view: &FleetView, runs: &'a BTreeMap<String, Option<String>>) -> Vec<&'a str> {
    let is_back = |name: &str, before: &Option<String>| {
        let lives = |it: &ServiceView| it.phase.is_up() && it.verdict != Verdict::Lost;
        view.get(name).is_some_and(lives) && launcher_run(view, name) != *before
    };
    let missing = runs.iter().filter(|(name, before)| !is_back(name, before));
    missing.map(|(name, _)| name.as_str()).collect()
}

/// While the work is done: until all launchers have been started again, somebody says so, or the
/// time is over. The fleet as it is then.
async fn wait(
    remote: &Remote<'_>,
    filter: &Filter,
    runs: &BTreeMap<String, Option<String>>,
    over: std::time::Instant,
) -> Result<FleetView, Ended> {
    let screen = remote.session.screen;
    let shown = text::shown(filter.text()).into_owned();
    let enter = if screen.can_ask() { "; press Enter when it is done" } else { "" };
    screen.tell(
        Word::Note,
        &format!(
            "{shown} is ready for the work: services start again when it has been restarted{enter}"
        ),
    );
    let done = async {
        if screen.can_ask() {
            let is_confirmed = || {
                let mut line = String::new();
                std::io::stdin().read_line(&mut line).is_ok() && line.ends_with('\n')
            };
            if tokio::task::spawn_blocking(is_confirmed).await.unwrap_or(false) {
                return;
            }
        }
        // a terminal that is gone has confirmed nothing
        std::future::pending::<()>().await;
    };
    tokio::pin!(done);
    let ended = interrupted();
    tokio::pin!(ended);
    let observer = Observer::new(remote.bus.clone());
    let mut picture = observer.blank();
    let mut following = observer.follow(&Kind::FLEET);
    let mut looks = tokio::time::interval(LOOK);
    let result = loop {
        tokio::select! {
            Some(batch) = following.next() => picture.extend(batch),
            _ = looks.tick() => {
                let is_read = picture.is_settled() && picture.link.is_connected();
                let view = picture.view(clock::monotonic());
                let missing = not_back(&view, runs);
                if is_read && missing.is_empty() {
                    screen.tell(Word::Note, &format!("{shown} is back"));
                    break Ok(view);
                }
                let left = over.saturating_duration_since(clock::monotonic());
                let left = super::remote::span(Duration::from_secs(left.as_secs()));
                screen.progress(Some(&format!("waiting for {}: {left} left", missing.join(", "))));
            }
            () = &mut done => break Ok(picture.view(clock::monotonic())),
            () = tokio::time::sleep_until(over.into()) => {
                screen.tell(Word::Warning, "the time is over");
                break Ok(picture.view(clock::monotonic()));
            }
            () = &mut ended => break Err(Ended::new(Exit::No, format!(
                "interrupted: the services stay stopped\n\
                 hint: tcsctl maintenance {shown} --end starts them again"
            ))),
        }
    };
    screen.progress(None);
    following.stop().await;
    result
}
