//! What a service says: log lines, its journal, and messages of its own.

use serde::Serialize;

use super::Context;
use crate::bus::Bus;
use crate::bus::publish::{OutgoingMessage, new_meta};
use crate::service::subscription::Subscription;
use crate::wire::{JournalMessage, Level, journal};

impl Context {
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

    /// Publishes a line on the service's journal subject (`<prefix>.journal.<id>`), for people who
    /// follow it, and logs it. Sent once; dropped if there is no connection.
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

    /// Subscribes to a subject. Messages may be in the fleet's envelope or plain JSON; `*` matches
    /// one part of a subject, `>` all remaining parts. The subscription ends when a stop is
    /// requested.
    ///
    /// ```
    /// # use tcs_core::prelude::*;
    /// #[derive(Deserialize)]
    /// struct Weather { wind: f64 }
    ///
    /// async fn watch(ctx: &Context) -> Result<()> {
    ///     let mut reports = ctx.subscribe("weather.>").await?;
    ///     while let Some(report) = reports.next().await {
    ///         let weather: Weather = report.read()?;
    ///         ctx.info(format!("{}: wind {} m/s", report.subject, weather.wind));
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The subject is not valid, or the subscription fails.
    pub async fn subscribe(&self, subject: &str) -> anyhow::Result<Subscription> {
        Subscription::new(self.0.monitor.reporter(), subject, self.cancellation()).await
    }

    /// The connection, for the service's own subjects; `None` without one (in a test).
    pub fn bus(&self) -> Option<&Bus> {
        self.0.monitor.reporter().bus()
    }

    /// Publishes a message on any subject, in the fleet's envelope. If a stream holds the subject,
    /// waits until it has stored the message. Waits up to 3 s for a connection.
    ///
    /// # Errors
    /// The message did not arrive, or may not have arrived.
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
