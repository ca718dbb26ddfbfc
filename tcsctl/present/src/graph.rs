//! What is started after what: `tcsctl graph`, as text, for Mermaid, and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tcs_fleet::graph::{Graph, Start};
use tcs_fleet::{FleetView, Reason, ServiceView, format_duration};

use super::schema::VerdictWord;
use super::symbols::{self, RULE, TREE};
use super::{Line, Look, Role, text};

/// Levels drawn; deeper ones are counted.
const MAX_DEPTH: usize = 32;

/// A part of the order of starts.
#[derive(Debug)]
pub struct Shown<'a> {
    view: &'a FleetView,
    graph: &'a Graph,
    services: BTreeSet<usize>,
}

impl<'a> Shown<'a> {
    /// Those that are `wanted`, with all that they are started after, and all that is started after
    /// them.
    pub fn new(
        view: &'a FleetView,
        graph: &'a Graph,
        wanted: impl Fn(&ServiceView) -> bool,
    ) -> Self {
        let places = (0..view.services.len()).filter(|at| wanted(&view.services[*at]));
        let services = graph.around(&places.collect::<Vec<_>>());
        Self { view, graph, services }
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    fn before(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        self.graph.before(at).iter().copied().filter(|first| self.services.contains(first))
    }

    fn after(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        self.graph.after(at).iter().copied().filter(|later| self.services.contains(later))
    }

    /// A tree: what is indented is started after what it stands under. Below it, the chain of the
    /// last starts that took longest.
    pub fn lines(&self, look: &Look) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut seen = BTreeSet::new();
        let (roots, others): (Vec<usize>, Vec<usize>) =
            self.services.iter().copied().partition(|at| self.before(*at).next().is_none());
        // what is declared in a circle has no beginning
        for root in roots.into_iter().chain(others) {
            if !seen.contains(&root) {
                self.draw(root, &[], &mut seen, &mut lines);
            }
        }
        let chain = self.graph.critical_chain(self.view, &self.services);
        if chain.len() > 1 {
            lines.push(Line::new());
            lines.push(Line::new().with(Role::Title, "Critical chain of the last start"));
            lines.extend(chain.iter().map(|start| self.step(chain[0].started, start)));
        }
        match look.width {
            Some(width) => lines.into_iter().map(|line| line.cut(width)).collect(),
            None => lines,
        }
    }

    /// One service, and those that are started after it. One that stands above already is not
    /// followed again. `last`: of each level above, whether it is the last of its siblings.
    fn draw(&self, at: usize, last: &[bool], seen: &mut BTreeSet<usize>, lines: &mut Vec<Line>) {
        let is_first = seen.insert(at);
        let later: Vec<usize> = self.after(at).collect();
        let mut line = Line::new().with(Role::Border, &branch(last));
        line.extend(words(&self.view.services[at]));
        let follows = is_first && last.len() < MAX_DEPTH;
        if !follows && !later.is_empty() {
            let why = if is_first { "deeper levels are not shown" } else { "see above" };
            line.push(Role::Dim, &format!("  ({why})"));
        }
        lines.push(line);
        for (i, next) in later.iter().enumerate().filter(|_| follows) {
            let levels = [last, &[i + 1 == later.len()]].concat();
            self.draw(*next, &levels, seen, lines);
        }
    }

    /// `  +1.2 s  guider.main  ready after 0.4 s`
    fn step(&self, first: DateTime<Utc>, start: &Start) -> Line {
        let mut line = Line::new();
        let after = format!("  +{}", format_duration(start.started - first));
        line.push(Role::Dim, &after).pad_to(12).push(Role::Text, "  ");
        line.push(Role::Strong, &self.view.services[start.service].id);
        match start.took {
            Some(took) => {
                line.push(Role::Text, &format!("  ready after {}", format_duration(took)))
            }
            None => line.push(Role::Dim, "  started, not known when it was ready"),
        };
        line
    }

