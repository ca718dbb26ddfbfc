//! The past of a period, read from the streams in pieces, so that a night needs no more memory than
//! an hour (`docs/spec/history.md#reading`).

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::history::{note_result, stamp_of};
use super::observation::Observation;
use super::problem::Problem;
use super::{Observer, Patience};
use crate::HistoryQuery;
use tcs_fleet::Fleet;
use tcs_fleet::history::{Chronicle, Gap, GapKind, Historian, PastReader};
use tcs_wire::{Kind, Message};

/// Length of one piece of the period; a piece is shortened if it holds too many messages.
const PIECE: TimeDelta = TimeDelta::minutes(30);
const SHORTEST: TimeDelta = TimeDelta::minutes(1);
/// Messages in a piece that are few: then the next piece is twice as long. Most of a long past may be
/// empty.
const FEW: usize = 1000;
/// Messages that wait for what proves how long a silence was.
const MAX_WAITING: usize = 100_000;

/// What happened in a period.
#[derive(Debug)]
#[non_exhaustive]
pub struct Told {
    /// All that is known of it.
    pub chronicle: Chronicle,
    /// What is missing.
    pub problems: Vec<Problem>,
}

/// The streams of each kind.
type Streams = BTreeMap<Kind, Vec<String>>;

impl Observer {
    /// What happened from `from` to `to`, by the broker's clock. What is missing in the record is
    /// reported by the gaps of its history and by problems.
    pub async fn chronicle(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        patience: Patience,
    ) -> Told {
        let begin = |fleet, heard_from| Historian::new(fleet, (from, to), heard_from);
        let (historian, problems) = self.read_past((from, to), patience, begin).await;
        Told { chronicle: historian.finish(), problems }
    }

    /// Reads a period into the reader that `begin` makes of the fleet at its beginning and of the
    /// time from which on heartbeats are known (`None`: not at all).
    pub async fn read_past<R: PastReader>(
        &self,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        patience: Patience,
        begin: impl FnOnce(Fleet, Option<DateTime<Utc>>) -> R,
    ) -> (R, Vec<Problem>) {
        let picture = self.at(from, patience).await;
        let mut problems = picture.problems(self.bus.subjects().prefix());
        let streams = self.streams(&mut problems).await;
        let begins = |kind| {
            let begins = problems.iter().filter_map(|problem| match problem {
                Problem::HistoryBegins { kind: of, at } if *of == kind => Some(*at),
                _ => None,
            });
            begins.max()
        };
        let has = |kind: Kind| streams.get(&kind).is_some_and(|streams| !streams.is_empty());
        let heard_from = has(Kind::Heartbeat).then(|| begins(Kind::Heartbeat).unwrap_or(from));
        let mut reader = begin(picture.fleet, heard_from);
        for (kind, gap) in GAPS {
            let until = if has(kind) { begins(kind) } else { Some(to) };
            if let Some(until) = until {
                reader.gap(Gap::new(gap, from, until));
            }
        }
        self.read_period(&mut reader, &streams, (from, to), &mut problems).await;
        (reader, problems)
    }

    async fn streams(&self, problems: &mut Vec<Problem>) -> Streams {
        let mut streams = Streams::new();
        for kind in Kind::FLEET {
            match self.bus.streams_of(&self.bus.subjects().all(kind)).await {
                Ok(names) => drop(streams.insert(kind, names)),
                Err(why) => {
                    let problem = Problem::Unreadable { kind, stream: None, why };
                    if !problems.iter().any(|known| known.code() == problem.code()) {
                        problems.push(problem);
                    }
                }
            }
        }
        streams
    }

    async fn read_period(
        &self,
        reader: &mut impl PastReader,
        streams: &Streams,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        problems: &mut Vec<Problem>,
    ) {
        let (mut begin, mut span) = (from, PIECE);
        let mut waiting: Vec<Observation> = Vec::new();
        while begin < to {
            let end = begin.checked_add_signed(span).map_or(to, |end| end.min(to));
            let mut missing = Vec::new();
            let mut read = Vec::new();
            for (piece, observed, result) in self.read_all(self.pieces(streams, begin, end)).await {
                read.extend(observed);
                note_result(&mut missing, &piece, result);
            }
            let is_cut = missing.iter().any(|it| matches!(it, Problem::HistoryCut { .. }));
            if is_cut && span > SHORTEST {
                span = (span / 4).max(SHORTEST);
                continue;
            }
            for problem in missing {
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
            span = if read.len() < FEW { span * 2 } else { span.min(PIECE) };
            read.sort_by_key(|observation| stamp_of(observation).map(|stamp| stamp.stored));
            reader.look_ahead(messages(&read).map(|it| (&it.decoded, it.stamp)));
            // a silence is proven by the heartbeats after it
            if read.iter().any(is_heartbeat) || waiting.len() > MAX_WAITING {
                take(reader, &waiting);
                waiting = read;
            } else {
                waiting.extend(read);
            }
            begin = end;
        }
        take(reader, &waiting);
    }

    /// All that was stored after `begin` and not after `end`.
    fn pieces(
        &self,
        streams: &Streams,
        begin: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> Vec<HistoryQuery> {
        let of = |(kind, names): (&Kind, &Vec<String>)| {
            let (kind, filter) = (*kind, self.bus.subjects().all(*kind));
            let from = Some(begin + TimeDelta::nanoseconds(1));
            let query = move |stream: &String| HistoryQuery {
                stream: stream.clone(),
                kind,
                filter: filter.clone(),
                from,
                until: Some(end),
            };
            names.iter().map(query).collect::<Vec<_>>()
        };
        streams.iter().flat_map(of).collect()
    }
}

const GAPS: [(Kind, GapKind); 3] = [
    (Kind::Registry, GapKind::Events),
    (Kind::Status, GapKind::Statuses),
    (Kind::Heartbeat, GapKind::Heartbeats),
];

fn messages(
    observations: &[Observation],
) -> impl Iterator<Item = &std::sync::Arc<super::Observed>> {
    observations.iter().filter_map(|observation| match observation {
        Observation::Message(message) => Some(message),
        _ => None,
    })
}

fn is_heartbeat(observation: &Observation) -> bool {
    matches!(observation, Observation::Message(message)
        if matches!(message.decoded.message, Message::Heartbeat(_)))
}

fn take(reader: &mut impl PastReader, observations: &[Observation]) {
    for message in messages(observations) {
        reader.take(&message.subject, &message.decoded, message.stamp);
    }
}
