//! `tcsctl replay`: a recording, published into a broker (`docs/spec/wire.md#recordings`).

use std::io::{self, Read as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tcs_alarms::{Address, running};
use tcs_core::bus::Bus;
use tcs_core::bus::publish::{OutgoingMessage, Publisher, Sent, random_id};
use tcs_core::bus::streams::Made;
use tcs_core::clock;
use tcs_core::fleet::ServiceView;
use tcs_core::wire::text::one_line;
use tcs_core::wire::{Kind, Subjects};

use super::operate;
use super::picture::{self, Picture};
use super::replay_alarms::{AlarmReplay, ReplayTime};
use super::session::{Ended, Session, interrupted};
use crate::cli::ReplayArgs;
use crate::exit::Exit;
use crate::output::Word;
use crate::recording::{self, Entry, Recorded};

/// How a recording is played.
#[derive(Debug, Clone, Copy)]
struct Play {
    /// How many times as fast as recorded; `None`: all at once.
    speed: Option<f64>,
    /// Whether times in the messages stay as they were.
    as_is: bool,
}

/// What became of a recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Played {
    /// Messages that a stream has now.
    stored: usize,
    /// Messages that went out, and no stream holds their subjects.
    unstored: usize,
    /// Lines that are not of the fleet: requests, other subjects.
    skipped: usize,
    /// Heartbeats that were old when the recording began.
    outdated: usize,
}

/// A held heartbeat is published again if it was younger than this, in seconds: three of the usual
/// intervals.
const FRESH_S: f64 = 30.0;

/// How many of the live services there are named.
const NAMED: usize = 10;

pub(super) async fn run(session: &Session, args: &ReplayArgs) -> Result<ExitCode, Ended> {
    let from = Subjects::new(&args.from_prefix)
        .map_err(|error| Ended::new(Exit::Usage, format!("--from-prefix: {error}")))?;
    let recorded = read(&args.file)?;
    for warning in recorded.warnings() {
        session.screen.tell(Word::Warning, &warning);
    }
    if recorded.entries.is_empty() && recorded.broken > 0 {
        let path = args.file.display();
        return Err(Ended::new(Exit::No, format!("{path}: no line is a recorded message")));
    }
    let bus = if args.yes && args.force {
        session.connect().await?
    } else {
        let picture = picture::take(session, &picture::Want::default()).await?;
        if !args.force {
            refuse_sentinels(&picture, &args.file)?;
        }
        if !args.yes && !may_publish(session, &picture, &args.file).await? {
            return Ok(Exit::No.into());
        }
        picture.bus
    };
    if args.create_streams {
        let is_alarm = |entry: &Entry| Address::parse(&from, &entry.subject).is_some();
        let making = create_streams(&bus, recorded.entries.iter().any(is_alarm));
        let making = tokio::time::timeout(session.left(), making).await;
        making.map_err(|_| late(session, "the streams were not created"))??;
    }
    let speed = if args.instant { None } else { Some(args.speed) };
    let play = Play { speed, as_is: args.as_is };
    let ended = interrupted();
    let played = tokio::select! {
        played = publish(session, &bus, recorded.entries, &from, play) => played?,
        () = ended => return Err(Ended::new(Exit::No, "interrupted")),
    };
    let Played { stored, unstored, skipped, outdated } = played;
    if outdated > 0 {
        session
            .note(&format!("{outdated} heartbeats left out: already old when the recording began"));
    }
    session.screen.tell(
        Word::Note,
        &format!(
            "{stored} messages stored, {unstored} sent without a stream, {skipped} lines left out"
        ),
    );
    if stored == 0 && unstored > 0 {
        let prefix = bus.subjects().prefix();
        return Err(Ended::new(
            Exit::No,
            format!("no streams on {prefix}: nothing was stored\nhint: add --create-streams"),
        ));
    }
    Ok(Exit::Done.into())
}

