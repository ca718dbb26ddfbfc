//! Moving launchers to another profile: which there are, what would change, and the question.

use std::collections::BTreeMap;
use std::sync::Arc;

use tcs_core::fleet::{ServiceView, Verdict};
use tcs_core::wire::control::ReloadReply;
use tcs_present::{Line, Role, text};

use super::State;
use super::act::{BUSY, WIDTHS};
use super::batch::Batch;
use super::overlay::{Overlay, Purpose, Question};
use super::palette::with_argument;
use crate::dashboard::event::{Action, Operation, Parameters, ProfilePlan, ProfilesRead, Request};
use crate::dashboard::keymap::{Argument, Command};
use crate::output::reply::reload;
use crate::profile::stops_first;

/// Typed in place of a name, as on the command line: to leave the profile.
const CLEAR: &str = "--clear";

/// The profiles that launchers have, as far as they were asked.
#[derive(Debug, Clone, Default)]
pub struct ProfileBook {
    is_asked: bool,
    /// Enter was pressed before they answered.
    is_entered: bool,
    read: Option<ProfilesRead>,
}

impl ProfileBook {
    /// Forgets the profiles: launchers are asked again when they are needed next.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether what is typed waits for them.
    pub(super) const fn is_awaited(&self) -> bool {
        self.is_entered
    }

    /// Each name, with what there is to know of it.
    pub(super) fn offered(&self) -> Vec<(Arc<str>, String)> {
        #[derive(Default)]
        struct Known {
            services: usize,
            launchers: usize,
            current: usize,
        }
        let mut known: BTreeMap<&str, Known> = BTreeMap::new();
        let mut is_any_current = false;
        let answers = self.read.iter().flatten().filter_map(|(_, it)| it.as_ref().ok());
        for answer in answers {
            is_any_current |= answer.current.is_some();
            for (name, services) in &answer.profiles {
                let known = known.entry(name).or_default();
                known.services += services.len();
                known.launchers += 1;
                known.current += usize::from(answer.current.as_ref() == Some(name));
            }
        }
        let told = |(name, known): (&str, Known)| {
            let services = text::count(known.services, "service");
            let launchers = text::count(known.launchers, "launcher");
            let current = match known.current {
                0 => String::new(),
                all if all == known.launchers => ", current".to_owned(),
                some => format!(", current on {some}"),
            };
            (Arc::from(name), format!("{services} on {launchers}{current}"))
        };
        let clear = is_any_current.then(|| {
            (Arc::from(CLEAR), "leave the profile: what the services file says".to_owned())
        });
        known.into_iter().map(told).chain(clear).collect()
    }

    /// Why nothing is offered.
    pub(super) fn nothing_offered(&self) -> Option<String> {
        let Some(read) = &self.read else {
            return Some("asking the launchers which profiles they have".to_owned());
        };
        if !self.offered().is_empty() {
            return None;
        }
        let why = read.iter().find_map(|(launcher, it)| Some((launcher, it.as_ref().err()?)));
        Some(match why {
            Some((launcher, why)) => format!("{launcher}: {why}"),
            None => "no launcher has profiles in its services file".to_owned(),
        })
    }
}

/// What is to change, by launcher; or why that is not known.
type Plans = Vec<(Arc<str>, Result<ReloadReply, String>)>;

/// A move to another profile.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileMove {
    /// Its name; `None`: to none.
    name: Option<Arc<str>>,
    /// The launchers that move.
    launchers: Vec<Arc<str>>,
    /// Those that have no such profile.
    others: Vec<Arc<str>>,
    stage: Stage,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq)]
enum Stage {
    /// Launchers are asked what would change.
    Asking,
    /// This would change.
    Shown(Plans),
    /// Somebody agreed to this, and launchers are asked again.
    Checking(Plans),
}

impl ProfileMove {
    fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("move to profile {}?", text::shown(name)),
            None => "leave the profile?".to_owned(),
        }
    }

    /// What `y` does, where it does something.
    fn meant(&self) -> Option<String> {
        let Stage::Shown(plans) = &self.stage else { return None };
        let can_all = plans.iter().all(|(_, plan)| plan.is_ok());
        can_all.then(|| if self.name.is_some() { "move" } else { "leave it" }.to_owned())
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = match &self.stage {
            Stage::Asking => {
                let count = text::count(self.launchers.len(), "launcher");
                vec![Line::new().with(Role::Dim, &format!("asking {count} what would change"))]
            }
            Stage::Checking(_) => vec![Line::new().with(Role::Dim, "asking once more")],
            Stage::Shown(plans) => lines_of(plans),
        };
        if let Some(name) = &self.name {
            let other = |it: &Arc<str>| {
                let text = format!("{it} has no profile {name}, and stays as it is");
                Line::new().with(Role::Dim, &text)
            };
            lines.extend(self.others.iter().map(other));
        }
        lines
    }

    fn question(self) -> Question {
        Question {
            title: self.title(),
            meant: self.meant(),
            lines: self.lines(),
            purpose: Purpose::Profile(Box::new(self)),
            operation: Operation::Profile,
            ids: Vec::new(),
            is_bulk: true,
            requests: Vec::new(),
            standing: Vec::new(),
            width: WIDTHS.1,
            scrolled: 0,
        }
    }
}

fn lines_of(plans: &Plans) -> Vec<Line> {
    let mut lines = Vec::new();
    for (launcher, plan) in plans {
        let head = Line::new().with(Role::Strong, launcher).with(Role::Text, "  ");
        match plan {
            Ok(plan) => {
                let (role, words) = reload::head(plan);
                lines.push(head.with(role, words));
                lines.extend(plan.notes.iter().map(|it| reload::note(it)));
                lines.extend(plan.services.iter().map(reload::service));
            }
            Err(why) => lines.push(head.with(Role::Bad, &format!("cannot move there: {why}"))),
        }
    }
    if !stops_first(&known(plans)).is_empty() {
        let text = "what stops is stopped first, on all launchers; then the rest starts";
        lines.push(Line::new().with(Role::Dim, text));
    }
    lines
}

