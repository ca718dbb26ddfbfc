//! `tcsctl check`: one line and an exit code, as monitoring plugins have it.

use std::process::ExitCode;

use tcs_core::fleet::{Filter, FleetView, ServiceView, Verdict};

use super::picture::{self, Picture};
use super::session::{Ended, Session};
use crate::cli::CheckArgs;
use crate::exit::Check;
use crate::output::{Source, check as output};
use crate::selection::{Selection, Wanted};

pub(super) async fn run(session: &Session, args: &CheckArgs) -> Result<ExitCode, Ended> {
    let filter = super::list::parse(args.service.as_deref())?;
    let want = picture::Want { filter: filter.clone(), intervals: true, at: args.at };
    let Picture { view, source, .. } = picture::take(session, &want).await?;
    let services = chosen(&view, &filter);
    let result = judge(&services, &source, !filter.is_empty());
    session.screen.print([&output::line(result, &view, &services, &source)])?;
    Ok(result.into())
}

/// Without a filter what the list shows; with one, the service of exactly that name, else all that
/// match.
fn chosen<'a>(view: &'a FleetView, filter: &Filter) -> Vec<&'a ServiceView> {
    if let Some(service) = view.get(filter.text()) {
        return vec![service];
    }
    let selection = Selection::new(view, &Wanted { all: false, filter: filter.clone() });
    selection.rows.iter().map(|row| &view.services[row.service]).collect()
}

/// The worst of all; what is not there, or not all there, is unknown.
fn judge(services: &[&ServiceView], source: &Source, named: bool) -> Check {
    let worst = services.iter().map(|service| of(service.verdict, named)).max_by_key(|check| {
        // a fault that is seen says more than a doubt
        match check {
            Check::Ok => 0,
            Check::Unknown => 1,
            Check::Warning => 2,
            Check::Critical => 3,
        }
    });
    match worst {
        Some(Check::Critical) => Check::Critical,
        _ if !source.answered => Check::Unknown,
        None if named => Check::Unknown,
        None => Check::Ok,
        Some(check) => check,
    }
}

const fn of(verdict: Verdict, named: bool) -> Check {
    match verdict {
        Verdict::Failed | Verdict::Lost | Verdict::Error => Check::Critical,
        Verdict::Late | Verdict::Degraded | Verdict::Restarting => Check::Warning,
        Verdict::Stopped if named => Check::Critical,
        Verdict::Unknown => Check::Unknown,
        Verdict::Stopped | Verdict::Ok | Verdict::Starting | Verdict::Stopping => Check::Ok,
    }
}

/// There is no picture at all.
pub(super) fn no_answer(session: &Session, message: &str) -> ExitCode {
    session.screen.print([&output::unknown(message)]).ok();
    Check::Unknown.into()
}
