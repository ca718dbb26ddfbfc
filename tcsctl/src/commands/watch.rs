//! `tcsctl watch`: the dashboard, and its twins without a screen.

mod twin;

use std::process::ExitCode;

use tcs_core::bus::Bus;
use tcs_core::observer::Observer;
use tcs_core::wire::Subjects;

use super::session::{Ended, SIGNALLED, Session, client_name};
use crate::cli::WatchArgs;
use crate::dashboard::run::{self, RunError};
use crate::dashboard::source::{Source, SourceError, replay::Recording};
use crate::dashboard::state::{Moments, Options};
use crate::exit::Exit;
use crate::output::Word;

pub(super) async fn run(session: &Session, args: &WatchArgs) -> Result<ExitCode, Ended> {
    let filter = super::list::parse(&args.services)?;
    let source = source(session, args).await?;
    if args.plain || args.json {
        return twin::run(session, args, source, &filter).await;
    }
    let config = super::config::read()?;
    let options = Options {
        site: site(session, &source),
        connection: session.connection.words(),
        filter,
        all: args.all,
        read_only: args.read_only,
        ascii: session.screen.is_ascii(),
        colour: session.screen.has_color(),
        theme: args.theme.unwrap_or(config.theme),
        mouse: config.mouse && !args.no_mouse,
        keymap: config.keymap,
        bell: config.bell,
        operator: super::alarms::operator(),
        times: session.screen.look.times,
        at: args.at,
        moments: Moments::new(session.local_times),
    };
    match run::run(options, source).await? {
        run::Ended::Quit => Ok(Exit::Done.into()),
        run::Ended::Signal(number) => Ok(ExitCode::from(SIGNALLED + number)),
        run::Ended::Gone => Ok(ExitCode::from(SIGNALLED + 1)),
    }
}

impl From<RunError> for Ended {
    fn from(error: RunError) -> Self {
        let exit = match error {
            RunError::NoTerminal => Exit::Usage,
            RunError::Terminal(_) => Exit::No,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<SourceError> for Ended {
    fn from(error: SourceError) -> Self {
        Self::new(Exit::No, error.to_string())
    }
}

/// A file is played as it is; a site need not answer yet.
async fn source(session: &Session, args: &WatchArgs) -> Result<Source, Ended> {
    if let Some(file) = &args.replay {
        let prefix = session.connection.prefix.as_deref().unwrap_or(tcs_core::wire::DEFAULT_PREFIX);
        let subjects = Subjects::new(prefix)
            .map_err(|error| Ended::new(Exit::Usage, format!("--prefix: {error}")))?;
        let recording = Recording::read(file, &subjects, args.speed)?;
        for warning in &recording.warnings {
            session.screen.tell(Word::Warning, warning);
        }
        return Ok(Source::Recording(recording));
    }
    let settings = session.settings()?;
    let bus = session.keep(Bus::open(&settings, client_name(), session.timeout()).await?);
    Ok(Source::live(Observer::new(bus).with_core(session.connection.core)))
}

/// A name for where we look.
fn site(session: &Session, source: &Source) -> String {
    match source {
        Source::Recording(_) => "tcs".to_owned(),
        Source::Live(live) => {
            let server = || live.observer().bus().settings().shown_servers();
            let name = session.connection.context.clone().unwrap_or_else(server);
            name.trim_start_matches("nats://").to_owned()
        }
    }
}
