//! `tcsctl record`: the fleet's messages, as they come, into a file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use tcs_core::bus::{Bus, Item, Note, RawMessage, Reading, Stored};
use tcs_core::clock;
use tcs_core::wire::Kind;

use super::session::{Ended, Session, interrupted};
use crate::cli::RecordArgs;
use crate::exit::Exit;
use crate::output::Word;
use crate::recording::Entry;

/// Never requests: a listener there would answer for the service.
const KINDS: [Kind; 4] = [Kind::Registry, Kind::Status, Kind::Heartbeat, Kind::Journal];

pub(super) async fn run(session: &Session, args: &RecordArgs) -> Result<ExitCode, Ended> {
    let failed = |error: std::io::Error| {
        Ended::new(Exit::No, format!("cannot write {}: {error}", args.file.display()))
    };
    let mut file: Box<dyn Write> = if args.file == Path::new("-") {
        session.screen.sink()
    } else {
        Box::new(BufWriter::new(File::create(&args.file).map_err(failed)?))
    };
    let ended = interrupted();
    let bus = session.connect().await?;
    let mut recorder =
        Recorder { bus: &bus, session, readings: BTreeMap::new(), begun: false, written: 0 };
    let until = async {
        match args.span {
            Some(span) => tokio::time::sleep(span).await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        result = recorder.record(&mut *file, session.connection.core) => result,
        () = until => Ok(()),
        () = ended => Ok(()),
    };
    match result.and_then(|()| file.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            return Err(Ended::PipeClosed);
        }
        result => result.map_err(failed)?,
    }
    session.screen.tell(Word::Note, &format!("{} messages recorded", recorder.written));
    Ok(if recorder.is_reading() { Exit::Done } else { Exit::NoContact }.into())
}

struct Recorder<'a> {
    bus: &'a Bus,
    session: &'a Session,
    readings: BTreeMap<Kind, Reading>,
    begun: bool,
    written: u64,
}

impl Recorder<'_> {
    /// Until writing fails. What the streams held before is not part of it.
    async fn record(&mut self, file: &mut dyn Write, core: bool) -> std::io::Result<()> {
        let follow = self.bus.follow(&KINDS, core);
        loop {
            for item in follow.next(4096).await {
                match item {
                    Item::Message(message) => {
                        let live = match message.stored {
                            Stored::Stream { .. } => {
                                self.readings.get(&message.kind).is_some_and(Reading::is_complete)
                            }
                            Stored::Core { .. } => true,
                        };
                        if live {
                            self.write(file, &message)?;
                        }
                    }
                    Item::Note(Note::Reading(kind, reading)) => self.tell(kind, &reading),
                    Item::Note(Note::Link(_) | Note::Clock(_)) => {}
                }
            }
            // a recording that is being looked at is up to date
            file.flush()?;
        }
    }

    fn write(&mut self, file: &mut dyn Write, message: &RawMessage) -> std::io::Result<()> {
        let entry = Entry {
            t: clock::wall().timestamp_micros() as f64 / 1e6,
            subject: message.subject().to_owned(),
            headers: message.headers().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            payload: String::from_utf8_lossy(message.payload()).into_owned(),
        };
        serde_json::to_writer(&mut *file, &entry)?;
        file.write_all(b"\n")?;
        self.written += 1;
        Ok(())
    }

    /// Says once what cannot be recorded. Nothing is kept of journals at most sites.
    fn tell(&mut self, kind: Kind, reading: &Reading) {
        let known = self.readings.insert(kind, reading.clone());
        let settled = |kind| self.readings.get(kind).is_some_and(Reading::is_settled);
        if !self.begun && KINDS.iter().all(settled) {
            self.begun = true;
            self.session.screen.tell(Word::Note, "recording; Ctrl-C ends it");
        }
        if known.as_ref() == Some(reading) || reading.is_complete() {
            return;
        }
        let filter = self.bus.subjects().all(kind);
        let why = match reading {
            Reading::NoStream { listening: false } => "no stream holds it".to_owned(),
            Reading::NoJetStream { why, listening: false } | Reading::Failed(why) => {
                why.to_string()
            }
            Reading::NoStream { listening: true }
            | Reading::NoJetStream { listening: true, .. }
            | Reading::Pending
            | Reading::Streams(_) => return,
        };
        let word = if kind == Kind::Journal { Word::Note } else { Word::Warning };
        self.session.screen.tell(word, &format!("{filter} is not recorded: {why}"));
    }

    /// Whether anything of the fleet could be heard.
    fn is_reading(&self) -> bool {
        self.readings.iter().any(|(_, reading)| match reading {
            Reading::Streams(_) => true,
            Reading::NoStream { listening } | Reading::NoJetStream { listening, .. } => *listening,
            Reading::Pending | Reading::Failed(_) => false,
        })
    }
}
