//! What the outbox does next. Pure: what was pushed, what became of each message, the state of the
//! connection and the time go in; what is to be sent, asked and looked up comes out.
//!
//! Whether a stream is there is decided by the server's list of streams alone, never by a message
//! that nobody acknowledged: while a cluster elects a leader for a stream, its subjects have no
//! responder either.

use std::time::{Duration, Instant};

use super::effect::{Answer, Counts, Effect, EventMarks, Found, Remark, Streams, Trouble};
use super::lane::{Class, State};
use super::station::{Missing, Station};
use crate::outgoing::OutgoingMessage;

/// A stream that has acknowledged messages is believed to be gone when two lists of streams, so
/// far apart, do not have it: a cluster that has just started may not know all its streams yet.
const BELIEVED_AFTER: Duration = Duration::from_secs(1);

/// The state of the outbox: queued messages and those under way.
#[derive(Debug)]
pub(super) struct Machine {
    stations: [Station; 3],
    /// Counts connections; `None`: not connected.
    link: Option<u64>,
    links: u64,
    /// Whether messages may go: until then they wait although connected.
    open: bool,
    next: u64,
    sent: u64,
    refused: u64,
    told_dropped: u64,
    /// Events lost in earlier runs, until somebody acknowledges them.
    lost_before: u64,
    /// A status went to no stream.
    unstored_status: bool,
}

impl Default for Machine {
    fn default() -> Self {
        Self::bounded(super::lane::MAX_LEN, super::lane::MAX_BYTES)
    }
}

impl Machine {
    pub(super) fn bounded(max_len: usize, max_bytes: usize) -> Self {
        let station = |class| Station::new(class, max_len, max_bytes);
        Self {
            stations: Class::ALL.map(station),
            link: None,
            links: 0,
            open: true,
            next: 0,
            sent: 0,
            refused: 0,
            told_dropped: 0,
            lost_before: 0,
            unstored_status: false,
        }
    }

    /// Messages wait for [`Machine::release`]: before the first connection nobody knows whether
    /// streams are there. Later ones go at once, since asking a cluster may take long.
    pub(super) fn gate(&mut self) {
        self.open = false;
    }

    pub(super) fn release(&mut self) {
        self.open = true;
    }

    /// Streams may have been made: asks for them with the next message.
    pub(super) fn forget_missing(&mut self) {
        for station in &mut self.stations {
            station.missing = None;
            station.ask_at = None;
            station.retry_at = None;
        }
    }

    pub(super) fn push(
        &mut self,
        class: Class,
        parcel: OutgoingMessage,
        event_seq: Option<u64>,
        now: Instant,
    ) {
        let serial = self.next;
        self.next += 1;
        let away = self.link.is_none() || !self.open;
        let station = self.station(class);
        let blocked = away || station.failures > 0;
        let subject = blocked.then(|| parcel.subject().to_owned());
        station.lane.push(serial, parcel, event_seq, now);
        if let Some(subject) = subject {
            station.lane.coalesce(&subject, now);
        }
    }

    /// The connection is there, or not.
    pub(super) fn linked(&mut self, connected: bool, now: Instant) {
        if self.link.is_some() {
            for station in &mut self.stations {
                station.lane.link_lost();
                station.asking = false;
                station.retry_at = None;
            }
        }
        self.link = connected.then(|| {
            self.links += 1;
            self.links
        });
        if connected {
            for station in &mut self.stations {
                station.lane.coalesce_all(now);
                station.missing = None;
                station.ask_at = None;
                station.missed = None;
            }
        }
    }

