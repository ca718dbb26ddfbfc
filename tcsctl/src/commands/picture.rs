//! The picture that one-shot commands show: read within the time-out, with what it says of itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tcs_core::bus::streams::SingleReplica;
use tcs_core::bus::{Bus, ClockQuality, LinkState, Reading};
use tcs_core::clock;
use tcs_core::fleet::{Filter, FleetView, IntervalSource, Liveness, ServiceView};
use tcs_core::observer::{self, Observer, Patience, Problem};

use super::session::{Ended, Session};
use crate::cli::moment::Moment;
use crate::exit::Exit;
use crate::output::{Mode, Source, Word};

/// Of so many services each is looked into by itself; of more the last beats are read together.
const LEARNED: usize = 20;
/// Of those that are silent by an interval that is only assumed.
const LEARNED_AT_MOST: usize = 200;
/// A view that is older is made anew.
const FRESH: Duration = Duration::from_millis(100);
/// How long launchers may take to tell their versions.
const ANSWERS: Duration = Duration::from_secs(1);
/// Launchers of another version that are named.
const NAMED: usize = 5;
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
    /// Events that are missing for ever, by launcher.
    pub(super) missing_events: BTreeMap<Arc<str>, u64>,
    pub(super) source: Source,
}

/// Reads it. An error only where there is no connection.
pub(super) async fn take(session: &Session, want: &Want) -> Result<Picture, Ended> {
    let began = clock::monotonic();
    let observer = observe(session).await?;
    let at = match want.at {
        None => None,
        Some(moment) => Some(session.past(moment, &session.broker_clock(observer.bus()).await)?),
    };
    let connected = clock::monotonic();
    let left = Left { until: began + session.timeout() };
    let listen = session.connection.timeout.unwrap_or(LISTEN);
    let patience = Patience { timeout: left.now(), listen };
    let mut picture = match at {
        None => observer.snapshot(patience).await,
        Some(at) => tokio::time::timeout(left.for_the_past(session), observer.at(at, patience))
            .await
            .map_err(|_| {
                Ended::new(
                    Exit::NoContact,
                    format!(
                        "the past was not read in {:.1} s\nhint: allow more time with --timeout",
                        session.timeout().as_secs_f64()
                    ),
                )
            })?,
    };
    // late, it is a picture all the same
    tokio::time::timeout(left.now(), observer.count_crashes(&mut picture)).await.ok();
    let mut look = Look::at(&picture);
    if at.is_none() {
        let finding = observer.find_silence(&mut picture, &look.view);
        tokio::time::timeout(left.now() / 2, finding).await.ok();
    }
    let closer = look_closer(&observer, &mut picture, want, &mut look);
    tokio::time::timeout(left.now(), closer).await.ok();
    look.renew(&picture);
    let view = look.view;
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
        let warning = warn_of_single_replicas(session, observer.bus(), &source);
        tokio::time::timeout(left.now(), warning).await.ok();
        if at.is_none() {
            let limit = left.now().min(ANSWERS);
            let versions = observer.bus().versions(limit).await.unwrap_or_default();
            if let Some(text) = other_versions(&view, &versions, env!("CARGO_PKG_VERSION")) {
                session.note(&text);
            }
        }
    }
    let missing_events = picture.fleet.missing_events();
    Ok(Picture { bus: observer.bus().clone(), view, missing_events, source })
}

/// In a cluster a stream with one replica is unavailable while its server is down.
async fn warn_of_single_replicas(session: &Session, bus: &Bus, source: &Source) {
    for stream in source.streams.values().flatten() {
        if let Ok(facts) = bus.stream(stream).await
            && facts.is_at_risk()
        {
            session.screen.tell(Word::Warning, &SingleReplica(stream).to_string());
        }
    }
}