fn known(plans: &Plans) -> Vec<(&str, &ReloadReply)> {
    plans.iter().filter_map(|(launcher, plan)| Some((&**launcher, plan.as_ref().ok()?))).collect()
}

impl State {
    /// Takes the answer; what was typed meanwhile is done.
    pub(super) fn profiles_read(&mut self, read: ProfilesRead) -> Vec<Action> {
        self.profiles.read = Some(read);
        if std::mem::take(&mut self.profiles.is_entered) && self.is_profile_typed() {
            return self.pick_in_palette(0);
        }
        Vec::new()
    }

    /// Enter behind `profile`, where nothing is offered.
    pub(super) fn enter_profile_later(&mut self) {
        self.profiles.is_entered = self.profiles.read.is_none();
    }

    fn is_profile_typed(&self) -> bool {
        let Some(Overlay::Palette { line, .. }) = &self.overlay else { return false };
        matches!(with_argument(line.text()), Some((_, argument, _)) if argument == Argument::Profile)
    }

    /// Asks launchers which profiles they have, if one is being typed.
    pub(super) fn ask_profiles(&mut self) -> Vec<Action> {
        self.profiles.is_entered = false;
        let is_typed = self.is_profile_typed();
        let may = self.refusal_of(Command::Profile, None).is_none();
        if !is_typed || self.profiles.is_asked || !may {
            return Vec::new();
        }
        self.profiles.is_asked = true;
        let lives =
            |it: &&ServiceView| it.is_launcher && it.phase.is_up() && it.verdict != Verdict::Lost;
        let launchers = self.picture.services.iter().filter(lives);
        vec![Action::AskProfiles(launchers.map(|it| Arc::clone(&it.id)).collect())]
    }

    /// Begins to ask whether a profile is meant.
    pub(super) fn plan_profile(&mut self, typed: &str) -> Vec<Action> {
        if self.is_batch_running() {
            self.tell(BUSY, true);
            return Vec::new();
        }
        let name = (typed != CLEAR).then(|| Arc::from(typed));
        let mut launchers = Vec::new();
        let mut others = Vec::new();
        for (launcher, answer) in self.profiles.read.iter().flatten() {
            let Ok(answer) = answer else { continue };
            let moves = match &name {
                Some(_) => answer.profiles.contains_key(typed),
                None => answer.current.is_some(),
            };
            if moves { &mut launchers } else { &mut others }.push(Arc::clone(launcher));
        }
        let to = ProfileMove { name, launchers, others, stage: Stage::Asking };
        self.ask_what_changes(to)
    }

    fn ask_what_changes(&mut self, to: ProfileMove) -> Vec<Action> {
        let (name, launchers) = (to.name.clone(), to.launchers.clone());
        self.overlay = Some(Overlay::Confirm(to.question()));
        self.pending += 1;
        vec![Action::PlanProfile { name, launchers }]
    }

    /// Takes what would change. If somebody has agreed to that, it is done.
    pub(super) fn profile_planned(&mut self, plan: ProfilePlan) -> Vec<Action> {
        self.pending = self.pending.saturating_sub(1);
        let Some(Overlay::Confirm(question)) = &self.overlay else { return Vec::new() };
        let Purpose::Profile(to) = &question.purpose else { return Vec::new() };
        if to.name != plan.name {
            return Vec::new();
        }
        let mut to = (**to).clone();
        match std::mem::replace(&mut to.stage, Stage::Asking) {
            Stage::Checking(agreed) if agreed == plan.plans => return self.move_to(&to, &agreed),
            Stage::Checking(_) => {
                to.stage = Stage::Shown(plan.plans);
                let mut question = to.question();
                let changed = "changed: this would change now";
                question.lines.insert(0, Line::new().with(Role::Warn, changed));
                self.overlay = Some(Overlay::Confirm(question));
            }
            Stage::Asking | Stage::Shown(_) => {
                to.stage = Stage::Shown(plan.plans);
                self.overlay = Some(Overlay::Confirm(to.question()));
            }
        }
        Vec::new()
    }

    /// Somebody agrees: whether it is still what they saw is asked once more.
    pub(super) fn check_profile(&mut self, mut to: ProfileMove) -> Vec<Action> {
        let Stage::Shown(plans) = to.stage else { return Vec::new() };
        to.stage = Stage::Checking(plans);
        self.ask_what_changes(to)
    }

    fn move_to(&mut self, to: &ProfileMove, plans: &Plans) -> Vec<Action> {
        let stop = |(launcher, service): (&str, &str)| Request {
            operation: Operation::Stop,
            service: service.into(),
            launcher: launcher.into(),
            parameters: Parameters::default(),
        };
        let stops = stops_first(&known(plans)).into_iter().map(stop).collect();
        let mut waves = self.in_waves(stops);
        waves.reverse();
        let profile = |launcher: &Arc<str>| Request {
            operation: Operation::Profile,
            service: Arc::clone(launcher),
            launcher: Arc::clone(launcher),
            parameters: Parameters { profile: to.name.clone(), ..Parameters::default() },
        };
        waves.push(to.launchers.iter().map(profile).collect());
        let title = match &to.name {
            Some(name) => format!("profile {name}"),
            None => "no profile".to_owned(),
        };
        self.begin_batch(Batch::new(title, waves).needing_all())
    }
}
