//! Who answers requests, by the NATS service API (`docs/spec/wire.md#service-discovery`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use tokio_util::bytes::Bytes;

use crate::api::ApiError;
use crate::connect::Bus;
use tcs_wire::Subjects;
use tcs_wire::text::one_line;

/// For the first answer: where nobody listens, the server says so at once.
const FIRST: Duration = Duration::from_secs(2);
/// The others come soon after it; the last one is taken to have come after this much silence.
const SILENCE: Duration = Duration::from_millis(300);
/// Of a version; nobody's has more, and what answers is somebody else's to say.
const MAX_VERSION: usize = 64;
/// Names that are kept: what answers is somebody else's to say.
const MAX_NAMES: usize = 10_000;

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    version: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    subject: String,
}

impl Bus {
    /// The monitored objects of this prefix that answer requests now, looking for `limit` at most.
    /// Python services and launchers answer none.
    pub async fn responders(&self, limit: Duration) -> Result<BTreeSet<String>, ApiError> {
        Ok(self.versions(limit).await?.into_keys().collect())
    }

    /// The same, with the versions of their programs.
    pub async fn versions(&self, limit: Duration) -> Result<BTreeMap<String, String>, ApiError> {
        let mut names = BTreeMap::new();
        let gathering = async {
            let mut answers = match self.ask_many("$SRV.INFO", Bytes::new()).await {
                Err(ApiError::NoJetStream) => return Ok(()),
                answers => answers?,
            };
            let mut patience = FIRST;
            while let Ok(answer) = tokio::time::timeout(patience, answers.next()).await {
                patience = SILENCE;
                match answer {
                    Ok(message) => names.extend(responder(self.subjects(), &message.payload)),
                    Err(ApiError::NoJetStream) => break,
                    Err(error) => return Err(error),
                }
                if names.len() >= MAX_NAMES {
                    break;
                }
            }
            Ok(())
        };
        // what has answered until then is known
        tokio::time::timeout(limit, gathering).await.unwrap_or(Ok(()))?;
        Ok(names)
    }
}

/// The object of this prefix that tells of itself, and its version.
fn responder(subjects: &Subjects, body: &[u8]) -> Option<(String, String)> {
    let info: Info = serde_json::from_slice(body).ok()?;
    let name = info.endpoints.iter().find_map(|it| subjects.responder(&it.subject))?;
    Some((name.to_owned(), one_line(&info.version).chars().take(MAX_VERSION).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_answers_on_this_prefix_counts() {
        let subjects = Subjects::new("ocm.svc").unwrap();
        let told = |subject: &str, version: &str| {
            let endpoints = [serde_json::json!({"subject": subject})];
            let body = serde_json::json!({"name": "x", "version": version, "endpoints": endpoints});
            responder(&subjects, body.to_string().as_bytes())
        };
        let of = |subject: &str| told(subject, "1.2.3").map(|(name, _)| name);
        assert_eq!(of("ocm.svc.rpc.guider.v1.jk15.v1.health").as_deref(), Some("guider.v1.jk15"));
        let launcher = of("ocm.svc.rpc.launcher.x.v1.stop.>");
        assert_eq!(launcher.as_deref(), Some("launcher.x"));
        for other in ["svc.rpc.a.b.v1.health", "ocm.svc.rpc.a.b", "other", "ocm.svc.status.a.v1.x"]
        {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(responder(&subjects, b"no JSON"), None);
        let (_, version) = told("ocm.svc.rpc.a.v1.health", "1.2\u{1b}[2J").unwrap();
        assert!(!version.contains('\u{1b}'), "{version:?}");
        let (_, version) = told("ocm.svc.rpc.a.v1.health", &"9".repeat(1000)).unwrap();
        assert_eq!(version.len(), MAX_VERSION);
    }
}
