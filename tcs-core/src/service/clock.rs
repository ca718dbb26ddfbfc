//! The clock a service sleeps by: the system's, or one that a test moves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::clock;

/// A clock. Cheap to clone; clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    System,
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    start: DateTime<Utc>,
    passed: watch::Sender<Duration>,
    /// Until when each sleeper sleeps.
    sleepers: watch::Sender<BTreeMap<u64, Duration>>,
}

impl Clock {
    /// The system's.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// One that begins at `start` and stands still until [`Clock::advance`].
    pub fn manual(start: DateTime<Utc>) -> Self {
        let passed = watch::Sender::new(Duration::ZERO);
        let sleepers = watch::Sender::new(BTreeMap::new());
        Self(Kind::Manual(Arc::new(Manual { start, passed, sleepers })))
    }

    /// What it shows.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Kind::System => clock::wall(),
            Kind::Manual(manual) => manual.start + *manual.passed.borrow(),
        }
    }

    /// Waits until it has gone on by `time`.
    pub async fn sleep(&self, time: Duration) {
        match &self.0 {
            Kind::System => tokio::time::sleep(time).await,
            Kind::Manual(manual) => {
                let mut passed = manual.passed.subscribe();
                let until = passed.borrow().saturating_add(time);
                let _sleeper = Sleeper::new(&manual.sleepers, until);
                if passed.wait_for(|passed| *passed >= until).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Moves a manual clock on; the system's goes by itself.
    pub fn advance(&self, time: Duration) {
        if let Kind::Manual(manual) = &self.0 {
            manual.passed.send_modify(|passed| *passed = passed.saturating_add(time));
        }
    }

    /// When the first of those who sleep by a manual clock wakes up: this far from its start.
    pub(crate) fn next_wake(&self) -> Option<Duration> {
        match &self.0 {
            Kind::System => None,
            Kind::Manual(manual) => manual.sleepers.borrow().values().min().copied(),
        }
    }

    /// How far a manual clock has been moved.
    pub(crate) fn passed(&self) -> Duration {
        match &self.0 {
            Kind::System => Duration::ZERO,
            Kind::Manual(manual) => *manual.passed.borrow(),
        }
    }

    /// Waits until somebody sleeps by a manual clock, beyond what it shows now.
    pub(crate) async fn somebody_sleeps(&self) {
        if let Kind::Manual(manual) = &self.0 {
            let passed = self.passed();
            let mut sleepers = manual.sleepers.subscribe();
            sleepers.wait_for(|sleepers| sleepers.values().any(|until| *until > passed)).await.ok();
        }
    }
}

struct Sleeper<'a> {
    sleepers: &'a watch::Sender<BTreeMap<u64, Duration>>,
    number: u64,
}

impl<'a> Sleeper<'a> {
    fn new(sleepers: &'a watch::Sender<BTreeMap<u64, Duration>>, until: Duration) -> Self {
        let mut number = 0;
        sleepers.send_modify(|sleepers| {
            number = sleepers.last_key_value().map_or(0, |(last, _)| last + 1);
            sleepers.insert(number, until);
        });
        Self { sleepers, number }
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.sleepers.send_modify(|sleepers| {
            sleepers.remove(&self.number);
        });
    }
}
