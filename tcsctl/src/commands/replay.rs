//! `tcsctl replay`: a recording, published into a broker (`wire.md`, "Journal").

use std::io::{self, Read as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::bus::Bus;
use tcs_core::bus::publish::{Parcel, Publisher, Sent};
use tcs_core::bus::streams::Made;
use tcs_core::clock;
use tcs_core::wire::{Kind, Subjects};

use super::session::{Ended, Session, interrupted};
use crate::cli::ReplayArgs;
use crate::exit::Exit;
use crate::output::Word;
use crate::recording::{self, Entry};

/// How a recording is played.
#[derive(Debug, Clone, Copy)]
struct Play {
    /// That many times as fast as it was; `None`: all at once.
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
}

pub(super) async fn run(session: &Session, args: &ReplayArgs) -> Result<ExitCode, Ended> {
    let from = Subjects::new(&args.from_prefix)
        .map_err(|error| Ended::new(Exit::Usage, format!("--from-prefix: {error}")))?;
    let entries = read(&args.file)?;
    let bus = session.connect().await?;
    if args.create_streams {
        create_streams(&bus).await?;
    }
    let speed = if args.instant { None } else { Some(args.speed) };
    let play = Play { speed, as_is: args.as_is };
    let ended = interrupted();
    let played = tokio::select! {
        played = publish(&bus, &entries, &from, play) => played?,
        () = ended => return Err(Ended::new(Exit::No, "interrupted")),
    };
    let Played { stored, unstored, skipped } = played;
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
            format!("no streams on {prefix}: nothing was kept\nhint: add --create-streams"),
        ));
    }
    Ok(Exit::Done.into())
}

/// All lines of a recording.
fn read(path: &Path) -> Result<Vec<Entry>, Ended> {
    let failed = |error: &dyn std::fmt::Display| {
        Ended::new(Exit::No, format!("cannot read {}: {error}", path.display()))
    };
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().read_to_string(&mut text).map_err(|error| failed(&error))?;
    } else {
        text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    }
    parse(&text).map_err(|error| failed(&error))
}

/// All entries of a recording's text.
fn parse(text: &str) -> Result<Vec<Entry>, recording::LineError> {
    let lines = text.lines().enumerate();
    lines.filter_map(|(i, line)| Entry::parse(i + 1, line).transpose()).collect()
}

/// Makes the streams that are missing.
async fn create_streams(bus: &Bus) -> Result<(), Ended> {
    for (kind, made) in bus.create_missing_streams().await {
        if let Made::Failed(error) = made {
            return Err(Ended::new(
                Exit::NoContact,
                format!("cannot make the stream for {}: {error}", bus.subjects().all(kind)),
            ));
        }
    }
    Ok(())
}

/// Publishes in the order of the recording: the ack of each message is awaited before the next is
/// sent, because streams are written independently of each other.
async fn publish(
    bus: &Bus,
    entries: &[Entry],
    from: &Subjects,
    play: Play,
) -> Result<Played, Ended> {
    let publisher = Publisher::new(bus.clone());
    let mut played = Played::default();
    let began = clock::monotonic();
    let first = entries.first().map_or(0.0, |entry| entry.t);
    for entry in entries {
        let Some(subject) = translate(&entry.subject, from, bus.subjects()) else {
            played.skipped += 1;
            continue;
        };
        if let Some(speed) = play.speed {
            let due = Duration::try_from_secs_f64((entry.t - first) / speed).unwrap_or_default();
            tokio::time::sleep_until((began + due).into()).await;
        }
        let body = match moved_by(entry.t, clock::wall()) {
            Some(by) if !play.as_is => recording::shift(&entry.payload, by),
            _ => entry.payload.clone(),
        };
        let parcel = Parcel::composed(subject, body.into_bytes());
        match publisher.send(&parcel).await {
            Ok(Sent::Stored { .. }) => played.stored += 1,
            Ok(Sent::Unstored) => played.unstored += 1,
            Err(error) => return Err(Ended::new(Exit::NoContact, error.to_string())),
        }
    }
    bus.flush().await;
    Ok(played)
}

/// From when it came to now.
fn moved_by(came: f64, now: DateTime<Utc>) -> Option<TimeDelta> {
    let micros = (came * 1e6).round();
    // beyond is no time of ours
    let came = (micros.abs() < 9e15).then(|| DateTime::from_timestamp_micros(micros as i64))??;
    Some(now - came)
}

/// The same subject under this site's prefix; `None` for what is not of the fleet.
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

    #[test]
    fn times_move_with_the_message() {
        let now = DateTime::from_timestamp(2_000, 0).unwrap();
        assert_eq!(moved_by(500.25, now), Some(TimeDelta::milliseconds(1_499_750)));
        assert_eq!(moved_by(f64::NAN, now), None);
        assert_eq!(moved_by(1e300, now), None);
    }
}