    pub(super) fn answered(
        &mut self,
        (class, serial, attempt): (Class, u64, u32),
        answer: Answer,
        now: Instant,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let station = &mut self.stations[class as usize];
        let current = station.lane.is_current(serial, attempt, State::Sent);
        if let Answer::Stored { stream, sequence } = answer {
            // true of whichever attempt
            if station.lane.remove(serial).is_some() {
                self.sent += 1;
                self.stored(class, Some((stream, sequence)), now, &mut effects);
            }
            return effects;
        }
        if !current {
            return effects;
        }
        match answer {
            Answer::Stored { .. } => {}
            Answer::Told => self.unstored(class, serial),
            Answer::NoResponders if station.missing.is_some() => self.unstored(class, serial),
            Answer::NoResponders => {
                station.lane.set_state(serial, State::Idle);
                station.failed(class, serial, "no stream answers", now, &mut effects);
            }
            Answer::Unanswered => {
                if let Some(missing) = &mut station.missing {
                    missing.tell = true;
                    self.unstored(class, serial);
                } else if class == Class::Heartbeat {
                    station.lane.remove(serial);
                    station.failed(class, serial, "no answer", now, &mut effects);
                } else {
                    station.lane.set_state(serial, State::Doubtful);
                    station.failed(class, serial, "no answer", now, &mut effects);
                }
            }
            Answer::Refused(why) => {
                station.lane.set_state(serial, State::Idle);
                station.failed(class, serial, &why, now, &mut effects);
            }
            Answer::Deaf(why) => {
                station.lane.set_state(serial, State::Idle);
                station.without(class, &why, true, now, &mut effects);
            }
            Answer::Never(why) => {
                if let Some(item) = station.lane.remove(serial) {
                    station.lane.lost += u64::from(item.event_seq.is_some());
                    self.refused += 1;
                    effects.push(Effect::Log(Remark::GivenUp(class, why)));
                }
            }
        }
        effects
    }

    /// The server's list of streams came.
    pub(super) fn streams(&mut self, class: Class, streams: Streams, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        let link = self.link;
        let station = &mut self.stations[class as usize];
        station.asking = false;
        match streams {
            Streams::Held if station.missing.is_some() => {
                self.stored(class, None, now, &mut effects);
            }
            Streams::Held => station.missed = None,
            Streams::None(why) => {
                let first = *station.missed.get_or_insert(now);
                if station.acknowledged.is_some() && now < first + BELIEVED_AFTER {
                    station.ask_at = Some(first + BELIEVED_AFTER);
                    return effects;
                }
                let known = station.missing.is_some();
                station.without(class, &why, false, now, &mut effects);
                if !known && let Some(link) = link {
                    let gone = station.lane.take_unanswered(link);
                    self.sent += gone;
                    if gone > 0 {
                        // somebody listens, and does not answer
                        station.missing = Some(Missing { tell: true });
                        self.unstored_status |= class == Class::Status;
                    }
                }
            }
            Streams::Denied(why) => {
                if station.acknowledged.is_none() {
                    station.without(class, &why, false, now, &mut effects);
                }
            }
            Streams::Unknown => {}
        }
        effects
    }

    /// A message was looked up.
    pub(super) fn looked_up(
        &mut self,
        (class, serial, attempt): (Class, u64, u32),
        found: Found,
        now: Instant,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let station = &mut self.stations[class as usize];
        if !station.lane.is_current(serial, attempt, State::LookedUp) {
            return effects;
        }
        match found {
            Found::Stored(sequence) => {
                station.lane.remove(serial);
                let stream = station.acknowledged.take().map(|(stream, _)| (stream, sequence));
                self.sent += 1;
                self.stored(class, stream, now, &mut effects);
            }
            Found::Absent | Found::Forbidden => station.lane.set_state(serial, State::Idle),
            Found::Unanswered => {
                station.lane.set_state(serial, State::Doubtful);
                station.failed(class, serial, "no answer", now, &mut effects);
            }
        }
        effects
    }

    /// All that can be done now.
    pub(super) fn poll(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        let dropped = self.stations.iter().map(|station| station.lane.dropped).sum::<u64>();
        if dropped > self.told_dropped {
            effects.push(Effect::Log(Remark::Dropped(dropped)));
            self.told_dropped = dropped;
        }
        for station in &mut self.stations {
            station.lane.expire(now);
        }
        if let Some(link) = self.link.filter(|_| self.open) {
            for (class, station) in Class::ALL.into_iter().zip(&mut self.stations) {
                station.poll(class, link, now, &mut effects);
            }
        }
        effects
    }

