//! How it is seen that a process is up, where that is for its runner to see.

use std::time::Duration;

use tokio::net::TcpStream;

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
