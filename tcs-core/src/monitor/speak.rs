//! The task of one monitor, on the reporter's thread: it beats, has the health checks and metrics
//! called, sends what has changed, and says everything again after an outage.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until};

use super::callbacks::{check_all, sample_all};
use super::core::NodeId;
use super::reporter::Outlet;
use super::shared::{Shared, moment};
use crate::bus::LinkState;
use crate::clock;
use crate::wire::HeartbeatMessage;

/// How often the current status is sent again: streams keep 30 days.
const REPEAT: Duration = Duration::from_hours(6);
/// How long metrics may take to be read.
const METRICS_LIMIT: Duration = Duration::from_secs(1);
/// Metrics in a heartbeat, which is to stay light.
const LIGHT_METRICS: usize = 32;
/// The longest text among them, in bytes.
const LIGHT_TEXT: usize = 64;

/// Publishes for a monitor until its owner is gone and its final report is sent.
pub(super) async fn speak(shared: Arc<Shared>, outlet: Outlet) {
    let mut beat = ticks(shared.times.heartbeat);
    let mut check = ticks(shared.times.check);
    let mut repeat = ticks(REPEAT);
    repeat.tick().await; // the first tick is at once
    let (mut link, mut again) = match &outlet {
        Outlet::Broker { publisher, outbox, .. } => {
            (Some(publisher.bus().link()), Some(outbox.again()))
        }
        Outlet::Recorder { .. } => (None, None),
    };
    let mut connected = link.as_ref().and_then(|link| since(&link.borrow()));
    let mut sequence = 0;
    loop {
        let due = shared.due();
        tokio::select! {
            biased;
            () = shared.wake.notified() => {}
            () = at(due) => shared.tick(),
            change = change_of(link.as_mut(), &mut connected) => match change {
                Change::First => beat.reset_immediately(),
                Change::Again => {
                    shared.repeat();
                    beat.reset_immediately();
                }
                Change::Other => {}
            },
            () = changed(again.as_mut()) => {
                shared.repeat();
                beat.reset_immediately();
            }
            // no heartbeats before the first connection: nobody expects them yet
            _ = beat.tick(), if connected.is_some() || link.is_none() => {
                sequence += 1;
                self::beat(&shared, &outlet, sequence).await;
            }
            _ = check.tick() => begin_check(&shared),
            _ = repeat.tick() => shared.repeat(),
        }
        send(&shared, &outlet).await;
        if shared.closed.load(Ordering::Acquire) {
            shared.flush();
            send(&shared, &outlet).await;
            shared.ended.send_replace(true);
            return;
        }
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Since when the link is up, if it is.
fn since(link: &LinkState) -> Option<Instant> {
    match link {
        LinkState::Connected { since, .. } => Some(*since),
        LinkState::Connecting { .. } | LinkState::Disconnected { .. } => None,
    }
}

enum Change {
    /// The first connection.
    First,
    /// Connected again after an outage.
    Again,
    Other,
}

/// The next change of the link. An outage may be over before anybody looks: then the connection
/// is another one.
async fn change_of(
    link: Option<&mut tokio::sync::watch::Receiver<LinkState>>,
    connected: &mut Option<Instant>,
) -> Change {
    let Some(link) = link else { return std::future::pending().await };
    if link.changed().await.is_err() {
        return std::future::pending().await;
    }
    let now = since(&link.borrow_and_update());
    let change = match (now, *connected) {
        (Some(_), None) => Change::First,
        (Some(now), Some(before)) if now != before => Change::Again,
        (Some(_) | None, _) => Change::Other,
    };
    *connected = now.or(*connected);
    change
}

async fn changed(watched: Option<&mut tokio::sync::watch::Receiver<()>>) {
    let changed = match watched {
        Some(watched) => watched.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending::<()>().await;
    }
}

async fn sample(shared: &Shared) -> Vec<(NodeId, Map<String, Value>)> {
    let metrics = shared.metrics();
    if metrics.is_empty() {
        return Vec::new();
    }
    let samples = sample_all(metrics, METRICS_LIMIT).await;
    shared.keep_metrics(&samples);
    samples
}

/// Sends the reports that wait, with metrics as they are now.
async fn send(shared: &Shared, outlet: &Outlet) {
    let drafts = shared.take_drafts();
    if drafts.is_empty() {
        return;
    }
    let samples = sample(shared).await;
    for mut draft in drafts {
        draft.fill(|id| {
            samples.iter().find(|(node, _)| *node == id).map(|(_, values)| values.clone())
        });
        shared.counts.statuses.fetch_add(1, Ordering::Relaxed);
        outlet.status(draft.message, draft.run_s);
    }
}

async fn beat(shared: &Arc<Shared>, outlet: &Outlet, sequence: u64) {
    sample(shared).await;
    let lag = match &shared.lag {
        Some(lag) => Some(lag.measure().await),
        None => None,
    };
    let now = clock::wall();
    // as readers judge it (`docs/spec/truth.md#liveness`): late after three intervals
    let blocked = lag.filter(|lag| *lag > shared.times.heartbeat * 3).map(|lag| {
        let seconds = lag.as_secs();
        format!("main loop blocked for {seconds} s (heartbeat thread still running)")
    });
    shared.change(|core, now| core.set_blocked(blocked, now));
    let (status, children, metrics) = shared.for_beat();
    let message = HeartbeatMessage {
        service_id: shared.name.clone(),
        timestamp: Some(now.into()),
        status: Some(status),
        sequence: Some(sequence),
        uptime_seconds: Some(millis(moment().mono - shared.started.mono)),
        interval_seconds: Some(shared.times.heartbeat.as_secs_f64()),
        next_heartbeat_expected: Some((now + shared.times.heartbeat).into()),
        lag_seconds: lag.map(millis),
        children_count: Some(children as u64),
        metrics: light(metrics),
        reported_by: None,
        outbox: outlet.report(shared),
    };
    let counts = &shared.counts;
    let counter = if outlet.beat(&message) { &counts.beats } else { &counts.beats_missed };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Seconds, to the millisecond.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Numbers, flags and short texts: what belongs into a message sent every few seconds.
fn light(metrics: Map<String, Value>) -> Map<String, Value> {
    let fits = |value: &Value| match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => text.len() <= LIGHT_TEXT,
        Value::Array(_) | Value::Object(_) => false,
    };
    metrics.into_iter().filter(|(_, value)| fits(value)).take(LIGHT_METRICS).collect()
}

fn begin_check(shared: &Arc<Shared>) {
    if !shared.checks().is_empty() {
        let shared = Arc::clone(shared);
        tokio::spawn(async move { check_now(&shared, shared.times.check_limit).await });
    }
}

/// Calls the health checks, and takes in what they say.
pub(super) async fn check_now(shared: &Shared, limit: Duration) {
    let verdicts = check_all(shared.checks(), limit).await;
    shared.take_in(verdicts);
}

#[cfg(test)]
mod tests {
    use super::super::reporter::Reporter;
    use super::super::shared::Times;
    use super::*;
    use crate::wire::{Status, StatusMessage};

    #[tokio::test(start_paused = true)]
    async fn what_has_not_changed_is_said_again_before_a_stream_forgets_it() {
        let template = StatusMessage { name: "guider.jk15".to_owned(), ..StatusMessage::default() };
        let times = Times { heartbeat: Duration::from_hours(1), ..Times::default() };
        let shared = Arc::new(Shared::new(template, times, None));
        let reporter = Reporter::recorder();
        tokio::spawn(speak(Arc::clone(&shared), reporter.outlet().clone()));
        shared.change(|core, now| {
            core.set_status(NodeId::ROOT, Status::Ok, Some("guiding".to_owned()), now)
        });
        let mut said = Vec::new();
        for hours in [5, 2, 6, 6] {
            tokio::time::sleep(Duration::from_hours(hours)).await;
            let recorded = reporter.recorded();
            let statuses: Vec<_> =
                recorded.iter().filter(|it| it.subject == "svc.status.guider.jk15").collect();
            assert!(statuses.iter().all(|it| it.data["message"] == "guiding"), "{statuses:?}");
            said.push(statuses.len());
        }
        assert_eq!(said, [1, 2, 3, 4]);
    }
}
