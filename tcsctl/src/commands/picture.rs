//! The picture that one-shot commands show: read within the time-out, with what it says of itself.

use std::time::{Duration, Instant};

use tcs_core::bus::{Bus, ClockQuality, LinkState, Reading};
use tcs_core::clock;
use tcs_core::fleet::{Filter, FleetView, IntervalSource};
use tcs_core::observer::{self, Observer, Patience, Problem};

use super::session::{Ended, Session};
use crate::cli::moment::Moment;
use crate::exit::Exit;
use crate::output::{Mode, Source, Word};

/// A filter that matches more is answered with assumed intervals (`truth.md` 5).
const LEARNED: usize = 20;
/// And for a whole fleet, where each matters.
const LEARNED_AT_MOST: usize = 200;
/// How long to listen where no stream is: two intervals.
const LISTEN: Duration = Duration::from_secs(20);

/// What is wanted of a picture.
#[derive(Debug, Default)]
pub(super) struct Want {
    /// Whom it is for; empty: everybody.
    pub(super) filter: Filter,
    /// Whether intervals matter, also of everybody.
    pub(super) intervals: bool,
    /// A moment of the past.
    pub(super) at: Option<Moment>,
}

/// The fleet, and where it comes from.
pub(super) struct Picture {
    /// The connection it was read over.
    pub(super) bus: Bus,
    pub(super) view: FleetView,
    pub(super) source: Source,
}

/// Reads it. An error only where there is no connection.
pub(super) async fn take(session: &Session, want: &Want) -> Result<Picture, Ended> {
    let began = clock::monotonic();
    let at = match want.at {
        None => None,
        Some(moment) => Some(session.past(moment)?),
    };
    let observer = observe(session).await?;
    let connected = clock::monotonic();
    let left = Left { until: began + session.timeout() };
    let listen = session.connection.timeout.unwrap_or(LISTEN);
    let patience = Patience { timeout: left.now(), listen };
    let mut picture = match at {
        None => observer.snapshot(patience).await,
        Some(at) => tokio::time::timeout(left.now().max(listen), observer.at(at, patience))
            .await
            .map_err(|_| {
            Ended::new(
                Exit::NoContact,
                format!(
                    "the past was not read in {:.1} s\nhint: give it more time with --timeout",
                    session.timeout().as_secs_f64()
                ),
            )
        })?,
    };
    // late, it is a picture all the same
    tokio::time::timeout(left.now(), observer.count_crashes(&mut picture)).await.ok();
    if at.is_none() {
        tokio::time::timeout(left.now() / 2, observer.find_silence(&mut picture)).await.ok();
    }
    let mut view = picture.view(clock::monotonic());
    let names = worth_learning(&view, want);
    if !names.is_empty() {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        // late, it is a picture all the same
        tokio::time::timeout(left.now(), observer.learn_intervals(&mut picture, &names)).await.ok();
        view = picture.view(clock::monotonic());
    }
    let took = clock::monotonic() - began;
    session.spend(took);
    session.note(&format!(
        "connected in {:.0} ms, read {} messages ({} kB) in {:.0} ms",
        millis(connected - began),
        picture.figures.messages,
        picture.figures.bytes / 1000,
        millis(clock::monotonic() - connected),
    ));
    let source = Source { took, ..source(&observer, &picture) };
    for (kind, streams) in &source.streams {
        session.note(&format!("{kind}: {}", streams.join(", ")));
    }
    if session.is_verbose() {
        warn_of_single_replicas(session, observer.bus(), &source).await;
    }
    Ok(Picture { bus: observer.bus().clone(), view, source })
}

/// In a cluster a stream with one replica is unavailable while its server is down.
async fn warn_of_single_replicas(session: &Session, bus: &Bus, source: &Source) {
    for stream in source.streams.values().flatten() {
        if let Ok(facts) = bus.stream(stream).await
            && facts.is_at_risk()
        {
            let text = format!(
                "stream {stream} has one replica in a cluster: it is unavailable while its server \
                 is down\nhint: nats stream edit {stream} --replicas 3"
            );
            session.screen.tell(Word::Warning, &text);
        }
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

/// What is left of the time-out.
struct Left {
    until: Instant,
}

impl Left {
    fn now(&self) -> Duration {
        self.until.saturating_duration_since(clock::monotonic())
    }
}

/// Whose last beats to read: those that are asked for and should beat.
fn worth_learning(view: &FleetView, want: &Want) -> Vec<String> {
    if want.filter.is_empty() && !want.intervals {
        return Vec::new();
    }
    let mut chosen: Vec<_> = view
        .services
        .iter()
        .filter(|service| want.filter.matches(service))
        .filter(|service| service.phase.is_up() && service.last_heartbeat.is_some())
        .filter(|service| tcs_core::id::check_name("name", &service.id).is_ok())
        .collect();
    if chosen.len() > LEARNED {
        // of many only those whose interval is not known; of a few it is seen, too, whether two
        // programs send heartbeats under one name
        chosen.retain(|service| service.interval_source != IntervalSource::Said);
    }
    let most = if want.intervals { LEARNED_AT_MOST } else { LEARNED };
    if chosen.len() > most {
        return Vec::new();
    }
    chosen.into_iter().map(|service| service.id.to_string()).collect()
}

/// Connects, within the time-out.
pub(super) async fn observe(session: &Session) -> Result<Observer, Ended> {
    let observer = Observer::new(session.connect().await?);
    Ok(observer.with_core(session.connection.core))
}

/// What a picture says of itself.
pub(super) fn source(observer: &Observer, picture: &observer::Picture) -> Source {
    let bus = observer.bus();
    let prefix = bus.subjects().prefix();
    let problems = picture.problems(prefix);
    let listening = |problem: &Problem| {
        matches!(
            problem,
            Problem::NoStreams { listening: true, .. }
                | Problem::NoJetStream { listening: true, .. }
        )
    };
    let mut source = Source {
        server: bus.settings().shown_servers(),
        prefix: prefix.to_owned(),
        connected: picture.link.is_connected(),
        jetstream: !problems
            .iter()
            .any(|p| matches!(p, Problem::NoJetStream { .. } | Problem::NoAnswer(_))),
        mode: if picture.is_listening() { Mode::Core } else { Mode::Streams },
        complete: problems.iter().all(Problem::is_of_record),
        faulty: problems.iter().any(Problem::is_of_record),
        answered: problems.iter().all(|it| listening(it) || it.is_of_record()),
        problems: problems.iter().map(ToString::to_string).collect(),
        problem_codes: problems.iter().map(Problem::code).collect(),
        hints: problems.iter().filter_map(Problem::hint).collect(),
        clock: match picture.clock.quality {
            ClockQuality::Measured { .. } => "measured",
            ClockQuality::Arrivals => "arrivals",
            ClockQuality::Local => "local",
        }
        .to_owned(),
        newest_message_at: picture.fleet.newest(),
        at: picture.at,
        ..Source::default()
    };
    if let LinkState::Connected { server, .. } = &picture.link {
        source.server.clone_from(&server.url);
        source.server_version = Some(server.version.clone());
    }
    for (kind, reading) in &picture.readings {
        if let Reading::Streams(streams) = reading {
            source.streams.insert(kind.to_string(), streams.keys().cloned().collect());
        }
    }
    source.count(picture.fleet.tally());
    source
}
