//! Other launchers that declare the same services (`docs/spec/truth.md#launchers-and-hosts`), found
//! by the picture's own rules out of what is heard anyway; and other runs under our own name, which
//! a picture takes for ours: two machines, or containers, of one host name and one path.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::bus::ClockQuality;
use tcs_core::clock;
use tcs_core::observer::{Observation, Observed, Observer, Picture};
use tcs_core::wire::{Event, Message};

use super::Daemon;

/// Services that other launchers declare, or declared last.
pub(super) type Shared = BTreeMap<Arc<str>, Others>;

/// Other launchers that declare one of our services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Others {
    /// Monitored names of those that live: our own for another run under it. None: one that has
    /// ended since declared it last, which hides our declaration.
    pub(super) names: Vec<String>,
    /// How often one has declared it without naming us: it may not know of us, as one that was
    /// started again, and learns from our next declaration.
    unaware: u64,
}

/// The services that we declare. Of two declarations that were stored before anybody listened, ours
/// and another's, a reader of the streams finds the newest alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Ours(Arc<Mutex<BTreeSet<Arc<str>>>>);

impl Ours {
    pub(super) fn add(&self, id: &str) {
        self.get().insert(id.into());
    }

    pub(super) fn remove(&self, id: &str) {
        self.get().remove(id);
    }

