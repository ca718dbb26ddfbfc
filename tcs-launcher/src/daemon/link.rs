//! What a connection is good for: the streams are there, or it is known that they are not. And
//! whether anything is to run without one.

use tcs_core::bus::streams::Made;
use tcs_core::bus::{Bus, LinkState};
use tokio::sync::mpsc;

use super::signals::{Signals, Wish};
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
                Wish::Stop(signal) => {
                    tracing::error!("{signal}: ended before the broker was there, nothing has run");
                    return false;
                }
                Wish::Reload => tracing::warn!(
                    "not reloaded: tcsd waits for the broker; end it and start it again"
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
                let text = format!("waiting for the broker{why}, nothing runs yet");
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

/// After each connection: makes missing streams, and tells whether some were missing.
pub(super) async fn keep(bus: Bus, links: mpsc::Sender<bool>) {
    let mut link = bus.link();
    let mut told = false;
    loop {
        if link.wait_for(LinkState::is_connected).await.is_err() {
            return;
        }
        let mut lost = false;
        for (kind, made) in bus.create_missing_streams().await {
            match made {
                Made::Created(name) => {
                    lost = true;
                    tracing::info!("made the stream {name}");
                }
                Made::Failed(error) if !told => {
                    tracing::warn!("no stream for {}: {error}", kind.token());
                }
                Made::Found(_) | Made::Failed(_) => {}
            }
        }
        told = true;
        if links.send(lost).await.is_err()
            || link.wait_for(|state| !state.is_connected()).await.is_err()
        {
            return;
        }
    }
}
