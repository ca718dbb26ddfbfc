//! `tcsctl report`: what a shift hands over.

use std::process::ExitCode;

use super::period::{self, Period};
use super::session::{Ended, Session};
use crate::cli::{ReportArgs, ReportFormat};
use crate::exit::Exit;
use crate::report::Shift;

pub(super) async fn run(session: &Session, args: &ReportArgs) -> Result<ExitCode, Ended> {
    let Period { bus, chronicle, problems, is_whole } =
        period::read(session, args.since, args.until).await?;
    let limit = tokio::time::Instant::now() + session.timeout();
    let (shift, has_alarms) = Shift::read(&bus, chronicle, problems, limit).await;
    let (report, screen) = (shift.report(), &session.screen);
    match args.format {
        ReportFormat::Text => screen.print(&report.text(&screen.look))?,
        ReportFormat::Md => screen.write(&report.markdown(&screen.look))?,
        ReportFormat::Html => screen.write(&report.html(&screen.look))?,
        ReportFormat::Json => screen.print_json(&report.json(), true)?,
    }
    Ok(if is_whole && has_alarms { Exit::Done } else { Exit::NoContact }.into())
}
