//! How it is seen that a service is up.

use std::time::Duration;

use regex::Regex;
use tokio::net::TcpStream;

/// What says that a process is up.
#[derive(Debug, Clone, Default)]
pub enum Ready {
    /// That it runs: nothing is waited for here.
    #[default]
    AtOnce,
    /// `READY=1` on its `NOTIFY_SOCKET`.
    Notify,
    /// A line of its output.
    Log(Regex),
    /// That it takes connections at this `host:port`.
    Tcp(String),
    /// Its first heartbeat, which is seen elsewhere.
    Heartbeat,
}

/// Between two attempts, and for one.
const RETRY: Duration = Duration::from_millis(200);
const ATTEMPT: Duration = Duration::from_secs(5);

/// Returns when `address` takes connections.
pub(crate) async fn connectable(address: &str) {
    while !matches!(tokio::time::timeout(ATTEMPT, TcpStream::connect(address)).await, Ok(Ok(_))) {
        tokio::time::sleep(RETRY).await;
    }
}
