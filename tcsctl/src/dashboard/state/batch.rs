//! One operation on many services: at most so many requests at once, results as they come.

use chrono::TimeDelta;

use super::{State, overlay::Overlay};
use crate::dashboard::event::{Action, Reply, Request};

/// Requests under way at once; a launcher works on as many.
const AT_ONCE: usize = 16;

/// How far one of them is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Not asked for yet.
    Waiting,
    /// Asked for.
    Asked,
    /// Done, as its launcher says.
    Done {
        /// Its result.
        text: String,
        /// How long it took.
        took: TimeDelta,
    },
    /// Not done, and why.
    Failed(String),
}

/// One request, and how far it is.
#[derive(Debug, Clone)]
pub struct Row {
    /// What is asked.
    pub request: Request,
    /// How far it is.
    pub progress: Progress,
    /// It is asked when those of earlier waves are over.
    wave: usize,
}

/// One operation on many services, and its results so far.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What is done, in a few words.
    pub title: String,
    /// Each request, in the order of asking.
    pub rows: Vec<Row>,
    /// Whether a request that fails keeps the waves behind it from being asked.
    needs_all: bool,
    /// What is done when all are over.
    then: Vec<Action>,
}

impl Batch {
    /// Of requests in waves: each begins when the one before is over.
    pub(super) fn new(title: String, waves: Vec<Vec<Request>>) -> Self {
        let row = |wave| move |request| Row { request, progress: Progress::Waiting, wave };
        let waves = waves.into_iter().enumerate();
        let rows = waves.flat_map(|(wave, requests)| requests.into_iter().map(row(wave))).collect();
        Self { title, rows, needs_all: false, then: Vec::new() }
    }

    /// What fails in a wave keeps those behind it from being asked.
    pub(super) const fn needing_all(mut self) -> Self {
        self.needs_all = true;
        self
    }

    /// What is done when all are over.
    pub(super) fn then(mut self, actions: Vec<Action>) -> Self {
        self.then = actions;
        self
    }

    /// How many are done, failed, and neither yet.
    pub fn counts(&self) -> (usize, usize, usize) {
        let (mut done, mut failed) = (0, 0);
        for row in &self.rows {
            match row.progress {
                Progress::Done { .. } => done += 1,
                Progress::Failed(_) => failed += 1,
                Progress::Waiting | Progress::Asked => {}
            }
        }
        (done, failed, self.rows.len() - done - failed)
    }

    /// The requests that can be sent now.
    fn next(&mut self) -> Vec<Request> {
        let is_open = |row: &&Row| matches!(row.progress, Progress::Waiting | Progress::Asked);
        let Some(wave) = self.rows.iter().filter(is_open).map(|row| row.wave).min() else {
            return Vec::new();
        };
        let has_failed = |row: &Row| row.wave < wave && matches!(row.progress, Progress::Failed(_));
        if self.needs_all && self.rows.iter().any(has_failed) {
            for row in self.rows.iter_mut().filter(|row| row.wave >= wave) {
                row.progress = Progress::Failed("not asked: see above".to_owned());
            }
            return Vec::new();
        }
        let asked = self.rows.iter().filter(|row| row.progress == Progress::Asked).count();
        let waiting = |row: &&mut Row| row.wave == wave && row.progress == Progress::Waiting;
        let waiting = self.rows.iter_mut().filter(waiting);
        let next = waiting.take(AT_ONCE.saturating_sub(asked));
        next.map(|row| {
            row.progress = Progress::Asked;
            row.request.clone()
        })
        .collect()
    }

    /// Takes a result; whether it was one of these.
    fn take(&mut self, reply: &Reply) -> bool {
        let is_it =
            |row: &&mut Row| row.request == reply.request && row.progress == Progress::Asked;
        let Some(row) = self.rows.iter_mut().find(is_it) else { return false };
        row.progress = match &reply.outcome {
            Ok(text) => Progress::Done { text: text.clone(), took: reply.took },
            Err(why) => Progress::Failed(why.clone()),
        };
        true
    }

    /// `restart: 4 done, 1 failed: plate_solver.b (no launcher answers)`
    fn summary(&self) -> String {
        let (done, failed, _) = self.counts();
        let word = &self.title;
        let first = self.rows.iter().find_map(|row| match &row.progress {
            Progress::Failed(why) => Some((&row.request.service, why)),
            Progress::Waiting | Progress::Asked | Progress::Done { .. } => None,
        });
        match first {
            None => format!("{word}: all {done} done"),
            Some((service, why)) => {
                let more = if failed > 1 { ", :results shows all" } else { "" };
                format!("{word}: {done} done, {failed} failed: {service} ({why}{more})")
            }
        }
    }
}

impl State {
    /// Begins it, and shows its results.
    pub(super) fn begin_batch(&mut self, batch: Batch) -> Vec<Action> {
        self.batch = Some(batch);
        self.overlay = Some(Overlay::Results { scrolled: 0 });
        self.continue_batch()
    }

    fn continue_batch(&mut self) -> Vec<Action> {
        let next = self.batch.as_mut().map(Batch::next).unwrap_or_default();
        self.pending += next.len();
        next.into_iter().map(Action::Request).collect()
    }

    /// Whether one is under way.
    pub(super) fn is_batch_running(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| batch.counts().2 > 0)
    }

    /// Takes a result of it; `None`: it is of something else. What was done loses its mark, what was
    /// not keeps it, to be tried again.
    pub(super) fn batch_reply(&mut self, reply: &Reply) -> Option<Vec<Action>> {
        let batch = self.batch.as_mut()?;
        if !batch.take(reply) {
            return None;
        }
        if reply.outcome.is_ok() {
            self.marks.remove(&reply.request.service);
        }
        let mut actions = self.continue_batch();
        if let Some(batch) = self.batch.as_mut().filter(|batch| batch.counts().2 == 0) {
            let (text, has_failed) = (batch.summary(), batch.counts().1 > 0);
            actions.extend(std::mem::take(&mut batch.then));
            self.tell(text, has_failed);
        }
        self.pending += actions.iter().filter(|it| matches!(it, Action::Alarm(_))).count();
        Some(actions)
    }

    /// Shows the results of the last one again.
    pub(super) fn show_results(&mut self) {
        match &self.batch {
            Some(_) => self.overlay = Some(Overlay::Results { scrolled: 0 }),
            None => self.tell("no operation on several services yet", false),
        }
    }
}
