//! `tcsctl serve`: a site over HTTP, read only: metrics, JSON, a stream of changes, and a page
//! (`docs/spec/serve.md`).
//!
//! `live` follows the site and makes a new `live::Now` of it; `routes` answer from the newest
//! one and ask the broker only for what it does not hold (`asked`). Who may ask is decided, purely,
//! by `access`. `http` bounds what a connection may take, and what `shares` counts: what one address
//! may.

pub mod access;
mod asked;
pub mod coding;
mod document;
mod http;
mod live;
mod refusal;
mod routes;
pub(crate) mod service;
mod shares;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tcs_core::fleet::Filter;
use tcs_core::observer::Observer;
use tcs_present::selection::Wanted;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use access::{Access, Token};
use live::Live;

/// Streams at a time; beyond them 503.
const MAX_STREAMS: usize = 64;
/// Of these, for one address.
const MAX_STREAMS_OF_ONE: usize = MAX_STREAMS / 2;
/// What is in hand gets so much time when it ends.
const GRACE: Duration = Duration::from_secs(3);

/// How a site is served.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where.
    pub(crate) listen: SocketAddr,
    /// Names by which browsers may call it, beside loopback and its own address.
    pub(crate) allowed_hosts: Vec<String>,
    /// What has to be shown.
    pub(crate) token: Option<Token>,
    /// The page's.
    pub(crate) title: String,
    /// Only these services; empty: all.
    pub(crate) filter: Filter,
}

impl Settings {
    /// Why it must not be served like this.
    pub(crate) fn check(&self, is_open: bool) -> Result<(), String> {
        if !self.listen.ip().is_loopback() && self.token.is_none() && !is_open {
            return Err(format!(
                "{} can be reached from other hosts, and no token is asked for\nhint: write a token \
                 into a file and name it with --token-file, or use --no-token if everybody may read",
                self.listen
            ));
        }
        Ok(())
    }
}

/// Serves until `stop`, over a listener that is bound already. An error where the site is not followed
/// any more: what is served would stay as it is, and look like the present.
pub(crate) async fn run(
    observer: Observer,
    settings: Settings,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    let listen = listener.local_addr()?;
    let Settings { allowed_hosts, token, title, filter, .. } = settings;
    let access = Access::new(listen, &allowed_hosts, token);
    let wanted = Wanted { all: true, filter };
    let (live, site) = Live::new(observer, wanted);
    // what ends here does not end the caller's
    let stop = stop.child_token();
    let following = tokio::spawn(live.run(stop.clone()));
    let routes = routes::router(Arc::new(site), Arc::new(access), &title, stop.clone());
    let serving = http::accept(listener, routes, http::Limits::default(), stop.clone());
    while_followed(serving, following, stop).await
}

async fn while_followed(
    serving: impl Future<Output = ()>,
    mut following: JoinHandle<()>,
    stop: CancellationToken,
) -> io::Result<()> {
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => {
            tokio::time::timeout(GRACE, following).await.ok();
            Ok(())
        }
        ended = &mut following => {
            let is_stopped = stop.is_cancelled();
            stop.cancel();
            serving.await;
            // what a panic says has been told by its hook
            match ended {
                Ok(()) if is_stopped => Ok(()),
                Ok(()) => Err(io::Error::other("no longer following the site")),
                Err(_) => Err(io::Error::other("internal error: no longer following the site")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_served_that_is_not_followed() {
        let case = |following: JoinHandle<()>| {
            let stop = CancellationToken::new();
            let until = stop.clone();
            let serving = async move { until.cancelled().await };
            while_followed(serving, following, stop)
        };
        let panicked = case(tokio::spawn(async { panic!("a test") })).await.unwrap_err();
        assert!(panicked.to_string().starts_with("internal error"), "{panicked}");
        case(tokio::spawn(async {})).await.unwrap_err();

        let stop = CancellationToken::new();
        let until = [stop.clone(), stop.clone()];
        let [following, serving] = until.map(|stop| async move { stop.cancelled().await });
        let following = tokio::spawn(following);
        stop.cancel();
        while_followed(serving, following, stop).await.unwrap();
    }
}
