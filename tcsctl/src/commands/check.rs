//! `tcsctl check`: one line and an exit code, as monitoring plugins have it.

use std::process::ExitCode;

use tcs_alarms::{AlarmView, RuleSet, Taken, taken};
use tcs_core::fleet::{Filter, FleetView, Verdict};
use tcs_present::selection::{Selection, Wanted};

use super::alarms::Book;
use super::picture::{self, Picture};
use super::session::{Ended, Session};
use crate::cli::CheckArgs;
use crate::exit::Check;
use crate::output::Source;
use crate::output::check::{self as output, Judged};

pub(super) async fn run(session: &Session, args: &CheckArgs) -> Result<ExitCode, Ended> {
    let filter = super::list::parse(&args.services)?;
    let want = picture::Want { filter: filter.clone(), intervals: true, at: args.at };
    let picture = picture::take(session, &want).await?;
    let (view, source) = (picture.view.clone(), picture.source.clone());
    let (views, rules) = alarms(session, picture, args.at.is_some()).await;
    let taken = taken(&views, &rules, &view);
    let mut services = chosen(&view, &filter);
    for (service, check) in &mut services {
        if matches!(taken.get(&*service.id), Some(Taken::Shelved(_))) {
            *check = Check::Ok;
        }
    }
    let result = judge(&view, &services, &source, !filter.is_empty());
    session.screen.print([&output::line(result, &view, &services, &taken, &source)])?;
    Ok(result.into())
}

/// The alarms and their rules. Where they cannot be read, nothing is known to be taken.
async fn alarms(session: &Session, picture: Picture, is_past: bool) -> (Vec<AlarmView>, RuleSet) {
    let nothing = (Vec::new(), RuleSet::default());
    if !picture.source.answered || !picture.source.jetstream {
        return nothing;
    }
    let Ok(book) = Book::of(session, picture, is_past).await else { return nothing };
    let rules = book.alarms().rules().and_then(|held| RuleSet::of_text(&held.record.text).ok());
    (book.views(), rules.unwrap_or_default())
}

/// Without a filter what the list shows; with one, the service of exactly that name, else all that
/// match. Stopped is critical only for a service named in full: who names it wants it to run.
fn chosen<'a>(view: &'a FleetView, filter: &Filter) -> Vec<Judged<'a>> {
    if let Some(service) = view.get(filter.text()) {
        return vec![(service, of(service.verdict, true))];
    }
    let selection = Selection::new(view, &Wanted { all: false, filter: filter.clone() });
    let services = selection.rows.iter().map(|row| &view.services[row.service]);
    services.map(|service| (service, of(service.verdict, false))).collect()
}

/// The worst of all; what is not there, or not all there, is unknown.
fn judge(view: &FleetView, services: &[Judged<'_>], source: &Source, filtered: bool) -> Check {
    match services.iter().map(|(_, check)| *check).max_by_key(|check| check.weight()) {
        Some(Check::Critical) => Check::Critical,
        _ if !source.answered => Check::Unknown,
        Some(Check::Ok) if source.faulty => Check::Warning,
        Some(check) => check,
        // everything is stopped, or nothing is known at all
        None if filtered || view.services.is_empty() => Check::Unknown,
        None if source.faulty => Check::Warning,
        None => Check::Ok,
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
