//! The launcher's own log, on standard error: lines as services write them, with their time, or
//! JSON; and a tap for what services that run as tasks of this process say.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use tcs_core::clock;
use tcs_core::service::log::{Levels, LogRecord, LogWriter, Services, clean, take_dropped};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::runner::output::{Line, Output, Stream};
use tcs_supervisor::{Run, ServiceId};

/// Where the lines of tasks go, beside the launcher's own log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taps(Arc<Mutex<HashMap<String, Arc<Output>>>>);

impl Taps {
    /// From now on, what the service says goes there too.
    pub(crate) fn set(&self, id: &ServiceId, output: Arc<Output>) {
        let mut taps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taps.insert(id.to_string(), output);
    }

    /// It is no task any more.
    pub(crate) fn remove(&self, id: &ServiceId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id.as_str());
    }

    /// Its text without the secrets of the service that said it. What the code of a service says
    /// outside its span, on a thread of its own, may hold those of any; our own words hold none.
    fn masked(&self, record: &LogRecord) -> String {
        if let Some(id) = &record.service {
            // of a process they are masked already
            return self.of(id).map_or_else(|| record.text.clone(), |it| it.masked(&record.text));
        }
        if record.logger == OWN {
            return record.text.clone();
        }
        let taps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taps.values().fold(record.text.clone(), |text, output| output.masked(&text))
    }

    fn of(&self, id: &str) -> Option<Arc<Output>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}

/// How often it is looked whether lines were dropped.
const LOOK_FOR_DROPPED: Duration = Duration::from_secs(1);

/// The logger of the launcher's own words.
const OWN: &str = "tcsd";

/// Sets up logging, once a process. The level is INFO, or `TCS_LOG`.
pub(crate) fn init(json: bool) -> Taps {
    let taps = Taps::default();
    let (levels, stderr) = (Levels::from_environment(), LogWriter::stderr());
    let form = if json { Form::Json } else { Form::Lines { have_time: !stderr.is_journal() } };
    let format = Format { form, taps: taps.clone() };
    let log = tracing_subscriber::fmt::layer().event_format(format).with_writer(stderr);
    tracing_subscriber::registry()
        .with(Services)
        .with(log.with_filter(levels))
        .with(Tap(taps.clone()).with_filter(levels))
        .try_init()
        .ok();
    taps
}

/// Tells of lines that were dropped because nobody read standard error, once somebody does. For ever.
pub(crate) async fn tell_dropped() {
    loop {
        tokio::time::sleep(LOOK_FOR_DROPPED).await;
        let lines = take_dropped();
        if lines > 0 {
            tracing::warn!("{lines} lines of this log were dropped: standard error was not read");
        }
    }
}

/// What is said; our own words are `tcsd`'s, whichever room they come from.
fn record<'a, S>(event: &Event<'_>, scope: Option<Scope<'a, S>>) -> LogRecord
where
    S: for<'s> LookupSpan<'s> + 'a,
{
    let mut record = LogRecord::new(event, scope.into_iter().flatten());
    if event.metadata().target().starts_with(env!("CARGO_CRATE_NAME")) {
        OWN.clone_into(&mut record.logger);
    }
    record
}

/// A moment as all our lines have it: `2026-11-23T02:13:04.071Z`.
pub(crate) fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// How the log is written, and what of it must not be.
struct Format {
    form: Form,
    taps: Taps,
}

enum Form {
    /// `2026-11-23T02:13:04.071Z [INFO ] svc|guider.jk15: text`; without the time where the journal
    /// of systemd has its own.
    Lines { have_time: bool },
    /// One object a line: `time` (RFC 3339, UTC), `level`, `logger`, `service` (`null` where none
    /// speaks), `stream` (`stdout`, `stderr`; of a service's process only), `text`.
    Json,
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (time, mut record) = (stamp(clock::wall()), record(event, ctx.event_scope()));
        record.text = self.taps.masked(&record);
        let level = record.level.name();
        match &self.form {
            Form::Lines { have_time } => {
                if *have_time {
                    write!(writer, "{time} ")?;
                }
                writeln!(writer, "[{level:<5}] {}: {}", record.name(), clean(&record.text))
            }
            Form::Json => {
                let LogRecord { service, logger, stream, text, .. } = record;
                let mut line = json!({
                    "time": time,
                    "level": level,
                    "logger": logger,
                    "service": service,
                    "text": text,
                });
                if let Some(stream) = stream {
                    line["stream"] = stream.into();
                }
                writeln!(writer, "{line}")
            }
        }
    }
}

/// Hands on what tasks say.
struct Tap(Taps);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Tap {
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let record = record(event, ctx.event_scope(event));
        let Some(output) = record.service.and_then(|id| self.0.of(&id)) else { return };
        for text in record.text.lines() {
            output.push(Line {
                time: clock::wall(),
                stream: Stream::Stderr,
                level: record.level,
                logger: None,
                text: text.to_owned(),
                run: Run(0),
            });
        }
    }
}
