//! The past (`docs/spec/truth.md#the-past`): the picture at a moment, the last beats of a few
//! services, and what happened since.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, stream};

use super::observation::{Observation, read};
use super::picture::Picture;
use super::problem::Problem;
use super::{Observer, Patience};
use crate::clock;
use crate::{ApiError, BrokerClock, Budget, Completeness, HistoryQuery, Reading};
use tcs_fleet::silence::Silences;
use tcs_fleet::{FLAPPING_WINDOW, FleetView, Liveness, Stamp};
use tcs_wire::{Kind, Message};

/// No more history than this is read at once.
const HISTORY_BYTES: u64 = 64 * 1024 * 1024;
/// Beats older than this at a moment say nothing of that moment.
const BEATS_BEFORE: TimeDelta = TimeDelta::minutes(15);
/// How far back to look for the last beats: the second time where the first gave too few.
const LAST_BEATS: [TimeDelta; 2] = [TimeDelta::minutes(3), TimeDelta::hours(4)];
/// From so many beats on an interval can be learned (`docs/spec/truth.md#liveness`).
const ENOUGH_BEATS: usize = 3;
/// Beats of everybody are read so far back: three intervals of 10 s, and a little.
const RECENT_BEATS: TimeDelta = TimeDelta::seconds(40);
/// How far before the newest status to look for when it was first reported: the second time where
/// all of the first was the same.
const LAST_STATUSES: [TimeDelta; 2] = [TimeDelta::hours(1), TimeDelta::hours(24)];
/// Read before the last heartbeats of silent services: those who live on have one in it.
const BEATS_BEFORE_SILENCE: TimeDelta = TimeDelta::seconds(30);
/// Silence that began longer ago is not looked into.
const OLD_SILENCE: TimeDelta = TimeDelta::minutes(15);
/// How long, and how often, to look whether heartbeats come after all.
const SILENCE_WAIT: Duration = Duration::from_secs(2);
const SILENCE_LOOK: Duration = Duration::from_millis(200);
/// Pieces read at a time.
const AT_ONCE: usize = 16;

/// What happened, in the order in which the broker stored it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Past {
    /// Messages, and what could not be read.
    pub observations: Vec<Observation>,
    /// What is missing in it.
    pub problems: Vec<Problem>,
}

/// One piece's messages, or why there are none.
pub(super) type Read = (HistoryQuery, Vec<Observation>, Result<Completeness, ApiError>);

/// Services without heartbeats, in a picture of now.
struct Silent {
    /// The earliest of their last heartbeats.
    first: DateTime<Utc>,
    /// No other service has had a heartbeat for long either: everybody's silence may be ending.
    may_end: bool,
}

impl Silent {
    fn of(view: &FleetView) -> Option<Self> {
        let up = view.services.iter().filter(|service| service.phase.is_up());
        let (mut silent, mut heard) = (Vec::new(), Vec::new());
        for service in up {
            let Some(last) = service.last_heartbeat else { continue };
            match service.liveness {
                Liveness::Late | Liveness::Lost if view.now - last < OLD_SILENCE => {
                    silent.push(last);
                }
                Liveness::Live => heard.push(last),
                _ => {}
            }
        }
        let first = silent.iter().copied().min()?;
        let wait = TimeDelta::from_std(SILENCE_WAIT).unwrap_or_default();
        let may_end = heard.iter().all(|last| view.now - *last < wait);
        Some(Self { first, may_end })
    }
}

