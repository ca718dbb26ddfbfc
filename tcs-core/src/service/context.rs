//! What a service has at hand: who it is, whether it is to stop, its monitor, its tasks, the
//! broker.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::outcome::Failure;
use crate::bus::Bus;
use crate::bus::publish::{OutgoingMessage, new_meta};
use crate::bus::rpc::{Call, Command, Reply};
use crate::id::{ServiceId, ServiceType, Variant};
use crate::monitor::Monitor;
use crate::wire::{JournalMessage, Level, journal};
use tcs_bus::guard::guarded;

/// A running service's surroundings. Cheap to clone: hand it to whatever the service calls.
#[derive(Debug, Clone)]
pub struct ServiceContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: ServiceId,
    log_level: Option<String>,
    monitor: Monitor,
    stop: CancellationToken,
    clock: Clock,
    tasks: Tasks,
    span: tracing::Span,
    conversation: String,
}

/// The tasks of a service, and the first failure among them.
#[derive(Debug)]
pub(super) struct Tasks {
    running: Mutex<JoinSet<()>>,
    failed: tokio::sync::watch::Sender<Option<Failure>>,
}

/// What a context is made of.
pub(super) struct Parts {
    pub(super) id: ServiceId,
    pub(super) log_level: Option<String>,
    pub(super) monitor: Monitor,
    pub(super) stop: CancellationToken,
    pub(super) clock: Clock,
    pub(super) span: tracing::Span,
}

