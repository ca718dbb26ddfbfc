//! Resource usage of services, as last reported by their launchers: columns, and curves of the last
//! minutes.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use tcs_fleet::{FleetView, ServiceView};
use tcs_wire::control::{PastFigures, ServiceFigures};
use tcs_wire::how_ended;

use super::top::{self, Answer, MUCH, bytes, percent};
use super::{Line, Role, symbols};

/// Maximum number of samples in a curve: as many as a launcher keeps.
const SAMPLES: usize = 60;
/// Minimum width of a curve, in cells.
const LEAST_CURVE: usize = 8;
/// Before a curve.
const LABEL: usize = 5;
/// After it.
const GAP: usize = 2;

/// How the last process of a service ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exit {
    code: Option<i32>,
    text: String,
    is_crash: bool,
}

/// The figures of services, by id; of those that a launcher has told.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    figures: HashMap<String, ServiceFigures>,
    exits: HashMap<Arc<str>, Exit>,
}

impl Usage {
    /// Replaces all figures by those of new answers.
    pub fn take(&mut self, answers: Vec<Answer>) {
        let services = answers.into_iter().flat_map(|answer| answer.reply.services);
        self.figures = services.map(|it| (it.service_id.clone(), it)).collect();
    }

    /// Drops all figures: they do not belong to the time shown.
    pub fn clear(&mut self) {
        self.figures.clear();
    }

    /// Looks up how the last process of each service has ended.
    pub fn find_exits(&mut self, view: &FleetView) {
        let exit = |service: &ServiceView| {
            let end = view.last_end(service)?;
            let text = end.signal.clone().or_else(|| match end.exit_code {
                Some(code @ 0..) => Some(code.to_string()),
                code => code.map(how_ended),
            });
            let is_crash = end.reason == "crashed";
            let exit = Exit { code: end.exit_code, text: text?, is_crash };
            Some((Arc::clone(&service.id), exit))
        };
        self.exits = view.services.iter().filter_map(exit).collect();
    }

    fn of(&self, service: &ServiceView) -> Option<&ServiceFigures> {
        self.figures.get(&*service.id)
    }

    /// Processor time: `12.5 %`, of one core.
    pub(crate) fn cpu(&self, service: &ServiceView) -> Line {
        self.cell(service, "cpu_percent", |it| it.cpu_percent.map(percent))
    }

    /// Resident memory: `48 MB`.
    pub(crate) fn memory(&self, service: &ServiceView) -> Line {
        self.cell(service, "rss_bytes", |it| it.rss_bytes.map(bytes))
    }

    /// Threads.
    pub(crate) fn threads(&self, service: &ServiceView) -> Line {
        self.cell(service, "threads", |it| it.threads.map(|n| n.to_string()))
    }

    /// Open descriptors; nearly all that it may have are worth a colour.
    pub(crate) fn descriptors(&self, service: &ServiceView) -> Line {
        let line = self.cell(service, "open_fds", |it| it.open_fds.map(|n| n.to_string()));
        let limits = self.of(service).and_then(|it| it.open_fds.zip(it.fd_limit));
        let is_full = limits.is_some_and(|(open, limit)| open as f64 >= MUCH * limit as f64);
        if is_full { Line::new().with(Role::Warn, &line.plain()) } else { line }
    }

    /// How its last process ended: `0`, `3`, `SIGSEGV`.
    pub(crate) fn exit(&self, service: &ServiceView) -> Line {
        let Some(exit) = self.exits.get(&service.id) else { return Line::new() };
        let role = if exit.is_crash { Role::Warn } else { Role::Dim };
        Line::new().with(role, &exit.text)
    }

    fn cell(
        &self,
        service: &ServiceView,
        name: &str,
        figure: impl Fn(&ServiceFigures) -> Option<String>,
    ) -> Line {
        let Some(figures) = self.of(service) else { return Line::new() };
        match figure(figures) {
            Some(text) => Line::new().with(Role::Text, &text),
            None => Line::new().with(Role::Dim, &top::missing(&figures.unread, name)),
        }
    }

    pub(crate) fn by_cpu(&self, a: &ServiceView, b: &ServiceView) -> Ordering {
        let cpu = |it: &ServiceView| self.of(it).and_then(|it| it.cpu_percent).unwrap_or(-1.0);
        cpu(b).total_cmp(&cpu(a))
    }

    pub(crate) fn by_memory(&self, a: &ServiceView, b: &ServiceView) -> Ordering {
        self.most_first(a, b, |it| it.rss_bytes)
    }

    pub(crate) fn by_descriptors(&self, a: &ServiceView, b: &ServiceView) -> Ordering {
        self.most_first(a, b, |it| it.open_fds)
    }

    pub(crate) fn by_threads(&self, a: &ServiceView, b: &ServiceView) -> Ordering {
        self.most_first(a, b, |it| it.threads.map(u64::from))
    }

    /// Crashes first, then by code.
    pub(crate) fn by_exit(&self, a: &ServiceView, b: &ServiceView) -> Ordering {
        let key = |it: &ServiceView| {
            self.exits.get(&it.id).map(|exit| (exit.is_crash, exit.code.map(i32::unsigned_abs)))
        };
        key(b).cmp(&key(a))
    }

