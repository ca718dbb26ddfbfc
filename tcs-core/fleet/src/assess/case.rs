//! One service as the rules see it, and what they answer.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::life::{Life, Moment};
use crate::reason::Reason;
use crate::relations::{Removed, Standing};
use crate::verdict::{Phase, Verdict};
use crate::view::HostView;

/// What surrounds one service.
#[derive(Debug)]
pub(crate) struct Around<'a> {
    pub(crate) moment: Moment<'a>,
    /// The object above, where it is known: its name and how it stands.
    pub(crate) launcher: Option<(&'a str, Standing)>,
    /// Whether that one has it in hand after another, which sent its newest event.
    pub(crate) inherited: bool,
    /// Whether a launcher declared it once, and none does now.
    pub(crate) removed: Option<Removed>,
    /// The live ones of several launchers that declare it, or at a launcher: that it conflicts with.
    pub(crate) conflict: Vec<String>,
    pub(crate) host: Option<(&'a Arc<str>, &'a HostView)>,
    pub(crate) heartbeats_missing: bool,
}

/// What a rule finds.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    /// Where it differs from the life's.
    pub(super) phase: Option<Phase>,
    /// Where it differs from the life's.
    pub(super) since: Option<DateTime<Utc>>,
    /// Those that decided, the cause first.
    pub(super) reasons: Vec<Reason>,
}

impl Finding {
    pub(super) fn new(verdict: Verdict, reasons: impl IntoIterator<Item = Reason>) -> Self {
        let reasons = reasons.into_iter().collect();
        Self { verdict, phase: None, since: None, reasons }
    }
}

/// One service and what surrounds it, as the rules see it.
pub(super) struct Case<'a> {
    pub(super) life: &'a Life<'a>,
    pub(super) around: &'a Around<'a>,
    pub(super) silence: Silent,
    /// Its launcher, which has reported that it ends, and when.
    pub(super) launcher_ended: Option<(&'a str, DateTime<Utc>)>,
    pub(super) now: DateTime<Utc>,
}

impl Case<'_> {
    /// What the phase rests on. Another launcher's end of it is none of the one that has it now.
    pub(super) fn life_reasons(&self) -> impl Iterator<Item = &Reason> {
        let outdated =
            |reason: &&Reason| self.around.inherited && matches!(reason, Reason::Unmanaged { .. });
        self.life.reasons.iter().filter(move |reason| !outdated(reason))
    }
}

/// A question with at most one answer.
pub(super) type Rule = fn(&Case<'_>) -> Option<Finding>;

/// How silent the service is, with the state of its launcher considered.
pub(super) enum Silent {
    No,
    Late(Reason),
    Lost(Reason),
    /// An ad-hoc service that never sent a heartbeat.
    NeverHeard(Reason),
}

impl Silent {
    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::No => None,
            Self::Late(reason) | Self::Lost(reason) | Self::NeverHeard(reason) => {
                Some(reason.clone())
            }
        }
    }
}

/// What else is silent with it.
pub(super) fn lost_with(case: &Case<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some((name, Standing::Lost)) = case.around.launcher {
        reasons.push(Reason::LauncherLost(name.to_owned()));
    }
    if let Some((host, view)) = case.around.host
        && view.silent
        && case.life.phase.is_up()
    {
        reasons.push(Reason::HostSilent(host.to_string()));
    }
    reasons
}

pub(super) fn launcher_shutdown(launcher: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> Reason {
    Reason::LauncherShutdown { launcher: launcher.to_owned(), ago: now - at }
}
