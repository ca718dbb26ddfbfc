//! Server-sent events: a snapshot, then what changes. The text of a change is made once for all
//! clients; one that does not keep up is cut, and begins anew with a snapshot.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio_util::sync::CancellationToken;

use super::MAX_STREAMS_OF_ONE;
use super::live::{News, Site};
use super::shares::{Share, is_unbounded};

/// The kind of the reply.
pub(super) const EVENTS: &str = "text/event-stream";

/// One client's stream.
struct Client {
    /// What it gets first.
    first: Vec<Bytes>,
    /// Of which picture that is: what leads to it is not told again.
    number: u64,
    news: broadcast::Receiver<News>,
    stop: CancellationToken,
    _held: (OwnedSemaphorePermit, Share),
}

/// The reply to a request of this client for the stream.
pub(super) fn response(site: &Site, client: IpAddr, stop: CancellationToken) -> Response {
    let refused = |text: &'static str| {
        let headers = [(header::RETRY_AFTER, "10")];
        (StatusCode::SERVICE_UNAVAILABLE, headers, text).into_response()
    };
    let share = site.shares.take(client);
    if share.held > MAX_STREAMS_OF_ONE && !is_unbounded(client) {
        return refused("too many streams are open from this address; try again later\n");
    }
    let Ok(permit) = Arc::clone(&site.streams).try_acquire_owned() else {
        return refused("too many streams are open; try again later\n");
    };
    // before the picture: what comes between the two comes twice, and is passed over
    let news = site.news.subscribe();
    let now = site.now();
    let mut first = now.first(&site.wanted);
    first.reverse();
    let client = Client { first, number: now.number, news, stop, _held: (permit, share) };
    let body = Body::from_stream(stream::unfold(client, next));
    let headers = [
        (header::CONTENT_TYPE, EVENTS),
        // a proxy that buffers would keep news back
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, body).into_response()
}

async fn next(mut client: Client) -> Option<(Result<Bytes, Infallible>, Client)> {
    if let Some(text) = client.first.pop() {
        return Some((Ok(text), client));
    }
    loop {
        let news = client.stop.run_until_cancelled(client.news.recv()).await?.ok()?;
        if news.number > client.number {
            return Some((Ok(news.text()?), client));
        }
    }
}
