//! The output of a service: what its launcher holds, and lines as they come.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use tcs_core::bus::Bus;
use tcs_core::bus::rpc::RequestError;
use tcs_core::observer::Observation;
use tcs_core::wire::Timestamp;
use tcs_core::wire::control::{LogLine, LogsReply, LogsRequest, command, read_reply};

/// For how long a launcher sends live lines unless asked again, in seconds.
pub const LEASE: u64 = 30;
/// When it is asked again.
pub const RENEW: Duration = Duration::from_secs(LEASE / 3);

/// What is asked of a launcher.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogsWanted {
    /// How many lines at most.
    pub lines: u64,
    /// For how many seconds it is to send live ones; 0: not.
    pub lease: u64,
    /// Of which run only: 0 the present one, -1 the one before.
    pub run: Option<i64>,
}

/// The last lines that a launcher holds of a service.
pub async fn held(
    bus: &Bus,
    launcher: &str,
    service: &str,
    LogsWanted { lines, lease, run }: LogsWanted,
    patience: Duration,
) -> Result<LogsReply, RequestError> {
    let follow_s = (lease > 0).then_some(lease as f64);
    let data = LogsRequest { lines: Some(lines), follow_s, run };
    let command = format!("{}.{service}", command::LOGS);
    let data = bus.request(launcher, &command, &data, patience).await?;
    Ok(read_reply(&data).value)
}

/// Live lines that are remembered: as many as a launcher holds.
const REMEMBERED: usize = 1000;

/// Which lines of one service were told: those that a launcher holds, and those that came live, each
/// once. A reply holds what came live before it, what is on its way, and what was missed between.
/// Lines are known by their hashes.
#[derive(Debug, Default)]
pub struct Told {
    /// The last line of the last reply.
    last: Option<u64>,
    /// What came live since, in its order.
    live: VecDeque<u64>,
    /// What a reply told and may come live yet.
    early: HashMap<u64, usize>,
}

impl Told {
    /// Those of a launcher's lines that were not told before.
    pub fn held(&mut self, mut lines: Vec<LogLine>) -> Vec<LogLine> {
        if let Some(i) = lines.iter().rposition(|line| Some(hash(line)) == self.last) {
            lines.drain(..=i);
        }
        self.last = lines.last().map(hash).or(self.last);
        lines.retain(|line| {
            let line = hash(line);
            let told = self.live.iter().position(|it| *it == line);
            match told {
                Some(i) => drop(self.live.remove(i)),
                None => *self.early.entry(line).or_default() += 1,
            }
            told.is_none()
        });
        lines
    }

    /// A line that came live, if it was not told before.
    pub fn live(&mut self, line: LogLine) -> Option<LogLine> {
        let hash = hash(&line);
        if let Some(count) = self.early.get_mut(&hash).filter(|count| **count > 0) {
            *count -= 1;
            return None;
        }
        if self.live.len() == REMEMBERED {
            self.live.pop_front();
        }
        self.live.push_back(hash);
        Some(line)
    }

    /// What was on its way has come by now.
    pub fn settle(&mut self) {
        self.early.clear();
    }
}

/// Of all that comes live: the name of the logger does not.
fn hash(line: &LogLine) -> u64 {
    let LogLine { timestamp, stream, level, logger: _, run, message } = line;
    let mut hasher = DefaultHasher::new();
    (timestamp, stream, level, run, message).hash(&mut hasher);
    hasher.finish()
}

/// Notices when lines can be heard that could not be heard before, so that some may have been
/// written in between: the subscription has been made, or the link is back.
#[derive(Debug, Default)]
pub struct Gap {
    reads: bool,
}

impl Gap {
    /// Whether this observation says so.
    pub fn ends_with(&mut self, observation: &Observation) -> bool {
        match observation {
            Observation::Reading(_, reading) => {
                self.reads = reading.is_settled();
                self.reads
            }
            Observation::Link(state) => self.reads && state.is_connected(),
            Observation::Message(_)
            | Observation::Malformed { .. }
            | Observation::Clock(_)
            | Observation::Contact(_) => false,
        }
    }
}

/// A line that came on one of these subjects of journals, with what belongs to it.
pub fn live_of<T: Copy>(
    observation: &Observation,
    journals: &BTreeMap<String, T>,
) -> Option<(T, LogLine)> {
    let Observation::Message(observed) = observation else { return None };
    let whose = *journals.get(&*observed.subject)?;
    Some((whose, live(observation, &observed.subject)?))
}

/// A line that came on the journal's subject of a service.
pub fn live(observation: &Observation, subject: &str) -> Option<LogLine> {
    let Observation::Message(observed) = observation else { return None };
    let line = observed.decoded.log_line().filter(|_| observed.subject == subject)?;
    let mut line = LogLine::published(line, &observed.decoded.meta);
    line.timestamp = line.timestamp.or(Some(Timestamp::new(observed.stamp.stored)));
    Some(line)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tcs_core::wire::Level;

    use super::*;

    fn line(second: i64, logger: Option<&str>) -> LogLine {
        let at = DateTime::from_timestamp(1_795_393_000 + second, 0);
        LogLine {
            timestamp: at.map(Timestamp::new),
            stream: None,
            level: Level::INFO,
            logger: logger.map(str::to_owned),
            run: Some(1),
            message: format!("line {second}"),
        }
    }

    fn lines(seconds: impl IntoIterator<Item = i64>) -> Vec<LogLine> {
        seconds.into_iter().map(|second| line(second, Some("guider"))).collect()
    }

    #[test]
    fn each_line_is_told_once_whichever_way_it_comes_first() {
        let mut told = Told::default();
        assert_eq!(told.held(lines(1..3)), lines(1..3));
        assert_eq!(told.live(line(2, None)), None, "it was on its way");
        assert_eq!(told.live(line(3, None)), Some(line(3, None)));
        // 4 and 5 were written while nothing was heard
        assert_eq!(told.held(lines(1..6)), lines(4..6));
        assert_eq!(told.live(line(5, None)), None);
        assert_eq!(told.live(line(6, None)), Some(line(6, None)));
        assert_eq!(told.held(lines(1..7)), []);
        assert_eq!(told.held(lines(8..10)), lines(8..10), "another launcher's, or long after");
    }

    #[test]
    fn what_was_missed_is_told_though_later_lines_came_before() {
        let mut told = Told::default();
        told.held(lines(1..3));
        assert_eq!(told.live(line(3, None)), Some(line(3, None)));
        // 4 and 5 were written while nothing was heard, 6 was heard before anybody asked, 7 after
        assert_eq!(told.live(line(6, None)), Some(line(6, None)));
        assert_eq!(told.live(line(7, None)), Some(line(7, None)));
        assert_eq!(told.held(lines(1..7)), lines(4..6));
        assert_eq!(told.held(lines(1..9)), lines(8..9));
        // the reply may be all of later lines
        for second in 10..3000 {
            assert!(told.live(line(second, None)).is_some());
        }
        assert_eq!(told.held(lines(2001..3001)), lines(3000..3001));
    }

    #[test]
    fn what_is_written_twice_is_told_twice() {
        let mut told = Told::default();
        assert_eq!(told.held(lines([1, 2, 2])), lines([1, 2, 2]));
        assert_eq!(told.live(line(2, None)), None);
        assert_eq!(told.live(line(2, None)), None);
        assert_eq!(told.live(line(2, None)), Some(line(2, None)));
        told.settle();
        assert_eq!(told.live(line(1, None)), Some(line(1, None)));
    }
}