    fn get(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of launchers and their declarations: nothing of the services themselves.
#[derive(Debug)]
pub(super) struct Conflicts {
    own: String,
    ours: Ours,
    /// When this began: by then all that an earlier run of ours sent was stored.
    since: Instant,
    namesakes: Namesakes,
    unaware: BTreeMap<Arc<str>, u64>,
    picture: Picture,
}

impl Conflicts {
    /// For the launcher of this monitored name and run.
    pub(super) fn new(observer: &Observer, own: String, run: String, ours: Ours) -> Self {
        let namesakes = Namesakes::new(own.clone(), run);
        let (since, unaware) = (clock::monotonic(), BTreeMap::new());
        Self { own, ours, since, namesakes, unaware, picture: observer.blank() }
    }

    /// Whether this may change what is found.
    pub(super) fn hear(&mut self, observation: Observation) -> bool {
        let concerns = concerns_launchers(&observation);
        if concerns {
            if let Observation::Message(observed) = &observation {
                self.namesakes.hear(observed);
                self.count_unaware(observed);
            }
            self.picture.apply(observation);
        }
        concerns
    }

    fn count_unaware(&mut self, observed: &Observed) {
        if let Message::Registry(registry) = &observed.decoded.message
            && let Event::Declared(declared) = &registry.event
            && registry.parent.as_ref().is_some_and(|by| *by != self.own)
            && !declared.others.contains(&self.own)
            && let Some(id) = self.ours.get().get(registry.service_id.as_str())
        {
            *self.unaware.entry(Arc::clone(id)).or_default() += 1;
        }
    }

    pub(super) fn found(&self) -> Shared {
        let now = self.picture.clock.at(clock::monotonic());
        let link = self.picture.fleet_link(clock::monotonic());
        let mut shared = self.picture.fleet.rivals(&self.own, &self.ours.get(), now, link);
        // by a clock that is not known yet an earlier run of ours would be another one
        if self.picture.clock.quality != ClockQuality::Local {
            for id in self.namesakes.declared(self.picture.clock.at(self.since), now) {
                shared.entry(id).or_default().push(self.own.clone());
            }
        }
        for id in self.hidden() {
            shared.entry(id).or_default();
        }
        let others = |(id, names): (_, Vec<String>)| {
            if names.is_empty() {
                return (id, Others { names, unaware: 0 });
            }
            let unaware = self.unaware.get(&id).copied().unwrap_or_default();
            (id, Others { names, unaware })
        };
        shared.into_iter().map(others).collect()
    }

    /// The services that somebody else declared last, since we did: a reader of the streams finds
    /// that declaration alone.
    fn hidden(&self) -> Vec<Arc<str>> {
        let is_known = self.picture.clock.quality != ClockQuality::Local;
        let since = is_known.then(|| self.picture.clock.at(self.since));
        let is_hidden = |id: &Arc<str>| {
            let held = self.picture.fleet.declared(id);
            let run = Some(self.namesakes.run.as_str());
            let mut ours = held.iter().map(|kept| kept.message.launcher_run.as_deref() == run);
            let is_last = ours.next().is_none_or(|last| last);
            !is_last
                && (ours.any(|it| it) || since.is_some_and(|since| held[0].stamp.stored > since))
        };
        self.ours.get().iter().filter(|id| is_hidden(id)).map(Arc::clone).collect()
    }
}

/// Without a sign of it for so long, another run is taken to be over.
const SILENCE: TimeDelta = TimeDelta::minutes(2);

/// Runs under our own name that are remembered, and services of each.
const NAMESAKES: usize = 8;
const DECLARED: usize = 10_000;

/// Other runs of launchers under our own monitored name, by `launcher_run`.
#[derive(Debug)]
struct Namesakes {
    name: String,
    run: String,
    /// Our own `meta.sender`.
    sender: Option<String>,
    runs: BTreeMap<String, Namesake>,
}

#[derive(Debug)]
struct Namesake {
    sender: String,
    last: DateTime<Utc>,
    declared: BTreeSet<Arc<str>>,
}

impl Namesakes {
    fn new(name: String, run: String) -> Self {
        Self { name, run, sender: None, runs: BTreeMap::new() }
    }

    fn hear(&mut self, observed: &Observed) {
        let Observed { decoded, stamp, .. } = observed;
        let sender = &decoded.meta.sender;
        match &decoded.message {
            Message::Registry(registry) => {
                let is_own = registry.service_id == self.name;
                let Some(run) = registry.launcher_run.as_ref() else { return };
                if !is_own && registry.parent.as_ref() != Some(&self.name) {
                    return;
                }
                if *run == self.run {
                    self.sender = Some(sender.clone());
                    return;
                }
                if is_own && matches!(registry.event, Event::Stop(_)) {
                    self.runs.remove(run);
                    return;
                }
                if self.runs.len() == NAMESAKES && !self.runs.contains_key(run) {
                    let oldest = self.runs.iter().min_by_key(|(_, it)| it.last);
                    if let Some(oldest) = oldest.map(|(run, _)| run.clone()) {
                        self.runs.remove(&oldest);
                    }
                }
                let namesake = self.runs.entry(run.clone()).or_insert_with(|| Namesake {
                    sender: sender.clone(),
                    last: stamp.stored,
                    declared: BTreeSet::new(),
                });
                namesake.last = namesake.last.max(stamp.stored);
                if matches!(registry.event, Event::Declared(_))
                    && namesake.declared.len() < DECLARED
                {
                    namesake.declared.insert(registry.service_id.as_str().into());
                }
            }
            Message::Heartbeat(beat) if beat.service_id == self.name => {
                let others = self.runs.values_mut().filter(|it| it.sender == *sender);
                for namesake in others.filter(|it| self.sender.as_ref() != Some(&it.sender)) {
                    namesake.last = namesake.last.max(stamp.stored);
                }
            }
            Message::Heartbeat(_) | Message::Status(_) | Message::Journal(_) => {}
        }
    }

    /// The services that one declares which has been heard of after `since`, and lives.
    fn declared(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> BTreeSet<Arc<str>> {
        let live = self.runs.values().filter(|it| it.last > since && now - it.last < SILENCE);
        live.flat_map(|it| it.declared.iter().cloned()).collect()
    }
}

impl Daemon<'_> {
    /// Other launchers declare these services too: says so wherever that is news.
    pub(super) fn shared(&mut self, shared: Shared) {
        let before = std::mem::replace(&mut self.publisher.others, shared);
        for (id, plan) in &self.plans {
            let (old, new) = (before.get(id.as_str()), self.publisher.others.get(id.as_str()));
            if old == new || self.supervisor.service(id).is_none_or(|it| it.leaving) {
                continue;
            }
            let live = |it: Option<&Others>| it.map(|it| it.names.clone()).unwrap_or_default();
            let (old, others) = (live(old), live(new));
            if old == others {
                if new.is_none() {
                    // our declaration is the last one again
                    continue;
                }
                // known to us, and to be told to the others
            } else if !others.is_empty() {
                let own = &self.publisher.name;
                let named = others.iter().map(|other| match other {
                    other if other == own => format!("another run of {own}"),
                    other => other.clone(),
                });
                let others = named.collect::<Vec<_>>().join(", ");
                tracing::warn!("{id} is also declared by another launcher: {others}");
            } else {
                tracing::info!("{id} is no longer declared by another launcher");
            }
            self.publisher.declare(plan);
        }
    }
}

fn concerns_launchers(observation: &Observation) -> bool {
    match observation {
        Observation::Message(observed) => {
            let Observed { decoded, .. } = &**observed;
            match &decoded.message {
                Message::Registry(registry) if matches!(registry.event, Event::Declared(_)) => true,
                message => message.name().is_some_and(|name| name.starts_with("launcher.")),
            }
        }
        Observation::Clock(_)
        | Observation::Link(_)
        | Observation::Contact(_)
        | Observation::Reading(..) => true,
        Observation::Malformed { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tcs_core::bus::{BrokerClock, LinkState};
    use tcs_core::fleet::{Order, Stamp};
    use tcs_core::wire::{Kind, Subjects, decode};

    use super::*;

    fn second(at: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + at, 0).unwrap()
    }

    fn observed(subject: &str, sender: &str, data: &Value, at: i64) -> Observed {
        let subjects = Subjects::default();
        let body = json!({"data": data, "meta": {"sender": sender}}).to_string();
        let decoded = decode(subjects.parse(subject).unwrap(), body.as_bytes()).unwrap();
        let stored = second(at);
        let order = Order::Stream { created: second(0), seq: at.cast_unsigned() };
        let stamp = Stamp { stored, order };
        Observed { subject: subject.to_owned(), decoded, stamp, bytes: body.len() }
    }

    #[test]
    fn another_run_under_our_name_counts_as_long_as_it_lives() {
        let event = |name: &str, id: &str, run: &str, at: i64| {
            let data = json!({"event": name, "service_id": id, "parent": "launcher.a",
                              "launcher_run": run});
            observed(&format!("svc.registry.{name}.{id}"), run, &data, at)
        };
        let mut namesakes = Namesakes::new("launcher.a".into(), "ours".into());
        // of the launcher before, whose place we have taken
        namesakes.hear(&event("declared", "dome.a", "before", 1));
        namesakes.hear(&event("start", "launcher.a", "ours", 10));
        namesakes.hear(&event("declared", "dome.a", "ours", 11));
        let found = |namesakes: &Namesakes, at| namesakes.declared(second(9), second(at)).len();
        assert_eq!(found(&namesakes, 12), 0);

        namesakes.hear(&event("declared", "dome.a", "other", 20));
        assert_eq!(
            (found(&namesakes, 21), found(&namesakes, 139), found(&namesakes, 140)),
            (1, 1, 0)
        );
        let beat = |sender: &str, at| {
            let data = json!({"service_id": "launcher.a"});
            observed("svc.heartbeat.launcher.a", sender, &data, at)
        };
        namesakes.hear(&beat("ours", 150));
        assert_eq!(found(&namesakes, 151), 0, "our own beat is no sign of it");
        namesakes.hear(&beat("other", 150));
        assert_eq!(found(&namesakes, 151), 1);
        namesakes.hear(&event("stop", "launcher.a", "other", 160));
        assert_eq!(found(&namesakes, 161), 0);
        // and what somebody makes up takes no memory
        for n in 0..1000 {
            namesakes.hear(&event("declared", "dome.a", &format!("run {n}"), 170));
        }
        assert_eq!(namesakes.runs.len(), NAMESAKES);
    }

    #[test]
    fn a_declaration_that_hides_ours_is_found_though_its_launcher_has_ended() {
        let ours = Ours::default();
        ours.add("dome.a");
        let link = LinkState::Connecting { attempt: 0, since: clock::monotonic(), why: None };
        let mut conflicts = Conflicts {
            own: "launcher.a".into(),
            ours,
            since: clock::monotonic(),
            namesakes: Namesakes::new("launcher.a".into(), "ours".into()),
            unaware: BTreeMap::new(),
            picture: Picture::new(&Kind::FLEET, link, BrokerClock::local()),
        };
        let mut hear = |by: &str, event: &str, id: &str, at: i64| {
            let parent = (id != by).then_some(by);
            let run = if by == "launcher.a" { "ours" } else { "theirs" };
            let data =
                json!({"event": event, "service_id": id, "parent": parent, "launcher_run": run});
            let message = observed(&format!("svc.registry.{event}.{id}"), run, &data, at);
            conflicts.hear(Observation::Message(Arc::new(message)));
            conflicts.found().get("dome.a").map(|it| it.names.clone())
        };
        assert_eq!(hear("launcher.b", "declared", "dome.a", 1), None, "before ours");
        assert_eq!(hear("launcher.a", "declared", "dome.a", 2), None);
        // all of its life in one look
        hear("launcher.b", "start", "launcher.b", 3);
        hear("launcher.b", "declared", "dome.a", 4);
        assert_eq!(hear("launcher.b", "stop", "launcher.b", 5), Some(Vec::new()));
        assert_eq!(hear("launcher.a", "declared", "dome.a", 6), None, "said again");
    }
}
