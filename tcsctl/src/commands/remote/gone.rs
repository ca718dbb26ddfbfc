//! Whether a launcher that was asked for something long can still do it: one that has ended, or was
//! started again, answers nobody any more.

use std::collections::BTreeMap;
use std::time::Duration;

use tcs_core::bus::Bus;
use tcs_core::clock;
use tcs_core::fleet::{FleetView, ServiceView, Verdict};
use tcs_core::observer::Observer;
use tcs_core::wire::Kind;
use tokio::sync::watch;

/// How often the fleet is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Launchers, and which run of each it is.
type Runs = BTreeMap<String, Option<String>>;

/// Launchers that are gone, and why.
#[derive(Debug)]
pub(super) struct Gone(watch::Receiver<BTreeMap<String, String>>);

impl Gone {
    /// Follows the launchers of this picture, for as long as this lives.
    pub(super) fn follow(bus: Bus, view: &FleetView) -> Self {
        let launchers = view.services.iter().filter(|it| it.is_launcher);
        let runs: Runs = launchers.map(|it| (it.id.to_string(), run(it))).collect();
        let (tell, told) = watch::channel(BTreeMap::new());
        tokio::spawn(async move {
            let observer = Observer::new(bus);
            let mut picture = observer.blank();
            let mut following = observer.follow(&Kind::FLEET);
            let mut looks = tokio::time::interval(LOOK);
            loop {
                tokio::select! {
                    Some(batch) = following.next() => picture.extend(batch),
                    _ = looks.tick() => if picture.is_settled() && picture.link.is_connected() {
                        tell.send_replace(gone(&picture.view(clock::monotonic()), &runs));
                    },
                    () = tell.closed() => break,
                }
            }
            following.stop().await;
        });
        Self(told)
    }

    /// Why, once it is gone.
    pub(super) async fn of(&self, launcher: &str) -> String {
        let mut told = self.0.clone();
        let why = told.wait_for(|gone| gone.contains_key(launcher)).await;
        match why.ok().and_then(|gone| gone.get(launcher).cloned()) {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }
}

fn run(launcher: &ServiceView) -> Option<String> {
    launcher.launcher_run().map(str::to_owned)
}

fn gone(view: &FleetView, runs: &Runs) -> BTreeMap<String, String> {
    let why = |name: &str, before: &Option<String>| {
        let launcher = view.get(name)?;
        let verdict = launcher.verdict;
        // of one whose run was not read before it is not known
        if before.is_some() && run(launcher) != *before {
            Some(format!("{name} has been restarted in the meantime"))
        } else if !launcher.phase.is_up() || verdict == Verdict::Lost {
            Some(format!("{name} no longer answers: it is {verdict}"))
        } else {
            None
        }
    };
    runs.iter().filter_map(|(name, run)| Some((name.clone(), why(name, run)?))).collect()
}
