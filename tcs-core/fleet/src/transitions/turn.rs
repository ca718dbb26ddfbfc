//! A change of a service's verdict.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{Reason, ServiceView, Verdict};

/// From when on a service had which verdict. Beside the transitions that are told there are changes
/// that are not, because something else tells them: a service that was started is up.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Turn {
    /// Which service.
    pub id: Arc<str>,
    /// Since when, by the broker's clock.
    pub at: DateTime<Utc>,
    /// The verdict from then on.
    pub verdict: Verdict,
    /// The decisive reason.
    pub reason: Option<Reason>,
}

impl Turn {
    /// The verdict that a service has, as of `at`.
    pub fn of(service: &ServiceView, at: DateTime<Utc>) -> Self {
        let (id, verdict) = (Arc::clone(&service.id), service.verdict);
        Self { id, at, verdict, reason: service.reasons.first().cloned() }
    }
}
