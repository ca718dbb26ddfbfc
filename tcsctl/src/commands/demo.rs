//! `tcsctl demo`: a private broker, and a launcher with sample services, some of which do not do
//! well.

mod broker;
mod launcher;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::{Bus, Env, Secret};
use tcs_core::clock;
use tcs_core::fleet::{Filter, FleetView, Liveness, Phase, Reason, Verdict};
use tcs_core::observer::{Observer, Patience};

use super::picture::source;
use super::session::{Ended, Session, client_name, interrupted};
use crate::cli::{DemoArgs, ListArgs, WatchArgs};
use crate::exit::Exit;
use crate::output::{Source, Word};
use broker::Broker;
use launcher::Launcher;

/// Until all is up, and what is to go wrong has.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often to look whether it is.
const LOOK: Duration = Duration::from_millis(250);

pub(super) async fn run(session: &Session, args: &DemoArgs) -> Result<ExitCode, Ended> {
    let ended = interrupted();
    tokio::pin!(ended);
    let broker = Broker::start().await?;
    let mut launcher = Launcher::start(broker.url()).await?;
    let session = session.at(settings(&broker)?);
    let shown = show(&session, args, &mut launcher, broker.url());
    let code = tokio::select! {
        code = shown => match code {
            Ok(_) if args.keep => {
                ended.await;
                Ok(Exit::Done.into())
            }
            code => code,
        },
        () = &mut ended => Ok(Exit::Done.into()),
    };
    launcher.stop().await;
    broker.stop().await;
    code
}

async fn show(
    session: &Session,
    args: &DemoArgs,
    launcher: &mut Launcher,
    url: &str,
) -> Result<ExitCode, Ended> {
    if args.watch {
        let watch = WatchArgs { all: true, speed: 1.0, ..WatchArgs::default() };
        return super::watch::run(session, &watch).await;
    }
    session.screen.tell(Word::Note, "starting a broker and a launcher with sample services ...");
    let (view, source) = settle(session, launcher).await?;
    let list = ListArgs { all: true, ..ListArgs::default() };
    let code = super::list::show(session, &list, &Filter::default(), view, &source)?;
    let text = if args.keep {
        format!("it runs until Ctrl-C; in another terminal: tcsctl watch --server {url}")
    } else {
        "the demo has ended; --watch opens the dashboard on it, --keep keeps it running".to_owned()
    };
    session.screen.tell(Word::Hint, &text);
    Ok(code)
}

/// Waits until there is something to see, and is seen before it has passed.
async fn settle(session: &Session, launcher: &mut Launcher) -> Result<(FleetView, Source), Ended> {
    let bus = Bus::connect(&session.settings()?, client_name(), session.timeout()).await?;
    let observer = Observer::new(bus);
    let start = clock::monotonic();
    loop {
        launcher.check()?;
        let began = clock::monotonic();
        let mut picture = observer.snapshot(Patience::default()).await;
        observer.count_crashes(&mut picture).await;
        let view = picture.view(clock::monotonic());
        if is_worth_seeing(&view) || start.elapsed() > PATIENCE {
            let source = Source { took: began.elapsed(), ..source(&observer, &picture) };
            return Ok((view, source));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// All have begun and those that run are heard, one has crashed, one is late, one is done.
fn is_worth_seeing(view: &FleetView) -> bool {
    let has = |verdict| view.services.iter().any(|service| service.verdict == verdict);
    let begun = |phase| !matches!(phase, Phase::Declared | Phase::Waiting | Phase::Starting);
    let is_blocked = |reason: &Reason| matches!(reason, Reason::LoopBlocked { .. });
    view.services.iter().any(|service| service.reasons.iter().any(is_blocked))
        && has(Verdict::Restarting)
        && view.services.iter().any(|service| service.phase == Phase::Completed)
        && view.services.iter().all(|service| {
            service.verdict == Verdict::Restarting
                || begun(service.phase)
                    && (service.phase != Phase::Running || service.liveness != Liveness::None)
        })
}

/// The private broker, with nothing of this machine's own settings.
fn settings(broker: &Broker) -> Result<Settings, Ended> {
    let url = Some(Secret::new(broker.url().to_owned()));
    let flags = NatsSection { url, ..NatsSection::default() };
    let read = |path: &Path| std::fs::read_to_string(path);
    Settings::resolve(&flags, None, Env { env: &|_| None, read: &read })
        .map_err(|error| Ended::new(Exit::NoContact, error.to_string()))
}
