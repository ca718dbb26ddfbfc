//! `tcsctl drill`: a fault is made on purpose, and it is looked whether console and alarms tell it.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tcs_alarms::AlarmState;
use tcs_core::bus::rpc::RequestError;
use tcs_core::clock;
use tcs_core::fleet::{FleetView, Verdict};
use tcs_core::observer::{Following, Picture};
use tcs_core::wire::Kind;
use tcs_core::wire::control::{DrillRequest, Fault, MAX_DRILL_S, command};

use super::operate::{agreed_to, whom};
use super::picture;
use super::remote::{Remote, parameters, span};
use super::session::{Ended, Session, interrupted};
use crate::alarm_stream::AlarmStream;
use crate::cli::DrillArgs;
use crate::drill::Drill;
use crate::exit::Exit;
use crate::output::Word;

/// For an answer of the launcher.
const ANSWER: Duration = Duration::from_secs(10);
/// Within this it answers during a flood.
const PROMPT: Duration = Duration::from_secs(2);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);
/// How long it may take until all is as before.
const RECOVERY: Duration = Duration::from_mins(1);
/// To read the alarms that there are.
const READING: Duration = Duration::from_secs(5);

pub(super) async fn run(session: &Session, args: &DrillArgs) -> Result<ExitCode, Ended> {
    let remote = Remote::new(session).await?;
    let service = remote.view.get(&args.service).ok_or_else(|| remote.nothing(&args.service))?;
    if service.verdict != Verdict::Ok {
        let message = format!(
            "{} is {}: {}; a drill needs a service that is ok",
            service.id,
            service.verdict,
            service.headline()
        );
        return Err(Ended::new(Exit::No, message));
    }
    let launcher =
        whom(&remote, service).map_err(|failure| Ended::new(Exit::No, failure.text()))?;
    let launcher = remote.view.get(&launcher).ok_or_else(|| remote.nothing(&launcher))?;
    let fault = Fault::from(args.fault);
    let drill = Drill { fault, service, launcher };
    if let Some(unheard) = drill.unheard() {
        let id = &unheard.id;
        let message = format!("{id} has sent no heartbeat yet; try again in a few seconds");
        return Err(Ended::new(Exit::No, message));
    }
    let for_s = args.span.unwrap_or_else(|| drill.span(args.alarm));
    let for_s = for_s.as_secs_f64().clamp(1.0, MAX_DRILL_S);
    let question =
        format!("{} {} for {}?", fault.as_str(), service.id, span(Duration::from_secs_f64(for_s)));
    if !args.yes {
        if !session.screen.can_ask() {
            let message = "a drill injects a real fault: confirm it in a terminal, or use --yes";
            return Err(Ended::new(Exit::Usage, message));
        }
        if !agreed_to(session, question).await? {
            return Ok(Exit::No.into());
        }
    }
    // from before the fault on
    let ended = interrupted();
    let mut course = Course::new(session, &remote, &drill).await?;
    let data = parameters(&DrillRequest { fault: Some(fault), for_s: Some(for_s) });
    let call = format!("{}.{}", command::DRILL, service.id);
    let end = async {
        // it ends by itself all the same
        let data = parameters(&DrillRequest::default());
        remote.bus.request(&launcher.id, &call, &data, ANSWER).await.ok();
    };
    course.begun = clock::monotonic();
    if let Err(error) = remote.bus.request(&launcher.id, &call, &data, ANSWER).await {
        // of one that was not answered it is not known whether it has begun
        if !matches!(error, RequestError::Refused(_)) {
            end.await;
        }
        return Err(Ended::new(Exit::No, error.to_string()));
    }
    session
        .screen
        .tell(Word::Note, &format!("{} started, for {for_s:.0} s; Ctrl-C ends it", fault.as_str()));
    let lasts = Duration::from_secs_f64(for_s);
    let told = tokio::select! {
        told = course.follow(lasts) => Some(told),
        () = ended => None,
    };
    end.await;
    let told = told.ok_or_else(|| Ended::new(Exit::No, "interrupted; the fault was ended"))?;
    Ok(told.report(session, &drill, args.alarm).into())
}

/// What was seen, each since the fault began.
#[derive(Debug, Default)]
struct Told {
    shown: Option<Duration>,
    /// The alarm, and when it was raised.
    raised: Option<(String, Duration)>,
    /// The channel, and when it was notified.
    notified: Option<(String, Duration)>,
    watched: bool,
    /// How long the fault lasted.
    lasts: Duration,
    over: Option<Duration>,
    /// The slowest answer of the launcher during a flood.
    slowest: Duration,
}

