//! What services and hosts use: `tcsctl top`, as lines and as JSON.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tcs_fleet::{FleetView, format_duration};
use tcs_wire::Timestamp;
use tcs_wire::control::{CrashFigures, HostFigures, Oom, Partly, ResourcesReply, ServiceFigures};

use super::list::short_name;
use super::table::{Column, Shorten, lay_out};
use super::{Line, Look, Role, text};

/// What one launcher has answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The launcher's monitored name.
    pub launcher: String,
    /// Its host, as the picture knows it.
    pub host: String,
    /// Its figures.
    pub reply: ResourcesReply,
    /// What beside them cannot be read.
    unread: Vec<String>,
}

impl Answer {
    /// From the data of a launcher's reply.
    pub fn new(launcher: String, host: String, data: &Map<String, Value>) -> Self {
        let Partly { value: reply, unread } = ResourcesReply::read(data);
        Self { launcher, host, reply, unread }
    }

    /// Drops the figures of services that another launcher runs: nobody can speak for them.
    pub fn keep_own(&mut self, view: &FleetView) {
        let is_own = |id: &str| {
            let service = view.get(id);
            let launcher = service
                .and_then(|it| if it.is_launcher { Some(&it.id) } else { it.parent.as_ref() });
            launcher.is_none_or(|launcher| **launcher == *self.launcher)
        };
        retain(&mut self.reply, is_own);
    }

    /// Drops the figures of other services; whether any are left.
    pub fn keep(&mut self, is_wanted: impl Fn(&str) -> bool) -> bool {
        retain(&mut self.reply, is_wanted);
        !self.reply.services.is_empty() || !self.reply.not_running.is_empty()
    }

    /// What of it cannot be read: `host_load1, guider.jk15 cpu_percent and 3 more`.
    pub fn unread(&self) -> Option<String> {
        let of_host = self.unread.iter().chain(&self.reply.host.unread).cloned();
        let of_services = self.reply.services.iter().flat_map(|service| {
            let id = short_name(&text::shown(&service.service_id), LEAST_NAME);
            service.unread.iter().map(move |name| format!("{id} {name}"))
        });
        let mut all = of_host.chain(of_services);
        let shown: Vec<String> = all.by_ref().take(SHOWN).collect();
        let more = all.count();
        let shown = tcs_wire::text::one_line(&shown.join(", "));
        match (shown.is_empty(), more) {
            (true, _) => None,
            (false, 0) => Some(shown),
            (false, more) => Some(format!("{shown} and {more} more")),
        }
    }
}

fn retain(reply: &mut ResourcesReply, is_wanted: impl Fn(&str) -> bool) {
    for services in [&mut reply.services, &mut reply.not_running] {
        services.retain(|it| is_wanted(&it.service_id));
    }
}

/// How many of the figures that cannot be read are named.
const SHOWN: usize = 3;

/// By what the services are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Most processor time first.
    #[default]
    Cpu,
    /// Most memory first.
    Memory,
    /// By name.
    Name,
}

/// What can be left out, the highest first. The last column is never.
const COLUMNS: [Column; 9] = [
    Column { dispensable: 0 }, // name
    Column { dispensable: 0 }, // cpu
    Column { dispensable: 0 }, // memory
    Column { dispensable: 2 }, // peak
    Column { dispensable: 4 }, // processes
    Column { dispensable: 5 }, // threads
    Column { dispensable: 3 }, // descriptors
    Column { dispensable: 7 }, // read
    Column { dispensable: 6 }, // written
];
const TITLES: [&str; 10] =
    ["SERVICE", "CPU", "MEMORY", "PEAK", "PROC", "THR", "FDS", "READ", "WRITTEN", "HOST"];
/// Cells of a service's name that tell it from others.
const LEAST_NAME: usize = 24;
/// From this share of the processors, or of the allowed descriptors, on, a figure is coloured.
pub(crate) const MUCH: f64 = 0.9;

/// The services of all launchers, each with its launcher's answer, in order.
fn services(answers: &[Answer], order: Order) -> Vec<(&ServiceFigures, &Answer)> {
    let each = |answer: &'_ Answer| answer.reply.services.len();
    let mut services = Vec::with_capacity(answers.iter().map(each).sum());
    for answer in answers {
        services.extend(answer.reply.services.iter().map(|service| (service, answer)));
    }
    let name = |it: &(&ServiceFigures, &Answer)| it.0.service_id.clone();
    services.sort_by_key(name);
    match order {
        Order::Name => {}
        Order::Memory => services.sort_by_key(|(it, _)| std::cmp::Reverse(it.rss_bytes)),
        Order::Cpu => services.sort_by(|(one, _), (other, _)| {
            let cpu = |it: &ServiceFigures| it.cpu_percent.unwrap_or(-1.0);
            cpu(other).total_cmp(&cpu(one))
        }),
    }
    services
}

