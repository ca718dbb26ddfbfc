//! Why a service is as it is, on one page (`docs/spec/history.md#why`): for `tcsctl why` and the
//! dashboard. Each line names where it is known from.

mod end;
mod json;
mod near;
mod next;
mod tried;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_alarms::Alarms;
use tcs_fleet::why::{
    Bearing, Nearby, Onset, OwnEvent, Pattern, Relation, Subject, Told, nearby, out_of_memory,
};
use tcs_fleet::{FleetView, LastEnd, Reason, ServiceView, Stamp, Verdict, format_duration};
use tcs_wire::Decoded;

use super::{Line, Role, Times, list, symbols, text};
pub use json::Document;

/// Cells before the text of a line below a title.
const INDENT: usize = 2;
/// Lines that one fact takes at most.
const MAX_WRAPPED: usize = 6;

/// What was read for one page.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// The service's own events of a week, in the order in which they were stored.
    pub own: Vec<(String, Decoded, Stamp)>,
    /// All that was stored around the onset and around the last end, in that order.
    pub around: Vec<(String, Decoded, Stamp)>,
    /// Alarms, where they could be read.
    pub alarms: Option<Alarms>,
    /// What could not be read, in words.
    pub problems: Vec<String>,
}

/// In the form that the model takes.
pub fn told(messages: &[(String, Decoded, Stamp)]) -> impl Iterator<Item = Told<'_>> + Clone {
    messages.iter().map(|(subject, decoded, stamp)| (&**subject, decoded, *stamp))
}

/// The facts of one page, before they are put into words.
#[derive(Debug)]
pub struct Answer<'a> {
    view: &'a FleetView,
    service: &'a ServiceView,
    alarms: Option<&'a Alarms>,
    problems: &'a [String],
    own: Vec<OwnEvent>,
    onset: Option<Onset>,
    end: Option<LastEnd>,
    /// Whether the host ran out of memory at the last end; `None`: not known.
    out_of_memory: Option<bool>,
    pattern: Pattern,
    near: Vec<Nearby>,
}

impl<'a> Answer<'a> {
    /// Of a service in a picture, with what was read for it.
    pub fn new(view: &'a FleetView, service: &'a ServiceView, read: &'a Material) -> Self {
        let own = OwnEvent::all(&service.id, told(&read.own));
        let onset = Onset::of(&Subject::of(view, service), &own);
        let near = onset.map(|onset| {
            let (from, until) = onset.window();
            let until = until.min(view.now);
            let inside = move |it: &Told<'_>| (from..=until).contains(&it.2.stored);
            nearby(view, service, onset, told(&read.around).filter(inside))
        });
        let end = view.last_end(service);
        let memory = end.as_ref().zip(service.host.as_deref());
        let memory = memory.and_then(|(end, host)| {
            let known = |it: &Told<'_>| it.2.stored <= view.now;
            out_of_memory(view, host, end.at, told(&read.around).filter(known))
        });
        Self {
            view,
            service,
            alarms: read.alarms.as_ref(),
            problems: &read.problems,
            pattern: Pattern::of(&own, view.now),
            own,
            onset,
            end,
            out_of_memory: memory,
            near: near.unwrap_or_default(),
        }
    }
}

/// The source of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// The kind of message, or `picture`, `rules`, `tcsctl` for what follows from it.
    pub kind: &'static str,
    /// Whose message it is; `None`: of many.
    pub id: Option<String>,
    /// When the event that it reports happened.
    pub at: Option<DateTime<Utc>>,
}

impl Source {
    fn new(kind: &'static str, id: Option<&str>, at: Option<DateTime<Utc>>) -> Self {
        Self { kind, id: id.map(str::to_owned), at }
    }
}

/// One line.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fact {
    /// Its text.
    pub line: Line,
    /// Where it is known from.
    pub source: Source,
    /// Of what happened nearby: what the service has to do with it.
    pub relation: Option<Relation>,
    /// Of what happened nearby: whether it is known to be the cause.
    pub bearing: Option<Bearing>,
    /// Of what to do next: what to type.
    pub command: Option<String>,
}

impl Fact {
    fn new(source: Source, line: Line) -> Self {
        Self { line, source, relation: None, bearing: None, command: None }
    }

    fn text(source: Source, text: &str) -> Self {
        Self::new(source, Line::new().with(Role::Text, text))
    }
}

/// Lines that belong together.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Section {
    /// As in `--json`.
    pub name: &'static str,
    /// For people; empty for the first.
    pub title: String,
    /// In the order of their weight.
    pub facts: Vec<Fact>,
}

