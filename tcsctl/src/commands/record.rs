//! `tcsctl record`: the messages of a fleet and of its alarms into a file: what the streams hold, then
//! all that come.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tcs_alarms::Place;
use tcs_core::bus::{
    BrokerClock, Bus, Fed, Interruption, Item, LinkState, Note, RawMessage, Reading, Stored,
};
use tcs_core::clock;
use tcs_core::fleet::Order;
use tcs_core::observer::Hearing;
use tcs_core::wire::Kind;

use super::session::{Ended, Session, finished, interrupted};
use super::silence::{LOOK, Silence};
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
    let piped = args.file == Path::new("-");
    let mut file: Box<dyn Write> = if piped {
        session.screen.sink()
    } else {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o640);
        Box::new(BufWriter::new(options.open(&args.file).map_err(failed)?))
    };
    let (interrupted, finished) = (interrupted(), finished());
    let ended = async { if piped { finished.await } else { interrupted.await } };
    let bus = session.connect().await?;
    let mut recorder = Recorder::new(&bus, session);
    let recording = recorder.record(&mut *file, session.connection.core, args.span);
    let result = tokio::select! {
        result = recording => result,
        () = ended => Ok(()),
    };
    let result = result.and_then(|()| recorder.begin(&mut *file)).and_then(|()| file.flush());
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            return Err(Ended::PipeClosed);
        }
        result => result.map_err(failed)?,
    }
    recorder.judge()
}

struct Recorder<'a> {
    bus: &'a Bus,
    session: &'a Session,
    readings: BTreeMap<Kind, Reading>,
    /// Whether all records of alarms that are stored have come.
    has_alarms: bool,
    /// Why none come, as it was said.
    no_alarms: Option<String>,
    clock: BrokerClock,
    /// What the streams held, until all of it has come; `None`: it is written.
    held: Option<Vec<Entry>>,
    /// Since when nothing can be heard.
    lost: Option<DateTime<Utc>>,
    hearing: Hearing,
    silence: Silence,
    written: u64,
}

impl<'a> Recorder<'a> {
    fn new(bus: &'a Bus, session: &'a Session) -> Self {
        Self {
            bus,
            session,
            readings: BTreeMap::new(),
            has_alarms: false,
            no_alarms: None,
            clock: BrokerClock::local(),
            held: Some(Vec::new()),
            lost: None,
            hearing: Hearing::default(),
            silence: Silence::new(clock::monotonic()),
            written: 0,
        }
    }

    /// Until the time is up, or writing fails.
    async fn record(
        &mut self,
        file: &mut dyn Write,
        core: bool,
        span: Option<Duration>,
    ) -> std::io::Result<()> {
        let follow = self.bus.follow(&KINDS, core);
        let mut alarms = self.bus.feed(&self.bus.subjects().alarm(">"));
        let mut until = clock::monotonic() + self.session.left();
        loop {
            let look = clock::monotonic() + LOOK;
            let wake = if self.held.is_some() || span.is_some() { look.min(until) } else { look };
            let heard = tokio::select! {
                heard = follow.next(4096) => heard,
                Some(fed) = alarms.next() => {
                    self.take_alarm(file, fed)?;
                    Vec::new()
                }
                () = tokio::time::sleep_until(wake.into()) => Vec::new(),
            };
            for item in heard {
                match item {
                    Item::Message(message) => self.take(file, &message)?,
                    Item::Note(Note::Reading(kind, reading)) => self.tell(kind, &reading),
                    Item::Note(Note::Clock(clock)) => self.clock = clock,
                    Item::Note(Note::Link(state)) => self.link(&state),
                    Item::Note(Note::Contact(contact)) => {
                        self.hearing.update(&contact, &self.clock);
                    }
                }
            }
            let now = clock::monotonic();
            self.look(now);
            if self.held.is_none() && span.is_some() && now >= until {
                break;
            }
            if self.held.is_some() && (self.is_settled() || now >= until) {
                self.begin(file)?;
                file.flush()?;
                self.session.screen.tell(Word::Note, "recording; Ctrl-C ends it");
                until = now + span.unwrap_or_default();
            }
            // a recording that is being looked at is up to date
            file.flush()?;
        }
        follow.stop().await;
        Ok(())
    }

    /// Writes what was held, in the order of storing.
    fn begin(&mut self, file: &mut dyn Write) -> std::io::Result<()> {
        let Some(mut held) = self.held.take() else { return Ok(()) };
        held.sort_by(|a, b| a.t.total_cmp(&b.t));
        // what was stored while it was read is held too
        let newest = held.last().map_or(0.0, |entry| entry.t);
        let began = seconds(self.clock.now()).max(newest);
        for mut entry in held {
            entry.held_at = Some(began);
            self.write(file, &entry)?;
        }
        Ok(())
    }

