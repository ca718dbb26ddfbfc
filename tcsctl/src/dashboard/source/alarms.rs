//! The stream of alarms, and what operators add to it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tcs_alarms::{Address, Record};
use tcs_core::bus::publish::{OutgoingMessage, Publisher, Sent, new_meta, random_id};
use tcs_core::bus::{Bus, Fed, Interruption};
use tcs_core::observer::Observer;
use tcs_core::wire::Subjects;
use tokio::sync::mpsc::Sender;

use super::Feed;
use crate::alarm_stream::Unread;
use crate::dashboard::event::{AlarmNews, AlarmReply, AlarmRequest, Event};

/// Where there is no stream of alarms it is looked for so often.
const LOOK: Duration = Duration::from_secs(10);
/// Messages that are handed on at once.
const MOST: usize = 512;
/// Characters of a shelf's id.
const ID: usize = 8;

/// Follows it until the dashboard ends.
pub(super) async fn follow(observer: Observer, feed: Sender<Feed>) {
    let bus = observer.bus().clone();
    let mut told = None;
    loop {
        let mut alarms = bus.feed(&bus.subjects().alarm(">"));
        loop {
            let Some(first) = alarms.next().await else { return };
            let mut batch = vec![first];
            while batch.len() < MOST {
                let Some(Some(next)) = alarms.next().now_or_never() else { break };
                batch.push(next);
            }
            let none =
                batch.iter().any(|it| matches!(it, Fed::Interrupted(Interruption::NoStream)));
            let mut news: Vec<AlarmNews> =
                batch.into_iter().filter_map(|fed| news(bus.subjects(), fed)).collect();
            // told once, not each time that it is tried
            news.retain(|it| match it {
                AlarmNews::Interrupted(why) => told.replace(why.clone()).as_ref() != Some(why),
                AlarmNews::Current => {
                    told = None;
                    true
                }
                AlarmNews::Record { .. } => true,
            });
            if !news.is_empty() && feed.send(Feed::Event(Event::Alarms(news))).await.is_err() {
                return;
            }
            if none {
                break;
            }
        }
        drop(alarms);
        tokio::time::sleep(LOOK).await;
        if feed.is_closed() {
            return;
        }
    }
}

fn news(subjects: &Subjects, fed: Fed) -> Option<AlarmNews> {
    match fed {
        Fed::Message { subject, payload, stamp } => {
            let address = Address::parse(subjects, &subject)?;
            let record = Arc::new(Record::decode(&address, &payload).ok()?);
            Some(AlarmNews::Record { address, record, stamp })
        }
        Fed::Current { .. } => Some(AlarmNews::Current),
        Fed::Interrupted(Interruption::NoStream) => {
            Some(AlarmNews::Interrupted(Unread::NoStream.to_string()))
        }
        Fed::Interrupted(why) => Some(AlarmNews::Interrupted(why.to_string())),
    }
}

/// Stores what an operator says.
pub(super) async fn write(observer: Observer, request: AlarmRequest, feed: Sender<Feed>) {
    let mut outcome = Ok(0);
    for record in &request.records {
        outcome = store(observer.bus(), record, request.shelf.as_ref()).await;
        if outcome.is_err() {
            break;
        }
    }
    feed.send(Feed::Event(Event::AlarmReply(AlarmReply { request, outcome }))).await.ok();
}

/// Its sequence number. `shelf`: the one that it changes, with the number of its newest message.
async fn store(bus: &Bus, record: &Record, shelf: Option<&(String, u64)>) -> Result<u64, String> {
    let (address, expected) = match (record, record.episode()) {
        (Record::Shelf(_), _) if let Some((id, seq)) = shelf => {
            (Address::Shelf(id.clone()), Some(*seq))
        }
        (Record::Ack(_), Some(episode)) => (Address::Ack(episode.alarm.clone()), None),
        (Record::Note(_), Some(episode)) => (Address::Note(episode.alarm.clone()), None),
        (Record::Shelf(_), _) => (Address::Shelf(random_id().chars().take(ID).collect()), Some(0)),
        (Record::State(_) | Record::Sent(_) | Record::Rules(_), _)
        | (Record::Ack(_) | Record::Note(_), None) => {
            return Err("only sentinels store that".to_owned());
        }
    };
    let meta = new_meta();
    let body = record.to_body(&meta).map_err(|error| error.to_string())?;
    let mut message = OutgoingMessage::of_body(address.subject(bus.subjects()), &meta.id, body);
    if let Some(expected) = expected {
        message = message.expecting(expected);
    }
    match Publisher::new(bus.clone()).send(&message).await {
        Ok(Sent::Stored { sequence, .. }) => Ok(sequence),
        Ok(Sent::Unstored) => Err("no stream holds alarms".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
