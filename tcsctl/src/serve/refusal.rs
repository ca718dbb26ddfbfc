//! A request that is not answered as it wants.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Why a request is not answered as it wants.
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

impl Refusal {
    pub(super) fn bad(text: impl std::fmt::Display) -> Self {
        Self(StatusCode::BAD_REQUEST, text.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, mut text) = self;
        text.push('\n');
        (status, text).into_response()
    }
}
