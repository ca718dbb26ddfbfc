//! The report of a shift: what goes into it, and the service `type: report`, which writes it to a folder
//! and has a sentinel send it (`docs/spec/history.md#report`).

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tcs_alarms::settings::{PeriodEdge, ReportForm, ReportSettings};
use tcs_alarms::{Alarms, running};
use tcs_core::bus::{BrokerClock, Bus};
use tcs_core::fleet::FleetView;
use tcs_core::fleet::history::{Chronicle, Historian};
use tcs_core::observer::{Observer, Patience, Problem};
use tcs_core::prelude::*;
use tcs_core::service::{Service as _, main_of};
use tcs_present::Look;
use tcs_present::report::{AlarmEvent, Report, Sources};
use tokio::time::Instant;

use crate::alarm_stream::{AlarmStream, Unread};
use crate::cli::moment::{Moment, period};
use crate::output::json_text;
use crate::sentinel::{REPORT, ReportRequest};

/// Events of alarms that are kept; beyond them the oldest are forgotten.
const MAX_EVENTS: usize = 20_000;
/// For the broker to answer, and for all of a long period.
const PATIENCE: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_mins(10);
/// A sentinel's channel has 10 s.
const SENDING: Duration = Duration::from_secs(15);
/// Bytes of a report that are sent; the file has all of it.
const MAX_TEXT: usize = 64 * 1024;

/// What goes into the report of a period.
pub(crate) struct Shift {
    server: String,
    prefix: String,
    pub(crate) chronicle: Chronicle,
    /// What happened to alarms, and how they were at the end; `None`: no stream has any.
    alarms: Option<(Vec<AlarmEvent>, Alarms)>,
    /// What could not be read, in words.
    problems: Vec<String>,
}

impl Shift {
    /// Adds the alarms of the period; whether they could be read.
    pub(crate) async fn read(
        bus: &Bus,
        chronicle: Chronicle,
        mut problems: Vec<String>,
        limit: Instant,
    ) -> (Self, bool) {
        let (from, to) = (chronicle.history.from, chronicle.history.to);
        let (alarms, is_read) = match read_alarms(bus, (from, to), limit).await {
            Ok(alarms) => (Some(alarms), true),
            Err(Unread::NoStream) => (None, true),
            Err(why) => {
                problems.push(why.to_string());
                (None, false)
            }
        };
        let (server, prefix) = (bus.settings().shown_servers(), bus.subjects().prefix().to_owned());
        (Self { server, prefix, chronicle, alarms, problems }, is_read)
    }

    pub(crate) fn report(&self) -> Report<'_> {
        let place = (self.server.as_str(), self.prefix.as_str());
        let mut sources = Sources::new(&self.chronicle, place, &self.problems);
        sources.alarms = self.alarms.as_ref().map(|(events, alarms)| (&events[..], alarms));
        Report::new(sources)
    }
}

async fn read_alarms(
    bus: &Bus,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    limit: Instant,
) -> Result<(Vec<AlarmEvent>, Alarms), Unread> {
    let mut stream = AlarmStream::new(bus, Some(to));
    let mut events: Vec<AlarmEvent> = Vec::new();
    let read = stream.read_all(limit, |address, record, stamp| {
        if stamp.stored >= from {
            events.extend(AlarmEvent::of(address, record, stamp.stored));
        }
        if events.len() > 2 * MAX_EVENTS {
            events.drain(..MAX_EVENTS);
        }
    });
    read.await?;
    events.sort_by_key(|event| event.at);
    Ok((events, stream.alarms))
}

/// The service.
#[derive(Default)]
struct ShiftReport;

#[service]
impl OneShotService for ShiftReport {
    type Config = ReportSettings;

    async fn execute(&self, ctx: &Context) -> Result<()> {
        let settings = ctx.config();
        let bus = ctx.bus().context("a report needs a broker")?;
        let shift = read_shift(bus, settings).await?;
        let report = shift.report();
        let look = Look::default();
        let text =
            || -> String { report.text(&look).iter().map(|line| line.plain() + "\n").collect() };
        let (ending, body) = match settings.format {
            ReportForm::Html => ("html", report.html(&look)),
            ReportForm::Md => ("md", report.markdown(&look)),
            ReportForm::Text => ("txt", text()),
            ReportForm::Json => ("json", json_text(&report.json())?),
        };
        let to = shift.chronicle.history.to;
        let name = format!("{}-{}.{ending}", ctx.id(), to.format("%Y-%m-%dT%H%MZ"));
        let path = Path::new(&settings.folder).join(name);
        write(&path, &body).with_context(|| format!("cannot write {}", path.display()))?;
        ctx.info(format!("{} is written to {}", report.title(), path.display()));
        if let Some(channel) = &settings.send {
            let mut text = text();
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            let request = ReportRequest {
                channel: channel.to_string(),
                service: ctx.id().to_string(),
                title: report.title(),
                text,
            };
            let by = send(bus, &shift.chronicle.view, &request).await?;
            ctx.info(format!("{by} has sent it by {channel}"));
        }
        Ok(())
    }
}

async fn read_shift(bus: &Bus, settings: &ReportSettings) -> Result<Shift> {
    let clock = tokio::time::timeout(PATIENCE, bus.broker_clock()).await.ok().flatten();
    let now = clock.unwrap_or_else(BrokerClock::local).now();
    let until = settings.until.map(Moment::from);
    let ends = period(settings.since.into(), until, now, false).map_err(|why| anyhow!(why))?;
    let ends = (ends.from, ends.to);
    let patience = Patience { timeout: PATIENCE, listen: Duration::ZERO };
    let observer = Observer::new(bus.clone());
    let begin = |fleet, heard_from| Historian::new(fleet, ends, heard_from);
    let reading = observer.read_past(ends, patience, begin);
    let (historian, problems) =
        tokio::time::timeout(LONG, reading).await.context("the past was not read in 10 min")?;
    // where a stream begins is a gap of the history, which is shown
    let is_told = |problem: &&Problem| !matches!(problem, Problem::HistoryBegins { .. });
    let problems = problems.iter().filter(is_told).map(ToString::to_string).collect();
    let limit = Instant::now() + PATIENCE;
    Ok(Shift::read(bus, historian.finish(), problems, limit).await.0)
}

impl From<PeriodEdge> for Moment {
    fn from(edge: PeriodEdge) -> Self {
        match edge {
            PeriodEdge::Ago(span) => Self::Ago(span.delta()),
            PeriodEdge::Clock(time) => Self::Clock(time),
        }
    }
}

/// Whoever reads it finds all of it, or the one before.
fn write(path: &Path, body: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut new = PathBuf::from(path);
    new.as_mut_os_string().push(".new");
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o640).open(&new)?;
    file.write_all(body.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

/// Asks the sentinels that run, one after the other, until one has sent it; which one.
async fn send(bus: &Bus, fleet: &FleetView, request: &ReportRequest) -> Result<String> {
    let mut errors = Vec::new();
    for sentinel in running(fleet) {
        match bus.request(sentinel, REPORT, request, SENDING).await {
            Ok(_) => return Ok(sentinel.to_owned()),
            Err(error) => errors.push(format!("{sentinel}: {error}")),
        }
    }
    if errors.is_empty() {
        bail!("it is not sent: no sentinel runs");
    }
    bail!("it is not sent: {}", errors.join("; "))
}

/// Runs it with the arguments of any stand-alone service.
pub(crate) fn run(arguments: Vec<String>) -> std::process::ExitCode {
    main_of(ShiftReport::registration(), arguments)
}
