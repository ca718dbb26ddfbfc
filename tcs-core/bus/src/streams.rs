//! The streams of a site: found by their subjects, whatever their names, and made where they are
//! missing (`docs/spec/wire.md#streams`).

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api::ApiError;
use super::connect::Bus;
use super::time::Sample;
use tcs_wire::Kind;

/// What is known of one stream.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StreamFacts {
    /// Its name, a site's own choice.
    pub name: String,
    /// What it captures; empty where it takes messages from other streams too.
    pub subjects: Vec<String>,
    /// When it was made: with the sequence it orders messages, also after the store was wiped.
    pub created: DateTime<Utc>,
    /// Messages in it.
    pub messages: u64,
    /// Their bytes on disk.
    pub bytes: u64,
    /// Oldest sequence that it may still hold.
    pub first_seq: u64,
    /// Newest sequence; 0: never had one.
    pub last_seq: u64,
    /// When its newest message was stored.
    pub newest_at: DateTime<Utc>,
    /// From here on it holds what was sent: when it was made, or its oldest message if that is
    /// older, or once it has forgotten some.
    pub holds_from: DateTime<Utc>,
    /// Whether single messages can be read without the leader's help.
    pub allow_direct: bool,
    /// Servers that keep it; more than one may answer a direct get, and not all are up to date.
    pub replicas: usize,
    /// Whether somebody leads it, so that it takes messages: always so outside a cluster.
    pub has_leader: bool,
    /// Publishers get no acknowledgement: Python ones then need 25 s for each heartbeat.
    pub no_ack: bool,
    /// Whether its server belongs to a cluster.
    pub clustered: bool,
    /// What it stores is dropped after so long; `None`: not for its age.
    pub max_age: Option<Duration>,
}

impl StreamFacts {
    /// Whether this filter lets all of its messages through.
    pub(crate) fn is_all_of(&self, filter: &str) -> bool {
        let is_in = |subject: &String| {
            let start =
                filter.strip_suffix('>').filter(|start| start.is_empty() || start.ends_with('.'));
            subject == filter || start.is_some_and(|start| subject.starts_with(start))
        };
        !self.subjects.is_empty() && self.subjects.iter().all(is_in)
    }

    /// Whether the loss of one server of a cluster makes it unavailable.
    pub fn is_at_risk(&self) -> bool {
        self.clustered && self.replicas < 2
    }
}

/// A warning of a stream that [is at risk](StreamFacts::is_at_risk).
#[derive(Debug, Clone, Copy)]
pub struct SingleReplica<'a>(pub &'a str);