/// A line for each host, then one for each service.
pub fn lines(answers: &[Answer], order: Order, now: DateTime<Utc>, look: &Look) -> Vec<Line> {
    let mut lines: Vec<Line> = answers.iter().map(|answer| host(answer, now, look)).collect();
    let services = services(answers, order);
    if services.is_empty() {
        return lines;
    }
    lines.push(Line::new());
    let name = |i: usize, room: usize| match i.checked_sub(1).and_then(|i| services.get(i)) {
        Some((service, _)) => {
            Line::new().with(Role::Text, &short_name(&text::shown(&service.service_id), room))
        }
        None => Line::new().with(Role::Title, TITLES[0]),
    };
    let last = |i: usize, room: usize| match i.checked_sub(1).and_then(|i| services.get(i)) {
        Some((service, answer)) => remarks(service, answer).cut(room),
        None => Line::new().with(Role::Title, TITLES[9]),
    };
    let mut rows = vec![TITLES.map(|title| Line::new().with(Role::Title, title)).to_vec()];
    for i in 1..=services.len() {
        rows.push(row(name(i, usize::MAX), services[i - 1].0, last(i, usize::MAX)));
    }
    for column in 1..COLUMNS.len() {
        align_right(&mut rows, column);
    }
    let widest = (1..=services.len()).map(|i| name(i, usize::MAX).width()).max();
    let first_to = widest.unwrap_or_default().min(LEAST_NAME);
    lines.extend(lay_out(rows, &COLUMNS, look.width, &Shorten { first: name, first_to, last }));
    lines
}

/// Numbers line up at their ends.
fn align_right(rows: &mut [Vec<Line>], column: usize) {
    let width = rows.iter().map(|row| row[column].width()).max().unwrap_or_default();
    for row in rows {
        let cell = std::mem::take(&mut row[column]);
        let blanks = " ".repeat(width - cell.width());
        let mut aligned = Line::new().with(Role::Text, &blanks);
        aligned.extend(cell);
        row[column] = aligned;
    }
}

fn row(name: Line, service: &ServiceFigures, last: Line) -> Vec<Line> {
    let plain = |text: String| Line::new().with(Role::Text, &text);
    let dim = |text: String| Line::new().with(Role::Dim, &text);
    let unknown = |name: &str| missing(&service.unread, name);
    let of_bytes = |it: Option<u64>, name| it.map_or_else(|| unknown(name), bytes);
    let number = |it: Option<u64>, name| it.map_or_else(|| unknown(name), |it| it.to_string());
    let is_full = service
        .open_fds
        .zip(service.fd_limit)
        .is_some_and(|(open, limit)| open as f64 >= MUCH * limit as f64);
    let fds = if is_full { Role::Warn } else { Role::Text };
    vec![
        name,
        plain(service.cpu_percent.map_or_else(|| unknown("cpu_percent"), percent)),
        plain(of_bytes(service.rss_bytes, "rss_bytes")),
        dim(of_bytes(service.peak_rss_bytes, "peak_rss_bytes")),
        dim(number(service.processes.map(u64::from), "processes")),
        dim(number(service.threads.map(u64::from), "threads")),
        Line::new().with(fds, &number(service.open_fds, "open_fds")),
        dim(of_bytes(service.read_bytes, "read_bytes")),
        dim(of_bytes(service.written_bytes, "written_bytes")),
        last,
    ]
}

/// The host, and what the figures leave out.
fn remarks(service: &ServiceFigures, answer: &Answer) -> Line {
    let mut line = Line::new().with(Role::Dim, &text::shown(&answer.host));
    if let Some(busy) = service.busy_seconds {
        let text = format!("  task of the launcher, busy {busy:.1} s");
        line.push(Role::Dim, &text);
    }
    if service.partial {
        line.push(Role::Warn, "  partial: processes of another user");
    }
    line
}

