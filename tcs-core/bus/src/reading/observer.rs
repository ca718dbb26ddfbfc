//! Watching a fleet: the bus and the model joined, for anyone's own user interface.
//!
//! An [`Observer`] gives a [`Picture`] at once ([`Observer::snapshot`]), of a past moment
//! ([`Observer::at`]), or goes on telling what it observes ([`Observer::follow`]); applied to a
//! [`Picture`], the observations keep it true. Whether it is the whole truth, the picture knows
//! itself: [`Picture::problems`].
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use tcs_bus::settings::{NatsSection, Settings};
//! use tcs_bus::observer::{Observer, Patience};
//!
//! let settings = Settings::from_process(&NatsSection::default(), None)?;
//! let patience = Patience::default();
//! let observer = Observer::connect(&settings, "my-monitor 1.0", patience.timeout).await?;
//! let picture = observer.snapshot(patience).await;
//! for service in picture.view(tcs_bus::clock::monotonic()).services {
//!     println!("{} {}", service.id, service.headline());
//! }
//! # Ok(()) }
//! ```

mod chronicle;
mod hearing;
mod history;
mod look_back;
mod observation;
mod picture;
mod problem;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock;
use crate::settings::Settings;
use crate::{BrokerClock, Bus, ConnectError, Cut};
pub use chronicle::Told;
pub use hearing::{Hearing, Unanswered};
pub use history::Past;
use look_back::{LookBack, Newest};
use observation::observe;
pub use observation::{Observation, Observed};
pub use picture::{Figures, Picture};
pub use problem::Problem;
use tcs_wire::Kind;

/// Messages decoded at once: so many wait decoded, several times over.
const BATCH: usize = 1024;
/// While following, messages that arrive within this time are delivered as one batch: nobody looks
/// closer, and each batch costs its reader a wake-up.
const LINGER: Duration = Duration::from_millis(20);
/// How long a picture waits for a message that tells the broker's time, where nothing else does.
const CLOCK_WAIT: Duration = Duration::from_secs(1);
/// Batches waiting for a slow reader; behind them messages coalesce by subject.
const WAITING: usize = 2;

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a snapshot to be complete.
    pub timeout: Duration,
    /// How long to listen where no stream is, if that is asked for: two intervals.
    pub listen: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), listen: Duration::from_secs(20) }
    }
}

/// Reads and follows a fleet over one bus. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Observer {
    bus: Bus,
    core: bool,
}

impl Observer {
    /// Over an existing connection.
    pub fn new(bus: Bus) -> Self {
        Self { bus, core: false }
    }

    /// Connects, or fails, within `timeout`. `name` is what the server's tools show.
    pub async fn connect(
        settings: &Settings,
        name: &str,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        Ok(Self::new(Bus::connect(settings, name, timeout).await?))
    }

    /// Listens also where no stream holds the subjects. This slows Python publishers down to 15 s
    /// a message (`docs/spec/wire.md#reading-the-streams`): for fleets without them.
    #[must_use]
    pub fn with_core(self, core: bool) -> Self {
        Self { core, ..self }
    }

    /// The connection.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The picture of now. Always given: what it lacks, [`Picture::problems`] says.
    pub async fn snapshot(&self, patience: Patience) -> Picture {
        self.collect(patience, Picture::apply).await
    }

    /// An empty picture, for [`Self::follow`]'s observations.
    pub fn blank(&self) -> Picture {
        Picture::new(&Kind::FLEET, self.bus.link().borrow().clone(), BrokerClock::local())
    }

    /// Reads until everything is there, or cannot be had, or the time is up. While one task decodes,
    /// this one folds.
    async fn collect(
        &self,
        patience: Patience,
        mut apply: impl FnMut(&mut Picture, Observation),
    ) -> Picture {
        let start = clock::monotonic();
        let mut picture = self.blank();
        let mut following = self.follow_each(&Kind::FLEET, Duration::ZERO);
        let mut settled = None;
        loop {
            let until = if !picture.is_settled() {
                start + patience.timeout
            } else if picture.is_listening() {
                start + patience.listen
            } else if picture.lacks_clock() {
                // servers before 2.10 tell their time only by what they store
                let settled = *settled.get_or_insert_with(clock::monotonic);
                (start + patience.timeout).min(settled + CLOCK_WAIT)
            } else {
                break;
            };
            let next = tokio::time::timeout_at(until.into(), following.next());
            let Ok(Some(observations)) = next.await else { break };
            for observation in observations {
                apply(&mut picture, observation);
            }
        }
        picture.cut = following.cut();
        following.stop().await;
        picture.figures.took = clock::monotonic().saturating_duration_since(start);
        picture
    }

    /// Tells what is there, then what comes, until dropped. The link may be down meanwhile, and
    /// streams may appear later.
    pub fn follow(&self, kinds: &[Kind]) -> Following {
        self.follow_each(kinds, LINGER)
    }

    /// The same; messages that arrive within `linger` are delivered as one batch.
    fn follow_each(&self, kinds: &[Kind], linger: Duration) -> Following {
        let follow = self.bus.follow(kinds, self.core);
        let bus = self.bus.clone();
        let (sender, batches) = mpsc::channel(WAITING);
        let (cut_sender, cut) = tokio::sync::watch::channel(Cut::default());
        let cancel = CancellationToken::new();
        let cancelled = cancel.clone();
        let task = tokio::spawn(async move {
            let (mut clock, mut look_back) = (BrokerClock::local(), LookBack::default());
            let work = async {
                loop {
                    let heard = follow.next(BATCH).await;
                    let full = heard.len() == BATCH;
                    let mut unreadable = Vec::new();
                    let observe = |item| {
                        let newest = Newest::of(&item);
                        let observation = observe(item, bus.subjects(), &mut clock);
                        if let Observation::Malformed { .. } = observation {
                            unreadable.extend(newest);
                        }
                        observation
                    };
                    let mut batch: Vec<_> = heard.into_iter().map(observe).collect();
                    look_back.complete(&bus, &follow, &mut batch, unreadable).await;
                    cut_sender.send_if_modified(|cut| {
                        let now = follow.cut();
                        std::mem::replace(cut, now) != now
                    });
                    if sender.send(batch).await.is_err() {
                        return;
                    }
                    if !full && !linger.is_zero() {
                        tokio::time::sleep(linger).await;
                    }
                }
            };
            cancelled.run_until_cancelled(work).await;
            follow.stop().await;
        });
        Following { batches, cut, task, cancel: cancel.drop_guard() }
    }
}

/// Observations as they come, in batches. Whoever reads slowly gets late what is newest of each
/// subject, and loses only what was newer for a while.
#[derive(Debug)]
pub struct Following {
    batches: mpsc::Receiver<Vec<Observation>>,
    cut: tokio::sync::watch::Receiver<Cut>,
    task: tokio::task::JoinHandle<()>,
    cancel: DropGuard,
}

impl Following {
    /// The next ones; safe to drop while waiting. `None`: it has ended, which it never does by
    /// itself while all is well.
    pub async fn next(&mut self) -> Option<Vec<Observation>> {
        self.batches.recv().await
    }

    /// What was passed over because it was not taken in time.
    pub fn cut(&self) -> Cut {
        *self.cut.borrow()
    }

    /// Ends, and takes our consumers off the server. A mere drop does it too, a little later.
    pub async fn stop(self) {
        drop(self.cancel);
        drop(self.batches);
        self.task.await.ok();
    }
}
