//! The output of a service: what its launcher holds, and lines as they come.

use std::collections::BTreeMap;
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