/// `srv01   cpu 12.5 % of 2   load 0.61   memory 3.1 of 23.5 GB   disk 40.1 GB free   up 6 h 11 min`
fn host(answer: &Answer, now: DateTime<Utc>, look: &Look) -> Line {
    let HostFigures { cpu_percent, cpus, .. } = &answer.reply.host;
    let host = &answer.reply.host;
    let mut parts = Vec::new();
    if let Some((used, cpus)) = cpu_percent.zip(*cpus) {
        let role = if used >= MUCH * 100.0 { Role::Warn } else { Role::Text };
        let plural = if cpus == 1 { "core" } else { "cores" };
        parts.push((role, format!("cpu {} of {cpus} {plural}", percent(used))));
    }
    parts.extend(load(host));
    parts.extend(memory(host));
    if let Some(swap) = host.swap_used_bytes.filter(|it| *it > 0) {
        parts.push((Role::Text, format!("swap {}", bytes(swap))));
    }
    if let Some(waits) = host.psi_mem_avg10.filter(|it| *it >= 1.0) {
        parts.push((Role::Warn, format!("memory pressure {}", percent(waits))));
    }
    if let Some(free) = host.disk_free_bytes {
        parts.push((Role::Text, format!("disk {} free", bytes(free))));
    }
    let booted = host.boot_at.and_then(|at| DateTime::from_timestamp(at as i64, 0));
    if let Some(booted) = booted.filter(|booted| *booted <= now) {
        parts.push((Role::Dim, format!("up {}", format_duration(now - booted))));
    }
    if host.clock_synced == Some(false) {
        parts.push((Role::Warn, "clock not synchronized".to_owned()));
    }
    let is_unread = |names: &[&str]| host.unread.iter().any(|it| names.contains(&&**it));
    let doubtful = UNREAD.iter().filter(|(names, _)| is_unread(names));
    parts.extend(doubtful.map(|(_, what)| (Role::Warn, format!("{what} ?"))));
    let mut line = Line::new().with(Role::Strong, &text::shown(&answer.host));
    for (role, part) in parts {
        line.push(Role::Text, "   ");
        line.push(role, &part);
    }
    match look.width {
        Some(width) => line.cut(width),
        None => line,
    }
}

/// `load 0.61`
pub(crate) fn load(host: &HostFigures) -> Option<(Role, String)> {
    Some((Role::Text, format!("load {:.2}", host.load1?)))
}

/// `memory 3.1 GB of 24 GB`
pub(crate) fn memory(host: &HostFigures) -> Option<(Role, String)> {
    used_memory(host).map(|(role, used)| (role, format!("memory {used}")))
}

/// `3.1 GB of 24 GB`
pub(crate) fn used_memory(host: &HostFigures) -> Option<(Role, String)> {
    let (all, left) = host.mem_total_bytes.zip(host.mem_available_bytes)?;
    let used = all.saturating_sub(left);
    let role = if used as f64 >= MUCH * all as f64 { Role::Warn } else { Role::Text };
    Some((role, format!("{} of {}", bytes(used), bytes(all))))
}

/// The figures of a host, and what is said to be unknown without them.
const UNREAD: [(&[&str], &str); 6] = [
    (&["host_cpu_percent", "host_cpus"], "cpu"),
    (&["host_load1"], "load"),
    (&["host_mem_total_bytes", "host_mem_available_bytes", "host_psi_mem_avg10"], "memory"),
    (&["host_swap_used_bytes"], "swap"),
    (&["host_disk_free_bytes"], "disk"),
    (&["host_boot_at"], "up"),
];

/// What stands for a figure: `-` where there is none, `?` where it cannot be read.
pub(crate) fn missing(unread: &[String], name: &str) -> String {
    if unread.iter().any(|it| it == name) { "?" } else { "-" }.to_owned()
}

/// `12.5 %`
pub(crate) fn percent(value: f64) -> String {
    format!("{value:.1} %")
}

/// `48 MB`, `3.8 GB`: in powers of 1000.
pub fn bytes(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 || value >= 9.95 {
        format!("{value:.0} {}", units[unit])
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// What a run had used when it crashed: `used 12.5 s of CPU, peak 3.8 GB; killed by the kernel: out of memory`.
/// `None`: nothing of it is known.
pub fn of_crash(figures: &CrashFigures) -> Option<String> {
    let cpu = figures.cpu_seconds.map(|seconds| format!("{seconds:.1} s of CPU"));
    let peak = figures.peak_rss_bytes.map(|peak| format!("peak memory {}", bytes(peak)));
    let used: Vec<String> = [cpu, peak].into_iter().flatten().collect();
    let oom = match figures.oom {
        Some(Oom::Killed) => Some("killed by the kernel: out of memory"),
        Some(Oom::Likely) => Some("probably killed by the kernel: out of memory"),
        Some(Oom::Other) | None => None,
    };
    let used = (!used.is_empty()).then(|| used.join(", "));
    match (used, oom) {
        (Some(used), Some(oom)) => Some(format!("{used}; {oom}")),
        (used, oom) => used.or_else(|| oom.map(str::to_owned)),
    }
}

/// As JSON: `tcsctl.resources.v1`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "resources",
    title = "What `tcsctl top --json` prints; with `-f` one per line",
    description = "What services and their hosts use, as reported by their launchers. Times are \
                   RFC 3339 in UTC; \
        100 percent is one core. What could not be read is absent, never 0. A later version of v1 only adds fields.",
    extend("$id" = "tcsctl.resources.v1")
)]
pub struct Document<'a> {
    #[schemars(extend("const" = "tcsctl.resources.v1"))]
    schema: &'static str,
    taken_at: DateTime<Utc>,
    /// One for each launcher that answered.
    hosts: Vec<HostEntry<'a>>,
    /// Those that run, in the order that was asked for.
    services: Vec<Service<'a>>,
    /// Those that have run and do not now: what was counted of them.
    not_running: Vec<Service<'a>>,
    /// Launchers that gave no answer.
    problems: Vec<Problem<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Host")]