    /// When [`Machine::poll`] has something to do without anything else happening.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.link.is_none() || !self.open {
            return None;
        }
        let busy = self.stations.iter().filter(|station| station.lane.len() > 0);
        busy.flat_map(|station| {
            let ask = station.ask_at.filter(|_| station.must_ask() && !station.asking);
            station.retry_at.into_iter().chain(ask)
        })
        .min()
    }

    /// The program ends, and cannot wait for answers any longer: the statuses that are to be sent
    /// without one. What is under way stays in front of them, as one connection keeps the order.
    /// (Events are not: the next run looks up which of them are stored, and counts on their order.)
    pub(super) fn hurry(&mut self) -> Vec<OutgoingMessage> {
        let Some(link) = self.link.filter(|_| self.open) else { return Vec::new() };
        let unsent = self.station(Class::Status).lane.take_unsent(link);
        self.sent += unsent.len() as u64;
        unsent.into_iter().map(|item| item.parcel).collect()
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            waiting: self.stations.iter().map(|station| station.lane.len()).sum(),
            sent: self.sent,
            dropped: self.stations.iter().map(|station| station.lane.dropped).sum(),
            refused: self.refused,
        }
    }

    /// Events that are missing in the streams for ever, of earlier runs too.
    pub(super) fn lost(&self) -> u64 {
        self.lost_before + self.stations[Class::Event as usize].lane.lost
    }

    /// So many were missing before this run.
    pub(super) fn carry_lost(&mut self, before: u64) {
        self.lost_before = before;
    }

    /// How far the numbered events have come.
    pub(super) fn event_marks(&self) -> EventMarks {
        let station = &self.stations[Class::Event as usize];
        let first = station.lane.first_parcel();
        EventMarks {
            waiting: station.lane.len() as u64,
            subject: first.map_or_else(String::new, |it| it.subject().to_owned()),
            msg_id: first.map_or_else(String::new, |it| it.msg_id().to_owned()),
            stored: station.acknowledged.clone(),
            lost: self.lost(),
        }
    }

    pub(super) fn troubles(&self) -> Vec<Trouble> {
        self.stations.iter().filter_map(|station| station.trouble.clone()).collect()
    }

    /// One more than the serial number of the newest message ever put in.
    pub(super) fn end(&self) -> u64 {
        self.next
    }

    /// The serial number of the oldest message that must arrive; [`Machine::end`] if none waits.
    pub(super) fn start(&self) -> u64 {
        let oldest = [Class::Event, Class::Status]
            .into_iter()
            .filter_map(|class| self.stations[class as usize].lane.oldest());
        oldest.min().unwrap_or(self.next)
    }

    fn station(&mut self, class: Class) -> &mut Station {
        &mut self.stations[class as usize]
    }

    /// A message was sent, and no stream has stored it.
    fn unstored(&mut self, class: Class, serial: u64) {
        self.station(class).lane.remove(serial);
        self.sent += 1;
        self.unstored_status |= class == Class::Status;
    }

    /// A stream takes messages of this class.
    fn stored(
        &mut self,
        class: Class,
        place: Option<(String, u64)>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let station = self.station(class);
        station.acknowledged = place.or(station.acknowledged.take());
        (station.failures, station.retry_at, station.missed) = (0, None, None);
        if let Some(trouble) = station.trouble.take()
            && std::mem::take(&mut station.logged_trouble)
        {
            let lasted = now.saturating_duration_since(trouble.since);
            effects.push(Effect::Log(Remark::StoredAgain(class, lasted)));
        }
        station.missing = None;
        if std::mem::take(&mut station.said_missing) {
            effects.push(Effect::Log(Remark::StreamThere(class)));
            if std::mem::take(&mut self.unstored_status) {
                self.forget_missing();
                effects.push(Effect::SayAgain);
            }
        }
    }
}