    /// For Mermaid, which draws it in documents.
    pub fn mermaid(&self) -> String {
        let mut out = "graph LR\n".to_owned();
        for at in &self.services {
            let service = &self.view.services[*at];
            let name = quoted(&service.id);
            let _ = writeln!(out, "  s{at}[\"{name}<br/>{}\"]", service.verdict);
        }
        for at in &self.services {
            for later in self.after(*at) {
                let _ = writeln!(out, "  s{at} --> s{later}");
            }
        }
        out
    }
}

/// What stands before a name in the tree.
fn branch(last: &[bool]) -> String {
    let Some((own, above)) = last.split_last() else { return String::new() };
    let [next, end, passes] = TREE;
    let mut out = String::new();
    for is_last in above {
        let _ = write!(out, "{}  ", if *is_last { " " } else { passes });
    }
    let _ = write!(out, "{}{RULE} ", if *own { end } else { next });
    out
}

/// A text in quotes in Mermaid: nothing in it ends them, or is markup.
fn quoted(name: &str) -> String {
    let mut out = String::new();
    for c in text::shown(name).chars() {
        match c {
            '"' | '<' | '>' | '&' | '#' | '`' | ';' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// `● guider.main  ok`, `◌ guider.main  starting, waiting for camera.main`
fn words(service: &ServiceView) -> Line {
    let sign = symbols::symbol(service.verdict);
    let mut line = Line::new().with(service.verdict.into(), &format!("{sign} "));
    line.push(Role::Strong, &service.id).push(Role::Text, "  ");
    line.push(service.verdict.into(), service.verdict.as_str());
    let waiting = waiting_for(service);
    if !waiting.is_empty() {
        line.push(Role::Moving, &format!(", waiting for {}", waiting.join(", ")));
    }
    line
}

fn waiting_for(service: &ServiceView) -> &[String] {
    let found = service.reasons.iter().find_map(|reason| match reason {
        Reason::WaitingFor { services, .. } => Some(&services[..]),
        _ => None,
    });
    found.unwrap_or_default()
}

/// As JSON: `tcsctl.graph.v1`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "graph",
    title = "What `tcsctl graph --format json` prints",
    description = "What is started after what, as launchers declare it. Times are RFC 3339 in UTC; durations are in \
        seconds. A later version of v1 only adds fields.",
    extend("$id" = "tcsctl.graph.v1")
)]
pub struct Document<'a> {
    #[schemars(extend("const" = "tcsctl.graph.v1"))]
    schema: &'static str,
    taken_at: DateTime<Utc>,
    services: Vec<Node<'a>>,
    /// The chain of the last starts that was ready last: each service waited for the one before it.
    critical_chain: Vec<&'a str>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Node<'a> {
    id: &'a str,
    #[schemars(with = "VerdictWord")]
    verdict: &'static str,
    /// Services that it is started after.
    after: Vec<&'a str>,
    /// Services that are started after it.
    before: Vec<&'a str>,
    /// Services for which its start waits now.
    waiting_for: &'a [String],
    /// When its present run was started.
    started_at: Option<DateTime<Utc>>,
    /// How long its start took until it was ready.
    startup_s: Option<f64>,
}

impl<'a> Document<'a> {
    /// Of what is shown.
    pub fn new(shown: &Shown<'a>) -> Self {
        let view = shown.view;
        let id = |at: usize| &*view.services[at].id;
        let node = |at: &usize| {
            let service = &view.services[*at];
            let start = Start::of(view, *at);
            Node {
                id: &service.id,
                verdict: service.verdict.as_str(),
                after: shown.before(*at).map(id).collect(),
                before: shown.after(*at).map(id).collect(),
                waiting_for: waiting_for(service),
                started_at: start.map(|start| start.started),
                startup_s: start.and_then(|it| it.took).map(TimeDelta::as_seconds_f64),
            }
        };
        let chain = shown.graph.critical_chain(view, &shown.services);
        Self {
            schema: "tcsctl.graph.v1",
            taken_at: view.now,
            services: shown.services.iter().map(node).collect(),
            critical_chain: chain.iter().map(|it| id(it.service)).collect(),
        }
    }
}
