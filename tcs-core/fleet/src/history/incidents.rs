//! What went wrong in a period: the faults of each service, and those that belong together.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Gap, History, Stage, Track};
use crate::{FleetView, Reason, Verdict};

/// What begins within this of the first fault of an incident, and has something in common with it,
/// belongs to it; a fault that begins within it of the end of another one of the same service
/// continues that one.
pub const TOGETHER: TimeDelta = TimeDelta::seconds(60);

/// One fault of one service: from its first verdict that is one, until it is ok or has stopped.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Episode {
    /// Which.
    pub service: Arc<str>,
    /// By the broker's clock; before the period where it had begun before.
    pub from: DateTime<Utc>,
    /// `None`: it lasted beyond the end of the period.
    pub until: Option<DateTime<Utc>>,
    /// The worst verdict of it.
    pub worst: Verdict,
    /// The reason that explains it best.
    pub cause: Option<Reason>,
}

/// What the faults of an incident have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Common {
    /// The broker, or the way to it, was down.
    Broker(Gap),
    /// They are on this host.
    Host(Arc<str>),
    /// They are of this launcher, or it is itself among them.
    Launcher(Arc<str>),
    /// It is one service.
    Service(Arc<str>),
}

/// Faults that belong together.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Incident {
    /// When the first of them began.
    pub from: DateTime<Utc>,
    /// When the last of them was over; `None`: it lasted beyond the end of the period.
    pub until: Option<DateTime<Utc>>,
    /// What they have in common.
    pub common: Common,
    /// In the order in which they began; none where only the broker was down.
    pub episodes: Vec<Episode>,
}

impl Incident {
    /// The worst verdict of it; an outage of the broker is as bad as a lost service.
    pub fn worst(&self) -> Verdict {
        self.episodes.iter().map(|it| it.worst).min().unwrap_or(Verdict::Lost)
    }

    /// How long it lasted, by the end of the period if it was not over.
    pub fn lasted(&self, history: &History) -> TimeDelta {
        self.until.unwrap_or(history.to) - self.from
    }

    /// The services of it, each once.
    pub fn services(&self) -> BTreeSet<&Arc<str>> {
        self.episodes.iter().map(|it| &it.service).collect()
    }

    /// The fault that explains the incident best: that of the common launcher, else the first.
    pub fn leading(&self) -> Option<&Episode> {
        let of_common = match &self.common {
            Common::Launcher(id) => self.episodes.iter().find(|it| it.service == *id),
            Common::Broker(_) | Common::Host(_) | Common::Service(_) => None,
        };
        of_common.or(self.episodes.first())
    }
}

/// How well a reason explains the cause.
const fn rank(reason: &Reason) -> u8 {
    match reason {
        Reason::Crashed { .. } | Reason::Flapping { .. } | Reason::GivenUp { .. } => 0,
        Reason::Reported { .. } => 1,
        Reason::LauncherLost(_) | Reason::HostSilent(_) | Reason::Orphaned(_) => 2,
        Reason::LoopBlocked { .. } | Reason::Conflict(_) | Reason::Double(_) => 3,
        _ => 4,
    }
}

/// The faults of one service, in the order of time.
fn episodes(id: &Arc<str>, track: &Track, history: &History) -> Vec<Episode> {
    let mut found: Vec<Episode> = Vec::new();
    let mut is_open = false;
    for (begins, _, stage) in track.spans(history.from, history.to) {
        match stage.verdict {
            verdict if verdict.is_fault() => {
                let goes_on = found.last().is_some_and(|last| {
                    is_open || last.until.is_some_and(|until| begins - until <= TOGETHER)
                });
                if !goes_on {
                    found.push(begin(id, stage));
                }
                is_open = true;
                if let Some(last) = found.last_mut() {
                    extend(last, stage);
                }
            }
            // on the way out of it
            Verdict::Starting | Verdict::Stopping | Verdict::Unknown if is_open => {}
            _ => {
                if let Some(last) = found.last_mut().filter(|_| is_open) {
                    last.until = Some(begins);
                }
                is_open = false;
            }
        }
    }
    found
}

fn begin(id: &Arc<str>, stage: &Stage) -> Episode {
    let (service, from) = (Arc::clone(id), stage.from);
    Episode { service, from, until: None, worst: stage.verdict, cause: None }
}

fn extend(episode: &mut Episode, stage: &Stage) {
    episode.until = None;
    episode.worst = episode.worst.min(stage.verdict);
    // what comes later is a consequence
    let Some(reason) = stage.reason.as_ref().filter(|_| stage.from - episode.from <= TOGETHER)
    else {
        return;
    };
    if episode.cause.as_ref().is_none_or(|known| rank(reason) < rank(known)) {
        episode.cause = Some(reason.clone());
    }
}

