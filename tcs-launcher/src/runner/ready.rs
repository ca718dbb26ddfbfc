//! How it is seen that a process is up, where that is for its runner to see.

use std::sync::Arc;
use std::time::Duration;

use tcs_core::config::Ready;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::output::Watch;

/// Between two attempts, and for one.
const RETRY: Duration = Duration::from_millis(200);
const ATTEMPT: Duration = Duration::from_secs(5);

/// Returns when `host` takes connections at `port`.
pub(crate) async fn connectable(host: &str, port: u16) {
    let connect = || TcpStream::connect((host, port));
    while !matches!(tokio::time::timeout(ATTEMPT, connect()).await, Ok(Ok(_))) {
        tokio::time::sleep(RETRY).await;
    }
}

/// A line that says that it is ready, where one does.
pub(super) fn watch_of(ready: Option<&Ready>) -> Option<Watch> {
    match ready {
        Some(Ready::Log(pattern)) => {
            Some(Watch { pattern: pattern.clone(), seen: Arc::new(Notify::new()) })
        }
        Some(Ready::Started | Ready::Notify | Ready::Tcp { .. } | Ready::Heartbeat) | None => None,
    }
}

/// Returns once it is seen to be ready, where that is seen here.
pub(super) async fn is_ready(ready: Option<&Ready>, watch: Option<&Watch>) {
    match (ready, watch) {
        (Some(Ready::Log(_)), Some(watch)) => watch.seen.notified().await,
        (Some(Ready::Tcp { host, port }), _) => connectable(host, *port).await,
        // said on the socket, or seen on the broker
        (Some(Ready::Started | Ready::Log(_) | Ready::Notify | Ready::Heartbeat) | None, _) => {
            std::future::pending::<()>().await;
        }
    }
}
