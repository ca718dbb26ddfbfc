//! The output of one service: what its launcher holds, then the lines of its journal as they come.

use std::sync::Arc;
use std::time::Duration;

use tcs_core::bus::rpc::RequestError;
use tcs_core::observer::Observer;
use tcs_core::wire::Kind;
use tcs_core::wire::control::{LogLine, LogsReply};
use tokio::sync::mpsc::Sender;

use super::Feed;
use crate::dashboard::event::{Event, LogNews};
use crate::logs::{self, LEASE, RENEW, live};

/// Lines asked for.
const LINES: u64 = 1000;
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Follows it until aborted.
pub(super) async fn follow(
    observer: Observer,
    service: Arc<str>,
    launcher: Option<Arc<str>>,
    feed: Sender<Feed>,
) {
    // journals may be in no stream; no Python publisher waits for the ack of one
    let mut following = observer.clone().with_core(true).follow(&[Kind::Journal]);
    let subject = observer.bus().subjects().journal(&service);
    let held = ask(&observer, &service, launcher.as_deref(), LINES).await;
    if tell(&feed, &service, held, true).await.is_err() {
        return;
    }
    let mut renew = tokio::time::interval_at((tcs_core::clock::monotonic() + RENEW).into(), RENEW);
    loop {
        tokio::select! {
            batch = following.next() => {
                let Some(batch) = batch else { return };
                let lines: Vec<LogLine> =
                    batch.into_iter().filter_map(|observed| live(&observed, &subject)).collect();
                if !lines.is_empty() && tell(&feed, &service, Ok(lines), false).await.is_err() {
                    return;
                }
            }
            _ = renew.tick() => {
                ask(&observer, &service, launcher.as_deref(), 0).await.ok();
            }
        }
    }
}

async fn tell(
    feed: &Sender<Feed>,
    service: &Arc<str>,
    outcome: Result<Vec<LogLine>, String>,
    whole: bool,
) -> Result<(), ()> {
    let news = LogNews { service: Arc::clone(service), outcome, whole };
    feed.send(Feed::Event(Event::Logs(news))).await.map_err(|_| ())
}

async fn ask(
    observer: &Observer,
    service: &str,
    launcher: Option<&str>,
    lines: u64,
) -> Result<Vec<LogLine>, String> {
    let Some(launcher) = launcher else {
        return Err(
            "it has no launcher that keeps its output; new log lines are shown as they come"
                .to_owned(),
        );
    };
    match logs::held(observer.bus(), launcher, service, (lines, LEASE), PATIENCE).await {
        Ok(LogsReply { never_started: Some(true), .. }) => {
            Err("never started, no output".to_owned())
        }
        Ok(LogsReply { lines, .. }) => Ok(lines),
        Err(RequestError::NotReachable { .. }) => {
            Err(format!("no launcher answers ({launcher}); new log lines are shown as they come"))
        }
        Err(error) => Err(error.to_string()),
    }
}
