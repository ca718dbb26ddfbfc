//! Which server to try next, and when. A state machine without a clock: before each
//! attempt it gets what the client library knows of each server, and returns a server and a pause.
//!
//! Each server has a pause of its own: 500 ms while it cannot be reached, doubling up to 10 s where
//! trying again soon cannot help (login refused, too many connections, an answer that cannot be
//! parsed). The one that may be tried first is tried first, so one that is silent or refuses never
//! keeps the others from their turn.

use std::time::{Duration, Instant};

use super::failure::Failure;

/// Pause before a server that could not be reached is tried again.
const RETRY_UNREACHABLE: Duration = Duration::from_millis(500);
/// The longest pause, for a server that refuses.
pub const RETRY_AT_MOST: Duration = Duration::from_secs(10);
/// A connection that lasted for less does not end the doubling.
const STABLE: Duration = Duration::from_secs(10);
/// First pause after a connection that did not last.
const SHORTEST: Duration = Duration::from_millis(50);

/// What the client library knows of one server.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Its address, without credentials.
    pub(super) url: String,
    /// Failed attempts since it was last connected to.
    pub(super) failed: usize,
    /// Why the last one failed.
    pub(super) error: Option<String>,
}

#[derive(Debug)]
struct Entry {
    url: String,
    /// When it may be tried again; `None`: at once.
    ready: Option<Instant>,
    pause: Duration,
    /// Failed attempts as the library counted them when it was last tried.
    failed_before: usize,
    failure: Option<Failure>,
    failures: u64,
    tries: u64,
}

/// The results of the attempts at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tried {
    /// Its address, without credentials.
    pub(super) url: String,
    /// Why the last attempt failed; `None`: not tried yet, no result, or connected.
    pub(super) failure: Option<Failure>,
    /// Attempts that failed, since the beginning.
    pub(super) failures: u64,
}

#[derive(Debug, Default)]
pub(super) struct Dialer {
    entries: Vec<Entry>,
    /// Index of the server that was tried last, and when that attempt began.
    last: Option<(usize, Instant)>,
}

/// The result of the previous attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Before {
    /// There was none.
    None,
    /// It failed.
    Failed(Failure),
    /// It succeeded, and the connection was lost later.
    Lost,
}

impl Dialer {
    /// The address to try next and the pause before that, and what became of the attempt before.
    /// `lost` is why the connection was lost, if there was one and the reason is known.
    pub(super) fn next(
        &mut self,
        pool: &[Known],
        lost: Option<&Failure>,
        now: Instant,
    ) -> (Option<(String, Duration)>, Before) {
        let before = self.settle(pool, lost, now);
        self.entries.retain(|entry| pool.iter().any(|known| known.url == entry.url));
        for known in pool {
            if !self.entries.iter().any(|entry| entry.url == known.url) {
                self.entries.push(Entry {
                    url: known.url.clone(),
                    ready: None,
                    pause: Duration::ZERO,
                    failed_before: known.failed,
                    failure: None,
                    failures: 0,
                    tries: 0,
                });
            }
        }
        let rank = |entry: &Entry| (entry.ready.map_or(now, |at| at.max(now)), entry.tries);
        let best = (0..self.entries.len()).min_by_key(|&index| rank(&self.entries[index]));
        let Some(index) = best else { return (None, before) };
        let entry = &mut self.entries[index];
        let pause = entry.ready.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        entry.tries += 1;
        entry.failed_before =
            pool.iter().find(|known| known.url == entry.url).map_or(0, |known| known.failed);
        self.last = Some((index, now + pause));
        (Some((entry.url.clone(), pause)), before)
    }

    fn settle(&mut self, pool: &[Known], lost: Option<&Failure>, now: Instant) -> Before {
        let Some((index, began)) = self.last.take() else { return Before::None };
        let Some(entry) = self.entries.get_mut(index) else { return Before::None };
        let Some(known) = pool.iter().find(|known| known.url == entry.url) else {
            return Before::None;
        };
        if known.failed > entry.failed_before {
            let failure = known.error.as_deref().map_or(Failure::TimedOut, Failure::explain);
            entry.pause = if failure.is_lasting() {
                (entry.pause * 2).clamp(RETRY_UNREACHABLE, RETRY_AT_MOST)
            } else {
                RETRY_UNREACHABLE
            };
            entry.ready = Some(now + entry.pause);
            entry.failure = Some(failure.clone());
            entry.failures += 1;
            return Before::Failed(failure);
        }
        entry.failure = None;
        if now.saturating_duration_since(began) >= STABLE {
            entry.pause = Duration::ZERO;
        } else {
            let lasting = lost.is_some_and(Failure::is_lasting);
            let most = if lasting { RETRY_AT_MOST } else { RETRY_UNREACHABLE };
            entry.pause = (entry.pause * 2).max(SHORTEST).min(most);
        }
        entry.ready = Some(now + entry.pause);
        Before::Lost
    }

