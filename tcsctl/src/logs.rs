//! The output of a service: what its launcher holds, and lines as they come.

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

/// The last lines that a launcher holds of a service; `lease`: for how many seconds it is to send
/// live ones.
pub async fn held(
    bus: &Bus,
    launcher: &str,
    service: &str,
    (lines, lease): (u64, u64),
    patience: Duration,
) -> Result<LogsReply, RequestError> {
    let data = LogsRequest { lines: Some(lines), follow_s: (lease > 0).then_some(lease as f64) };
    let command = format!("{}.{service}", command::LOGS);
    let data = bus.request(launcher, &command, &data, patience).await?;
    Ok(read_reply(&data).value)
}

/// A line that came on the journal's subject of a service.
pub fn live(observation: &Observation, subject: &str) -> Option<LogLine> {
    let Observation::Message(observed) = observation else { return None };
    let line = observed.decoded.log_line().filter(|_| observed.subject == subject)?;
    let mut line = LogLine::published(line, observed.decoded.meta.stream.as_deref());
    line.timestamp = line.timestamp.or(Some(Timestamp::new(observed.stamp.stored)));
    Some(line)
}
