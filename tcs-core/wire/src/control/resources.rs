//! What services and their host use, in the reply to `resources` and in a `crashed`
//! (`docs/spec/wire.md#resource-figures`). What could not be read is absent, never 0.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::reply::{Partly, read_reply};
use super::requests::parameter;
use crate::{MAX_NAME, MAX_SECONDS, Timestamp};

/// Parameters of `resources`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ResourcesRequest {
    /// Ids of the services wanted; without it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<String>>,
    /// The samples of the last minutes too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub history: bool,
    /// The proportional share of memory too, which takes long to read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pss: bool,
}

impl ResourcesRequest {
    /// From the data of a request.
    pub fn read(data: &Map<String, Value>) -> Result<Self, String> {
        Ok(Self {
            services: parameter(data, "services", "a list of service ids")?,
            history: parameter(data, "history", "true or false")?.unwrap_or_default(),
            pss: parameter(data, "pss", "true or false")?.unwrap_or_default(),
        })
    }
}

/// The reply to `resources`.
/// See [`ResourcesReply::read`] for reading one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourcesReply {
    /// When the figures were read, by the launcher's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled_at: Option<Timestamp>,
    /// The launcher's host.
    pub host: HostFigures,
    /// The services that run, by id.
    pub services: Vec<ServiceFigures>,
    /// Those that have run and do not now: what was counted of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_running: Vec<ServiceFigures>,
}

impl ResourcesReply {
    /// From the data of a reply. Services without a name, or with one that no service has, and figures that are of a wrong type, or that nothing can be, are named
    /// in `unread` of what they belong to.
    pub fn read(data: &Map<String, Value>) -> Partly<Self> {
        let own = data.iter().filter(|(key, _)| *key == "sampled_at");
        let own = own.map(|(key, value)| (key.clone(), value.clone())).collect();
        let Partly { value: Self { sampled_at, .. }, mut unread } = read_reply(&own);
        let host = match data.get("host") {
            Some(Value::Object(host)) => HostFigures::read(host),
            other => {
                unread.extend(other.filter(|it| !it.is_null()).map(|_| "host".to_owned()));
                HostFigures::default()
            }
        };
        let services = read_services(data, "services", &mut unread);
        let not_running = read_services(data, "not_running", &mut unread);
        Partly { value: Self { sampled_at, host, services, not_running }, unread }
    }
}

fn read_services(
    data: &Map<String, Value>,
    field: &str,
    unread: &mut Vec<String>,
) -> Vec<ServiceFigures> {
    let mut services = Vec::new();
    match data.get(field) {
        Some(Value::Array(all)) => {
            for (index, one) in all.iter().enumerate() {
                match one {
                    Value::Object(one) if is_named(one) => services.push(ServiceFigures::read(one)),
                    _ => unread.push(format!("{field}[{index}]")),
                }
            }
        }
        other => unread.extend(other.filter(|it| !it.is_null()).map(|_| field.to_owned())),
    }
    services
}

/// Percent that no host with thousands of cores exceeds.
const MAX_PERCENT: f64 = 1e7;
/// More than any host has, of bytes.
const MAX_BYTES: u64 = 1_000_000_000_000_000_000;
/// More than any host has, of what is counted one by one.
const MAX_COUNT: u64 = 1_000_000_000_000;

/// Takes a figure out that is out of range, and names it.
fn bound<T: PartialOrd>(
    field: &mut Option<T>,
    (least, most): (T, T),
    name: &str,
    to: &mut Vec<String>,
) {
    if field.take_if(|it| !(least..=most).contains(it)).is_some() {
        to.push(name.to_owned());
    }
}

/// What a service is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Scope {
    /// Processes of its own.
    Processes,
    /// A task of the launcher's process: its memory is the launcher's.
    Task,
    /// A later launcher's word, or none.
    #[default]
    #[serde(other)]
    Other,
}

/// What one service uses, with all that it has started. Bytes, seconds, and percent of one core.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServiceFigures {
    /// Which service.
    pub service_id: String,
    /// What it is made of.
    pub scope: Scope,
    /// How many processes it has now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Their threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Between the last two samples; 100 is one core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Of this run, those that have ended included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// Resident memory; memory that processes share is counted for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// Resident memory of which what is shared is divided among those who share it; only where it
    /// was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pss_bytes: Option<u64>,
    /// Of the resident memory, what is no file's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anon_bytes: Option<u64>,
    /// What is swapped out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap_bytes: Option<u64>,
    /// The most resident memory of this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// Open file descriptors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_fds: Option<u64>,
    /// How many its main process may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fd_limit: Option<u64>,
    /// Read from storage in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Written to storage in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
    /// Of a task: seconds in which it computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_seconds: Option<f64>,
    /// When this run began.
    #[schemars(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Starts after the first, since the launcher's own start.
    pub restarts_total: u64,
    /// Crashes since the launcher's own start, by `SIGKILL`, `exit 3`, ...
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub crashes_total: BTreeMap<String, u64>,
    /// Some of its processes could not be read: those of another user.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The samples before, oldest first, where they were asked for.
    #[schemars(skip)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PastFigures>,
    /// Figures that the launcher gave and that cannot be read, or that nothing can be.
    #[serde(skip_deserializing, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