/// A sentinel would notify people of what the recording tells.
fn refuse_sentinels(picture: &Picture, file: &Path) -> Result<(), Ended> {
    let sentinels: Vec<&str> = running(&picture.view).collect();
    if sentinels.is_empty() {
        return Ok(());
    }
    let place = format!("`{}` at {}", picture.bus.subjects().prefix(), picture.source.server);
    let message = format!(
        "sentinels run on {place}: {}; a replay there would notify people; nothing was done\n\
         hint: tcsctl replay {} --prefix replay --create-streams keeps it apart; --force publishes \
         it anyway",
        sentinels.join(", "),
        file.display()
    );
    Err(Ended::new(Exit::Usage, message))
}

/// Whether nobody lives where it is to be published, or somebody agrees: the fleet that runs there
/// would be taken for the recorded one.
async fn may_publish(session: &Session, picture: &Picture, file: &Path) -> Result<bool, Ended> {
    let Picture { bus, view, source, .. } = picture;
    let answering = bus.responders(session.left()).await.unwrap_or_default();
    let live = |service: &&ServiceView| service.phase.is_up() && service.in_default;
    let live: Vec<&ServiceView> = view.services.iter().filter(live).collect();
    let mut names = answering;
    names.extend(live.iter().map(|service| service.id.to_string()));
    let prefix = bus.subjects().prefix();
    let place = format!("`{prefix}` at {}", source.server);
    let apart = format!(
        "hint: tcsctl replay {} --prefix replay --create-streams keeps it apart, and so does a \
         private broker (--server); --yes publishes it anyway",
        file.display()
    );
    if names.is_empty() {
        return match source.unread() {
            None => Ok(true),
            Some(problem) => Err(Ended::new(
                Exit::NoContact,
                format!(
                    "cannot tell whether services run on {place}: {}\n{apart}",
                    one_line(problem)
                ),
            )),
        };
    }
    let many = names.len();
    let run_there = if many == 1 { "service runs" } else { "services run" };
    let why = format!("{many} {run_there} on {place}; a replay there would hide their state");
    if !session.screen.can_ask() {
        let shown = operate::names(names.iter().take(NAMED));
        let more = many.saturating_sub(NAMED);
        let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
        let message = format!("{why}; nothing was done\n{shown}{more}\n{apart}");
        return Err(Ended::new(Exit::Usage, message));
    }
    session.screen.tell(Word::Warning, &why);
    operate::confirm(session, view, &live, format!("replay onto {many}?")).await
}

/// All that can be read of a recording.
fn read(path: &Path) -> Result<Recorded, Ended> {
    let mut content = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().read_to_end(&mut content).map(drop)
    } else {
        std::fs::read(path).map(|read| content = read)
    };
    let failed = |error| Ended::new(Exit::No, format!("cannot read {}: {error}", path.display()));
    read.map(|()| Recorded::parse(&content)).map_err(failed)
}

/// Nobody has answered in time.
fn late(session: &Session, what: &str) -> Ended {
    let limit = session.timeout().as_secs_f64();
    let message = format!("{what} in {limit:.1} s\nhint: allow more time with --timeout");
    Ended::new(Exit::NoContact, message)
}

/// Makes the streams that are missing.
async fn create_streams(bus: &Bus, with_alarms: bool) -> Result<(), Ended> {
    let subjects = bus.subjects();
    let made = bus.create_missing_streams().await;
    let mut made: Vec<(String, Made)> =
        made.into_iter().map(|(kind, made)| (subjects.all(kind), made)).collect();
    if with_alarms {
        made.push((subjects.alarm(">"), bus.create_missing_alarm_stream().await));
    }
    for (filter, made) in made {
        if let Made::Failed(error) = made {
            let message = format!("cannot create the stream for {filter}: {error}");
            return Err(Ended::new(Exit::NoContact, message));
        }
    }
    Ok(())
}

