//! What a connection is good for: the streams are there, or it is known that they are not. And
//! whether anything is to run without one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tcs_core::bus::outbox::Outbox;
use tcs_core::bus::streams::{Made, SingleReplica};
use tcs_core::bus::{ApiError, Bus, LinkState};
use tcs_core::wire::{Kind, Message, decode};
use tokio::sync::mpsc;

use super::event_record::{self, EventRecord};
use super::signals::{SignalAction, Signals};
use super::systemd::{LOOK, Systemd};

/// Between two reminders that there is no broker, in looks.
const REMIND: u32 = 60;

/// Waits for the first connection, as long as it takes: the file has a `nats` section and does not
/// say `required: false` (the Python fleet's default). False: a signal came first.
pub(super) async fn required(bus: &Bus, signals: &mut Signals, systemd: &mut Systemd) -> bool {
    let mut link = bus.link();
    let mut looks = 0;
    loop {
        tokio::select! {
            connected = link.wait_for(LinkState::is_connected) => return connected.is_ok(),
            wish = signals.next() => match wish {
                SignalAction::Stop(signal) => {
                    tracing::error!("{signal}: ended before the broker was connected; no service \
                                     was started");
                    return false;
                }
                SignalAction::Reload => tracing::warn!(
                    "not reloaded: tcsd is still waiting for the broker; restart it instead"
                ),
            },
            () = tokio::time::sleep(LOOK) => {
                let state = bus.link().borrow().clone();
                let why = match &state {
                    LinkState::Connecting { why: Some(why), .. }
                    | LinkState::Disconnected { why: Some(why), .. } => format!(" ({why})"),
                    LinkState::Connecting { why: None, .. }
                    | LinkState::Disconnected { why: None, .. }
                    | LinkState::Connected { .. } => String::new(),
                };
                let text = format!("waiting for the broker{why}; no service is started yet");
                if looks % REMIND == 0 {
                    tracing::warn!(
                        "{text}\nhint: with `nats: {{required: false}}` services start without it"
                    );
                }
                looks += 1;
                systemd.waits(&text);
            }
        }
    }
}

/// Between two attempts to find or make streams that a cluster could not answer for.
const AGAIN: Duration = Duration::from_secs(2);
/// Between two attempts to make streams that the server refuses to make.
const AGAIN_REFUSED: Duration = Duration::from_secs(10);

/// Between two looks whether the streams are still there: somebody may delete one while its server
/// runs. Long enough for somebody who makes it anew with other limits.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What to do about a stream that cannot be made, where there is something to do.
fn hint(error: &ApiError) -> &'static str {
    if error.is_short_of_storage() {
        "\nhint: raise max_file_store of the server or the storage of the account (tcsd's streams \
         reserve 610 MB), or create the stream yourself with a smaller max_bytes"
    } else {
        ""
    }
}

/// Gives streams as many replicas as the configuration says, and warns of those that have one in a
/// cluster. False: it is to be tried again, which is not told each time, for those in `waiting`.
async fn look_at_replicas(
    bus: &Bus,
    streams: &[String],
    is_told: bool,
    waiting: &mut BTreeSet<String>,
) -> bool {
    let now = bus.settings().replicas.unwrap_or_default();
    let mut is_done = true;
    for stream in streams {
        match bus.raise_replicas(stream).await {
            Ok(Some(before)) => {
                waiting.remove(stream);
                tracing::info!("stream {stream} now has {now} replicas (it had {before})");
            }
            // the cluster has carried out what it did not answer
            Ok(None) if waiting.remove(stream) => {
                tracing::info!("stream {stream} now has {now} replicas");
            }
            Ok(None) => {}
            Err(error) => {
                let again = error.is_transient() || matches!(error, ApiError::Refused { .. });
                is_done &= !again;
                if waiting.insert(stream.clone()) {
                    let then = if again { "; it is tried again each 10 s" } else { "" };
                    tracing::warn!("cannot add replicas to stream {stream}: {error}{then}");
                }
                continue;
            }
        }
        if !is_told
            && let Ok(facts) = bus.stream(stream).await
            && facts.is_at_risk()
        {
            tracing::warn!("{}", SingleReplica(stream));
        }
    }
    is_done
}

