//! What a program's log says of its connections: each address that cannot be connected to, with
//! the reason, at once and then ever more rarely with the number of attempts; and connections that
//! are lost and made again.
//!
//! A program has two connections to the same servers, and a server that refuses is tried for as
//! long as it takes, so a line for each attempt would bury everything else.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use chrono::TimeDelta;

use super::connect::Bus;
use super::dial::Tried;
use super::link::LinkState;
use crate::clock;
use tcs_wire::format_duration;

/// Time from the first line of a kind to the next one.
const QUIET: Duration = Duration::from_mins(1);
/// The quiet time doubles up to this.
const QUIET_AT_MOST: Duration = Duration::from_mins(10);
/// Kinds of lines that are remembered: servers can announce any number of addresses.
const MAX_KINDS: usize = 256;

/// What happened to a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Happened {
    /// No connection to this server, for this reason.
    Failed(String, String),
    /// The connection was lost, for this reason; empty: it is not known.
    Lost(String),
    /// Connected again.
    Connected(String),
}

/// A log line: what happened; for a repetition, also how often and in what time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    what: Happened,
    again: Option<(u64, Duration)>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Happened::Failed(server, why) if self.again.is_none() => {
                return write!(f, "cannot connect to {server}: {why}");
            }
            Happened::Failed(server, why) => write!(f, "still cannot connect to {server}: {why}")?,
            Happened::Lost(why) if why.is_empty() => {
                f.write_str("connection to the broker lost")?;
            }
            Happened::Lost(why) => write!(f, "connection to the broker lost: {why}")?,
            Happened::Connected(server) => write!(f, "connected again: {server}")?,
        }
        if let Some((times, span)) = self.again {
            let span = TimeDelta::from_std(span).unwrap_or_default();
            write!(f, " ({times} times in {})", format_duration(span))?;
        }
        Ok(())
    }
}

/// How often one thing has happened.
#[derive(Debug)]
struct Kind {
    first: Instant,
    last: Instant,
    /// No line before this.
    quiet_until: Instant,
    quiet: Duration,
    times: u64,
    /// How often it happened since the last line about it.
    untold: u64,
}

/// Decides what is worth a line. Pure.
#[derive(Debug, Default)]
struct Folding {
    kinds: BTreeMap<Happened, Kind>,
    /// By connection: whether it was up when it was last looked at, and the failed attempts at each
    /// server so far.
    up: HashMap<usize, bool>,
    failures: HashMap<(usize, String), u64>,
}

impl Folding {
    /// How a connection stands now: all that has happened to it since the last look.
    fn look(&mut self, connection: usize, state: &LinkState, tried: &[Tried], now: Instant) {
        for it in tried {
            let known = self.failures.entry((connection, it.url.clone())).or_insert(0);
            let failed = it.failures.saturating_sub(std::mem::replace(known, it.failures));
            if let Some(why) = &it.failure {
                let what = Happened::Failed(it.url.clone(), why.to_string());
                self.happened(what, failed, now);
            }
        }
        if self.failures.len() > MAX_KINDS {
            self.failures.retain(|(of, url), _| {
                *of != connection || tried.iter().any(|tried| tried.url == *url)
            });
        }
        let was_up = self.up.insert(connection, state.is_connected());
        if self.up.values().all(|up| *up) {
            for (what, kind) in &mut self.kinds {
                if matches!(what, Happened::Failed(..)) {
                    kind.untold = 0;
                }
            }
        }
        if connection > 0 {
            return; // it comes and goes with the first one, or its attempts fail
        }
        match state {
            LinkState::Disconnected { why, .. } if was_up == Some(true) => {
                let why = why.as_ref().map(ToString::to_string).unwrap_or_default();
                self.happened(Happened::Lost(why), 1, now);
            }
            // a start that goes well is not worth a line
            LinkState::Connected { server, .. } if was_up == Some(false) && self.told_bad(now) => {
                let server = format!("{} (nats-server {})", server.url, server.version);
                self.happened(Happened::Connected(server), 1, now);
            }
            LinkState::Connecting { .. }
            | LinkState::Connected { .. }
            | LinkState::Disconnected { .. } => {}
        }
    }

    fn told_bad(&self, now: Instant) -> bool {
        self.kinds.iter().any(|(what, kind)| {
            !matches!(what, Happened::Connected(_)) && now < kind.last + QUIET_AT_MOST
        })
    }

    fn happened(&mut self, what: Happened, times: u64, now: Instant) {
        if times == 0 {
            return;
        }
        self.kinds.retain(|_, kind| kind.untold > 0 || now < kind.last + QUIET_AT_MOST);
        if self.kinds.len() >= MAX_KINDS && !self.kinds.contains_key(&what) {
            return;
        }
        let kind = self.kinds.entry(what).or_insert(Kind {
            first: now,
            last: now,
            quiet_until: now,
            quiet: QUIET,
            times: 0,
            untold: 0,
        });
        kind.last = now;
        kind.times += times;
        kind.untold += times;
    }