/// Publishes in the order of the recording: the ack of each message is awaited before the next is
/// sent, because streams are written independently of each other. What the streams held when the
/// recording began goes first, and at once.
async fn publish(
    session: &Session,
    bus: &Bus,
    entries: Vec<Entry>,
    from: &Subjects,
    play: Play,
) -> Result<Played, Ended> {
    let publisher = Publisher::new(bus.clone());
    let id = random_id();
    let mut played = Played::default();
    let began = clock::monotonic();
    let (mut held, live): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.held_at.is_some());
    held.sort_by(|a, b| a.t.total_cmp(&b.t));
    let first = held.iter().find_map(|entry| entry.held_at).or(live.first().map(|entry| entry.t));
    let last = live.last().or(held.last()).and_then(Entry::stored);
    let mut alarms = AlarmReplay::new(match (play.as_is, play.speed) {
        (true, _) => ReplayTime::AsIs,
        (false, Some(speed)) => {
            let first = first.and_then(recording::time).unwrap_or_default();
            ReplayTime::Played(first, clock::wall(), speed)
        }
        // all at once: as long ago as it was when the recording ended
        (false, None) => ReplayTime::Played(last.unwrap_or_default(), clock::wall(), 1.0),
    });
    for entry in held.into_iter().chain(live) {
        let subject = translate(&entry.subject, from, bus.subjects());
        if subject.is_none() && Address::parse(from, &entry.subject).is_none() {
            played.skipped += 1;
            continue;
        }
        // published now, it would be a sign of life now
        if is_silent(&entry, from) {
            played.outdated += 1;
            continue;
        }
        if let (Some(speed), Some(first)) = (play.speed, first) {
            let due = Duration::try_from_secs_f64((entry.t - first) / speed).unwrap_or_default();
            tokio::time::sleep_until((began + due).into()).await;
        }
        let parcel = match subject {
            Some(subject) => {
                let body = match entry.stored() {
                    Some(stored) if !play.as_is => {
                        recording::shift(&entry.payload, clock::wall() - stored)
                    }
                    _ => entry.payload.clone(),
                };
                let body = recording::renew(&body, &id).into_bytes();
                Some(OutgoingMessage::composed(subject, body))
            }
            None => alarms.message(&entry, from, bus.subjects()),
        };
        let Some(parcel) = parcel else {
            played.skipped += 1;
            continue;
        };
        let no_answer = |error: String| Ended::new(Exit::NoContact, error);
        let sent = tokio::time::timeout(session.left(), publisher.send(&parcel)).await;
        let sent = sent.map_err(|_| late(session, "a message was not acknowledged"))?;
        let sent = sent.map_err(|error| no_answer(error.to_string()))?;
        let noted = alarms.stored(bus, &entry, &sent).await;
        noted.map_err(|error| no_answer(error.to_string()))?;
        match sent {
            Sent::Stored { .. } => played.stored += 1,
            Sent::Unstored => played.unstored += 1,
        }
    }
    bus.flush().await;
    Ok(played)
}

/// Whether it is a heartbeat whose service had been silent for long when the recording began.
fn is_silent(entry: &Entry, from: &Subjects) -> bool {
    entry.held_at.is_some_and(|at| at - entry.t > FRESH_S)
        && from.parse(&entry.subject).is_some_and(|subject| subject.kind == Kind::Heartbeat)
}

/// The subject under this site's prefix; `None` for a subject that is not of the fleet.
fn translate(subject: &str, from: &Subjects, to: &Subjects) -> Option<String> {
    let parsed = from.parse(subject)?;
    Some(match (parsed.kind, parsed.event) {
        (Kind::Registry, event) => to.registry(event?, parsed.name),
        (Kind::Status, _) => to.status(parsed.name),
        (Kind::Heartbeat, _) => to.heartbeat(parsed.name),
        (Kind::Journal, _) => to.journal(parsed.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_moves_to_another_prefix_without_its_requests() {
        let (from, to) = (Subjects::default(), Subjects::new("ocm.svc").unwrap());
        let translate = |subject| translate(subject, &from, &to);
        assert_eq!(translate("svc.status.a.b").as_deref(), Some("ocm.svc.status.a.b"));
        assert_eq!(
            translate("svc.registry.start.a.b").as_deref(),
            Some("ocm.svc.registry.start.a.b")
        );
        assert_eq!(translate("svc.rpc.a.b.v1.health"), None);
        assert_eq!(translate("test.ping"), None);
    }
}