/// What is found out of the launchers before, once there is a broker.
pub(super) struct Before {
    pub(super) outbox: Outbox,
    /// The launcher's monitored name.
    pub(super) name: String,
    pub(super) events: Arc<EventRecord>,
}

impl Before {
    /// Takes over how many events of the launchers before are missing; whether that is known.
    async fn carry_lost(&self, bus: &Bus) -> bool {
        let by_heartbeat = lost_before(bus, &self.name).await;
        let earlier = self.events.earlier();
        let Some(missing) = event_record::missing(bus, &earlier, by_heartbeat).await else {
            return false;
        };
        if missing > by_heartbeat {
            let events = match missing - by_heartbeat {
                1 => "1 event of the previous launcher is".to_owned(),
                n => format!("{n} events of the previous launcher are"),
            };
            tracing::warn!("{events} missing: it ended before they were stored");
        }
        self.outbox.carry_lost(missing);
        self.events.settle();
        true
    }
}

/// After each connection, and every 10 s: makes missing streams, and tells whether some were missing. Before the
/// first message of this run goes out, it takes over from the ones before how many events are
/// missing.
pub(super) async fn keep(bus: Bus, before: Before, links: mpsc::Sender<bool>) {
    let mut before = Some(before);
    let mut link = bus.link();
    let mut told = false;
    let mut failed: BTreeMap<Kind, String> = BTreeMap::new();
    let (mut looked_at, mut waiting) = (BTreeSet::new(), BTreeSet::new());
    let mut told_of = BTreeSet::new();
    loop {
        if link.wait_for(LinkState::is_connected).await.is_err() {
            return;
        }
        let mut first = true;
        loop {
            let (mut made, mut again) = (false, None);
            for (kind, found) in bus.create_missing_streams().await {
                match found {
                    Made::Created(name) => {
                        made = true;
                        tracing::info!("created the stream {name}");
                    }
                    Made::Failed(error) => {
                        if error.is_transient() {
                            again = Some(AGAIN);
                        } else if matches!(error, ApiError::Refused { .. }) {
                            again = again.or(Some(AGAIN_REFUSED));
                        }
                        let text = format!("{error}{}", hint(&error));
                        let is_new = failed.insert(kind, text.clone()).as_ref() != Some(&text);
                        if !told || (is_new && !error.is_transient()) {
                            tracing::warn!("cannot create the stream for {}: {text}", kind.token());
                        }
                    }
                    Made::Found(names) if !looked_at.contains(&kind) => {
                        let is_told = !told_of.insert(kind);
                        if look_at_replicas(&bus, &names, is_told, &mut waiting).await {
                            looked_at.insert(kind);
                        } else {
                            again = again.or(Some(AGAIN_REFUSED));
                        }
                    }
                    Made::Found(_) => {}
                }
            }
            told = true;
            if let Some(it) = before.take()
                && !it.carry_lost(&bus).await
            {
                // what waits goes out all the same
                (before, again) = (Some(it), Some(AGAIN));
            }
            if (std::mem::take(&mut first) || made) && links.send(made).await.is_err() {
                return;
            }
            let lost = link.wait_for(|state| !state.is_connected());
            match tokio::time::timeout(again.unwrap_or(LOOK_AGAIN), lost).await {
                Err(_) => {}
                Ok(Ok(_)) => break,
                Ok(Err(_)) => return,
            }
        }
    }
}

/// How many events of a launcher its last heartbeat says are missing.
async fn lost_before(bus: &Bus, name: &str) -> u64 {
    let subject = bus.subjects().heartbeat(name);
    let raw = bus.last_word(Kind::Heartbeat, &subject).await.ok().flatten();
    let decoded = raw.and_then(|raw| {
        let subject = bus.subjects().parse(raw.subject())?;
        decode(subject, raw.payload()).ok()
    });
    match decoded.map(|decoded| decoded.message) {
        Some(Message::Heartbeat(beat)) => beat.outbox.map_or(0, |outbox| outbox.lost_events),
        Some(Message::Status(_) | Message::Registry(_) | Message::Journal(_)) | None => 0,
    }
}
