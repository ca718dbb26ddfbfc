//! What a connection is good for: the streams are there, or it is known that they are not.

use tcs_core::bus::streams::Made;
use tcs_core::bus::{Bus, LinkState};
use tokio::sync::mpsc;

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