    fn most_first(
        &self,
        a: &ServiceView,
        b: &ServiceView,
        figure: impl Fn(&ServiceFigures) -> Option<u64>,
    ) -> Ordering {
        let figure = |it: &ServiceView| self.of(it).and_then(&figure);
        figure(b).cmp(&figure(a))
    }
}

/// Processor time and memory of the last minutes, a line each of at most `width` cells: the curve,
/// the newest figure, and between which it was.
pub fn curves(figures: &ServiceFigures, width: usize) -> Vec<Line> {
    let samples = |of: &dyn Fn(&PastFigures) -> Option<f64>| {
        let mut all: Vec<f64> = figures.history.iter().filter_map(of).collect();
        all.split_off(all.len().saturating_sub(SAMPLES))
    };
    let cpu = samples(&|it| it.cpu_percent);
    let memory = samples(&|it| it.rss_bytes.map(|it| it as f64));
    let of_bytes = |value: f64| bytes(value as u64);
    let told: Vec<_> = [
        Curve::new("CPU", cpu, figures.cpu_percent, &percent),
        Curve::new("MEM", memory, figures.rss_bytes.map(|it| it as f64), &of_bytes),
    ]
    .into_iter()
    .flatten()
    .collect();
    // one below the other they have one width
    let figures = told.iter().map(|curve| curve.figures.width()).max().unwrap_or_default();
    let room = width.saturating_sub(LABEL + GAP + figures);
    told.into_iter().map(|curve| curve.line(room).cut(width)).collect()
}

/// One figure over the last minutes.
struct Curve {
    label: &'static str,
    /// Oldest first.
    samples: Vec<f64>,
    /// The newest, and the range.
    figures: Line,
}

impl Curve {
    /// `None`: nothing is known of it.
    fn new(
        label: &'static str,
        mut samples: Vec<f64>,
        now: Option<f64>,
        written: &dyn Fn(f64) -> String,
    ) -> Option<Self> {
        if samples.is_empty() {
            samples.extend(now);
        }
        let (least, most) = range(&samples);
        let mut figures = Line::new().with(Role::Strong, &written(*samples.last()?));
        if samples.len() > 1 {
            let range = format!(" ({} to {})", written(least), written(most));
            figures.push(Role::Dim, &range);
        }
        Some(Self { label, samples, figures })
    }

    fn line(self, room: usize) -> Line {
        let mut line = Line::new().with(Role::Dim, self.label);
        line.pad_to(LABEL);
        if room >= LEAST_CURVE && self.samples.len() > 1 {
            line.push(Role::Good, &strip(&self.samples, room)).push(Role::Text, &" ".repeat(GAP));
        }
        line.extend(self.figures);
        line
    }
}

fn range(values: &[f64]) -> (f64, f64) {
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    values.iter().fold(ends, |(least, most), value| (least.min(*value), most.max(*value)))
}

/// All values in at most `room` signs, from the lowest to the highest; of several that share a sign
/// the highest.
fn strip(values: &[f64], room: usize) -> String {
    let (least, most) = range(values);
    let span = most - least;
    let cells = room.min(values.len());
    let height = |cell: usize| {
        let share = &values[cell * values.len() / cells..(cell + 1) * values.len() / cells];
        let height = if span > 0.0 { (range(share).1 - least) / span * 7.0 } else { 0.0 };
        symbols::HEIGHTS[(height.round() as usize).min(7)]
    };
    (0..cells).map(height).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(history: &[(f64, u64)]) -> ServiceFigures {
        let past = |(cpu, rss): &(f64, u64)| PastFigures {
            cpu_percent: Some(*cpu),
            rss_bytes: Some(*rss),
            ..PastFigures::default()
        };
        let history = history.iter().map(past).collect();
        ServiceFigures { history, ..ServiceFigures::default() }
    }

    #[test]
    fn a_curve_has_the_newest_figure_and_its_range() {
        let rising: Vec<_> = (0..8)
            .map(|i| (f64::from(i) * 10.0, 40_000_000 + u64::from(i as u32) * 1_000_000))
            .collect();
        let lines: Vec<_> = curves(&figures(&rising), 60).iter().map(Line::plain).collect();
        assert_eq!(lines[0], "CPU  ▁▂▃▄▅▆▇█  70.0 % (0.0 % to 70.0 %)");
        assert_eq!(lines[1], "MEM  ▁▂▃▄▅▆▇█  47 MB (40 MB to 47 MB)");
        for width in 0..60 {
            let all = curves(&figures(&rising), width);
            assert!(all.iter().all(|line| line.width() <= width), "{width}");
        }
        // all of it, also in few cells
        let long: Vec<_> = (0..60).map(|i| (1.0, if i == 3 { 2 } else { 1 } * 1_000_000)).collect();
        let lines = curves(&figures(&long), 40);
        assert!(lines[1].plain().starts_with("MEM  █▁▁▁"), "{}", lines[1].plain());
        let steady: Vec<_> = (0..80).map(|_| (1.0, 1_000_000)).collect();
        let lines = curves(&figures(&steady), 200);
        assert_eq!(lines[1].plain().matches('▁').count(), SAMPLES);
        assert!(
            curves(&ServiceFigures::default(), 60).is_empty(),
            "what is not known is not drawn"
        );
    }
}
