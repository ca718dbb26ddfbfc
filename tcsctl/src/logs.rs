//! Lines of a service's output as they come.

use tcs_core::observer::Observation;
use tcs_core::wire::Timestamp;
use tcs_core::wire::control::LogLine;

/// A line that came on the journal's subject of a service.
pub fn live(observation: &Observation, subject: &str) -> Option<LogLine> {
    let Observation::Message(observed) = observation else { return None };
    let line = observed.decoded.log_line().filter(|_| observed.subject == subject)?;
    let mut line = LogLine::published(line, observed.decoded.meta.stream.as_deref());
    line.timestamp = line.timestamp.or(Some(Timestamp::new(observed.stamp.stored)));
    Some(line)
}
