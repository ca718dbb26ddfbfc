//! Two consoles say the same, whenever each began: of a service's random life one hears everything,
//! the other begins with what a snapshot holds. And what happened is told the same, however often
//! somebody looks.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{LAUNCHER, Line, array, at, beat, crashed, event, fold, say, stamp, status};
use crate::transitions::{Transition, Transitions};
use crate::{Fleet, Link, ServiceView};

const ID: &str = "a.b";

/// What happens next to a service.
#[derive(Debug, Clone, Copy)]
enum Step {
    Start,
    Crash,
    Stop,
    GiveUp,
    Says(&'static str),
    /// The last status is sent again.
    Again,
    /// Heartbeats for so many seconds.
    Beats(u8),
    /// Nothing for so many seconds.
    Silence(u8),
    Redeclared,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Start),
        2 => Just(Step::Crash),
        1 => Just(Step::Stop),
        1 => Just(Step::GiveUp),
        4 => prop::sample::select(vec!["ok", "busy", "idle", "warning", "error", "failed"])
            .prop_map(Step::Says),
        3 => Just(Step::Again),
        4 => (1..90_u8).prop_map(Step::Beats),
        2 => (1..200_u8).prop_map(Step::Silence),
        1 => Just(Step::Redeclared),
    ]
}

/// Sends what a launcher and its service send.
struct Life {
    /// They say how long, how often and how many; Python's do not.
    ours: bool,
    now: f64,
    /// When the process began; `None`: there is none.
    began: Option<f64>,
    pid: u32,
    reports: (&'static str, f64),
    crashes: Vec<f64>,
    lines: Vec<Line>,
}

impl Life {
    fn of(ours: bool, steps: &[Step]) -> (Vec<Line>, f64) {
        let mut life = Self {
            ours,
            now: 1.0,
            began: None,
            pid: 100,
            reports: ("ok", 1.0),
            crashes: Vec::new(),
            lines: Vec::new(),
        };
        life.registry(event("declared", ID, life.now));
        for step in steps {
            life.now += 0.1;
            life.step(*step);
        }
        (life.lines, life.now)
    }

    fn step(&mut self, step: Step) {
        match (step, self.began) {
            (Step::Start, None) => {
                if self.crashes.last().is_some() {
                    self.registry(event("restarting", ID, self.now));
                    self.now += 0.1;
                }
                self.pid += 1;
                self.began = Some(self.now);
                let counted = json!({"pid": self.pid, "recent_crashes": self.recent()});
                let line = event("start", ID, self.now);
                self.registry(if self.ours {
                    line.with(&counted)
                } else {
                    line.with(&json!({"pid": self.pid}))
                });
                self.says("startup");
                self.says("ok");
            }
            (Step::Crash, Some(_)) => {
                self.crashes.push(self.now);
                let line = crashed(ID, self.now, true);
                let counted = json!({"recent_crashes": self.recent()});
                self.registry(if self.ours { line.with(&counted) } else { line });
                self.began = None;
            }
            (Step::Stop, Some(_)) => {
                self.registry(event("stop", ID, self.now).with(&json!({"reason": "terminated"})));
                self.began = None;
            }
            (Step::GiveUp, None) if !self.crashes.is_empty() => {
                self.registry(event("failed", ID, self.now));
            }
            (Step::Says(word), Some(_)) => self.says(word),
            (Step::Again, Some(_)) => self.repeat(),
            (Step::Beats(seconds), Some(_)) => {
                for _ in 0..seconds.div_ceil(10) {
                    self.now += 10.0;
                    let line = beat(ID, self.now);
                    let told = json!({"interval_seconds": 10.0});
                    let line = if self.ours { line.with(&told) } else { line };
                    self.send(line, "service");
                }
            }
            (Step::Silence(seconds), _) => self.now += f64::from(seconds),
            (Step::Redeclared, _) => self.registry(event("declared", ID, self.now)),
            _ => {}
        }
    }

    fn recent(&self) -> usize {
        self.crashes.iter().filter(|at| self.now - **at < 600.0).count()
    }

    fn says(&mut self, word: &'static str) {
        if self.reports.0 != word || word == "startup" {
            self.reports = (word, self.now);
        }
        self.repeat();
    }

    fn repeat(&mut self) {
        self.now += 0.1;
        let line = status(ID, self.reports.0, self.now).with(&json!({"pid": self.pid}));
        let age = json!({"status_age_s": self.now - self.reports.1});
        self.send(if self.ours { line.with(&age) } else { line }, "service");
    }

    fn registry(&mut self, line: Line) {
        self.send(line.with(&json!({"launcher_run": "r"})), "launcher");
    }