impl Observer {
    /// The picture at `at`, by the broker's clock: the fold over what was stored until then.
    ///
    /// Subjects whose newest message is not after it need no history; the others' is read.
    pub async fn at(&self, at: DateTime<Utc>, patience: Patience) -> Picture {
        let mut late: BTreeSet<(Kind, String)> = BTreeSet::new();
        let mut picture = self
            .collect(patience, |picture, observation| {
                match &observation {
                    Observation::Message(message) if message.stamp.stored > at => {
                        if let Some(subject) = self.bus.subjects().parse(&message.subject) {
                            late.insert((subject.kind, message.subject.clone()));
                        }
                        return;
                    }
                    _ => {}
                }
                picture.apply(observation);
            })
            .await;
        picture.at = Some(at);
        let mut pieces = Vec::new();
        for kind in [Kind::Registry, Kind::Heartbeat] {
            if late.iter().any(|(k, _)| *k == kind) {
                let from = (kind == Kind::Heartbeat).then(|| at - BEATS_BEFORE);
                let filter = self.bus.subjects().all(kind);
                pieces.extend(pieces_of(&picture, kind, &filter, from, Some(at)));
            }
        }
        for (kind, subject) in &late {
            if *kind == Kind::Status {
                pieces.extend(pieces_of(&picture, *kind, subject, None, Some(at)));
            }
        }
        for (piece, observations, result) in self.read_all(pieces).await {
            picture.extend(observations);
            note_result(&mut picture.gaps, &piece, result);
        }
        for (kind, reading) in picture.readings.clone() {
            let Reading::Streams(streams) = reading else { continue };
            for name in streams.keys() {
                match self.bus.stream(name).await {
                    Ok(facts) if facts.holds_from > at => {
                        let from = self.bus.holds_from(facts).await;
                        if from > at {
                            picture.gaps.push(Problem::HistoryBegins { kind, at: from });
                        }
                    }
                    Ok(_) | Err(_) => {}
                }
            }
        }
        picture
    }

    /// Reads the last beats of these services into `picture`, so that their intervals are learned
    /// from what they do, not assumed.
    pub async fn learn_intervals(&self, picture: &mut Picture, services: &[&str]) {
        let mut left: Vec<&str> = services.to_vec();
        for back in LAST_BEATS {
            let now = picture.at.unwrap_or_else(|| picture.clock.now());
            let pieces = left.iter().flat_map(|service| {
                let filter = self.bus.subjects().heartbeat(service);
                pieces_of(picture, Kind::Heartbeat, &filter, Some(now - back), picture.at)
            });
            let pieces: Vec<_> = pieces.collect();
            let mut few = BTreeSet::new();
            for (piece, observations, result) in self.read_all(pieces).await {
                if observations.len() < ENOUGH_BEATS {
                    few.insert(piece.filter.clone());
                }
                picture.extend(observations);
                // Then an interval is assumed, which is no fault of the picture.
                if let Err(error) = result {
                    tracing::debug!(filter = piece.filter, %error, "last beats not read");
                }
            }
            left.retain(|service| few.contains(&self.bus.subjects().heartbeat(service)));
            if left.is_empty() {
                return;
            }
        }
    }

    /// Reads everybody's beats of the last 40 seconds into `picture`: three intervals and more of
    /// most, so that intervals are learned, and two programs under one name are seen.
    pub async fn read_beats(&self, picture: &mut Picture) {
        let now = picture.at.unwrap_or_else(|| picture.clock.now());
        let filter = self.bus.subjects().all(Kind::Heartbeat);
        let from = Some(now - RECENT_BEATS);
        let pieces = pieces_of(picture, Kind::Heartbeat, &filter, from, picture.at);
        self.read_into(picture, pieces, "last beats").await;
    }

    /// Reads the statuses that these services sent before into `picture`, where the newest does not
    /// say since when it has been so: one that was sent again has been reported for longer.
    pub async fn date_statuses(&self, picture: &mut Picture, services: &[&str]) {
        let mut left: Vec<(&str, DateTime<Utc>)> = services
            .iter()
            .filter_map(|name| Some((*name, picture.fleet.undated_status(name)?)))
            .collect();
        for back in LAST_STATUSES {
            let pieces = left.iter().flat_map(|(name, newest)| {
                let filter = self.bus.subjects().status(name);
                pieces_of(picture, Kind::Status, &filter, Some(*newest - back), None)
            });
            let pieces = pieces.collect();
            let (at, mut all) = (picture.at, Vec::new());
            for (piece, observations, result) in self.read_all(pieces).await {
                all.extend(observations);
                if let Err(error) = result {
                    tracing::debug!(filter = piece.filter, %error, "earlier statuses not read");
                }
            }
            all.sort_by_key(|observation| stamp_of(observation).map(|it| it.stored));
            all.retain(|it| stamp_of(it).is_some_and(|it| at.is_none_or(|at| it.stored <= at)));
            let others: BTreeSet<String> =
                all.iter().filter_map(|it| is_other(picture, it)).collect();
            picture.extend(all);
            left.retain(|(name, _)| !others.contains(*name));
            if left.is_empty() {
                return;
            }
        }
    }