/// All sections, in order; each has a line at least.
pub fn sections(answer: &Answer<'_>, times: Times) -> Vec<Section> {
    let section =
        |name, title: &str, facts: Vec<Fact>| Section { name, title: title.to_owned(), facts };
    let before = answer.onset.map_or_else(
        || "Before".to_owned(),
        |onset| format!("Within 60 s before {}", times.point(onset.at, answer.view.now)),
    );
    vec![
        section("verdict", "", verdict(answer, times)),
        section("last_end", "Last end", end::facts(answer, times)),
        section("pattern", "Pattern", end::pattern(answer)),
        section("before", &before, near::facts(answer)),
        section("tried", "Since then", tried::facts(answer, times)),
        section("next", "Next", next::facts(answer)),
    ]
}

/// The page, ready to be laid out.
#[derive(Debug, Clone)]
pub struct Page {
    id: String,
    verdict: Verdict,
    sections: Vec<Section>,
    problems: Vec<String>,
}

impl Page {
    /// Of one answer.
    pub fn new(answer: &Answer<'_>, times: Times) -> Self {
        Self {
            id: answer.service.id.to_string(),
            verdict: answer.service.verdict,
            sections: sections(answer, times),
            problems: answer.problems.to_vec(),
        }
    }

    /// In lines of so many cells; `None`: each as long as it is.
    pub fn lines(&self, width: Option<usize>) -> Vec<Line> {
        let mut lines = vec![self.head(width)];
        for section in &self.sections {
            if !section.title.is_empty() {
                lines.push(Line::new());
                lines.push(Line::new().with(Role::Title, &section.title));
            }
            for fact in &section.facts {
                let mut line = Line::new();
                line.pad_to(INDENT).extend(fact.line.clone());
                match width {
                    Some(width) => lines.extend(line.wrap(width, INDENT * 2, MAX_WRAPPED)),
                    None => lines.push(line),
                }
            }
        }
        for problem in &self.problems {
            lines.push(Line::new().with(Role::Warn, &format!("not read: {problem}")));
        }
        lines
    }

    /// Its sign and its name.
    fn head(&self, width: Option<usize>) -> Line {
        let id = text::shown(&self.id);
        let id = text::cut_middle(&id, width.map_or(usize::MAX, |width| width.saturating_sub(2)));
        let sign = symbols::symbol(self.verdict);
        Line::new().with(self.verdict.into(), &format!("{sign} ")).with(Role::Strong, &id)
    }
}

/// The verdict, and why, in the order of weight.
fn verdict(answer: &Answer<'_>, times: Times) -> Vec<Fact> {
    let (view, service) = (answer.view, answer.service);
    let mut line = list::verdict(service, usize::MAX);
    if let Some(since) = service.since {
        let lasted = format_duration((view.now - since).max(TimeDelta::zero()));
        let since = times.point(since, view.now);
        line.push(Role::Text, &format!(" for {lasted} (since {since})"));
    }
    let picture = Source::new("picture", Some(&service.id), service.since);
    let mut facts = vec![Fact::new(picture, line)];
    facts.extend(service.reasons.iter().enumerate().map(|(i, reason)| {
        let role = if i == 0 { service.verdict.into() } else { Role::Text };
        Fact::new(evidence(answer, reason), Line::new().with(role, &reason.to_string()))
    }));
    facts
}

/// The message on which a reason rests.
fn evidence(answer: &Answer<'_>, reason: &Reason) -> Source {
    let (service, now) = (answer.service, answer.view.now);
    let own = |kind, at| Source::new(kind, Some(&service.id), at);
    match reason {
        Reason::Reported { ago, .. } => own("status", Some(now - *ago)),
        Reason::HeartbeatLate(_) | Reason::HeartbeatLost(_) | Reason::LoopBlocked { .. } => {
            own("heartbeat", service.last_heartbeat)
        }
        Reason::Crashed { ago, .. }
        | Reason::Ended { ago, .. }
        | Reason::Planned { ago, .. }
        | Reason::GivenUp { ago, .. }
        | Reason::Flapping { ago, .. } => own("registry", Some(now - *ago)),
        Reason::LauncherLost(launcher) => Source::new("heartbeat", Some(launcher), None),
        Reason::LauncherShutdown { launcher, ago } => {
            Source::new("status", Some(launcher), Some(now - *ago))
        }
        Reason::WaitingFor { .. } | Reason::NotReady { .. } | Reason::Scheduled { .. } => {
            own("registry", None)
        }
        _ => own("picture", None),
    }
}
