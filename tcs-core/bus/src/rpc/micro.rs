//! The NATS service API (ADR-32): what is answered on `$SRV.PING|INFO|STATS`. Pure.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// What the service API reports of one endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) subject: String,
    pub(super) tally: Mutex<Tally>,
}

/// How an endpoint has done.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    requests: u64,
    errors: u64,
    busy: Duration,
    last_error: Option<String>,
}

impl Endpoint {
    pub(super) fn note(&self, took: Duration, error: Option<&str>) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.requests += 1;
        tally.busy += took;
        if let Some(error) = error {
            tally.errors += 1;
            // ADR-32 wants "code:description"
            tally.last_error = Some(format!("500:{error}"));
        }
    }
}

/// What the service API reports of one monitored object.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) version: String,
    pub(super) description: String,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) started: DateTime<Utc>,
}

/// A name as ADR-32 allows it: letters, digits, `-` and `_`.
pub(super) fn name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect()
}

/// What was asked, and of whom: `$SRV.<verb>[.<name>[.<id>]]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Ping,
    Info,
    Stats,
}

impl Verb {
    pub(super) const ALL: [Self; 3] = [Self::Ping, Self::Info, Self::Stats];

    pub(super) const fn token(self) -> &'static str {
        match self {
            Self::Ping => "PING",
            Self::Info => "INFO",
            Self::Stats => "STATS",
        }
    }
}

impl Instance {
    /// Whether a request on this subject is for it.
    pub(super) fn is_meant(&self, verb: Verb, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        tokens.next() == Some("$SRV")
            && tokens.next() == Some(verb.token())
            && tokens.next().is_none_or(|name| name == self.name)
            && tokens.next().is_none_or(|id| id == self.id)
            && tokens.next().is_none()
    }

    pub(super) fn answer(&self, verb: Verb, endpoints: &[std::sync::Arc<Endpoint>]) -> Value {
        let mut answer = json!({
            "name": self.name,
            "id": self.id,
            "version": self.version,
            "metadata": self.metadata,
        });
        match verb {
            Verb::Ping => answer["type"] = "io.nats.micro.v1.ping_response".into(),
            Verb::Info => {
                answer["type"] = "io.nats.micro.v1.info_response".into();
                answer["description"] = self.description.as_str().into();
                answer["endpoints"] = endpoints.iter().map(|e| e.info()).collect();
            }
            Verb::Stats => {
                answer["type"] = "io.nats.micro.v1.stats_response".into();
                answer["started"] =
                    self.started.to_rfc3339_opts(SecondsFormat::Micros, true).into();
                answer["endpoints"] = endpoints.iter().map(|e| e.stats()).collect();
            }
        }
        answer
    }
}

impl Endpoint {
    fn info(&self) -> Value {
        json!({
            "name": name(&self.subject),
            "subject": self.subject,
            "queue_group": self.subject,
            "metadata": {},
        })
    }

    fn stats(&self) -> Value {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        json!({
            "name": name(&self.subject),
            "subject": self.subject,
            "queue_group": self.subject,
            "num_requests": tally.requests,
            "num_errors": tally.errors,
            "last_error": tally.last_error.unwrap_or_default(),
            "processing_time": nanos(tally.busy),
            "average_processing_time": nanos(tally.busy).checked_div(tally.requests).unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_meant() {
        let instance = Instance {
            name: name("guider.jk15"),
            id: "x1".to_owned(),
            version: "1.0.0".to_owned(),
            description: String::new(),
            metadata: BTreeMap::new(),
            started: DateTime::UNIX_EPOCH,
        };
        let meant = |subject| instance.is_meant(Verb::Ping, subject);
        assert!(meant("$SRV.PING") && meant("$SRV.PING.guider-jk15"));
        assert!(meant("$SRV.PING.guider-jk15.x1"));
        for other in ["$SRV.INFO", "$SRV.PING.x", "$SRV.PING.guider-jk15.x2", "$SRV.PING.a.b.c"] {
            assert!(!meant(other), "{other}");
        }
    }

    #[test]
    fn errors_and_times_are_tallied() {
        let endpoint =
            Endpoint { subject: "svc.rpc.a.b.v1.health".into(), tally: Mutex::default() };
        endpoint.note(Duration::from_millis(1), None);
        endpoint.note(Duration::from_millis(3), Some("boom"));
        let stats = endpoint.stats();
        assert_eq!((&stats["num_requests"], &stats["num_errors"]), (&2.into(), &1.into()));
        assert_eq!(stats["average_processing_time"], 2_000_000);
        assert_eq!(stats["last_error"], "500:boom");
        assert_eq!(stats["name"], "svc-rpc-a-b-v1-health");
    }
}
