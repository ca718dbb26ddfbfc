//! A site over NATS: the observer's observations as the dashboard's events.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::bus::rpc::RequestError;
use tcs_core::bus::{Bus, ClockQuality, Cut, LinkState};
use tcs_core::clock;
use tcs_core::fleet::transitions::{Transition, Transitions};
use tcs_core::fleet::why::Subject;
use tcs_core::fleet::{FLAPPING_WINDOW, Fleet, Link};
use tcs_core::observer::{Observation, Observed, Observer, Patience, Picture, Problem};
use tcs_core::wire::control::{
    MAX_WAIT_S, OperationReply, Reached, ReloadReply, ServiceChange, StopRequest, command,
    read_reply,
};
use tcs_core::wire::{Event as RegistryEvent, Kind, Message};
use tcs_present::text;
use tokio::sync::mpsc::Sender;

use super::{Feed, profiles};
use crate::dashboard::event::{Event, Heard, LinkFacts, Operation, PastRead, Reply, Request, Span};

/// How often the round trip is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How far back beats are read at the start, for their rhythm.
const BEATS: TimeDelta = TimeDelta::minutes(3);
/// How far back to read what happened.
const HAPPENED: TimeDelta = TimeDelta::hours(1);
/// How long an operation may take: a launcher answers when it is done, and a stop may need its
/// grace.
const OPERATION: Duration = Duration::from_mins(1);
/// A service may be busy for long before it is stopped.
const WHEN_IDLE: Duration = Duration::from_secs(MAX_WAIT_S as u64);
/// Heartbeats that are stored for so much less long than the rest are worth a word.
const NOTICEABLE: TimeDelta = TimeDelta::minutes(1);
/// How long the past may take to be read.
const PATIENCE: Duration = Duration::from_secs(20);

/// Follows it until the dashboard ends.
pub(super) async fn follow(observer: Observer, feed: Sender<Feed>) {
    let mut following = observer.follow(&Kind::FLEET);
    // of the picture only the facts about the reading are used here
    let mut facts = observer.blank();
    let mut told = (None, None);
    let mut lost = Lost::default();
    let mut began = false;
    loop {
        let batch = match tokio::time::timeout(LOOK, following.next()).await {
            Ok(Some(batch)) => batch,
            Ok(None) => return,
            Err(_) => Vec::new(),
        };
        if feed.is_closed() {
            return;
        }
        let mut heard = Vec::with_capacity(batch.len());
        let mut contact = false;
        for observation in batch {
            match observation {
                Observation::Message(message) => heard.push(Heard::Message(message)),
                Observation::Malformed { subject, error, .. } => {
                    heard.push(Heard::Malformed { subject, error });
                }
                Observation::Clock(clock) => {
                    facts.clock = clock;
                    if feed.send(Feed::Clock(clock)).await.is_err() {
                        return;
                    }
                }
                Observation::Contact(_) => {
                    facts.apply(observation);
                    contact = true;
                }
                Observation::Reading(..) | Observation::Link(_) => facts.apply(observation),
            }
        }
        facts.cut = recent(&mut lost, following.cut());
        let mut events = Vec::new();
        if !heard.is_empty() {
            events.push(Event::Heard(heard));
        }
        if contact {
            events.push(Event::Contact(facts.hearing));
        }
        let link = link_facts(&observer, &facts);
        if told.0.as_ref() != Some(&link) {
            events.push(Event::Link(link.clone()));
            told.0 = Some(link);
        }
        let gaps = gaps(&observer, &facts);
        if told.1.as_ref() != Some(&gaps) {
            events.push(Event::Gaps(gaps.clone()));
            told.1 = Some(gaps);
        }
        for event in events {
            if feed.send(Feed::Event(event)).await.is_err() {
                return;
            }
        }
        if !began && facts.is_settled() && facts.link.is_connected() {
            began = true;
            if feed.send(Feed::Event(Event::Settled)).await.is_err() {
                return;
            }
            tokio::spawn(read_rhythm(observer.clone(), facts.clock.now(), feed.clone()));
        }
    }
}

/// What was last not taken in time, and when.
#[derive(Debug, Default)]
struct Lost {
    cut: Cut,
    at: Option<Instant>,
}

/// For how long it is told: by then what is newest of each subject has most likely come again.
const TOLD: Duration = Duration::from_mins(1);

fn recent(lost: &mut Lost, cut: Cut) -> Cut {
    let now = clock::monotonic();
    if cut.dropped != lost.cut.dropped {
        lost.at = Some(now);
    }
    lost.cut = cut;
    match lost.at {
        Some(at) if now.saturating_duration_since(at) < TOLD => cut,
        Some(_) | None => Cut { dropped: 0, ..cut },
    }
}

