//! Reads a past period for `tcsctl timeline`, `tcsctl report` and `tcsctl alarms replay`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tcs_core::bus::Bus;
use tcs_core::clock;
use tcs_core::fleet::Fleet;
use tcs_core::fleet::history::{Chronicle, Historian, PastReader};
use tcs_core::observer::{Observer, Patience, Problem};

use super::picture::observe;
use super::session::{Ended, Session};
use crate::cli::moment::{Moment, period};
use crate::exit::Exit;
use crate::output::Word;

/// Time limit without `--timeout`: a long period takes longer to read than the present.
const LONG: Duration = Duration::from_mins(1);

/// A past period, and whether all of it could be read.
pub(super) struct Period {
    /// The connection it was read over.
    pub(super) bus: Bus,
    pub(super) chronicle: Chronicle,
    /// What could not be read, in words.
    pub(super) problems: Vec<String>,
    pub(super) is_whole: bool,
}

/// Reads a period, and reports what could not be read. Fails only if there is no answer.
pub(super) async fn read(
    session: &Session,
    since: Moment,
    until: Option<Moment>,
) -> Result<Period, Ended> {
    let observer = observe(session).await?;
    let period = ends(session, &observer, since, until).await?;
    let begin = |fleet, heard_from| Historian::new(fleet, period, heard_from);
    let (historian, problems, is_whole) = read_into(session, &observer, period, begin).await?;
    let (bus, chronicle) = (observer.bus().clone(), historian.finish());
    Ok(Period { bus, chronicle, problems, is_whole })
}

/// Reads a period into the reader that `begin` makes ([`Observer::read_past`]), and reports what could
/// not be read; with that in words, and whether all the rest could be read.
pub(super) async fn read_into<R: PastReader>(
    session: &Session,
    observer: &Observer,
    period: (DateTime<Utc>, DateTime<Utc>),
    begin: impl FnOnce(Fleet, Option<DateTime<Utc>>) -> R,
) -> Result<(R, Vec<String>, bool), Ended> {
    let timeout = session.connection.timeout.map_or(LONG, |_| session.left());
    let patience = Patience { timeout: session.left(), listen: Duration::ZERO };
    let asked = clock::monotonic();
    let reading = tokio::time::timeout(timeout, observer.read_past(period, patience, begin));
    let (reader, problems) = reading.await.map_err(|_| {
        let text = format!(
            "the past was not read in {:.1} s\nhint: allow more time with --timeout, or ask for \
             less with --since",
            timeout.as_secs_f64()
        );
        Ended::new(Exit::NoContact, text)
    })?;
    session.note(&format!("read in {:.0} ms", asked.elapsed().as_secs_f64() * 1000.0));
    // where a stream begins is a gap of the history, which is shown
    let problems: Vec<Problem> = problems
        .into_iter()
        .filter(|problem| !matches!(problem, Problem::HistoryBegins { .. }))
        .collect();
    let is_whole = problems.iter().all(Problem::is_of_record);
    for problem in &problems {
        let word = if problem.is_of_record() { Word::Warning } else { Word::Error };
        session.screen.tell(word, &problem.to_string());
        if let Some(hint) = problem.hint() {
            session.screen.tell(Word::Hint, &hint);
        }
    }
    Ok((reader, problems.iter().map(ToString::to_string).collect(), is_whole))
}

/// Both ends, by the broker's clock. `--since 20:00 --until 08:00` is the last such night.
pub(super) async fn ends(
    session: &Session,
    observer: &Observer,
    since: Moment,
    until: Option<Moment>,
) -> Result<(DateTime<Utc>, DateTime<Utc>), Ended> {
    let now = session.broker_clock(observer.bus()).await.now();
    let ends = period(since, until, now, session.local_times);
    let ends = ends.map_err(|why| Ended::new(Exit::Usage, why))?;
    for note in &ends.notes {
        session.screen.tell(Word::Note, note);
    }
    Ok((ends.from, ends.to))
}