/// Launchers that run another version than this program.
fn other_versions(
    view: &FleetView,
    versions: &BTreeMap<String, String>,
    own: &str,
) -> Option<String> {
    let differs = |service: &&ServiceView| {
        service.is_launcher && versions.get(&*service.id).is_some_and(|version| version != own)
    };
    let found: Vec<_> = view.services.iter().filter(differs).collect();
    let named = found.iter().take(NAMED).map(|it| format!("{} ({})", it.id, versions[&*it.id]));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = found.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    (!found.is_empty()).then(|| {
        format!(
            "launchers of another version than this tcsctl ({own}): {named}{more}; commands that one \
             side does not know are refused"
        )
    })
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

/// A picture's view, made anew only where it may be another one: of a large fleet it is a good part
/// of a command's time.
struct Look {
    view: FleetView,
    /// When it was made, and of how many messages.
    made: Instant,
    messages: u64,
}

impl Look {
    fn at(picture: &observer::Picture) -> Self {
        let made = clock::monotonic();
        Self { view: picture.view(made), made, messages: picture.figures.messages }
    }

    fn renew(&mut self, picture: &observer::Picture) {
        if self.messages != picture.figures.messages || self.made.elapsed() > FRESH {
            *self = Self::at(picture);
        }
    }
}

/// What is left of the time-out.
struct Left {
    until: Instant,
}

impl Left {
    fn now(&self) -> Duration {
        self.until.saturating_duration_since(clock::monotonic())
    }

    /// The past takes longer to read, unless somebody has said how long it may take.
    fn for_the_past(&self, session: &Session) -> Duration {
        if session.connection.timeout.is_some() { self.now() } else { self.now().max(LISTEN) }
    }
}

/// Reads what the newest messages of each service do not tell: of those that are asked for how
/// often they send heartbeats, and whether two programs do under one name
/// (`docs/spec/truth.md#liveness`); of those, and of all that are in trouble, since when.
async fn look_closer(
    observer: &Observer,
    picture: &mut observer::Picture,
    want: &Want,
    look: &mut Look,
) {
    let asked = !want.filter.is_empty() || want.intervals;
    let mut names_of = |picture: &observer::Picture, wanted: &dyn Fn(&ServiceView) -> bool| {
        look.renew(picture);
        let is_named = |service: &&ServiceView| {
            wanted(service) && tcs_core::id::check_name("name", &service.id).is_ok()
        };
        let mut services: Vec<_> = look.view.services.iter().filter(is_named).collect();
        // where there are too many, the worst are looked into
        services.sort_by_key(|service| service.verdict);
        services.into_iter().map(|service| Arc::clone(&service.id)).collect::<Vec<_>>()
    };
    let beats = |service: &ServiceView| service.phase.is_up() && service.last_heartbeat.is_some();
    if asked {
        let mut names =
            names_of(picture, &|service| want.filter.matches(service) && beats(service));
        if names.len() > LEARNED {
            observer.read_beats(picture).await;
            let is_assumed = |service: &ServiceView| {
                want.filter.matches(service)
                    && beats(service)
                    && service.interval_source == IntervalSource::Assumed
                    && service.liveness != Liveness::Live
            };
            names = names_of(picture, &is_assumed);
            names.truncate(LEARNED_AT_MOST);
        }
        observer
            .learn_intervals(picture, &names.iter().map(|name| &**name).collect::<Vec<_>>())
            .await;
    }
    let mut names = names_of(picture, &|service| {
        (asked && want.filter.matches(service)) || service.verdict.is_fault()
    });
    names.retain(|name| picture.fleet.undated_status(name).is_some());
    names.truncate(LEARNED_AT_MOST);
    observer.date_statuses(picture, &names.iter().map(|name| &**name).collect::<Vec<_>>()).await;
}

/// Connects, within the time-out.
pub(super) async fn observe(session: &Session) -> Result<Observer, Ended> {
    let observer = Observer::new(session.connect().await?);
    Ok(observer.with_core(session.connection.core))
}

/// What a picture says of itself.
pub(crate) fn source(observer: &Observer, picture: &observer::Picture) -> Source {
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