fn link_facts(observer: &Observer, facts: &Picture) -> LinkFacts {
    let why = |why: &Option<tcs_core::bus::Failure>| why.as_ref().map(ToString::to_string);
    match &facts.link {
        LinkState::Connecting { attempt, since, why: reason } => LinkFacts::Connecting {
            since: facts.clock.at(*since),
            attempts: *attempt,
            why: why(reason),
        },
        LinkState::Disconnected { since, attempt, why: reason } => {
            LinkFacts::Down { since: facts.clock.at(*since), attempts: *attempt, why: why(reason) }
        }
        LinkState::Connected { since, server } => LinkFacts::Up {
            since: facts.clock.at(*since),
            lost: match facts.connection() {
                Link::Back { lost, .. } => Some(lost),
                Link::Steady | Link::Down { .. } => None,
            },
            server: server.url.clone(),
            rtt_us: observer
                .bus()
                .round_trip()
                .and_then(|rtt| u64::try_from(rtt.as_micros()).ok())
                // a figure that flickers tells less
                .map(|us| if us < 1000 { us / 500 * 500 } else { us / 1000 * 1000 }),
            jetstream: facts.is_settled().then(|| {
                let none = |problem: &Problem| matches!(problem, Problem::NoJetStream { .. });
                !facts.problems("").iter().any(none)
            }),
            clock_unchecked: facts.is_settled() && facts.clock.quality == ClockQuality::Local,
        },
    }
}

/// What the banner says; the link has its own.
fn gaps(observer: &Observer, facts: &Picture) -> Vec<String> {
    facts
        .problems(observer.bus().subjects().prefix())
        .into_iter()
        .filter(|problem| {
            !matches!(
                problem,
                Problem::NotConnected { .. } | Problem::NoAnswer(_) | Problem::Unfinished { .. }
            )
        })
        .map(|problem| match problem.hint() {
            Some(hint) => format!("{problem} ({})", hint.lines().next().unwrap_or_default()),
            None => problem.to_string(),
        })
        .collect()
}

/// The last beats, so that rhythms are known from the start, and what happened before it.
async fn read_rhythm(observer: Observer, now: DateTime<Utc>, feed: Sender<Feed>) {
    let since = |back: TimeDelta, kinds: &'static [Kind]| {
        tokio::time::timeout(PATIENCE, observer.since(now - back, kinds))
    };
    let Ok(beats) = since(BEATS, &[Kind::Heartbeat]).await else { return };
    let Ok(past) = since(HAPPENED, &[Kind::Registry, Kind::Status]).await else { return };
    let whole = beats.problems.is_empty();
    let (beats, mut all) = (messages(beats.observations), messages(past.observations));
    all.extend(beats.iter().cloned());
    let from = whole.then(|| now - BEATS);
    let happened = happened(Fleet::new(), &all, Transitions::heard_from(from), now);
    // numbers of events tell of missing ones
    let is_numbered = |heard: &&Heard| match heard {
        Heard::Message(message) => matches!(&message.decoded.message, Message::Registry(event)
            if event.event_seq.is_some()),
        Heard::Malformed { .. } => false,
    };
    let numbered = all.iter().filter(is_numbered).cloned().collect();
    // where launchers do not count crashes, and services do not say since when, the fleet finds it
    let untold = all.into_iter().filter(|heard| match heard {
        Heard::Message(message) => match &message.decoded.message {
            Message::Registry(event) => {
                matches!(event.event, RegistryEvent::Crashed(_))
                    && now - message.stamp.stored < FLAPPING_WINDOW
            }
            Message::Status(status) => status.status_age_s.is_none(),
            Message::Heartbeat(_) | Message::Journal(_) => false,
        },
        Heard::Malformed { .. } => false,
    });
    let heard = beats.into_iter().chain(untold).collect();
    for event in [Event::Known(numbered), Event::Heard(heard), Event::Happened(happened)] {
        if feed.send(Feed::Event(event)).await.is_err() {
            return;
        }
    }
}

/// What happened, by these messages.
pub(crate) fn happened(
    mut fleet: Fleet,
    messages: &[Heard],
    mut transitions: Transitions,
    now: DateTime<Utc>,
) -> Vec<Transition> {
    let mut ordered: Vec<&Observed> = messages
        .iter()
        .filter_map(|heard| match heard {
            Heard::Message(message) => Some(&**message),
            Heard::Malformed { .. } => None,
        })
        .collect();
    ordered.sort_by_key(|message| message.stamp.stored);
    let mut happened = Vec::new();
    let messages = ordered.iter().map(|message| (&message.decoded, message.stamp));
    transitions.look_ahead(&mut fleet, messages);
    for Observed { subject, decoded, stamp, .. } in ordered {
        happened.extend(transitions.take(&mut fleet, subject, decoded, *stamp, Link::Steady));
    }
    happened.extend(transitions.advance(&fleet, now, Link::Steady));
    happened
}

fn messages(observations: Vec<Observation>) -> Vec<Heard> {
    observations
        .into_iter()
        .filter_map(|observation| match observation {
            Observation::Message(message) => Some(Heard::Message(message)),
            Observation::Malformed { .. }
            | Observation::Reading(..)
            | Observation::Clock(_)
            | Observation::Contact(_)
            | Observation::Link(_) => None,
        })
        .collect()
}

