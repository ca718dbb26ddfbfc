//! Other launchers that declare the same services (`truth.md` 7), found by the picture's own rules
//! out of what is heard anyway.

use std::collections::BTreeMap;
use std::sync::Arc;

use tcs_core::clock;
use tcs_core::observer::{Observation, Observed, Observer, Picture};
use tcs_core::wire::{Event, Message};

use super::Daemon;
use crate::supervisor::Lifecycle;

/// Services, each with the monitored names of the other live launchers that declare it.
pub(super) type Shared = BTreeMap<Arc<str>, Vec<String>>;

/// What is known of launchers and their declarations: nothing of the services themselves.
#[derive(Debug)]
pub(super) struct Rivals {
    own: String,
    picture: Picture,
}

impl Rivals {
    pub(super) fn new(observer: &Observer, own: String) -> Self {
        Self { own, picture: observer.blank() }
    }

    pub(super) fn hear(&mut self, observation: Observation) {
        if concerns_launchers(&observation) {
            self.picture.apply(observation);
        }
    }

    pub(super) fn found(&self) -> Shared {
        let now = self.picture.clock.at(clock::monotonic());
        self.picture.fleet.rivals(&self.own, now, self.picture.fleet_link(clock::monotonic()))
    }
}

impl Daemon<'_> {
    /// Other launchers declare these services too: says so wherever that is news.
    pub(super) fn shared(&mut self, shared: Shared) {
        let before = std::mem::replace(&mut self.voice.others, shared);
        for (id, plan) in &self.plans {
            let (old, new) = (before.get(id.as_str()), self.voice.others.get(id.as_str()));
            if old == new || self.supervisor.service(id).is_none_or(|it| it.leaving) {
                continue;
            }
            if let Some(others) = new {
                let others = others.join(", ");
                tracing::warn!("{id} is declared by another launcher too: {others}");
            } else {
                tracing::info!("{id} is declared by no other launcher any more");
            }
            self.voice.say(plan, &Lifecycle::Declared, None);
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
