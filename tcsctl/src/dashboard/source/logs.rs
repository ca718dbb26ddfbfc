//! The output of one service: what its launcher holds, then the lines of its journal as they come.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tcs_core::bus::rpc::RequestError;
use tcs_core::observer::Observer;
use tcs_core::wire::Kind;
use tcs_core::wire::control::{LogLine, LogRun, LogsReply};
use tokio::sync::mpsc::Sender;

use super::Feed;
use crate::dashboard::event::{Event, LogNews};
use crate::logs::{self, LEASE, LogsWanted, RENEW, live};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Follows it, from its last `lines` on, until aborted.
pub(super) async fn follow(
    observer: Observer,
    service: Arc<str>,
    launcher: Option<Arc<str>>,
    lines: u64,
    feed: Sender<Feed>,
) {
    // journals may be in no stream; no Python publisher waits for the ack of one
    let mut following = observer.clone().with_core(true).follow(&[Kind::Journal]);
    let subject = observer.bus().subjects().journal(&service);
    let log = Log { observer, service, launcher, feed };
    let held = log.ask(lines).await;
    // what was sent while it answered is in the answer too
    let mut told: HashSet<LogLine> = held.0.iter().flatten().cloned().collect();
    if log.tell(held, true).await.is_err() {
        return;
    }
    let mut renew = tokio::time::interval_at((tcs_core::clock::monotonic() + RENEW).into(), RENEW);
    loop {
        tokio::select! {
            batch = following.next() => {
                let Some(batch) = batch else { return };
                let lines = batch.into_iter().filter_map(|observed| live(&observed, &subject));
                let lines: Vec<LogLine> = lines.filter(|line| !told.remove(line)).collect();
                if !lines.is_empty() && log.tell((Ok(lines), Vec::new()), false).await.is_err() {
                    return;
                }
            }
            _ = renew.tick() => {
                told.clear();
                // how a run has ended since
                if let (Ok(_), runs) = log.ask(0).await
                    && log.tell((Ok(Vec::new()), runs), false).await.is_err()
                {
                    return;
                }
            }
        }
    }
}

/// What its launcher says: lines, or why there are none, and how runs have ended.
type Said = (Result<Vec<LogLine>, String>, Vec<LogRun>);

struct Log {
    observer: Observer,
    service: Arc<str>,
    launcher: Option<Arc<str>>,
    feed: Sender<Feed>,
}

impl Log {
    async fn tell(&self, (outcome, runs): Said, whole: bool) -> Result<(), ()> {
        let news = LogNews { service: Arc::clone(&self.service), outcome, runs, whole };
        self.feed.send(Feed::Event(Event::Logs(news))).await.map_err(|_| ())
    }

    async fn ask(&self, lines: u64) -> Said {
        let Some(launcher) = &self.launcher else {
            let why =
                "it has no launcher that keeps its output; new log lines are shown as they come";
            return (Err(why.to_owned()), Vec::new());
        };
        let wanted = LogsWanted { lines, lease: LEASE, run: None };
        match logs::held(self.observer.bus(), launcher, &self.service, wanted, PATIENCE).await {
            Ok(LogsReply { never_started: Some(true), .. }) => {
                (Err("never started, no output".to_owned()), Vec::new())
            }
            Ok(LogsReply { lines, runs, .. }) => (Ok(lines), runs),
            Err(RequestError::NotReachable { .. }) => {
                let why = format!(
                    "no launcher answers ({launcher}); new log lines are shown as they come"
                );
                (Err(why), Vec::new())
            }
            Err(error) => (Err(error.to_string()), Vec::new()),
        }
    }
}
