//! The page that explains the chosen service, at the moment that is shown.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tcs_core::fleet::why::Subject;
use tcs_present::Line;
use tcs_present::why::{Answer, Material, Page as Explanation};

use super::{Moment, Page, State};
use crate::dashboard::event::Action;

/// The page that explains one service at one time.
#[derive(Debug, Clone, Default)]
pub struct Why {
    /// Which service is explained.
    pub service: Option<Arc<str>>,
    /// At which moment.
    pub at: Option<DateTime<Utc>>,
    /// The page that it was asked on, to which one returns.
    pub(super) behind: Option<Page>,
    /// It is asked for as soon as the moment that is being read is shown.
    pub(super) waits: bool,
    /// The answer; `None`: it is being read.
    explanation: Option<Result<Explanation, String>>,
}

impl State {
    /// Opens the page, or leaves it.
    pub(super) fn explain(&mut self) -> Vec<Action> {
        if self.page == Page::Why {
            self.leave_why();
            return Vec::new();
        }
        let behind = self.why.waits.then_some(Page::Timeline);
        let Some(service) = self.chosen() else { return Vec::new() };
        let subject = Subject::of(&self.picture, service);
        self.why = Why {
            behind,
            waits: false,
            service: Some(Arc::clone(&subject.id)),
            at: Some(subject.now),
            explanation: None,
        };
        self.page = Page::Why;
        self.scrolled = 0;
        vec![Action::Explain(Box::new(subject))]
    }

    /// Explains what waited for another moment to be shown, if that is shown now.
    pub(super) fn explain_when_there(&mut self) -> Vec<Action> {
        if !self.why.waits || self.past.goal.is_some() {
            return Vec::new();
        }
        // the service as it is at that moment
        self.settle_here();
        let actions = self.explain();
        self.why.waits = false;
        actions
    }

    pub(super) fn leave_why(&mut self) {
        self.page = self.why.behind.take().unwrap_or(Page::Fleet);
        self.scrolled = 0;
    }

    /// Takes what was read for it.
    pub(super) fn explained(&mut self, subject: &Subject, read: Result<Box<Material>, String>) {
        let is_asked =
            self.why.service.as_ref() == Some(&subject.id) && self.why.at == Some(subject.now);
        if !is_asked {
            return;
        }
        let service = self.picture.get(&subject.id);
        let is_same_moment = matches!(self.moment, Moment::Live) || self.picture.now == subject.now;
        self.why.explanation = Some(match (read, service) {
            (Err(why), _) => Err(why),
            (Ok(_), _) if !is_same_moment => Err("another time is shown by now".to_owned()),
            (Ok(_), None) => Err("it is no longer known".to_owned()),
            (Ok(read), Some(service)) => {
                let answer = Answer::new(&self.picture, service, &read);
                Ok(Explanation::new(&answer, self.options.times))
            }
        });
    }

    /// The lines of the page, or why there are none, in so many cells.
    pub fn explanation(&self, width: usize) -> Result<Vec<Line>, &str> {
        match &self.why.explanation {
            None => Err("reading events, heartbeats and alarms ..."),
            Some(Err(why)) => Err(why),
            Some(Ok(explanation)) => Ok(explanation.lines(Some(width))),
        }
    }

    /// How far it can be scrolled.
    pub(super) fn explanation_reach(&self) -> usize {
        let area = self.panes().page;
        let lines = self.explanation(usize::from(area.width.saturating_sub(2)));
        lines.map_or(0, |lines| lines.len().saturating_sub(self.page_rows()))
    }
}
