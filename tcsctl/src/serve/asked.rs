//! What is not at hand, and has to be asked of the broker and of launchers: the past, the causes and
//! the output of services. A few at a time, however many ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use chrono::TimeDelta;
use tcs_core::bus::rpc::RequestError;
use tcs_core::clock;
use tcs_core::fleet::history::Chronicle;
use tcs_core::fleet::why::Subject;
use tcs_core::fleet::{Filter, ServiceView};
use tcs_core::observer::Patience;
use tcs_present::logs;
use tcs_present::selection::launcher;
use tcs_present::timeline::{Document as TimelineDocument, Shown};
use tcs_present::why::{Answer, Document as WhyDocument};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::live::{Now, Site};
use super::refusal::Refusal;
use crate::cli::moment::span;
use crate::logs::{LogsWanted, held};
use crate::output::json_line;
use crate::why;

/// Questions in hand at a time.
const AT_ONCE: usize = 4;
/// How long an answer may take, and how long a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest past that is read.
const LONGEST: Duration = Duration::from_hours(24);
/// The past that is read when nobody says how much.
const HOUR: Duration = Duration::from_hours(1);
/// A past that is younger is told again.
const FRESH: Duration = Duration::from_secs(15);
/// Lines of output.
const LINES: u64 = 200;

/// A past that was read.
struct Held {
    since: Duration,
    read: Instant,
    chronicle: Arc<Chronicle>,
}

/// Asks.
pub(super) struct Asking {
    site: Arc<Site>,
    room: Semaphore,
    /// One reads for all who ask at that time.
    past: Mutex<Option<Held>>,
}

impl Asking {
    pub(super) fn new(site: Arc<Site>) -> Self {
        Self { site, room: Semaphore::new(AT_ONCE), past: Mutex::new(None) }
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        let turn = tokio::time::timeout(PATIENCE, self.room.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| {
            Refusal(StatusCode::SERVICE_UNAVAILABLE, "too many requests; try again later".into())
        })
    }

    /// A service that is shown.
    pub(super) fn service<'a>(&self, now: &'a Now, id: &str) -> Result<&'a ServiceView, Refusal> {
        let service = now.view.get(id).filter(|service| self.site.wanted.includes(service));
        service.ok_or_else(|| {
            Refusal(StatusCode::NOT_FOUND, "no service of that name is known".to_owned())
        })
    }

    /// The timeline of some services, as JSON.
    pub(super) async fn timeline(
        &self,
        filter: Filter,
        since: Option<&str>,
    ) -> Result<Vec<u8>, Refusal> {
        let bad = |text: String| Refusal(StatusCode::BAD_REQUEST, text);
        let since = since.map_or(Ok(HOUR), |text| span(text).map_err(bad))?;
        if !(Duration::from_mins(1)..=LONGEST).contains(&since) {
            return Err(bad("since is 1m to 24h".to_owned()));
        }
        let chronicle = self.past(since).await?;
        let shown = Shown { filter, ..Shown::default() };
        Ok(json_line(&TimelineDocument::new(&chronicle, &shown)))
    }

    async fn past(&self, since: Duration) -> Result<Arc<Chronicle>, Refusal> {
        let Ok(mut held) = tokio::time::timeout(PATIENCE * 2, self.past.lock()).await else {
            let text = "another request is reading the past; try again later".to_owned();
            return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, text));
        };
        if let Some(held) = &*held
            && held.since == since
            && held.read.elapsed() < FRESH
        {
            return Ok(Arc::clone(&held.chronicle));
        }
        let to = self.site.now().view.now;
        let from = to - TimeDelta::from_std(since).unwrap_or_default();
        let patience = Patience { timeout: PATIENCE, listen: Duration::ZERO };
        let reading = self.site.observer.chronicle(from, to, patience);
        let Ok(told) = tokio::time::timeout(PATIENCE * 2, reading).await else {
            let text = "the past could not be read in time; choose a shorter period".to_owned();
            return Err(Refusal(StatusCode::GATEWAY_TIMEOUT, text));
        };
        let chronicle = Arc::new(told.chronicle);
        let read = clock::monotonic();
        *held = Some(Held { since, read, chronicle: Arc::clone(&chronicle) });
        Ok(chronicle)
    }

    /// Why a service is as it is, as JSON.
    pub(super) async fn why(&self, id: &str) -> Result<Vec<u8>, Refusal> {
        let now = self.site.now();
        let service = self.service(&now, id)?;
        let _turn = self.turn().await?;
        let subject = Subject::of(&now.view, service);
        let material = why::read(&self.site.observer, &subject, PATIENCE).await;
        let answer = Answer::new(&now.view, service, &material);
        Ok(json_line(&WhyDocument::new(&answer)))
    }

    /// Its last lines of output, each as JSON on a line.
    pub(super) async fn logs(&self, id: &str) -> Result<Vec<u8>, Refusal> {
        let now = self.site.now();
        let service = self.service(&now, id)?;
        let Some(launcher) = launcher(&now.view, service).filter(|_| !service.is_launcher) else {
            let text = "no launcher keeps its output".to_owned();
            return Err(Refusal(StatusCode::NOT_FOUND, text));
        };
        let _turn = self.turn().await?;
        let wanted = LogsWanted { lines: LINES, ..LogsWanted::default() };
        let bus = self.site.observer.bus();
        let reply = held(bus, launcher, &service.id, wanted, PATIENCE)
            .await
            .map_err(|error| refusal(&error))?;
        let mut text = Vec::new();
        for line in &reply.lines {
            text.extend(json_line(&logs::Object::new(&service.id, line)));
            text.push(b'\n');
        }
        Ok(text)
    }
}

fn refusal(error: &RequestError) -> Refusal {
    let status = match error {
        RequestError::Denied(_) => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_GATEWAY,
    };
    Refusal(status, error.to_string())
}
