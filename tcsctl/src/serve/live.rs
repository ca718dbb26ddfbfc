//! The site as it is now: followed, folded, and told to all clients.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use serde::Serialize;
use tcs_alarms::{Address, AlarmView, Alarms, Record};
use tcs_core::bus::{Fed, Feed, Interruption, LinkState};
use tcs_core::clock;
use tcs_core::fleet::{FleetView, Order};
use tcs_core::observer::{Following, Observation, Observer, Picture};
use tcs_core::wire::{Kind, Message};
use tcs_present::alarms::{Document as AlarmsDocument, selected};
use tcs_present::changes::{self, Change};
use tcs_present::metrics::Counted;
use tcs_present::selection::Wanted;
use tcs_present::tick::Tick;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::MAX_STREAMS;
use super::shares::Shares;
use crate::commands::picture::source;
use crate::output::{Source, json_line};
use crate::resources::{self, Round};

/// The picture is made anew so often, whatever comes: silence and ages are noticed by this.
const EVERY: Duration = Duration::from_secs(1);
/// After an event or a status it is made at once, but no more often than this.
const SHORTEST: Duration = Duration::from_millis(100);
/// Between two signs of life.
const TICK: Duration = Duration::from_secs(5);
/// Between two looks at what services use; launchers sample as often.
const RESOURCES: Duration = Duration::from_secs(10);
/// Where there is no stream of alarms it is looked for so often.
const NO_ALARMS: Duration = Duration::from_secs(10);
/// What newest messages do not tell is read within this, once.
const PATIENCE: Duration = Duration::from_secs(5);
/// Batches of changes that wait for clients; who is slower is cut.
const WAITING: usize = 64;
/// Bytes of such batches: many services may change at once, and have much to say.
const WAITING_BYTES: usize = 8 << 20;

/// What all requests share.
pub(super) struct Site {
    pub(super) observer: Observer,
    pub(super) wanted: Wanted,
    current: watch::Receiver<Arc<Now>>,
    pub(super) news: broadcast::Sender<News>,
    /// Room for streams.
    pub(super) streams: Arc<Semaphore>,
    /// How much of it each address holds.
    pub(super) shares: Arc<Shares>,
    shared: Arc<Shared>,
}

/// What changes beside the picture.
#[derive(Default)]
struct Shared {
    counted: Mutex<Counted>,
    round: Mutex<Arc<Round>>,
}

impl Site {
    /// The newest picture.
    pub(super) fn now(&self) -> Arc<Now> {
        Arc::clone(&self.current.borrow())
    }

