//! Log lines as the fleet's launchers read them: `[LEVEL] name: text` on standard error, the
//! level padded to 5, the name to 12 characters. What a service says stands under
//! `svc|<service id>`. Lines without a prefix continue the one before.

mod journald;
mod patient;

use std::fmt;
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, SpanRef};
use tracing_subscriber::util::SubscriberInitExt as _;

pub use crate::wire::text::clean;
pub use journald::LogWriter;
pub use patient::take_dropped;

/// Writes `text` to standard error, on lines of its own. A failed write (a full disk, a closed
/// pipe) is ignored.
pub fn say(text: &str) {
    std::io::stderr().lock().write_all(format!("{}\n", clean(text)).as_bytes()).ok();
}

/// Sets up logging for a program that runs one service; a second call does nothing. The level is
/// INFO, or `TCS_LOG` (`debug`, `info`, `warning`, `error`), or the service's own `log_level`.
pub fn init() {
    tracing_subscriber::registry()
        .with(Services)
        .with(lines(LogWriter::stderr()).with_filter(Levels::from_environment()))
        .try_init()
        .ok();
}

fn lines<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer().event_format(Line).with_ansi(false).with_writer(writer)
}

/// A level by its name, in Rust's words or Python's.
pub fn level(name: &str) -> Option<LevelFilter> {
    Some(match crate::wire::Level::from_name(name)?.0 {
        i64::MIN..20 => LevelFilter::DEBUG,
        20..30 => LevelFilter::INFO,
        30..40 => LevelFilter::WARN,
        40.. => LevelFilter::ERROR,
    })
}

/// Remembers which service a span belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Services;

#[derive(Debug, Default)]
struct ServiceSpan {
    id: String,
    level: Option<LevelFilter>,
}

impl Visit for ServiceSpan {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "id" => value.clone_into(&mut self.id),
            "level" => self.level = level(value),
            _ => {}
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Services {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if attributes.metadata().name() == "service"
            && let Some(span) = ctx.span(id)
        {
            let mut service = ServiceSpan::default();
            attributes.record(&mut service);
            span.extensions_mut().insert(service);
        }
    }
}

/// What is logged: by the service's own level, else by the program's.
#[derive(Debug, Clone, Copy)]
pub struct Levels {
    general: LevelFilter,
}

impl Levels {
    /// INFO, or the level in `TCS_LOG`.
    pub fn from_environment() -> Self {
        let named = std::env::var("TCS_LOG").ok().and_then(|name| level(&name));
        Self { general: named.unwrap_or(LevelFilter::INFO) }
    }

    /// With this level for the program.
    pub fn new(general: LevelFilter) -> Self {
        Self { general }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for Levels {
    fn enabled(&self, metadata: &Metadata<'_>, ctx: &Context<'_, S>) -> bool {
        if metadata.is_span() {
            return true;
        }
        let own = ctx.lookup_current().and_then(|span| {
            span.scope().find_map(|span| span.extensions().get::<ServiceSpan>()?.level)
        });
        // the client library has lines for each attempt to connect; `bus::connection_log` folds them
        let limit = if metadata.target().starts_with(crate::bus::CLIENT_LIBRARY) {
            if self.general >= LevelFilter::DEBUG { LevelFilter::WARN } else { LevelFilter::OFF }
        } else {
            own.unwrap_or(self.general)
        };
        *metadata.level() <= limit
    }
}

/// The field that says which output of a service a line came from.
pub const STREAM: &str = "stream";

/// The message, then the other fields: `cannot be written path=/tmp/x`.
#[derive(Default)]
struct Words {
    message: String,
    others: String,
    stream: Option<String>,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            STREAM => {}
            name => self.others.extend([" ", name, "=", &format!("{value:?}")]),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == STREAM {
            self.stream = Some(value.to_owned());
        } else {
            self.record_debug(field, &value);
        }
    }
}

/// One thing that was logged.
#[derive(Debug)]
#[non_exhaustive]
pub struct LogRecord {
    /// Its level.
    pub level: crate::wire::Level,
    /// The service in whose span it was said.
    pub service: Option<String>,
    /// The Rust module that said it, with dots.
    pub logger: String,
    /// The output of a service that it came from, where it is one's.
    pub stream: Option<String>,
    /// The message and its fields, over several lines perhaps, as they came.
    pub text: String,
}

impl LogRecord {
    /// Makes a record from an event and the spans around it.
    pub fn new<'a, S>(event: &Event<'_>, mut scope: impl Iterator<Item = SpanRef<'a, S>>) -> Self
    where
        S: for<'s> LookupSpan<'s> + 'a,
    {
        let level = match *event.metadata().level() {
            Level::ERROR => crate::wire::Level::ERROR,
            Level::WARN => crate::wire::Level::WARNING,
            Level::INFO => crate::wire::Level::INFO,
            Level::DEBUG | Level::TRACE => crate::wire::Level::DEBUG,
        };
        let service =
            scope.find_map(|span| Some(span.extensions().get::<ServiceSpan>()?.id.clone()));
        let mut words = Words::default();
        event.record(&mut words);
        let logger = event.metadata().target().replace("::", ".");
        let Words { message, others, stream } = words;
        Self { level, service, logger, stream, text: message + &others }
    }

    /// Who says it, as the fleet's loggers are called: `svc|guider.jk15`, or the module.
    pub fn name(&self) -> String {
        self.service.as_ref().map_or_else(|| self.logger.clone(), |id| format!("svc|{id}"))
    }
}

/// As a line that a launcher reads, without control characters.
impl fmt::Display for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:<5}] {:<12}: {}", self.level.name(), self.name(), clean(&self.text))
    }
}

struct Line;

impl<S, N> FormatEvent<S, N> for Line
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
        writeln!(writer, "{}", LogRecord::new(event, ctx.event_scope().into_iter().flatten()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_as_the_launchers_read_them() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::registry()
            .with(Services)
            .with(lines(move || writer.clone()).with_filter(Levels::new(LevelFilter::INFO)));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("service", id = %"guider.jk15", level = Some("debug"));
            span.in_scope(|| tracing::debug!("star \u{1b}[31mlo\u{202e}st\nat HD 1"));
            span.in_scope(|| tracing::warn!("wind"));
            let quiet = tracing::info_span!("service", id = %"a.b", level = Some("ERROR"));
            quiet.in_scope(|| tracing::warn!("not heard"));
            tracing::debug!("nor this");
            tracing::info!(target: "ctx", "outside");
        });
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            text,
            "[DEBUG] svc|guider.jk15: star \\u{1b}[31mlo\\u{202e}st\nat HD 1\n\
             [WARNING] svc|guider.jk15: wind\n\
             [INFO ] ctx         : outside\n"
        );
    }
}
