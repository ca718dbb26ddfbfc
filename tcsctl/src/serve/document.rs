//! Answers that are large, of which not too many may wait to be taken.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::Refusal;

/// An answer is sent in pieces of so many bytes: what was handed on is counted no longer.
const PIECE: usize = 64 << 10;
/// KiB of documents that may wait; beyond that the answer is 503.
const ROOM: usize = 32 << 10;

/// Room for answers that wait to be taken.
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

impl Room {
    /// An answer of this kind.
    pub(super) fn answer(
        &self,
        kind: &'static str,
        text: impl Into<Bytes>,
    ) -> Result<Response, Refusal> {
        let rest = text.into();
        let kind = [(header::CONTENT_TYPE, kind)];
        if rest.len() <= PIECE {
            return Ok((kind, rest).into_response());
        }
        let size = u32::try_from((rest.len() >> 10).min(ROOM)).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&self.0).try_acquire_many_owned(size) else {
            let text = "too many unread replies; try again later".to_owned();
            return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, text));
        };
        Ok((kind, Body::new(Pieces { rest, _permit: permit })).into_response())
    }
}

struct Pieces {
    rest: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn answers_that_nobody_takes_are_bounded() {
        let room = Room::default();
        let large = || room.answer("text/plain", vec![b'x'; (ROOM << 10) / 4]);
        let mut waiting: Vec<Response> = (0..4).map(|_| large().ok().unwrap()).collect();
        let refused = large().err().unwrap();
        assert_eq!(refused.0, StatusCode::SERVICE_UNAVAILABLE);
        room.answer("text/plain", "small").ok().unwrap();
        // whole, and of known length
        let taken = waiting.remove(0);
        assert_eq!(taken.body().size_hint().exact(), Some(8 << 20));
        assert_eq!(taken.into_body().collect().await.unwrap().to_bytes().len(), 8 << 20);
        large().ok().unwrap();
    }
}
