//! `tcsctl metrics`: the fleet for Prometheus, once.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use tcs_core::clock;
use tcs_core::fleet::{Fleet, Link};
use tcs_present::metrics::{Scrape, Site, text};
use tcs_present::selection::Wanted;

use super::list::parse;
use super::picture::{self, Picture, Want};
use super::session::{Ended, Session};
use crate::alarm_stream::alarms_at;
use crate::cli::MetricsArgs;
use crate::exit::Exit;
use crate::resources;

pub(super) async fn run(session: &Session, args: &MetricsArgs) -> Result<ExitCode, Ended> {
    let wanted = Wanted { all: true, filter: parse(&args.filter)? };
    let (text, result) = match read(session, &wanted).await {
        Ok((text, is_whole)) => (text, Ok(if is_whole { Exit::Done } else { Exit::NoContact })),
        // that there is no contact is a figure too
        Err(ended @ Ended::Failed { exit: Exit::NoContact, .. }) => (blind(&wanted), Err(ended)),
        Err(ended) => return Err(ended),
    };
    match &args.output {
        None => session.screen.write(&text)?,
        Some(path) => replace(path, &text).map_err(|error| {
            let path = path.display();
            Ended::new(Exit::No, format!("{path} cannot be written: {error}"))
        })?,
    }
    result.map(ExitCode::from)
}

async fn read(session: &Session, wanted: &Wanted) -> Result<(String, bool), Ended> {
    let want = Want { filter: wanted.filter.clone(), ..Want::default() };
    let Picture { bus, view, source, .. } = picture::take(session, &want).await?;
    source.warn(&session.screen);
    let left = session.left();
    let (round, alarms) = tokio::join!(
        tokio::time::timeout(left, resources::ask_all(&bus, &view)),
        alarms_at(&bus, view.now, tokio::time::Instant::now() + left),
    );
    let round = round.unwrap_or_default();
    for (launcher, why) in &round.problems {
        session.note(&format!("{launcher}: {why}"));
    }
    let alarms = alarms.ok().map(|alarms| alarms.views(view.now, &view));
    let site = Site {
        is_connected: source.connected,
        is_complete: source.complete,
        has_jetstream: source.jetstream,
        version: env!("CARGO_PKG_VERSION"),
        round_trip: bus.round_trip(),
    };
    let (answers, alarms) = (&round.answers[..], alarms.as_deref());
    let scrape = Scrape { view: &view, wanted, site, answers, alarms, counted: None };
    Ok((text(&scrape), source.answered))
}

/// What is said where nothing can be seen.
fn blind(wanted: &Wanted) -> String {
    let now = clock::wall();
    let view = Fleet::new().view(now, Link::Down { since: now });
    let site = Site { version: env!("CARGO_PKG_VERSION"), ..Site::default() };
    text(&Scrape { view: &view, wanted, site, answers: &[], alarms: None, counted: None })
}

/// Who reads the file sees the old text or the new one. The temporary file has another ending:
/// `node_exporter` reads all `*.prom`.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let readable = Permissions::from_mode(0o644);
    let mut file = tempfile::Builder::new()
        .prefix(".tcsctl-")
        .suffix(".tmp")
        .permissions(readable)
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
