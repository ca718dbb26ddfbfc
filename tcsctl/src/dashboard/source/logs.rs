//! The output of one service: what its launcher holds, then the lines of its journal as they come.

use std::sync::Arc;
use std::time::Duration;

use tcs_core::bus::rpc::RequestError;
use tcs_core::observer::Observer;
use tcs_core::wire::Kind;
use tcs_core::wire::control::{LogLine, LogRun, LogsReply};
use tokio::sync::mpsc::Sender;

use super::Feed;
use crate::dashboard::event::{Event, LogNews};
use crate::logs::{self, Gap, LEASE, LogsWanted, RENEW, Told, live};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Lines that are asked for when some may have been missed.
const MISSED: u64 = 1000;

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
    let mut told = Told::default();
    let (held, runs) = log.ask(lines).await;
    if log.tell((held.map(|lines| told.held(lines)), runs), true).await.is_err() {
        return;
    }
    let mut gap = Gap::default();
    let mut is_behind = false;
    let mut renew = tokio::time::interval_at((tcs_core::clock::monotonic() + RENEW).into(), RENEW);
    loop {
        let asks = tokio::select! {
            batch = following.next() => {
                let Some(batch) = batch else { return };
                let ends = batch.iter().filter(|observed| gap.ends_with(observed)).count() > 0;
                is_behind |= ends;
                let lines = batch.into_iter().filter_map(|observed| live(&observed, &subject));
                let lines: Vec<LogLine> = lines.filter_map(|line| told.live(line)).collect();
                if !lines.is_empty() && log.tell((Ok(lines), Vec::new()), false).await.is_err() {
                    return;
                }
                ends
            }
            _ = renew.tick() => {
                told.settle();
                true
            }
        };
        // how a run has ended since, and what did not come live
        if asks
            && let (Ok(held), runs) = log.ask(if is_behind { lines.max(MISSED) } else { 0 }).await
        {
            is_behind = false;
            if log.tell((Ok(told.held(held)), runs), false).await.is_err() {
                return;
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
