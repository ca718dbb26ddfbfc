//! The output of one service: what its launcher holds, then the lines of its journal as they come.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tcs_core::bus::rpc::RequestError;
use tcs_core::observer::{Observation, Observer};
use tcs_core::wire::{Kind, Level, Timestamp};
use tokio::sync::mpsc::Sender;

use super::Feed;
use crate::dashboard::event::{Event, LogLine, LogNews};

/// Lines asked for.
const LINES: u32 = 1000;
/// For how long a launcher sends live lines, unless asked again, in seconds.
const LEASE: u64 = 30;
/// When it is asked again.
const RENEW: Duration = Duration::from_secs(LEASE / 3 * 2);
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
                    batch.into_iter().filter_map(|observed| line(&observed, &subject)).collect();
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
    lines: u32,
) -> Result<Vec<LogLine>, String> {
    let Some(launcher) = launcher else {
        return Err("it has no launcher that would hold its log; its journal is shown as it comes"
            .to_owned());
    };
    let data = json!({"lines": lines, "follow_s": LEASE});
    let command = format!("logs.{service}");
    match observer.bus().request(launcher, &command, &data, PATIENCE).await {
        Ok(data) if data.get("never_started") == Some(&Value::Bool(true)) => {
            Err("never started, no output".to_owned())
        }
        Ok(data) => {
            let lines = data.get("lines").and_then(Value::as_array);
            Ok(lines.into_iter().flatten().filter_map(held_line).collect())
        }
        Err(RequestError::NotReachable { .. }) => {
            Err(format!("no launcher answers ({launcher}); its journal is shown as it comes"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A line as a launcher holds it: a journal's data, or bare text.
fn held_line(value: &Value) -> Option<LogLine> {
    if let Some(text) = value.as_str() {
        return Some(LogLine { at: None, level: Level::INFO, text: text.to_owned() });
    }
    let elements: Option<Vec<i64>> = value
        .get("timestamp")
        .and_then(Value::as_array)
        .map(|elements| elements.iter().filter_map(Value::as_i64).collect());
    Some(LogLine {
        at: elements.and_then(|e| Timestamp::from_elements(&e)).map(Timestamp::time),
        level: value.get("level").and_then(Value::as_i64).map_or(Level::INFO, Level),
        text: value.get("message").or_else(|| value.get("text"))?.as_str()?.to_owned(),
    })
}

fn line(observation: &Observation, subject: &str) -> Option<LogLine> {
    let Observation::Message(observed) = observation else { return None };
    let line = observed.decoded.log_line().filter(|_| observed.subject == subject)?;
    Some(LogLine {
        at: Some(line.timestamp.map_or(observed.stamp.stored, Timestamp::time)),
        level: line.level,
        text: line.message.clone(),
    })
}