impl ServiceContext {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { id, log_level, monitor, stop, clock, span } = parts;
        let failed = tokio::sync::watch::Sender::new(None);
        let tasks = Tasks { running: Mutex::default(), failed };
        let conversation = format!("journal{}", crate::bus::publish::random_id());
        Self(Arc::new(Inner { id, log_level, monitor, stop, clock, tasks, span, conversation }))
    }

    /// `<service type>.<variant>`
    pub fn id(&self) -> &ServiceId {
        &self.0.id
    }

    /// What stands before the id's last dot.
    pub fn service_type(&self) -> ServiceType {
        self.0.id.service_type()
    }

    /// What follows it.
    pub fn variant(&self) -> Variant {
        self.0.id.variant()
    }

    /// The setting `log_level`, as given.
    pub fn log_level(&self) -> Option<&str> {
        self.0.log_level.as_deref()
    }

    /// What the service says of itself: status, metrics, parts, tasks.
    pub fn monitor(&self) -> &Monitor {
        &self.0.monitor
    }

    /// Whether nobody has asked it to stop.
    pub fn is_running(&self) -> bool {
        !self.0.stop.is_cancelled()
    }

    /// Waits until somebody asks it to stop.
    pub async fn stopped(&self) {
        self.0.stop.cancelled().await;
    }

    /// For code that takes a token; cancelling it makes the service stop waiting, not end.
    pub fn cancellation(&self) -> CancellationToken {
        self.0.stop.child_token()
    }

    /// Waits; wakes up at once when the service is to stop. Whether it goes on running.
    pub async fn sleep(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.0.stop.cancelled() => {}
            () = self.0.clock.sleep(time) => {}
        }
        self.is_running()
    }

    /// The same in seconds. What is no time (negative, NaN) is none; what is too long is for ever.
    pub async fn sleep_secs(&self, seconds: f64) -> bool {
        let time = match Duration::try_from_secs_f64(seconds) {
            Ok(time) => time,
            Err(_) if seconds > 0.0 => Duration::MAX,
            Err(_) => Duration::ZERO,
        };
        self.sleep(time).await
    }

    /// The wall clock; in a test, the test's.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// Runs a task beside the others. Its failure, error or panic, is the service's; when the
    /// service has ended, it is ended at its next `.await`.
    pub fn spawn<F>(&self, name: &str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        use tracing::Instrument as _;
        let inner = Arc::downgrade(&self.0);
        let name = name.to_owned();
        let work = async move {
            let failure = match guarded(task).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => Failure::from(&error),
                Err(panic) => Failure::from(panic),
            };
            if let Some(inner) = inner.upgrade() {
                let text = format!("task `{name}`: {}", failure.text);
                tracing::error!("{text}");
                let failure = Failure { text, ..failure };
                inner.tasks.failed.send_if_modified(|first| {
                    let is_first = first.is_none();
                    first.get_or_insert(failure);
                    is_first
                });
            }
        };
        let work = self.0.monitor.watched(work).instrument(self.0.span.clone());
        let mut running = self.0.tasks.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.spawn(work);
    }

    /// The first failure of a task; never, if none fails.
    pub(super) async fn task_failure(&self) -> Failure {
        let mut failed = self.0.tasks.failed.subscribe();
        loop {
            if let Some(failure) = failed.borrow_and_update().clone() {
                return failure;
            }
            if failed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Ends all tasks at their next `.await`.
    pub(super) fn abort_tasks(&self) {
        self.0.tasks.running.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    pub(super) fn cancel(&self) {
        self.0.stop.cancel();
    }

    /// A log line of level INFO, under the service's name.
    pub fn info(&self, text: impl AsRef<str>) {
        self.0.span.in_scope(|| tracing::info!("{}", text.as_ref()));
    }

    /// A log line of level WARNING.
    pub fn warning(&self, text: impl AsRef<str>) {
        self.0.span.in_scope(|| tracing::warn!("{}", text.as_ref()));
    }

    /// A log line of level ERROR.
    pub fn error(&self, text: impl AsRef<str>) {
        self.0.span.in_scope(|| tracing::error!("{}", text.as_ref()));
    }

    /// A log line of level DEBUG.
    pub fn debug(&self, text: impl AsRef<str>) {
        self.0.span.in_scope(|| tracing::debug!("{}", text.as_ref()));
    }

    /// Publishes a line on the service's journal (`<prefix>.journal.<id>`), for people who read
    /// along; it is also logged. Sent once, not kept for later.
    pub fn journal(&self, level: Level, text: impl Into<String>) {
        let message = text.into();
        match level {
            Level(i64::MIN..20) => self.debug(&message),
            Level(20..30) => self.info(&message),
            Level(30..40) => self.warning(&message),
            Level(40..) => self.error(&message),
        }
        let reporter = self.0.monitor.reporter();
        let line = JournalMessage {
            conversation_id: self.0.conversation.clone(),
            level,
            message,
            timestamp: Some(self.now().into()),
            explanation: None,
            op: "publish".to_owned(),
        };
        let mut meta = new_meta();
        journal::MESSAGE_TYPE.clone_into(&mut meta.message_type);
        meta.service_id = Some(self.0.id.to_string());
        meta.pid = Some(std::process::id());
        let subject = reporter.subjects().journal(self.0.id.as_str());
        let Some(publisher) = reporter.publisher().cloned() else { return };
        if let Ok(parcel) = OutgoingMessage::with_meta(subject, &line, meta) {
            reporter.handle().spawn(async move { publisher.send_plain(&parcel).await.ok() });
        }
    }

    /// Answers requests on `<prefix>.rpc.<id>.v1.<name>`.
    ///
    /// ```ignore
    /// ctx.command("park", |call| async move { Ok(serde_json::Map::new()) });
    /// ```
    pub fn command<F, R>(&self, name: &str, handler: F)
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Reply> + Send + 'static,
    {
        // on the service's own runtime: the reporter's thread is for what never blocks
        let home = tokio::runtime::Handle::try_current().ok();
        self.0.monitor.serve(Command::new(name, move |call| {
            let work = handler(call);
            let home = home.clone();
            async move {
                match home {
                    Some(home) => match home.spawn(guarded(work)).await {
                        Ok(Ok(reply)) => reply,
                        Ok(Err(panic)) => Err(panic.to_string()),
                        Err(_) => Err("the service is ending".to_owned()),
                    },
                    None => work.await,
                }
            }
        }));
    }

    /// The connection, for the service's own subjects; `None` where there is none (a test).
    pub fn bus(&self) -> Option<&Bus> {
        self.0.monitor.reporter().bus()
    }

    /// Sends a message on a subject of the service's own, in the fleet's envelope; waits until a
    /// stream has it, where one holds the subject.
    ///
    /// # Errors
    /// It did not arrive, or may not have.
    pub async fn publish(
        &self,
        subject: &str,
        data: &(impl Serialize + Sync),
    ) -> anyhow::Result<()> {
        match self.0.monitor.reporter().publisher() {
            Some(publisher) => {
                publisher.send(&OutgoingMessage::new(subject.to_owned(), data)?).await?;
            }
            None => self.0.monitor.reporter().post(subject.to_owned(), data),
        }
        Ok(())
    }
}
