//! The verdicts of a period, for the page of the past.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tcs_core::fleet::Fleet;
use tcs_core::fleet::history::{Historian, PastReader as _};
use tcs_core::observer::{Observed, Observer, Patience, Problem};
use tokio::sync::mpsc::Sender;

use super::Feed;
use crate::dashboard::event::{Event, PeriodRead, Span};

/// How long that may take: a week is much to read.
const LONGEST: Duration = Duration::from_mins(2);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads it from the streams.
pub(super) async fn read(observer: Observer, span: Span, feed: Sender<Feed>) {
    let to = span.until.unwrap_or(span.since);
    let patience = Patience { timeout: PATIENCE, listen: Duration::ZERO };
    let reading = observer.chronicle(span.since, to, patience);
    let outcome = match tokio::time::timeout(LONGEST, reading).await {
        Ok(told) => {
            // where a stream begins is a gap of the history, which is shown
            let is_told = |it: &&Problem| !matches!(it, Problem::HistoryBegins { .. });
            let problems = told.problems.iter().filter(is_told).map(ToString::to_string).collect();
            let is_connected =
                !told.problems.iter().any(|it| matches!(it, Problem::NotConnected { .. }));
            let read = PeriodRead { chronicle: Arc::new(told.chronicle), problems };
            if is_connected { Ok(read) } else { Err("not connected".to_owned()) }
        }
        Err(_) => Err(format!("not read in {} s", LONGEST.as_secs())),
    };
    feed.send(Feed::Event(Event::Timeline(span, outcome))).await.ok();
}

/// Of messages in the order in which they were stored; all that was sent from `began` on is there.
pub(crate) fn of_messages<'a>(
    messages: impl Iterator<Item = (DateTime<Utc>, &'a Arc<Observed>)>,
    began: DateTime<Utc>,
    span: Span,
) -> PeriodRead {
    let to = span.until.unwrap_or(span.since);
    let mut before = Fleet::new();
    let mut within = Vec::new();
    for (at, message) in messages.take_while(|(at, _)| *at <= to) {
        if at <= span.since {
            before.apply(&message.subject, message.decoded.clone(), message.stamp);
        } else {
            within.push(message);
        }
    }
    let heard_from = Some(began.max(span.since));
    let mut historian = Historian::new(before, (span.since, to), heard_from);
    historian.look_ahead(within.iter().map(|it| (&it.decoded, it.stamp)));
    for Observed { subject, decoded, stamp, .. } in within.into_iter().map(|it| &**it) {
        historian.take(subject, decoded, *stamp);
    }
    PeriodRead { chronicle: Arc::new(historian.finish()), problems: Vec::new() }
}