    /// What is not read is no fault of the picture.
    async fn read_into(&self, picture: &mut Picture, pieces: Vec<HistoryQuery>, what: &str) {
        for (piece, observations, result) in self.read_all(pieces).await {
            picture.extend(observations);
            if let Err(error) = result {
                tracing::debug!(filter = piece.filter, %error, "{what} not read");
            }
        }
    }

    /// Reads the crashes of the last 10 minutes into `picture`, where the launcher does not count
    /// them itself: a snapshot holds the newest crash of a service alone.
    pub async fn count_crashes(&self, picture: &mut Picture) {
        let now = picture.at.unwrap_or_else(|| picture.clock.now());
        if !picture.fleet.has_uncounted_crashes(now) {
            return;
        }
        let filter = self.bus.subjects().registry("crashed", ">");
        let from = Some(now - FLAPPING_WINDOW);
        let pieces = pieces_of(picture, Kind::Registry, &filter, from, picture.at);
        self.read_into(picture, pieces, "last crashes").await;
    }

    /// Looks for a time in which nobody's heartbeat could be stored, where services are silent:
    /// right after the broker has hung, their silence is none of theirs. Somebody who has just come
    /// has not seen it, but the heartbeats before and after it are stored. `view` is the picture's
    /// present one.
    pub async fn find_silence(&self, picture: &mut Picture, view: &FleetView) {
        let began = clock::monotonic();
        let mut silent = Silent::of(view);
        loop {
            let Some(Silent { first, may_end }) = silent else { return };
            let from = Some(first - BEATS_BEFORE_SILENCE);
            let filter = self.bus.subjects().all(Kind::Heartbeat);
            let pieces = pieces_of(picture, Kind::Heartbeat, &filter, from, None);
            let mut observations = Vec::new();
            for (_, observed, result) in self.read_all(pieces).await {
                if let Err(error) = result {
                    tracing::debug!(%error, "heartbeats around a silence not read");
                    return;
                }
                observations.extend(observed);
            }
            observations.sort_by_key(|observation| stamp_of(observation).map(|it| it.stored));
            let mut silences = Silences::default();
            for observation in &observations {
                let Observation::Message(message) = observation else { continue };
                if let Message::Heartbeat(beat) = &message.decoded.message {
                    silences.note(&message.decoded.meta, beat, message.stamp.stored);
                }
            }
            let found = silences.found().pop();
            picture.extend(observations);
            if let Some(silence) = found {
                return picture.hearing.note_outage(silence.from, silence.until);
            }
            // the heartbeats that have waited for the broker come one after another
            if !may_end || began.elapsed() > SILENCE_WAIT {
                return;
            }
            tokio::time::sleep(SILENCE_LOOK).await;
            silent = Silent::of(&picture.view(clock::monotonic()));
        }
    }

    /// Everything of `kinds` that was stored since then, in order. Together with [`Self::follow`],
    /// which repeats the newest of each subject, nothing is missed: pass over what is not newer
    /// than the last of these (`Stamp::is_newer`).
    pub async fn since(&self, since: DateTime<Utc>, kinds: &[Kind]) -> Past {
        self.between(since, None, kinds).await
    }

    /// Everything of `kinds` that was stored from `since` to `until` (`None`: to now), in order.
    pub async fn between(
        &self,
        since: DateTime<Utc>,
        until: Option<DateTime<Utc>>,
        kinds: &[Kind],
    ) -> Past {
        let filters = kinds.iter().map(|kind| (*kind, self.bus.subjects().all(*kind)));
        self.past(filters.collect(), since, until).await
    }