struct HostEntry<'a> {
    host: &'a str,
    /// Monitored name of the launcher that tells it.
    launcher: &'a str,
    /// When the figures were read, by the launcher's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    sampled_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    figures: &'a HostFigures,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Service<'a> {
    host: &'a str,
    /// Monitored name of its launcher.
    launcher: &'a str,
    /// When this run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<DateTime<Utc>>,
    // as on the wire, but for times
    #[serde(flatten)]
    figures: ServiceFigures,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Problem<'a> {
    launcher: &'a str,
    error: &'a str,
}

fn time(time: Option<Timestamp>) -> Option<DateTime<Utc>> {
    time.map(Timestamp::time)
}

impl<'a> Document<'a> {
    /// `problems`: launchers that gave no answer, and why.
    pub fn new(
        answers: &'a [Answer],
        problems: &'a [(String, String)],
        order: Order,
        now: DateTime<Utc>,
    ) -> Self {
        let host = |answer: &'a Answer| HostEntry {
            host: &answer.host,
            launcher: &answer.launcher,
            sampled_at: time(answer.reply.sampled_at),
            figures: &answer.reply.host,
        };
        let service = |(figures, answer): (&'a ServiceFigures, &'a Answer)| Service {
            host: &answer.host,
            launcher: &answer.launcher,
            started_at: time(figures.started_at),
            figures: ServiceFigures { started_at: None, ..figures.clone() },
        };
        Self {
            schema: "tcsctl.resources.v1",
            taken_at: now,
            hosts: answers.iter().map(host).collect(),
            services: services(answers, order).into_iter().map(service).collect(),
            not_running: answers
                .iter()
                .flat_map(|answer| answer.reply.not_running.iter().map(move |it| (it, answer)))
                .map(service)
                .collect(),
            problems: problems
                .iter()
                .map(|(launcher, error)| Problem { launcher, error })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Times;

    #[test]
    fn absurd_and_wrong_figures_are_question_marks_and_not_wide() {
        let reply = json!({
            "host": {"host_cpus": 1e308, "host_cpu_percent": 5, "host_load1": -1, "host_boot_at": 1e300},
            "services": [
                {"service_id": "a.b", "cpu_percent": 1e308, "rss_bytes": "much", "open_fds": 1e300,
                 "read_bytes": -1, "busy_seconds": 1e308},
            ],
        });
        let Value::Object(reply) = reply else { unreachable!() };
        let answer = Answer::new("launcher.x".to_owned(), "srv01".to_owned(), &reply);
        let look = Look { width: None, times: Times::Utc };
        let unread = answer.unread();
        let lines = lines(&[answer], Order::Cpu, DateTime::UNIX_EPOCH, &look);
        let lines: Vec<_> = lines.iter().map(Line::plain).collect();
        assert_eq!(lines[0], "srv01   cpu ?   load ?   up ?");
        let cells: Vec<_> = lines.last().unwrap().split_whitespace().collect();
        assert_eq!(cells, ["a.b", "?", "?", "-", "-", "-", "?", "?", "-", "srv01"]);
        let told = "host_cpus, host_load1, host_boot_at and 5 more";
        assert_eq!(unread.as_deref(), Some(told));
    }

    #[test]
    fn enormous_names_are_cut_and_no_services() {
        let name = |length: usize| format!("a.{}", "x".repeat(length));
        let reply = json!({"services": [
            {"service_id": name(2000), "cpu_percent": "much"},
            {"service_id": name(100_000), "cpu_percent": 1},
            {"service_id": ""},
        ]});
        let Value::Object(reply) = reply else { unreachable!() };
        let answer = Answer::new("launcher.x".to_owned(), "srv01".to_owned(), &reply);
        assert_eq!(answer.reply.services.len(), 1);
        let unread = answer.unread().unwrap();
        assert!(unread.len() < 100 && unread.contains("services[1]"), "{unread}");
        let look = Look { width: Some(80), times: Times::Utc };
        for line in lines(&[answer], Order::Cpu, DateTime::UNIX_EPOCH, &look) {
            assert!(line.width() <= 80, "{}", line.plain());
        }
    }

    #[test]
    fn bytes_have_two_or_three_digits_and_a_unit() {
        let table = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (9_940, "9.9 kB"),
            (9_960, "10 kB"),
            (48_300_000, "48 MB"),
            (999_600_000, "1.0 GB"),
            (3_800_000_000, "3.8 GB"),
            (u64::MAX, "18447 PB"),
        ];
        for (value, text) in table {
            assert_eq!(bytes(value), text);
        }
    }
}
