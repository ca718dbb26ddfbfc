//! One operation on many services: at most so many requests at once, results as they come.

use chrono::TimeDelta;

use super::{State, overlay::Overlay};
use crate::dashboard::event::{Action, Operation, Reply, Request};

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

/// One operation on many services, and its results so far.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What is done to all.
    pub operation: Operation,
    /// Each service, in the order of asking.
    pub rows: Vec<(Request, Progress)>,
}

impl Batch {
    pub(super) fn new(operation: Operation, requests: Vec<Request>) -> Self {
        let rows = requests.into_iter().map(|request| (request, Progress::Waiting)).collect();
        Self { operation, rows }
    }

    /// How many are done, failed, and neither yet.
    pub fn counts(&self) -> (usize, usize, usize) {
        let (mut done, mut failed) = (0, 0);
        for (_, progress) in &self.rows {
            match progress {
                Progress::Done { .. } => done += 1,
                Progress::Failed(_) => failed += 1,
                Progress::Waiting | Progress::Asked => {}
            }
        }
        (done, failed, self.rows.len() - done - failed)
    }

    /// The requests that can be sent now.
    fn next(&mut self) -> Vec<Request> {
        let asked = self.rows.iter().filter(|(_, it)| *it == Progress::Asked).count();
        let waiting = self.rows.iter_mut().filter(|(_, it)| *it == Progress::Waiting);
        let next = waiting.take(AT_ONCE.saturating_sub(asked));
        next.map(|(request, progress)| {
            *progress = Progress::Asked;
            request.clone()
        })
        .collect()
    }

    /// Takes a result; whether it was one of these.
    fn take(&mut self, reply: &Reply) -> bool {
        let is_it =
            |row: &&mut (Request, Progress)| row.0 == reply.request && row.1 == Progress::Asked;
        let Some((_, progress)) = self.rows.iter_mut().find(is_it) else { return false };
        *progress = match &reply.outcome {
            Ok(text) => Progress::Done { text: text.clone(), took: reply.took },
            Err(why) => Progress::Failed(why.clone()),
        };
        true
    }

    /// `restart: 4 done, 1 failed: plate_solver.b (no launcher answers)`
    fn summary(&self) -> String {
        let (done, failed, _) = self.counts();
        let word = self.operation.as_str();
        let first = self.rows.iter().find_map(|(request, progress)| match progress {
            Progress::Failed(why) => Some((&request.service, why)),
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
        if batch.counts().2 == 0 {
            let (text, has_failed) = (batch.summary(), batch.counts().1 > 0);
            self.tell(text, has_failed);
        }
        Some(self.continue_batch())
    }

    /// Shows the results of the last one again.
    pub(super) fn show_results(&mut self) {
        match &self.batch {
            Some(_) => self.overlay = Some(Overlay::Results { scrolled: 0 }),
            None => self.tell("no operation on several services yet", false),
        }
    }
}