impl fmt::Display for SingleReplica<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(stream) = self;
        write!(
            f,
            "stream {stream} has one replica in a cluster: it is unavailable while its server is \
             down\nhint: set `nats.replicas: 3` in the configuration of tcsd and restart it"
        )
    }
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    streams: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Info {
    config: Config,
    created: DateTime<Utc>,
    state: State,
    cluster: Option<Cluster>,
    ts: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Cluster {
    #[serde(default)]
    name: String,
    #[serde(default)]
    leader: String,
}

#[derive(Deserialize)]
struct Config {
    name: String,
    #[serde(default)]
    subjects: Vec<String>,
    mirror: Option<serde::de::IgnoredAny>,
    sources: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    allow_direct: bool,
    #[serde(default)]
    no_ack: bool,
    #[serde(default)]
    num_replicas: usize,
    /// Nanoseconds; 0: none.
    #[serde(default)]
    max_age: u64,
}

#[derive(Deserialize)]
struct State {
    messages: u64,
    bytes: u64,
    first_seq: u64,
    last_seq: u64,
    first_ts: DateTime<Utc>,
    last_ts: DateTime<Utc>,
    #[serde(default)]
    subjects: Option<BTreeMap<String, u64>>,
}

/// A stream that may take its messages from others.
#[derive(Deserialize)]
struct Source {
    config: SourceConfig,
    state: SourceState,
}

#[derive(Deserialize)]
struct SourceConfig {
    mirror: Option<serde::de::IgnoredAny>,
    sources: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct SourceState {
    subjects: Option<BTreeMap<String, u64>>,
}

/// The leader of a cluster that takes longer than this is not waited for: there may be none.
const LEADER_TIMEOUT: Duration = Duration::from_millis(1500);

/// Streams that are looked into for mirrored messages, at most.
const LOOKED_INTO: usize = 64;

#[derive(Deserialize)]
struct SubjectsPage {
    state: State,
    #[serde(default)]
    total: usize,
}

impl From<Info> for StreamFacts {
    fn from(info: Info) -> Self {
        let takes = info.config.mirror.is_some() || info.config.sources.is_some();
        Self {
            name: info.config.name,
            subjects: if takes { Vec::new() } else { info.config.subjects },
            created: info.created,
            messages: info.state.messages,
            bytes: info.state.bytes,
            first_seq: info.state.first_seq,
            last_seq: info.state.last_seq,
            newest_at: info.state.last_ts,
            holds_from: match info.state.first_seq {
                0 => info.created,
                // what was copied into it may be older than the stream
                1 => info.created.min(info.state.first_ts),
                _ => info.state.first_ts,
            },
            allow_direct: info.config.allow_direct,
            replicas: info.config.num_replicas,
            clustered: info.cluster.as_ref().is_some_and(|cluster| !cluster.name.is_empty()),
            has_leader: info.cluster.is_none_or(|cluster| !cluster.leader.is_empty()),
            no_ack: info.config.no_ack,
            max_age: (info.config.max_age > 0).then(|| Duration::from_nanos(info.config.max_age)),
        }
    }
}

/// JetStream's codes for more replicas than servers, and for replicas without a cluster.
const NO_PEERS: u64 = 10005;
const NOT_CLUSTERED: u64 = 10074;

/// Limits of a stream that we make.
struct Limits {
    max_age_s: u64,
    max_bytes: u64,
    per_subject: i64,
}

const MIB: u64 = 1024 * 1024;
const DAY_S: u64 = 24 * 3600;
const LIMITS: [(Kind, Limits); 3] = [
    (Kind::Registry, Limits { max_age_s: 0, max_bytes: 10 * MIB, per_subject: 100 }),
    (Kind::Status, Limits { max_age_s: 30 * DAY_S, max_bytes: 500 * MIB, per_subject: 1000 }),
    (Kind::Heartbeat, Limits { max_age_s: DAY_S, max_bytes: 100 * MIB, per_subject: -1 }),
];
const ALARM_LIMITS: Limits = Limits { max_age_s: 0, max_bytes: 100 * MIB, per_subject: 64 };

/// What [`Bus::create_missing_streams`] did about one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// There was one already; it is left as it is.
    Found(Vec<String>),
    /// Made now, under this name.
    Created(String),
    /// Neither: it could not be asked for, or not be made.
    Failed(ApiError),
}

impl Bus {
    /// Names of all streams to read subjects of `filter` (`svc.status.>`) from, 0 to n: the one
    /// that the settings name; else those that capture the subjects; else mirrors, and streams that
    /// take them from others, which hold messages of them.
    pub async fn streams_of(&self, filter: &str) -> Result<Vec<String>, ApiError> {
        let of = |kind: &Kind| filter.starts_with(self.subjects().all(*kind).trim_end_matches('>'));
        let kind = Kind::FLEET.into_iter().find(of);
        if let Some(name) = kind.and_then(|kind| self.settings().streams.get(&kind)) {
            return match self.stream(name).await {
                // without the right to ask, it is believed
                Ok(_) | Err(ApiError::Denied(_)) => Ok(vec![name.clone()]),
                Err(error) => Err(error),
            };
        }
        let names = match kind.filter(|_| self.client().server_info().cluster.is_some()) {
            Some(kind) => self.streams_in_cluster(kind, filter).await?,
            None => self.streams_capturing(filter).await?,
        };
        if !names.is_empty() {
            return Ok(names);
        }
        match self.streams_holding(filter).await {
            Ok(names) => Ok(names),
            // that more may not be asked, or was not answered, changes nothing about the answer
            Err(ApiError::Disconnected) => Err(ApiError::Disconnected),
            Err(_) => Ok(names),
        }
    }

    /// Names of the streams without subjects of their own that hold messages of `filter`.
    async fn streams_holding(&self, filter: &str) -> Result<Vec<String>, ApiError> {
        let names: Names = self.look_up("STREAM.NAMES", &json!({})).await?.value;
        let mut holding = Vec::new();
        let body = json!({ "subjects_filter": filter });
        for name in names.streams.unwrap_or_default().into_iter().take(LOOKED_INTO) {
            let info = self.look_up::<Source>(&format!("STREAM.INFO.{name}"), &body).await?.value;
            let takes = info.config.mirror.is_some() || info.config.sources.is_some();
            if takes && info.state.subjects.is_some_and(|subjects| !subjects.is_empty()) {
                holding.push(name);
            }
        }
        holding.sort();
        Ok(holding)
    }

    /// Names of the streams that capture `filter`. While a cluster has no leader nobody can list
    /// them; then the one that tcsd makes is asked for by its name, which its own leader answers.
    async fn streams_in_cluster(&self, kind: Kind, filter: &str) -> Result<Vec<String>, ApiError> {
        let soon = self.timeout().min(LEADER_TIMEOUT);
        let error = match self.streams_capturing_within(filter, soon).await {
            Err(error) if error.is_of_cluster() || error.is_transient() => error,
            names => return names,
        };
        let name = self.subjects().stream_name(kind);
        match self.stream_and_clock(&name, soon).await {
            Ok(_) => Ok(vec![name]),
            Err(_) if error.is_of_cluster() => Err(error),
            Err(_) => self.streams_capturing(filter).await,
        }
    }

    /// Names of all streams that store what is published on subjects of `filter`, 0 to n.
    pub(super) async fn streams_capturing(&self, filter: &str) -> Result<Vec<String>, ApiError> {
        self.streams_capturing_within(filter, self.timeout()).await
    }

    async fn streams_capturing_within(
        &self,
        filter: &str,
        limit: Duration,
    ) -> Result<Vec<String>, ApiError> {
        let body = json!({ "subject": filter });
        let names: Names = self.look_up_within("STREAM.NAMES", &body, limit).await?.value;
        let mut names = names.streams.unwrap_or_default();
        names.sort();
        Ok(names)
    }

    /// Facts of one stream.
    pub async fn stream(&self, name: &str) -> Result<StreamFacts, ApiError> {
        Ok(self.stream_and_clock(name, self.timeout()).await?.0)
    }

    /// The same, waited for no longer than `limit`, with the server's clock where it tells it (from
    /// 2.10 on).
    pub(super) async fn stream_and_clock(
        &self,
        name: &str,
        limit: Duration,
    ) -> Result<(StreamFacts, Option<Sample>), ApiError> {
        let what = format!("STREAM.INFO.{name}");
        let answer = self.look_up_within::<Info>(&what, &json!({}), limit).await?;
        let sample = answer.value.ts.map(|ts| Sample::new(ts, answer.sent, answer.received));
        Ok((answer.value.into(), sample))
    }

    /// All subjects of `filter` that `stream` holds a message of, with the number of messages.
    pub(super) async fn subjects_in(
        &self,
        stream: &str,
        filter: &str,
    ) -> Result<BTreeMap<String, u64>, ApiError> {
        let mut all = BTreeMap::new();
        let mut offset = 0;
        loop {
            let body = json!({ "subjects_filter": filter, "offset": offset });
            let page: SubjectsPage =
                self.look_up(&format!("STREAM.INFO.{stream}"), &body).await?.value;
            let subjects = page.state.subjects.unwrap_or_default();
            offset += subjects.len();
            let end = subjects.is_empty() || offset >= page.total;
            all.extend(subjects);
            if end {
                return Ok(all);
            }
        }
    }

    /// Which subjects of `filter` its stream holds messages of; the facts are older. `None`: there is
    /// no such stream.
    pub async fn subjects_held(
        &self,
        filter: &str,
    ) -> Result<Option<(StreamFacts, BTreeSet<String>)>, ApiError> {
        let Some(name) = self.streams_capturing(filter).await?.into_iter().next() else {
            return Ok(None);
        };
        let facts = self.stream(&name).await?;
        let subjects = self.subjects_in(&name, filter).await?;
        Ok(Some((facts, subjects.into_keys().collect())))
    }

    /// Makes the streams of this site that are missing, and leaves existing ones alone. One entry
    /// a kind: an existing stream that is unsuitable is not our business, a missing right is told.
    pub async fn create_missing_streams(&self) -> Vec<(Kind, Made)> {
        let mut done = Vec::with_capacity(LIMITS.len());
        for (kind, limits) in &LIMITS {
            let named = self.settings().streams.get(kind).cloned();
            let name = named.unwrap_or_else(|| self.subjects().stream_name(*kind));
            done.push((
                *kind,
                self.create_missing(&name, &self.subjects().all(*kind), limits).await,
            ));
        }
        done
    }

    /// The same for the stream of alarms.
    pub async fn create_missing_alarm_stream(&self) -> Made {
        let subjects = self.subjects();
        let name = format!("{}_alarm", subjects.prefix().replace('.', "_"));
        self.create_missing(&name, &subjects.alarm(">"), &ALARM_LIMITS).await
    }

    async fn create_missing(&self, name: &str, filter: &str, limits: &Limits) -> Made {
        match self.streams_capturing(filter).await {
            Ok(names) if names.is_empty() => match self.create(name, filter, limits).await {
                Ok(()) => Made::Created(name.to_owned()),
                Err(error) => Made::Failed(error),
            },
            Ok(names) => Made::Found(names),
            Err(error) => Made::Failed(error),
        }
    }

    /// Gives a stream of a cluster as many replicas as the settings say, if it has fewer; how many
    /// it had. `None`: nothing was to be done, or nobody has said how many it should have.
    pub async fn raise_replicas(&self, stream: &str) -> Result<Option<usize>, ApiError> {
        #[derive(Deserialize)]
        struct Whole {
            config: serde_json::Map<String, serde_json::Value>,
        }
        let Some(wanted) = self.settings().replicas else { return Ok(None) };
        let facts = self.stream(stream).await?;
        if !facts.clustered || facts.replicas >= usize::from(wanted) {
            return Ok(None);
        }
        let whole: Whole = self.look_up(&format!("STREAM.INFO.{stream}"), &json!({})).await?.value;
        let mut config = whole.config;
        config.insert("num_replicas".to_owned(), wanted.into());
        match self.api::<Info>(&format!("STREAM.UPDATE.{stream}"), &config).await {
            Ok(_) => {}
            // the leader that was to answer may have gone just for that
            Err(ApiError::TimedOut { .. })
                if self.stream(stream).await?.replicas >= usize::from(wanted) => {}
            Err(error) => return Err(error),
        }
        Ok(Some(facts.replicas))
    }

    /// With the replicas of the settings; else 3 in a cluster that has as many servers, else 1.
    async fn create(&self, name: &str, filter: &str, limits: &Limits) -> Result<(), ApiError> {
        if let Some(replicas) = self.settings().replicas {
            return self.create_with(name, filter, limits, replicas).await;
        }
        if self.client().server_info().cluster.is_none() {
            return self.create_with(name, filter, limits, 1).await;
        }
        match self.create_with(name, filter, limits, 3).await {
            Err(ApiError::Refused { code: NOT_CLUSTERED, .. }) => {
                self.create_with(name, filter, limits, 1).await
            }
            // Fewer than three servers for good, or one that is down right now?
            Err(ApiError::Refused { code: NO_PEERS, .. }) if self.known_servers().await < 3 => {
                self.create_with(name, filter, limits, 1).await
            }
            result => result,
        }
    }

    /// Servers of the cluster, as far as they announce themselves.
    async fn known_servers(&self) -> usize {
        let pool = tokio::time::timeout(self.timeout(), self.client().server_pool()).await;
        pool.ok().and_then(Result::ok).map_or(0, |pool| pool.len())
    }

    async fn create_with(
        &self,
        name: &str,
        filter: &str,
        limits: &Limits,
        replicas: u8,
    ) -> Result<(), ApiError> {
        #[derive(Serialize)]
        struct Create<'a> {
            name: &'a str,
            subjects: [&'a str; 1],
            retention: &'a str,
            storage: &'a str,
            discard: &'a str,
            max_age: u64,
            max_bytes: u64,
            max_msgs: i64,
            max_consumers: i64,
            max_msgs_per_subject: i64,
            num_replicas: u8,
            duplicate_window: u64,
            allow_direct: bool,
        }
        const NANOS: u64 = 1_000_000_000;
        let config = Create {
            name,
            subjects: [filter],
            retention: "limits",
            storage: "file",
            discard: "old",
            max_age: limits.max_age_s * NANOS,
            max_bytes: limits.max_bytes,
            max_msgs: -1,
            max_consumers: -1,
            max_msgs_per_subject: limits.per_subject,
            num_replicas: replicas,
            duplicate_window: 120 * NANOS,
            allow_direct: true,
        };
        let _: Info = self.api(&format!("STREAM.CREATE.{name}"), &config).await?.value;
        Ok(())
    }
}