    fn take(&mut self, file: &mut dyn Write, message: &RawMessage) -> std::io::Result<()> {
        let stored = match message.stored {
            Stored::Stream { at, .. } => at,
            Stored::Core { arrived, .. } => self.clock.at(arrived),
        };
        if message.kind == Kind::Heartbeat {
            self.hearing.note_beat(stored, self.clock.now());
        }
        let entry = Entry {
            t: seconds(stored),
            subject: message.subject().to_owned(),
            headers: message.headers().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            payload: String::from_utf8_lossy(message.payload()).into_owned(),
            held_at: None,
            place: None,
        };
        self.put(file, entry)
    }

    /// A record of an alarm, or why there is none.
    fn take_alarm(&mut self, file: &mut dyn Write, fed: Fed) -> std::io::Result<()> {
        match fed {
            Fed::Message { subject, payload, stamp } => {
                let Order::Stream { created, seq } = stamp.order else { return Ok(()) };
                let entry = Entry {
                    t: seconds(stamp.stored),
                    subject,
                    headers: BTreeMap::new(),
                    payload: String::from_utf8_lossy(&payload).into_owned(),
                    held_at: None,
                    place: Some(Place { created: created.into(), seq }),
                };
                self.put(file, entry)?;
            }
            // at most sites there is no such stream
            Fed::Current { .. } | Fed::Interrupted(Interruption::NoStream) => {
                self.has_alarms = true;
            }
            Fed::Interrupted(why) => {
                let why = format!("alarms are not recorded: {why}");
                if self.no_alarms.as_ref() != Some(&why) && self.lost.is_none() {
                    self.session.screen.tell(Word::Warning, &why);
                    self.no_alarms = Some(why);
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, file: &mut dyn Write, entry: Entry) -> std::io::Result<()> {
        match &mut self.held {
            Some(held) => {
                held.push(entry);
                Ok(())
            }
            None => self.write(file, &entry),
        }
    }

    fn write(&mut self, file: &mut dyn Write, entry: &Entry) -> std::io::Result<()> {
        serde_json::to_writer(&mut *file, entry)?;
        file.write_all(b"\n")?;
        self.written += 1;
        Ok(())
    }

    /// An outage leaves a hole in the recording.
    fn link(&mut self, state: &LinkState) {
        match (state, self.lost) {
            (LinkState::Disconnected { .. }, _) if self.silence.is_connected() => {
                self.lost.get_or_insert(self.clock.now());
                self.session.screen.tell(Word::Warning, "disconnected; reconnecting");
            }
            (LinkState::Connected { .. }, Some(since)) => self.again("connected again", since),
            _ => {}
        }
        self.silence.link(state.is_connected(), clock::monotonic());
    }

    /// Reports a link over which nothing comes.
    fn look(&mut self, now: Instant) {
        let Some((text, since)) = self.silence.look(&self.hearing, &self.clock, now) else {
            return;
        };
        if self.silence.is_said() {
            self.lost.get_or_insert(self.clock.at(since));
            self.session.screen.tell(Word::Warning, &text);
        } else {
            self.again("answers again", self.clock.at(since));
        }
    }

    fn again(&mut self, what: &str, since: DateTime<Utc>) {
        let span = tcs_core::fleet::format_duration(self.clock.now() - since);
        let text = format!("{what}; heartbeats of {span} may be missing");
        self.session.screen.tell(Word::Warning, &text);
        self.lost = None;
    }

    fn is_settled(&self) -> bool {
        self.has_alarms
            && KINDS.iter().all(|kind| self.readings.get(kind).is_some_and(Reading::is_settled))
    }

    /// Says once what cannot be recorded. Nothing is kept of journals at most sites.
    fn tell(&mut self, kind: Kind, reading: &Reading) {
        let known = self.readings.insert(kind, reading.clone());
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

    /// What became of it: nothing recorded, or not all, is a failure.
    fn judge(&self) -> Result<ExitCode, Ended> {
        let messages = format!("{} messages recorded", self.written);
        if let Some(since) = self.lost {
            let since = self.session.screen.look.times.stamp(since, self.clock.now());
            let what = if self.silence.is_said() { "no answer" } else { "disconnected" };
            let text = format!("{what} since {since}; {messages} before");
            return Err(Ended::new(Exit::NoContact, text));
        }
        if !self.is_reading() {
            return Err(Ended::new(Exit::NoContact, format!("nothing could be read; {messages}")));
        }
        if self.written == 0 {
            return Err(Ended::new(Exit::No, "no messages recorded: the streams hold none"));
        }
        self.session.screen.tell(Word::Note, &messages);
        Ok(Exit::Done.into())
    }

    /// Whether anything of the fleet could be heard.
    fn is_reading(&self) -> bool {
        let fleet = Kind::FLEET.iter().filter_map(|kind| self.readings.get(kind));
        fleet.into_iter().any(|reading| match reading {
            Reading::Streams(_) => true,
            Reading::NoStream { listening } | Reading::NoJetStream { listening, .. } => *listening,
            Reading::Pending | Reading::Failed(_) => false,
        })
    }
}

fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp_micros() as f64 / 1e6
}