impl Told {
    fn report(&self, session: &Session, drill: &Drill<'_>, needs_alarm: bool) -> Exit {
        let tell = |is_good: bool, text: &str| {
            session.screen.tell(if is_good { Word::Note } else { Word::Error }, text);
        };
        let (promise, what) = (drill.promise(), drill.expected());
        let in_time = match (drill.fault, self.shown) {
            (Fault::Flood, _) => {
                let good = self.slowest <= PROMPT;
                let (slowest, limit) = (span(self.slowest), span(PROMPT));
                tell(good, &format!("console: the slowest answer took {slowest} (limit: {limit})"));
                good
            }
            (_, Some(after)) => {
                let good = after <= promise;
                let (after, promise) = (span(after), span(promise));
                tell(good, &format!("console: showed {what} after {after} (limit: {promise})"));
                good
            }
            (_, None) => {
                tell(false, &format!("console: did not show {what} (limit: {})", span(promise)));
                false
            }
        };
        match (&self.raised, self.watched) {
            (Some((alarm, after)), _) => {
                tell(true, &format!("alarm: {alarm} was raised after {}", span(*after)));
            }
            (None, true) => {
                let too_short = drill.alarm().filter(|takes| self.lasts < *takes);
                let why = too_short.map(|takes| {
                    let (takes, lasts) = (span(takes), span(self.lasts));
                    format!("by the default rules it takes {takes}, and the fault lasted {lasts}")
                });
                let why = why.unwrap_or_else(|| "rules: tcsctl sentinel --help".to_owned());
                tell(!needs_alarm, &format!("alarm: none was raised ({why})"));
            }
            (None, false) => tell(!needs_alarm, "alarm: no sentinel watches"),
        }
        if let Some((channel, after)) = &self.notified {
            tell(true, &format!("alarm: {channel} was notified after {}", span(*after)));
        }
        match self.over {
            Some(after) => tell(true, &format!("over: back to normal after {}", span(after))),
            None => tell(false, &format!("over: not back to normal after {}", span(RECOVERY))),
        }
        let is_good = in_time && self.over.is_some() && !(needs_alarm && self.raised.is_none());
        if is_good { Exit::Done } else { Exit::No }
    }
}

/// What is followed while the fault lasts.
struct Course<'a> {
    remote: &'a Remote<'a>,
    drill: &'a Drill<'a>,
    picture: Picture,
    following: Following,
    alarms: AlarmStream,
    /// Records of alarms that were there before.
    before: BTreeSet<(String, u64)>,
    watched: bool,
    begun: Instant,
}

impl<'a> Course<'a> {
    async fn new(
        session: &Session,
        remote: &'a Remote<'a>,
        drill: &'a Drill<'a>,
    ) -> Result<Self, Ended> {
        let observer = picture::observe(session).await?;
        let (mut picture, mut following) = (observer.blank(), observer.follow(&Kind::FLEET));
        let limit = clock::monotonic() + READING;
        while !picture.is_settled() && clock::monotonic() < limit {
            if let Ok(Some(batch)) = tokio::time::timeout(LOOK, following.next()).await {
                picture.extend(batch);
            }
        }
        let mut alarms = AlarmStream::new(&remote.bus, None);
        let watched = alarms.read_all(limit.into(), |_, _, _| {}).await.is_ok();
        let begun = clock::monotonic();
        let mut course = Self {
            remote,
            drill,
            picture,
            following,
            alarms,
            before: BTreeSet::new(),
            watched,
            begun,
        };
        course.before = course.raised().map(|(id, place, _)| (id, place)).collect();
        Ok(course)
    }

    /// Active alarms of the service, its launcher and its host: which, the place of the record, and the
    /// channels that were notified.
    fn raised(&self) -> impl Iterator<Item = (String, u64, Vec<String>)> + use<> {
        let view = self.view();
        let host = self.drill.launcher.host.as_ref().map(|host| format!("_host.{host}"));
        let names =
            [Some(&*self.drill.service.id), Some(&*self.drill.launcher.id), host.as_deref()];
        let of = |object: &str| names.iter().flatten().any(|name| *name == object);
        let views = self.alarms.alarms.views(self.picture.clock.now(), &view);
        let active =
            views.into_iter().filter(|it| it.state == AlarmState::Active && of(it.id.object()));
        let told =
            |it: &tcs_alarms::AlarmView| it.told.iter().map(|(to, _)| to.to_string()).collect();
        let all: Vec<_> =
            active.map(|it| (it.id.to_string(), it.held.place.seq, told(&it))).collect();
        all.into_iter()
    }

    fn view(&self) -> FleetView {
        self.picture.view(clock::monotonic())
    }

    /// Until the fault has ended and all is as before, or takes too long.
    async fn follow(&mut self, lasts: Duration) -> Told {
        let mut told = Told { watched: self.watched, lasts, ..Told::default() };
        let mut looks = tokio::time::interval(LOOK);
        let mut asked = clock::monotonic();
        loop {
            tokio::select! {
                Some(batch) = self.following.next() => self.picture.extend(batch),
                Some(_) = self.alarms.next() => {}
                _ = looks.tick() => {}
            }
            let after = self.begun.elapsed();
            let view = self.view();
            if told.shown.is_none() && self.drill.is_shown(&view) {
                told.shown = Some(after);
            }
            for (id, place, channels) in self.raised() {
                if !self.before.contains(&(id.clone(), place)) {
                    told.raised.get_or_insert((id, after));
                    if let Some(channel) = channels.into_iter().next() {
                        told.notified.get_or_insert((channel, after));
                    }
                }
            }
            if self.drill.fault == Fault::Flood && after < lasts && asked.elapsed() > LOOK * 5 {
                asked = clock::monotonic();
                let nothing = serde_json::json!({});
                let id = &self.drill.launcher.id;
                self.remote.bus.request(id, command::LIST, &nothing, ANSWER).await.ok();
                told.slowest = told.slowest.max(asked.elapsed());
            }
            // a crash is over as soon as it is
            let has_ended =
                after >= lasts || self.drill.fault == Fault::Crash && told.shown.is_some();
            if has_ended && told.over.is_none() && self.drill.is_over(&view) {
                told.over = Some(after);
            }
            let waits_for_alarm = self.watched && told.notified.is_none() && after < lasts;
            if told.over.is_some() && !waits_for_alarm || after > lasts + RECOVERY {
                return told;
            }
        }
    }
}
