//! `tcsctl demo`: a private broker, filled with recorded messages of a real fleet.

mod broker;

use std::process::ExitCode;

use tcs_core::bus::Secret;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::wire::Subjects;

use super::replay::{self, Play};
use super::session::{Ended, Session, interrupted};
use crate::cli::{ConnectionArgs, DemoArgs, ListArgs};
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
    let broker = Broker::start().await?;
    let shown = async {
        fill(session, &broker).await?;
        let session = session.at_server(broker.url());
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
        code = shown => code?,
        () = interrupted() => Exit::Done.into(),
    };
    if args.keep {
        interrupted().await;
    }
    broker.stop().await;
    Ok(code)
}

/// Makes the streams, and publishes all recordings.
async fn fill(session: &Session, broker: &Broker) -> Result<(), Ended> {
    let flags =
        NatsSection { url: Some(Secret::new(broker.url().to_owned())), ..NatsSection::default() };
    let settings = Settings::from_process(&flags, None)?;
    let bus = session.connect_with(&settings).await?;
    replay::create_streams(&bus).await?;
    let play = Play { speed: None, as_is: false };
    for text in RECORDINGS {
        let entries = replay::parse(text)
            .map_err(|error| Ended::new(Exit::No, format!("a built-in recording: {error}")))?;
        replay::publish(&bus, &entries, &Subjects::default(), play).await?;
    }
    Ok(())
}

impl Session {
    /// The same at another server, as nobody in particular.
    fn at_server(&self, url: &str) -> Self {
        let timeout = self.connection.timeout;
        let server = Some(url.to_owned());
        self.with_connection(ConnectionArgs { server, timeout, ..ConnectionArgs::default() })
    }
}