    fn send(&mut self, line: Line, sender: &str) {
        let began = if sender == "launcher" { 0.0 } else { self.began.unwrap_or_default() };
        let sender = json!({"sender": format!("{sender}{}", self.pid)});
        let run = json!({"run_s": self.now - began, "ts": array(self.now)});
        let line = line.meta(&sender);
        self.lines.push(if self.ours { line.meta(&run) } else { line });
    }
}

/// What a console reads that begins now: of each subject the newest; of those who leave it untold the
/// crashes, the statuses before, and the last heartbeats.
fn snapshot(stored: &[Line], ours: bool) -> Vec<Line> {
    let Some(now) = stored.last().map(|line| line.stored) else { return Vec::new() };
    let mut held: std::collections::BTreeMap<&str, &Line> = std::collections::BTreeMap::new();
    for line in stored {
        held.insert(&line.subject, line);
    }
    let mut read: Vec<Line> = held.into_values().cloned().collect();
    let untold = |line: &&Line| {
        let back = now - line.stored;
        (line.subject.contains("crashed") && back < 600.0)
            || line.subject.contains(".status.")
            || (line.subject.contains("heartbeat") && back < 40.0)
    };
    read.extend(stored.iter().filter(|_| !ours).filter(untold).cloned());
    read
}

/// What people see of it.
fn seen(fleet: &Fleet, now: f64) -> Vec<String> {
    let view = fleet.view(at(now), Link::Steady);
    let one = |it: &ServiceView| {
        let since = it.since.map(|since| (since - at(0.0)).num_milliseconds() as f64 / 1000.0);
        let end = view.last_end(it).map(|end| (end.reason, end.exit_code));
        let rest = (it.liveness, it.status, &it.message, it.restarts, it.attempt, end);
        format!("{} since {since:?} {rest:?} {}", say(it), it.headline())
    };
    view.services.iter().filter(|it| &*it.id == ID).map(one).collect()
}

fn tell(told: &[Transition]) -> Vec<Value> {
    let one = |it: &Transition| {
        json!([
            it.at.to_string(),
            format!("{:?}", it.cause),
            format!("{:?}", it.before),
            it.verdict.as_str()
        ])
    };
    told.iter().map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn who_has_just_come_sees_what_others_see(
        ours in any::<bool>(), steps in prop::collection::vec(step(), 1..40),
        cut in any::<prop::sample::Index>(), later in 0..300_u16,
    ) {
        let (lines, end) = Life::of(ours, &steps);
        let cut = cut.index(lines.len()) + 1;
        let mut late = snapshot(&lines[..cut], ours);
        late.extend_from_slice(&lines[cut..]);
        let now = end + f64::from(later);
        prop_assert_eq!(seen(&fold(&late), now), seen(&fold(&lines), now));
        // and right when it has come
        let now = lines[cut - 1].stored + 0.05;
        let come = snapshot(&lines[..cut], ours);
        prop_assert_eq!(seen(&fold(&come), now), seen(&fold(&lines[..cut]), now));
    }

    #[test]
    fn what_happened_is_told_the_same_however_often_somebody_looks(
        ours in any::<bool>(), steps in prop::collection::vec(step(), 1..40),
        looks in prop::collection::vec(0.0..1.0_f64, 0..40),
    ) {
        let (lines, end) = Life::of(ours, &steps);
        let end = end + 400.0;
        let mut looks: Vec<f64> = looks.into_iter().map(|part| part * end).collect();
        looks.sort_by(f64::total_cmp);
        let story = |looks: &[f64]| {
            let (mut fleet, mut transitions) = (Fleet::new(), Transitions::default());
            let (mut told, mut looks) = (Vec::new(), looks.iter().copied().peekable());
            for line in &lines {
                while let Some(look) = looks.next_if(|look| *look < line.stored) {
                    told.extend(transitions.advance(&fleet, at(look), Link::Steady));
                }
                let (decoded, stamp) = (line.decoded(), stamp(line));
                told.extend(transitions.take(&mut fleet, &line.subject, &decoded, stamp, Link::Steady));
            }
            told.extend(transitions.advance(&fleet, at(end), Link::Steady));
            told.sort_by_key(|it| it.at);
            tell(&told)
        };
        prop_assert_eq!(story(&looks), story(&[]));
    }
}

#[test]
fn a_life_is_one_of_a_launchers_service() {
    let steps = [Step::Start, Step::Beats(30), Step::Crash, Step::Start, Step::Says("error")];
    let (lines, end) = Life::of(true, &steps);
    assert!(lines.iter().any(|line| line.data["parent"] == LAUNCHER));
    assert!(
        seen(&fold(&lines), end)[0].starts_with("error running [reported"),
        "{:?}",
        seen(&fold(&lines), end)
    );
}
