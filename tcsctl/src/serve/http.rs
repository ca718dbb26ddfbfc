//! Connections: how many, how long they may take to ask, and how they end.
//!
//! `axum::serve` bounds neither the number of connections nor the time that a request's head may
//! take: a few clients that send nothing would keep all others out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::GRACE;

/// Connections at a time; others wait to be accepted.
const MAX_CONNECTIONS: usize = 256;
/// The head of a request has come by then, or the connection is closed; also one without requests.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of a request's head, and of what is kept unsent.
const MAX_BUFFER: usize = 16 * 1024;
/// A client that takes nothing for so long is gone, in milliseconds.
#[cfg(target_os = "linux")]
const UNTAKEN_MS: u32 = 30_000;
/// After accepting has failed, most likely for want of descriptors.
const AGAIN: Duration = Duration::from_millis(100);

/// The address at which a request came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local(pub(super) IpAddr);

/// Accepts connections until `stop`, and then waits for those in hand.
pub(super) async fn accept(listener: TcpListener, routes: Router, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let tasks = TaskTracker::new();
    let accepting = async {
        while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let served = serve(stream, routes.clone(), stop.clone(), permit);
                    tasks.spawn(served);
                }
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    };
    stop.run_until_cancelled(accepting).await;
    drop(listener);
    tasks.close();
    tokio::time::timeout(GRACE, tasks.wait()).await.ok();
}

/// Has the kernel close the connection of a client that takes nothing any more.
#[cfg(target_os = "linux")]
fn end_when_untaken(stream: &TcpStream) {
    use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
    setsockopt(stream, TcpUserTimeout, &UNTAKEN_MS).ok();
}

/// Other kernels have no such limit.
#[cfg(not(target_os = "linux"))]
const fn end_when_untaken(_: &TcpStream) {}

async fn serve(
    stream: TcpStream,
    routes: Router,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
) {
    let Ok(local) = stream.local_addr() else { return };
    // each of them is for the better; without them it works too
    stream.set_nodelay(true).ok();
    end_when_untaken(&stream);
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Local(local.ip()));
        routes.call(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => None,
    };
    // what a client does wrong is its own affair
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        connection.await.ok();
    }
}