/// A group while it grows.
struct Group {
    from: DateTime<Utc>,
    outage: Option<Gap>,
    episodes: Vec<Episode>,
    /// Launchers and hosts common to all of them.
    common: BTreeSet<Arc<str>>,
}

/// The launcher of a service, or the launcher itself, and its host.
fn places(view: &FleetView, id: &str) -> BTreeSet<Arc<str>> {
    let Some(service) = view.get(id) else { return BTreeSet::new() };
    let launcher = if service.is_launcher { Some(&service.id) } else { service.parent.as_ref() };
    let host = service.host.as_ref().map(|host| host_key(host));
    launcher.cloned().into_iter().chain(host).collect()
}

/// No id of a service has a slash.
fn host_key(host: &str) -> Arc<str> {
    format!("/{host}").into()
}

impl Group {
    fn admits(&self, episode: &Episode, places: &BTreeSet<Arc<str>>) -> bool {
        let since = episode.from - self.from;
        match (&self.outage, &episode.cause) {
            (Some(gap), _) => gap.from <= episode.from && episode.from - gap.until <= TOGETHER,
            // its silence is found to be theirs some time later
            (None, Some(Reason::LauncherLost(launcher) | Reason::Orphaned(launcher))) => {
                let is_it = |it: &Episode| {
                    *it.service == **launcher && it.until.is_none_or(|until| until >= episode.from)
                };
                self.episodes.iter().any(is_it)
            }
            (None, _) => since <= TOGETHER && !self.common.is_disjoint(places),
        }
    }

    fn add(&mut self, episode: Episode, places: &BTreeSet<Arc<str>>) {
        if self.episodes.is_empty() {
            self.common.clone_from(places);
        } else {
            self.common.retain(|place| places.contains(place));
        }
        self.episodes.push(episode);
    }

    fn close(self, view: &FleetView) -> Incident {
        let mut ends: Vec<Option<DateTime<Utc>>> =
            self.episodes.iter().map(|it| it.until).collect();
        ends.extend(self.outage.map(|gap| Some(gap.until)));
        let until = ends.iter().copied().collect::<Option<Vec<_>>>();
        let until = until.and_then(|ends| ends.into_iter().max());
        let common = self.common(view);
        Incident { from: self.from, until, common, episodes: self.episodes }
    }

    fn common(&self, view: &FleetView) -> Common {
        if let Some(gap) = self.outage {
            return Common::Broker(gap);
        }
        let first = &self.episodes[0].service;
        let is_launcher = |id: &str| view.get(id).is_some_and(|service| service.is_launcher);
        if self.episodes.iter().all(|it| it.service == *first) && !is_launcher(first) {
            return Common::Service(Arc::clone(first));
        }
        let launchers: BTreeSet<&Arc<str>> =
            self.episodes.iter().map(|it| &it.service).filter(|id| is_launcher(id)).collect();
        let host = self.common.iter().find_map(|place| place.strip_prefix('/'));
        let launcher = self.common.iter().find(|place| !place.starts_with('/'));
        match (launcher, host) {
            (None, Some(host)) => Common::Host(host.into()),
            (Some(launcher), _) => Common::Launcher(Arc::clone(launcher)),
            // they came to it by their launcher
            (None, None) => match launchers.first() {
                Some(launcher) => Common::Launcher(Arc::clone(launcher)),
                None => Common::Service(Arc::clone(first)),
            },
        }
    }
}

/// What went wrong in the period, grouped by cause, in the order of time. `view` gives the
/// launcher and host of each service. Each fault is in one incident.
pub fn incidents(history: &History, view: &FleetView) -> Vec<Incident> {
    let mut all: Vec<Episode> =
        history.services.iter().flat_map(|(id, track)| episodes(id, track, history)).collect();
    // a launcher before its services
    let order = |it: &Episode| {
        let is_launcher = view.get(&it.service).is_some_and(|service| service.is_launcher);
        (it.from, !is_launcher, Arc::clone(&it.service))
    };
    all.sort_by_cached_key(order);
    let outage = |gap: &Gap| {
        let (episodes, common) = (Vec::new(), BTreeSet::new());
        Group { from: gap.from, outage: Some(*gap), episodes, common }
    };
    let mut groups: Vec<Group> = history.outages().map(outage).collect();
    for episode in all {
        let places = places(view, &episode.service);
        let place = groups.iter().rposition(|group| group.admits(&episode, &places));
        let place = place.unwrap_or_else(|| {
            let from = episode.from;
            let (episodes, common) = (Vec::new(), BTreeSet::new());
            groups.push(Group { from, outage: None, episodes, common });
            groups.len() - 1
        });
        groups[place].add(episode, &places);
    }
    let mut found: Vec<Incident> = groups.into_iter().map(|group| group.close(view)).collect();
    found.sort_by_key(|incident| incident.from);
    found
}
