//! `tcsctl demo`: a private broker, filled with recorded messages of a real fleet.

mod broker;

use std::path::Path;
use std::process::ExitCode;

use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::{Outside, Secret};
use tcs_core::wire::Subjects;

use super::replay::{self, Play};
use super::session::{Ended, Session, interrupted};
use crate::cli::{DemoArgs, ListArgs};
use crate::exit::Exit;
use crate::output::Word;
use broker::Broker;

/// What is played, in this order: what has ended first, what goes on running last.
const RECORDINGS: [&str; 6] = [
    include_str!("../../../tests/fixtures/wire/standalone-sigterm.jsonl"),
    include_str!("../../../tests/fixtures/wire/asyncio-sigterm.jsonl"),
    include_str!("../../../tests/fixtures/wire/process-failed-start-and-graceful-stop.jsonl"),
    include_str!("../../../tests/fixtures/wire/process-launcher.jsonl"),
    include_str!("../../../tests/fixtures/wire/monitor-and-rpc.jsonl"),
    include_str!("../../../tests/fixtures/wire/inprocess-launcher.jsonl"),
];

pub(super) async fn run(session: &Session, args: &DemoArgs) -> Result<ExitCode, Ended> {
    let ended = interrupted();
    tokio::pin!(ended);
    let broker = Broker::start().await?;
    let shown = async {
        let session = session.at(settings(&broker)?);
        fill(&session).await?;
        let list = ListArgs { all: true, ..ListArgs::default() };
        let code = super::list::run(&session, &list).await?;
        let text = if args.keep {
            format!(
                "the broker runs until Ctrl-C; in another terminal: tcsctl --all --server {}",
                broker.url()
            )
        } else {
            "recorded messages of a real fleet; the broker is gone now, --keep leaves it running"
                .to_owned()
        };
        session.screen.tell(Word::Hint, &text);
        Ok::<_, Ended>(code)
    };
    let code = tokio::select! {
        code = shown => {
            let code = code?;
            if args.keep {
                ended.await;
            }
            code
        }
        () = &mut ended => Exit::Done.into(),
    };
    broker.stop().await;
    Ok(code)
}

/// The private broker, with nothing of this machine's own settings.
fn settings(broker: &Broker) -> Result<Settings, Ended> {
    let url = Some(Secret::new(broker.url().to_owned()));
    let flags = NatsSection { url, ..NatsSection::default() };
    let read = |path: &Path| std::fs::read_to_string(path);
    Settings::resolve(&flags, None, Outside { env: &|_| None, read: &read })
        .map_err(|error| Ended::new(Exit::NoContact, error.to_string()))
}

/// Makes the streams, and publishes all recordings.
async fn fill(session: &Session) -> Result<(), Ended> {
    let bus = session.connect().await?;
    replay::create_streams(&bus).await?;
    let play = Play { speed: None, as_is: false };
    for text in RECORDINGS {
        let entries = replay::parse(text)
            .map_err(|error| Ended::new(Exit::No, format!("a built-in recording: {error}")))?;
        replay::publish(&bus, &entries, &Subjects::default(), play).await?;
    }
    Ok(())
}