    /// What was counted so far.
    pub(super) fn counted(&self) -> Counted {
        self.shared.counted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What launchers told last.
    pub(super) fn round(&self) -> Arc<Round> {
        Arc::clone(&self.shared.round.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The site at one moment.
pub(super) struct Now {
    /// Counts pictures.
    pub(super) number: u64,
    pub(super) view: FleetView,
    pub(super) source: Source,
    pub(super) alarms: Vec<AlarmView>,
    /// Why alarms cannot be read.
    pub(super) alarms_problem: Option<String>,
    snapshot: OnceLock<Bytes>,
    /// Documents of all that is served: made once, however many ask.
    pub(super) fleet: OnceLock<Bytes>,
    pub(super) metrics: OnceLock<Bytes>,
    /// The metrics, compressed with gzip.
    pub(super) packed_metrics: OnceLock<Bytes>,
}

impl Now {
    /// Alarms that are open, of the wanted services.
    pub(super) fn alarms<'a>(&'a self, wanted: &Wanted) -> AlarmsDocument<'a> {
        let chosen = selected(&self.alarms, &wanted.filter, &self.view, false);
        AlarmsDocument::new(&chosen, &self.view, &self.source.server)
    }

    fn tick(&self, wanted: &Wanted) -> Tick<'_> {
        let Source { connected, complete, problems, .. } = &self.source;
        let says = (*connected, *complete, &problems[..]);
        Tick::new(&self.view, wanted, says, self.alarms_problem.as_deref())
    }

    /// What a client gets first.
    pub(super) fn first(&self, wanted: &Wanted) -> Vec<Bytes> {
        let snapshot = self.snapshot.get_or_init(|| {
            let snapshot = changes::snapshot(&self.view, |service| wanted.includes(service));
            event("snapshot", &snapshot).into()
        });
        let mut state = event("tick", &self.tick(wanted));
        state.extend(event("alarms", &self.alarms(wanted)));
        vec![snapshot.clone(), state.into()]
    }
}

/// Signals that there are changes, which are sent together.
#[derive(Clone)]
pub(super) struct News {
    /// The picture that they lead to.
    pub(super) number: u64,
    text: Weak<Bytes>,
}

impl News {
    /// The changes; `None`: so much has come since that they are given up.
    pub(super) fn text(&self) -> Option<Bytes> {
        self.text.upgrade().map(|text| Bytes::clone(&text))
    }
}

/// The texts of changes, while clients may still need them.
#[derive(Default)]
struct Backlog {
    texts: VecDeque<Arc<Bytes>>,
    bytes: usize,
}

impl Backlog {
    /// Keeps a text, and gives up the oldest ones that are too many or too long. The newest is kept,
    /// whatever its length.
    fn keep(&mut self, text: Bytes) -> Weak<Bytes> {
        self.bytes += text.len();
        let text = Arc::new(text);
        let kept = Arc::downgrade(&text);
        self.texts.push_back(text);
        while self.texts.len() > 1
            && (self.texts.len() > WAITING || self.bytes > WAITING_BYTES)
            && let Some(old) = self.texts.pop_front()
        {
            self.bytes -= old.len();
        }
        kept
    }
}

/// One server-sent event. JSON on one line has no line end in it.
fn event(name: &str, value: &impl Serialize) -> Vec<u8> {
    let mut text = format!("event: {name}\ndata: ").into_bytes();
    text.extend(json_line(value));
    text.extend(b"\n\n");
    text
}

/// Follows the site.
pub(super) struct Live {
    observer: Observer,
    wanted: Wanted,
    picture: Picture,
    alarms: AlarmReader,
    current: watch::Sender<Arc<Now>>,
    news: broadcast::Sender<News>,
    backlog: Backlog,
    shared: Arc<Shared>,
    /// The last alarms that were told, without the time.
    told: serde_json::Value,
    ticked: Instant,
    /// Of a link that was there before.
    was_connected: bool,
    /// Whether what newest messages do not tell has been read.
    is_complete: bool,
}

impl Live {
    pub(super) fn new(observer: Observer, wanted: Wanted) -> (Self, Site) {
        let picture = observer.blank();
        let alarms = AlarmReader::new(&observer);
        let first = now(&observer, &picture, &alarms, 0);
        let (current, newest) = watch::channel(Arc::new(first));
        let (news, _) = broadcast::channel(WAITING);
        let shared = Arc::new(Shared::default());
        let site = Site {
            observer: observer.clone(),
            wanted: wanted.clone(),
            current: newest,
            news: news.clone(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            shares: Arc::default(),
            shared: Arc::clone(&shared),
        };
        let live = Self {
            observer,
            wanted,
            picture,
            alarms,
            current,
            news,
            backlog: Backlog::default(),
            shared,
            told: serde_json::Value::Null,
            ticked: clock::monotonic(),
            was_connected: false,
            is_complete: false,
        };
        (live, site)
    }

    /// Until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let (observer, shared) = (self.observer.clone(), Arc::clone(&self.shared));
        let usage = ask_for_usage(observer, self.current.subscribe(), shared);
        let mut following = self.observer.follow(&Kind::FLEET);
        let both = async { tokio::join!(self.follow(&mut following), usage) };
        stop.run_until_cancelled(both).await;
        following.stop().await;
    }

