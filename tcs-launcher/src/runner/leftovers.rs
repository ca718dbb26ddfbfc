//! Processes that a process leaves running when it ends: they are reported, then ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::group::{Mark, Members, Process};
use super::orders::{Order, Orders};
use super::process::ProcessRunner;
use tcs_supervisor::ServiceId;

/// After so many kills in vain it is a process that only forks and exits, and is gone before it is
/// killed: then each is killed as soon as it is seen, in so many turns.
const IN_VAIN: u32 = 3;
const TURNS: u32 = 1000;

/// How often one is looked for that lives long enough to be named.
const LOOKS: u32 = 10;

/// Between two looks: at first, and in the long run.
const PAUSE: Duration = Duration::from_millis(20);
const LONG_PAUSE: Duration = Duration::from_millis(500);

/// The processes that belong to one run.
#[derive(Debug)]
pub(super) struct Family<'a> {
    pub(super) runner: &'a ProcessRunner,
    pub(super) id: &'a ServiceId,
    pub(super) mark: &'a Mark,
    /// The group of its main process; `None` once it is empty: its number may come again as
    /// somebody else's.
    pub(super) group: Option<i32>,
}

impl Family<'_> {
    async fn look(&mut self) -> Members {
        let members = self.runner.look().await.members(self.mark, self.group);
        if !members.living.iter().any(|process| Some(process.group) == self.group) {
            self.group = None;
        }
        members
    }

    /// A main process that nobody asked to end has ended with code 0: in words, if it has only gone
    /// to the background.
    pub(super) async fn in_background(&mut self) -> Option<String> {
        let mut which = "processes".to_owned();
        for _ in 0..LOOKS {
            let members = self.look().await;
            if let Some(process) = members.living.first() {
                let name = process.name().map(|name| format!(" ({name})")).unwrap_or_default();
                which = format!("process {}{name}", process.pid);
                break;
            }
            if members.is_over() {
                return None;
            }
        }
        Some(format!(
            "exited with code 0 and left {which} running in the background; tcsd ends it: run the \
             program in the foreground (often an option such as --foreground or --no-daemon)"
        ))
    }

    /// Sends `signal` once to each that is there, and looks until none is left. After an order to
    /// kill they are killed.
    pub(super) async fn end(mut self, mut signal: Signal, orders: &mut Orders) {
        let mut told: BTreeMap<(i32, u64), Result<(), Errno>> = BTreeMap::new();
        let mut pause = PAUSE;
        let mut kills = 0;
        loop {
            let members = self.look().await;
            if members.is_over() {
                return;
            }
            let mut now = BTreeMap::new();
            for process in &members.living {
                let key = (process.pid, process.start);
                let before = told.remove(&key);
                let sent = match before {
                    Some(sent) if signal != Signal::SIGKILL => sent,
                    Some(_) | None => self.send(process, signal, before),
                };
                now.insert(key, sent);
            }
            told = now;
            kills += u32::from(signal == Signal::SIGKILL);
            if kills > IN_VAIN {
                let (spawner, mark) = (Arc::clone(&self.runner.spawner), self.mark.clone());
                let kill = move || spawner.kill_orphans(&mark, TURNS);
                let _ = tokio::task::spawn_blocking(kill).await;
            }
            tokio::select! {
                order = orders.next() => match order {
                    Order::Stop => {}
                    Order::Kill => {
                        signal = Signal::SIGKILL;
                        pause = PAUSE;
                    }
                },
                () = sleep(pause) => pause = (pause * 2).min(LONG_PAUSE),
            }
        }
    }

    fn send(
        &self,
        process: &Process,
        signal: Signal,
        before: Option<Result<(), Errno>>,
    ) -> Result<(), Errno> {
        let sent = process.signal(signal).and_then(|()| process.signal(Signal::SIGCONT));
        if let Err(error) = sent
            && before != Some(sent)
        {
            let (id, pid) = (self.id, process.pid);
            let name = process.name().unwrap_or_default();
            tracing::warn!("{id}: cannot end process {pid} ({name}): {}", error.desc());
        }
        sent
    }
}
