//! The launcher's own log, on standard error: lines as the fleet's launchers write them, or JSON;
//! and a tap for what services that run as tasks of this process say.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tcs_core::clock;
use tcs_core::service::log::{Levels, LogWriter, Services, lines, service_of};
use tcs_core::wire::{Level, Timestamp};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::Visit;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, fmt as format};

use crate::runner::output::{Line, Output, Stream};
use crate::supervisor::{Run, ServiceId};

/// Where the lines of tasks go, beside the launcher's own log.
#[derive(Debug, Clone, Default)]
pub struct Taps(Arc<Mutex<HashMap<String, Arc<Output>>>>);

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

    fn of(&self, id: &str) -> Option<Arc<Output>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}

/// Sets up logging, once a process. The level is INFO, or `TCS_LOG`.
pub fn init(json: bool) -> Taps {
    let taps = Taps::default();
    let (levels, stderr) = (Levels::from_environment(), LogWriter::stderr());
    let (plain, objects) = if json {
        let layer = format::layer().event_format(Json).with_writer(stderr);
        (None, Some(layer.with_filter(levels)))
    } else {
        (Some(lines(stderr).with_filter(levels)), None)
    };
    tracing_subscriber::registry()
        .with(Services)
        .with(plain)
        .with(objects)
        .with(Tap(taps.clone()).with_filter(levels))
        .try_init()
        .ok();
    taps
}

fn level(event: &Event<'_>) -> Level {
    match *event.metadata().level() {
        tracing::Level::ERROR => Level::ERROR,
        tracing::Level::WARN => Level::WARNING,
        tracing::Level::INFO => Level::INFO,
        tracing::Level::DEBUG | tracing::Level::TRACE => Level::DEBUG,
    }
}

/// The message of an event.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

fn text(event: &Event<'_>) -> String {
    let mut text = Text::default();
    event.record(&mut text);
    text.0
}

/// One object a line: `time` (RFC 3339, UTC), `level`, `logger`, `service` (`null` where none
/// speaks), `text`.
struct Json;

impl<S, N> FormatEvent<S, N> for Json
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
        let line = json!({
            "time": Timestamp::new(clock::wall()).time(),
            "level": level(event).name(),
            "logger": event.metadata().target().replace("::", "."),
            "service": ctx.event_scope().and_then(service_of),
            "text": text(event),
        });
        writeln!(writer, "{line}")
    }
}

/// Hands on what tasks say.
struct Tap(Taps);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Tap {
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let service = ctx.event_scope(event).and_then(service_of);
        let Some(output) = service.and_then(|id| self.0.of(&id)) else { return };
        for text in text(event).lines() {
            output.push(Line {
                time: clock::wall(),
                stream: Stream::Stderr,
                level: level(event),
                logger: None,
                text: text.to_owned(),
                run: Run(0),
            });
        }
    }
}