    /// When the next line may be written.
    fn due(&self) -> Option<Instant> {
        let untold = self.kinds.values().filter(|kind| kind.untold > 0);
        untold.map(|kind| kind.quiet_until).min()
    }

    /// The lines to be written now.
    fn lines(&mut self, now: Instant) -> Vec<Line> {
        let mut lines: Vec<(Instant, Line)> = Vec::new();
        for (what, kind) in &mut self.kinds {
            if kind.untold == 0 || now < kind.quiet_until {
                continue;
            }
            let is_first = kind.untold == kind.times;
            let span = now.saturating_duration_since(kind.first);
            let again = (!is_first).then_some((kind.times, span));
            lines.push((kind.last, Line { what: what.clone(), again }));
            kind.untold = 0;
            kind.quiet_until = now + kind.quiet;
            kind.quiet = (kind.quiet * 2).min(QUIET_AT_MOST);
        }
        lines.sort_by_key(|(at, _)| *at);
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

/// Writes the log of these connections, for as long as they are there.
pub async fn keep(buses: [Bus; 2]) {
    let mut folding = Folding::default();
    let mut links = buses.each_ref().map(Bus::link);
    loop {
        for (number, (bus, link)) in buses.iter().zip(&mut links).enumerate() {
            let state = link.borrow_and_update().clone();
            folding.look(number, &state, &bus.link_core().report(), clock::monotonic());
        }
        for line in folding.lines(clock::monotonic()) {
            match line.what {
                Happened::Failed(..) | Happened::Lost(_) => tracing::warn!("{line}"),
                Happened::Connected(_) => tracing::info!("{line}"),
            }
        }
        let due = folding.due();
        let [first, second] = &mut links;
        let closed = tokio::select! {
            changed = first.changed() => changed.is_err(),
            changed = second.changed() => changed.is_err(),
            () = until(due) => false,
        };
        if closed {
            return;
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::link::Server;

    const START: fn(Instant) -> LinkState =
        |since| LinkState::Connecting { attempt: 0, since, why: None };

    fn tried(failures: u64, failure: &Failure) -> Vec<Tried> {
        vec![Tried { url: "nats://a:4222".into(), failure: Some(failure.clone()), failures }]
    }

    fn texts(folding: &mut Folding, now: Instant) -> Vec<String> {
        folding.lines(now).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_hour_of_attempts_is_a_handful_of_lines() {
        let begin = clock::monotonic();
        let mut folding = Folding::default();
        let mut lines = Vec::new();
        for n in 1..=7200_u64 {
            let now = begin + Duration::from_millis(500) * u32::try_from(n - 1).unwrap();
            for connection in 0..2 {
                folding.look(connection, &START(begin), &tried(n, &Failure::Refused), now);
                lines.extend(texts(&mut folding, now));
            }
        }
        assert_eq!(
            lines[..3],
            [
                "cannot connect to nats://a:4222: connection refused",
                "still cannot connect to nats://a:4222: connection refused (241 times in 1 min)",
                "still cannot connect to nats://a:4222: connection refused (721 times in 3 min)",
            ]
        );
        assert!((8..=12).contains(&lines.len()), "{lines:#?}");
        // another reason is logged at once
        let now = begin + Duration::from_hours(1);
        folding.look(0, &START(begin), &tried(7201, &Failure::TooMany), now);
        let text = "cannot connect to nats://a:4222: the server has reached its maximum of \
                    connections";
        assert_eq!(texts(&mut folding, now), [text]);
    }

    #[test]
    fn a_link_that_comes_and_goes_is_told_and_then_counted() {
        let begin = clock::monotonic();
        let mut folding = Folding::default();
        let up = |since| LinkState::Connected {
            since,
            server: Server {
                name: "n".into(),
                version: "2.9.10".into(),
                url: "nats://a:4222".into(),
                jetstream: true,
            },
        };
        let down = |since| LinkState::Disconnected { since, attempt: 0, why: None };
        folding.look(0, &START(begin), &[], begin);
        folding.look(0, &up(begin), &[], begin);
        assert!(texts(&mut folding, begin).is_empty(), "a start that goes well");
        let mut lines = Vec::new();
        for n in 0..60 {
            let now = begin + Duration::from_secs(n);
            let state = if n % 2 == 0 { down(now) } else { up(now) };
            folding.look(0, &state, &[], now);
            lines.extend(texts(&mut folding, now));
        }
        let first = [
            "connection to the broker lost",
            "connected again: nats://a:4222 (nats-server 2.9.10)",
        ];
        assert_eq!(lines, first);
        // what was left out is logged even if nothing more happens
        let later = folding.due().unwrap();
        assert_eq!(
            texts(&mut folding, later),
            ["connection to the broker lost (30 times in 1 min)"]
        );
        assert_eq!(texts(&mut folding, later + Duration::from_secs(2)).len(), 1);
        assert_eq!(folding.due(), None);
    }
}