    async fn follow(mut self, following: &mut Following) {
        let mut last = clock::monotonic();
        let mut due = last + EVERY;
        loop {
            let is_news = tokio::select! {
                heard = following.next() => {
                    let Some(heard) = heard else { return };
                    self.take(heard)
                }
                is_news = self.alarms.read() => is_news,
                () = tokio::time::sleep_until(due.into()) => {
                    self.look();
                    last = clock::monotonic();
                    due = last + EVERY;
                    false
                }
            };
            if is_news {
                due = due.min(last + SHORTEST);
            }
            if !self.is_complete && self.picture.is_settled() && self.picture.link.is_connected() {
                self.is_complete = true;
                self.complete().await;
            }
        }
    }

    /// Reads what the newest message of each kind does not tell: crashes before the last one, and
    /// how often services send heartbeats.
    async fn complete(&mut self) {
        let Self { observer, picture, .. } = self;
        tokio::time::timeout(PATIENCE, observer.count_crashes(picture)).await.ok();
        tokio::time::timeout(PATIENCE, observer.read_beats(picture)).await.ok();
    }

    /// Takes in what was heard; whether it is to be told at once.
    fn take(&mut self, heard: Vec<Observation>) -> bool {
        let mut is_urgent = false;
        {
            let mut counted = self.shared.counted.lock().unwrap_or_else(PoisonError::into_inner);
            for observation in &heard {
                is_urgent |= match observation {
                    Observation::Message(message) => match &message.decoded.message {
                        Message::Registry(event) => {
                            let stored = message.stamp.stored;
                            let is_past = !self.picture.is_settled()
                                && matches!(message.stamp.order, Order::Stream { .. });
                            counted.note(&event.service_id, &event.event, stored, is_past);
                            true
                        }
                        Message::Status(_) => true,
                        Message::Heartbeat(_) | Message::Journal(_) => false,
                    },
                    Observation::Link(LinkState::Connected { .. }) => {
                        counted.reconnects += u64::from(self.was_connected);
                        self.was_connected = true;
                        true
                    }
                    Observation::Link(_) => true,
                    Observation::Malformed { .. }
                    | Observation::Reading(..)
                    | Observation::Clock(_)
                    | Observation::Contact(_) => false,
                };
            }
        }
        self.picture.extend(heard);
        is_urgent
    }

    /// Makes the picture anew, and tells what is otherwise.
    fn look(&mut self) {
        let before = Arc::clone(&self.current.borrow());
        let number = before.number + 1;
        let now = now(&self.observer, &self.picture, &self.alarms, number);
        {
            let mut counted = self.shared.counted.lock().unwrap_or_else(PoisonError::into_inner);
            let tally = self.picture.fleet.tally();
            (counted.messages, counted.malformed) = (tally.received, tally.malformed);
            counted.forget(&now.view);
        }
        let now = Arc::new(now);
        // first of all: who comes after this begins with it, and who came before is counted below
        self.current.send_replace(Arc::clone(&now));
        let text = self.news_of(&before, &now);
        if !text.is_empty() {
            let text = self.backlog.keep(text.into());
            // nobody need listen
            self.news.send(News { number, text }).ok();
        }
    }

    fn news_of(&mut self, before: &Now, now: &Now) -> Vec<u8> {
        let mut text = Vec::new();
        if self.news.receiver_count() == 0 {
            self.backlog = Backlog::default();
            return text;
        }
        let Source { connected: up, problems, .. } = &now.source;
        if before.source.connected != *up {
            let change = Change::Link { up: *up, now: now.view.now };
            text.extend(event("link", &changes::object(&now.view, &change)));
        }
        let wanted = |service: &_| self.wanted.includes(service);
        for change in changes::between(&before.view, &now.view, wanted) {
            let name = change.kind();
            text.extend(event(name, &changes::object(&now.view, &change)));
        }
        if let Some(alarms) = self.news_of_alarms(now) {
            text.extend(alarms);
        }
        let is_other = before.source.problems != *problems
            || before.source.connected != *up
            || before.view.profiles() != now.view.profiles();
        if is_other || self.ticked.elapsed() >= TICK {
            self.ticked = clock::monotonic();
            text.extend(event("tick", &now.tick(&self.wanted)));
        }
        text
    }