impl ServiceFigures {
    fn read(data: &Map<String, Value>) -> Self {
        let Partly { value: mut it, unread: mut bad } = read_reply::<Self>(data);
        bound(&mut it.cpu_percent, (0.0, MAX_PERCENT), "cpu_percent", &mut bad);
        bound(&mut it.cpu_seconds, (0.0, MAX_SECONDS), "cpu_seconds", &mut bad);
        bound(&mut it.busy_seconds, (0.0, MAX_SECONDS), "busy_seconds", &mut bad);
        for (field, name) in [
            (&mut it.rss_bytes, "rss_bytes"),
            (&mut it.pss_bytes, "pss_bytes"),
            (&mut it.anon_bytes, "anon_bytes"),
            (&mut it.swap_bytes, "swap_bytes"),
            (&mut it.peak_rss_bytes, "peak_rss_bytes"),
            (&mut it.read_bytes, "read_bytes"),
            (&mut it.written_bytes, "written_bytes"),
        ] {
            bound(field, (0, MAX_BYTES), name, &mut bad);
        }
        bound(&mut it.open_fds, (0, MAX_COUNT), "open_fds", &mut bad);
        for sample in &mut it.history {
            bound(&mut sample.cpu_percent, (0.0, MAX_PERCENT), "history", &mut bad);
            bound(&mut sample.rss_bytes, (0, MAX_BYTES), "history", &mut bad);
        }
        Self { unread: bad, ..it }
    }
}

/// Whether figures are of a service that can be: names have at most [`MAX_NAME`] bytes.
fn is_named(data: &Map<String, Value>) -> bool {
    let name = data.get("service_id").and_then(Value::as_str);
    name.is_some_and(|name| !name.is_empty() && name.len() <= MAX_NAME)
}

/// One sample of the past.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PastFigures {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled_at: Option<Timestamp>,
    /// Percent of one core since the sample before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Resident memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
}

/// A launcher's host, in the reply to `resources` and in the metrics of the launcher's heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HostFigures {
    /// Processes that ran or wanted to, over a minute.
    #[serde(rename = "host_load1", skip_serializing_if = "Option::is_none")]
    pub load1: Option<f64>,
    /// Of all cores, since the last time that it was read; 100 is all of them.
    #[serde(rename = "host_cpu_percent", skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Cores.
    #[serde(rename = "host_cpus", skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Memory.
    #[serde(rename = "host_mem_total_bytes", skip_serializing_if = "Option::is_none")]
    pub mem_total_bytes: Option<u64>,
    /// What of it programs can get without swapping.
    #[serde(rename = "host_mem_available_bytes", skip_serializing_if = "Option::is_none")]
    pub mem_available_bytes: Option<u64>,
    /// What is swapped out.
    #[serde(rename = "host_swap_used_bytes", skip_serializing_if = "Option::is_none")]
    pub swap_used_bytes: Option<u64>,
    /// Free for users, where the configuration file lies.
    #[serde(rename = "host_disk_free_bytes", skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<u64>,
    /// Percent of the last 10 s in which something waited for memory.
    #[serde(rename = "host_psi_mem_avg10", skip_serializing_if = "Option::is_none")]
    pub psi_mem_avg10: Option<f64>,
    /// A new one with each boot.
    #[serde(rename = "host_boot_id", skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// When it was booted, in seconds since 1970.
    #[serde(rename = "host_boot_at", skip_serializing_if = "Option::is_none")]
    pub boot_at: Option<f64>,
    /// Processes that the kernel has killed because memory ran out, since boot.
    #[serde(rename = "host_oom_kills", skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
    /// Whether the clock is kept by a time server.
    #[serde(rename = "host_clock_synced", skip_serializing_if = "Option::is_none")]
    pub clock_synced: Option<bool>,
    /// Resident memory of the launcher itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcsd_rss_bytes: Option<u64>,
    /// Figures that the launcher gave and that cannot be read, or that nothing can be.
    #[serde(skip_deserializing, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

impl HostFigures {
    /// From a reply, or from the metrics of a heartbeat.
    pub fn read(data: &Map<String, Value>) -> Self {
        let Partly { value: mut it, unread: mut bad } = read_reply::<Self>(data);
        for (field, most, name) in [
            (&mut it.cpu_percent, MAX_PERCENT, "host_cpu_percent"),
            (&mut it.load1, MAX_PERCENT, "host_load1"),
            (&mut it.psi_mem_avg10, MAX_PERCENT, "host_psi_mem_avg10"),
            (&mut it.boot_at, MAX_SECONDS, "host_boot_at"),
        ] {
            bound(field, (0.0, most), name, &mut bad);
        }
        for (field, name) in [
            (&mut it.mem_total_bytes, "host_mem_total_bytes"),
            (&mut it.mem_available_bytes, "host_mem_available_bytes"),
            (&mut it.swap_used_bytes, "host_swap_used_bytes"),
            (&mut it.disk_free_bytes, "host_disk_free_bytes"),
            (&mut it.tcsd_rss_bytes, "tcsd_rss_bytes"),
        ] {
            bound(field, (0, MAX_BYTES), name, &mut bad);
        }
        Self { unread: bad, ..it }
    }
}

/// What a run had used when it crashed: `resources` of a `crashed`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CrashFigures {
    /// Resident memory at the last sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// The most of the run, as sampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// Seconds from the last sample to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_age_s: Option<f64>,
    /// Processor time of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// Read from storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Written to storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
    /// File descriptors open at the last sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_fds: Option<u64>,
    /// Whether it was killed because memory ran out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom: Option<Oom>,
}

/// Killed because memory ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Oom {
    /// The kernel's log names one of its processes.
    Killed,
    /// The kernel killed something because memory ran out as it ended, and does not say what.
    Likely,
    /// A later launcher's word.
    #[serde(other)]
    Other,
}