    /// The registry events of one service from `since` to `until`, in order.
    pub async fn events_of(
        &self,
        service: &str,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Past {
        let filter = self.bus.subjects().registry_of(service);
        self.past(vec![(Kind::Registry, filter)], since, Some(until)).await
    }

    async fn past(
        &self,
        filters: Vec<(Kind, String)>,
        since: DateTime<Utc>,
        until: Option<DateTime<Utc>>,
    ) -> Past {
        let mut problems = Vec::new();
        let mut pieces = Vec::new();
        for (kind, filter) in filters {
            match self.bus.streams_of(&filter).await {
                Ok(names) if names.is_empty() => problems.push(Problem::NoStreams {
                    prefix: self.bus.subjects().prefix().to_owned(),
                    kinds: vec![kind],
                    listening: false,
                }),
                Ok(names) => pieces.extend(names.into_iter().map(|stream| HistoryQuery {
                    stream,
                    kind,
                    filter: filter.clone(),
                    from: Some(since),
                    until,
                })),
                Err(why) => problems.push(Problem::Unreadable { kind, stream: None, why }),
            }
        }
        let mut observations = Vec::new();
        for (piece, observed, result) in self.read_all(pieces).await {
            observations.extend(observed);
            note_result(&mut problems, &piece, result);
        }
        observations.sort_by_key(|observation| stamp_of(observation).map(|stamp| stamp.stored));
        Past { observations, problems }
    }

    /// Reads pieces, several at a time, within one budget.
    pub(super) async fn read_all(&self, pieces: Vec<HistoryQuery>) -> Vec<Read> {
        let budget = Budget::new(HISTORY_BYTES);
        let budget = &budget;
        let readings = pieces.into_iter().map(|piece| async move {
            // Of the past everything is dated by its stream.
            let clock = BrokerClock::local();
            let mut observations = Vec::new();
            let result = self
                .bus
                .read_piece(&piece, budget, |raw| {
                    // Of all statuses up to a moment the last one counts.
                    if piece.kind == Kind::Status && piece.from.is_none() {
                        observations.clear();
                    }
                    observations.push(read(&raw, self.bus.subjects(), clock));
                })
                .await;
            (piece, observations, result)
        });
        stream::iter(readings).buffer_unordered(AT_ONCE).collect().await
    }
}

/// Reports what could not be read completely, once per stream.
pub(super) fn note_result(
    problems: &mut Vec<Problem>,
    piece: &HistoryQuery,
    result: Result<Completeness, ApiError>,
) {
    let problem = match result {
        Ok(Completeness::Whole) => return,
        Ok(Completeness::Cut) => Problem::HistoryCut { kind: piece.kind },
        Err(why) => {
            Problem::Unreadable { kind: piece.kind, stream: Some(piece.stream.clone()), why }
        }
    };
    if !problems.contains(&problem) {
        problems.push(problem);
    }
}

/// The service whose status this is, if it reports something else than its newest one does.
fn is_other(picture: &Picture, observation: &Observation) -> Option<String> {
    let Observation::Message(message) = observation else { return None };
    let Message::Status(status) = &message.decoded.message else { return None };
    let newest = picture.fleet.status_of(&status.name)?;
    (newest.status != status.status || newest.message != status.message)
        .then(|| status.name.clone())
}

/// When it was stored; what could not be read has no time here.
pub(super) fn stamp_of(observation: &Observation) -> Option<Stamp> {
    match observation {
        Observation::Message(message) => Some(message.stamp),
        Observation::Malformed { .. }
        | Observation::Reading(..)
        | Observation::Clock(_)
        | Observation::Contact(_)
        | Observation::Link(_) => None,
    }
}

/// The same piece of each stream that holds the kind.
fn pieces_of(
    picture: &Picture,
    kind: Kind,
    filter: &str,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
) -> Vec<HistoryQuery> {
    let Some(Reading::Streams(streams)) = picture.readings.get(&kind) else { return Vec::new() };
    let piece = |stream: &String| HistoryQuery {
        stream: stream.clone(),
        kind,
        filter: filter.to_owned(),
        from,
        until,
    };
    streams.keys().map(piece).collect()
}