    fn news_of_alarms(&mut self, now: &Now) -> Option<Vec<u8>> {
        let document = now.alarms(&self.wanted);
        let mut value = serde_json::to_value(&document).ok()?;
        value.as_object_mut()?.remove("taken_at");
        (self.told != value).then(|| {
            self.told = value;
            event("alarms", &document)
        })
    }
}

fn now(observer: &Observer, picture: &Picture, alarms: &AlarmReader, number: u64) -> Now {
    let view = picture.view(clock::monotonic());
    let views = alarms.alarms.views(view.now, &view);
    Now {
        number,
        source: source(observer, picture),
        view,
        alarms: views,
        alarms_problem: alarms.problem.clone(),
        snapshot: OnceLock::new(),
        fleet: OnceLock::new(),
        metrics: OnceLock::new(),
        packed_metrics: OnceLock::new(),
    }
}

/// Asks launchers again and again what services use.
async fn ask_for_usage(
    observer: Observer,
    mut current: watch::Receiver<Arc<Now>>,
    shared: Arc<Shared>,
) {
    loop {
        let has_launcher = |now: &Arc<Now>| {
            now.source.connected && now.view.services.iter().any(|it| it.is_launcher)
        };
        let Ok(now) = current.wait_for(has_launcher).await.map(|now| Arc::clone(&now)) else {
            return;
        };
        let round = Arc::new(resources::ask_all(observer.bus(), &now.view).await);
        *shared.round.lock().unwrap_or_else(PoisonError::into_inner) = round;
        drop(now);
        tokio::time::sleep(RESOURCES).await;
    }
}

/// Reads the stream of alarms.
struct AlarmReader {
    observer: Observer,
    feed: Option<Feed>,
    /// When a stream is looked for again.
    again: Option<Instant>,
    alarms: Alarms,
    problem: Option<String>,
}

impl AlarmReader {
    fn new(observer: &Observer) -> Self {
        let (feed, again, alarms, problem) = (None, None, Alarms::new(), None);
        Self { observer: observer.clone(), feed, again, alarms, problem }
    }

    /// Takes the next thing that the stream tells; whether alarms are otherwise. Safe to drop while
    /// waiting.
    async fn read(&mut self) -> bool {
        if let Some(again) = self.again {
            tokio::time::sleep_until(again.into()).await;
            self.again = None;
        }
        let bus = self.observer.bus();
        let feed = self.feed.get_or_insert_with(|| bus.feed(&bus.subjects().alarm(">")));
        match feed.next().await {
            Some(Fed::Message { subject, payload, stamp }) => {
                let Some(address) = Address::parse(bus.subjects(), &subject) else { return false };
                match Record::decode(&address, &payload) {
                    Ok(record) => drop(self.alarms.apply(&address, record, &stamp)),
                    Err(_) => self.alarms.pass_over(address, &stamp),
                }
                true
            }
            Some(Fed::Current { .. }) => self.problem.take().is_some(),
            Some(Fed::Interrupted(Interruption::NoStream)) => {
                self.feed = None;
                self.again = Some(clock::monotonic() + NO_ALARMS);
                self.problem.take().is_some()
            }
            Some(Fed::Interrupted(why)) => {
                let why = why.to_string();
                self.problem.replace(why.clone()) != Some(why)
            }
            // the connection is being given up
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_clients_is_bounded_in_number_and_in_bytes() {
        let mut backlog = Backlog::default();
        let mut keep = |len: usize| News { number: 1, text: backlog.keep(vec![0; len].into()) };
        let small: Vec<News> = (0..=WAITING).map(|_| keep(10)).collect();
        assert!(small[0].text().is_none(), "64 are kept");
        assert_eq!(small[1].text().unwrap().len(), 10);
        let half = WAITING_BYTES / 2;
        let large = [keep(half), keep(half), keep(half)];
        assert!(small[WAITING].text().is_none() && large[0].text().is_none());
        assert!(large[1..].iter().all(|news| news.text().is_some()));
        let huge = keep(WAITING_BYTES * 2);
        assert!(large[2].text().is_none() && huge.text().is_some(), "the newest is kept");
        assert_eq!((backlog.texts.len(), backlog.bytes), (1, WAITING_BYTES * 2));
    }
}