    /// The results of the attempts at each server.
    pub(super) fn report(&self) -> Vec<Tried> {
        let tried = |entry: &Entry| Tried {
            url: entry.url.clone(),
            failure: entry.failure.clone(),
            failures: entry.failures,
        };
        self.entries.iter().map(tried).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    fn known(url: &str, failed: usize, error: &str) -> Known {
        let error = (!error.is_empty()).then(|| error.to_owned());
        Known { url: url.to_owned(), failed, error }
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn each_server_has_its_turn_and_its_own_pause() {
        let now = clock::monotonic();
        let mut dialer = Dialer::default();
        let pool = |a, b| [known("a", a, "timed out"), known("b", b, "authorization violation")];
        let ask = |dialer: &mut Dialer, a, b, at| {
            let (next, before) = dialer.next(&pool(a, b), None, at);
            (next.unwrap(), before)
        };
        assert_eq!(ask(&mut dialer, 0, 0, now), (("a".into(), Duration::ZERO), Before::None));
        let failed = Before::Failed(Failure::TimedOut);
        assert_eq!(ask(&mut dialer, 1, 0, now), (("b".into(), Duration::ZERO), failed));
        let failed = Before::Failed(Failure::Login);
        assert_eq!(ask(&mut dialer, 1, 1, now), (("a".into(), MS * 500), failed));
        let mut at = now + MS * 500;
        ask(&mut dialer, 2, 1, at);
        // refused again and again: a is tried every half second, b ever more rarely
        let mut tried = [0, 0];
        let (mut a, mut b) = (2, 1);
        let mut last = "b".to_owned();
        while at < now + Duration::from_mins(1) {
            if last == "a" {
                a += 1;
            } else {
                b += 1;
            }
            let ((url, pause), _) = ask(&mut dialer, a, b, at);
            at += pause;
            tried[usize::from(url == "b")] += 1;
            last = url;
        }
        assert!((115..=121).contains(&tried[0]) && (8..=12).contains(&tried[1]), "{tried:?}");
    }

    #[test]
    fn a_connection_that_lasted_is_made_again_at_once() {
        let now = clock::monotonic();
        let mut dialer = Dialer::default();
        let pool = [known("a", 0, "")];
        dialer.next(&pool, None, now);
        let (next, before) = dialer.next(&pool, None, now + MS * 60_000);
        assert_eq!((next.unwrap().1, before), (Duration::ZERO, Before::Lost));
        // and one that never lasts is not made in a storm
        let (mut at, mut count) = (now + MS * 60_000, 0);
        let parser = Failure::Protocol("x".into());
        while at < now + MS * 120_000 {
            at += dialer.next(&pool, Some(&parser), at).0.unwrap().1;
            count += 1;
        }
        assert!(count < 18, "{count}");
    }

    proptest! {
        /// Whatever happens, no address is tried more often than its pauses allow, none waits
        /// longer than the longest pause, and all are tried.
        #[test]
        fn no_storm_and_no_neglect(outcomes in prop::collection::vec(0_u8..4, 40..200)) {
            let start = clock::monotonic();
            let (mut now, mut dialer) = (start, Dialer::default());
            let mut pool = vec![known("a", 0, ""), known("b", 0, ""), known("c", 0, "")];
            let mut tried = [0_u32; 3];
            for outcome in outcomes {
                let (next, _) = dialer.next(&pool, None, now);
                let (url, pause) = next.unwrap();
                prop_assert!(pause <= RETRY_AT_MOST);
                now += pause + MS;
                let index = pool.iter().position(|known| known.url == url).unwrap();
                tried[index] += 1;
                let entry = &mut pool[index];
                match outcome {
                    0 => (entry.failed, entry.error) = (0, None),
                    1 => { entry.failed += 1; entry.error = Some("timed out".into()); }
                    2 => { entry.failed += 1; entry.error = Some("authorization violation".into()); }
                    _ => { entry.failed += 1; entry.error = Some("Connection refused".into()); }
                }
            }
            prop_assert!(tried.iter().all(|&count| count > 0), "{tried:?}");
        }
    }
}