/// Reads what the streams hold of the past.
pub(super) async fn load(observer: Observer, span: Span, feed: Sender<Feed>) {
    let event = Event::Past(span, read_past(&observer, span).await.map(Box::new));
    feed.send(Feed::Event(event)).await.ok();
}

/// Reads what tells why a service is as it is.
pub(super) async fn explain(observer: Observer, subject: Box<Subject>, feed: Sender<Feed>) {
    let read = Box::new(crate::why::read(&observer, &subject, PATIENCE).await);
    feed.send(Feed::Event(Event::Explained(subject, Ok(read)))).await.ok();
}

/// Asks a launcher to operate a service, or to move to a profile.
pub(super) async fn ask(observer: Observer, request: Request, feed: Sender<Feed>) {
    let began = clock::monotonic();
    let outcome = answer(observer.bus(), &request).await.map_err(|error| match error {
        RequestError::NotReachable { .. } => "no launcher answers".to_owned(),
        error => error.to_string(),
    });
    let took = clock::monotonic().saturating_duration_since(began);
    let took = TimeDelta::from_std(took).unwrap_or_default();
    let outcome = outcome.flatten();
    feed.send(Feed::Event(Event::Reply(Reply { request, outcome, took }))).await.ok();
}

/// The answer in words; or that of a profile not all came to pass.
async fn answer(bus: &Bus, request: &Request) -> Result<Result<String, String>, RequestError> {
    let Request { operation, service, launcher, parameters } = request;
    match operation {
        Operation::Profile => {
            let request = profiles::parameters(parameters.profile.as_deref(), false);
            let data = bus.request(launcher, command::PROFILE, &request, OPERATION).await?;
            Ok(moved(&read_reply(&data).value))
        }
        Operation::Start | Operation::Stop | Operation::Restart => {
            let stop = StopRequest {
                when_idle: parameters.when_idle,
                max_wait_s: None,
                comment: parameters.comment.as_deref().map(str::to_owned),
            };
            let limit = if parameters.when_idle { WHEN_IDLE } else { OPERATION };
            let command = format!("{}.{service}", operation.as_str());
            let data = bus.request(launcher, &command, &stop, limit).await?;
            Ok(Ok(result(&read_reply(&data).value)))
        }
    }
}

/// `moved: 3 services changed`
fn moved(reply: &ReloadReply) -> Result<String, String> {
    let failed = |it: &ServiceChange| Some(format!("{}: {}", it.service_id, it.error.as_ref()?));
    match reply.services.iter().find_map(failed) {
        Some(why) => Err(why),
        None => Ok(format!("moved: {} changed", text::count(reply.services.len(), "service"))),
    }
}

/// `restarted, pid 4711`; an aim that was reached before is said to be.
fn result(reply: &OperationReply) -> String {
    let done = reply.result.as_str();
    let pid = reply.outcome.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    if reply.outcome.state == Some(Reached::Starting) {
        format!("{done}{pid}, not ready yet")
    } else if reply.changed {
        format!("{done}{pid}")
    } else {
        format!("already {done}{pid}")
    }
}

async fn read_past(observer: &Observer, span: Span) -> Result<PastRead, String> {
    let Span { since, until } = span;
    let patience = Patience { timeout: PATIENCE, listen: Duration::ZERO };
    let reading = async {
        let before = observer.at(since, patience).await;
        let past = observer.between(since, until, &Kind::FLEET).await;
        (before, past)
    };
    let (before, past) = tokio::time::timeout(PATIENCE * 2, reading)
        .await
        .map_err(|_| format!("not read in {} s", PATIENCE.as_secs() * 2))?;
    let mut problems: Vec<String> = Vec::new();
    let (mut begins, mut beats_begin) = (since, since);
    for problem in before.problems("").into_iter().chain(past.problems) {
        match problem {
            Problem::HistoryBegins { kind: Kind::Heartbeat, at } => beats_begin = at,
            // before this the stream holds nothing: nothing can be shown either
            Problem::HistoryBegins { at, .. } => begins = begins.max(at),
            Problem::NotConnected { .. } => return Err("not connected".to_owned()),
            problem => {
                let problem = problem.to_string();
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
    }
    let messages = messages(past.observations);
    let now = until.unwrap_or_else(|| before.clock.now());
    let heard_from = problems.is_empty().then_some(begins.max(beats_begin));
    if beats_begin > begins + NOTICEABLE {
        let begin = Problem::HistoryBegins { kind: Kind::Heartbeat, at: beats_begin };
        problems.push(begin.to_string());
    }
    let mut transitions = Transitions::heard_from(heard_from);
    transitions.begin(&before.fleet, since, Link::Steady);
    let transitions = happened(before.fleet.clone(), &messages, transitions, now);
    Ok(PastRead { since: begins, before: before.fleet, messages, transitions, problems })
}
