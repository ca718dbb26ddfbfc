//! Acknowledging, shelving and noting: the question before, what is stored, and whether it counts.
//!
//! What is typed is about the episodes that were drawn when the question was asked, whatever has
//! come into their rows since.

use tcs_alarms::{
    AckOp, AckRecord, AlarmId, AlarmState, AlarmView, Episode, MAX_SHELF, NoteRecord, Record,
    Severity, ShelfMatch, ShelfRecord, Span,
};

use super::overlay::{Line, Overlay};
use super::{Page, State};
use crate::dashboard::event::{Action, AlarmAct, AlarmReply, AlarmRequest};

/// A question about alarms, and the line that is typed for it.
#[derive(Debug, Clone)]
pub struct AlarmDialog {
    /// What is to be done.
    pub act: AlarmAct,
    /// The alarms as they were drawn.
    pub about: Vec<AlarmView>,
    /// What is typed: a note; for a shelf its length and its reason.
    pub line: Line,
    /// Why it cannot be done as typed.
    pub error: Option<String>,
}

/// What was stored, until it is seen in the stream.
#[derive(Debug, Clone)]
pub struct Awaited {
    seq: u64,
    act: AlarmAct,
    about: Vec<Episode>,
}

impl AlarmDialog {
    /// What to type.
    pub const fn hint(&self) -> &'static str {
        match self.act {
            AlarmAct::Acknowledge => "what you do about it",
            AlarmAct::Note => "a note",
            AlarmAct::Shelve => "how long and why: 2h replacing the cable",
        }
    }

    fn records(&self, state: &State) -> Result<Vec<Record>, String> {
        let (text, by) = (self.line.text().trim(), state.options.operator.as_str());
        if text.is_empty() {
            return Err(format!("type {}", self.hint()));
        }
        match self.act {
            AlarmAct::Acknowledge => {
                Ok(self.about.iter().map(|view| acknowledged(view, text, by)).collect())
            }
            AlarmAct::Note => Ok(self.about.iter().map(|view| noted(view, text, by)).collect()),
            AlarmAct::Shelve => shelved(self, state, text, by).map(|record| vec![record]),
        }
    }
}

fn acknowledged(view: &AlarmView, note: &str, by: &str) -> Record {
    Record::Ack(AckRecord {
        episode: view.record().episode.clone(),
        op: AckOp::Ack,
        up_to: view.record().max_severity,
        note: Some(note.to_owned()),
        expires: None,
        by: by.to_owned(),
        restored: false,
        original: None,
    })
}

fn noted(view: &AlarmView, note: &str, by: &str) -> Record {
    let (episode, note) = (view.record().episode.clone(), note.to_owned());
    Record::Note(NoteRecord { episode, note, by: by.to_owned() })
}

/// On the page one alarm is shelved, elsewhere all of the service.
fn shelved(dialog: &AlarmDialog, state: &State, text: &str, by: &str) -> Result<Record, String> {
    let (span, reason) = text.split_once(' ').unwrap_or((text, ""));
    let span: Span =
        span.parse().map_err(|_| format!("`{span}` is not a duration: write 30m or 2h"))?;
    if span.delta() > MAX_SHELF {
        return Err("a shelf lasts 7 days at most".to_owned());
    }
    if reason.trim().is_empty() || span == Span::default() {
        return Err(format!("type {}", dialog.hint()));
    }
    let Some(first) = dialog.about.first() else { return Err("no alarm is selected".to_owned()) };
    let rule = (state.page == Page::Alarms).then(|| first.id.rule().to_owned());
    Ok(Record::Shelf(ShelfRecord {
        covers: ShelfMatch { rule, filter: Some(exactly(first.id.object())) },
        until: (state.now + span.delta()).into(),
        reason: reason.trim().to_owned(),
        by: by.to_owned(),
        ended: false,
        restored: false,
    }))
}

/// A filter that lets through this object and no other whose name holds its name.
fn exactly(object: &str) -> String {
    format!("/^{}$/", regex::escape(object))
}

impl State {
    /// Asks for what has to be said about the alarms that are drawn.
    pub(super) fn ask_alarm(&mut self, act: AlarmAct) {
        let wanted = |view: &&AlarmView| act != AlarmAct::Acknowledge || view.acked.is_none();
        let about: Vec<AlarmView> =
            self.alarm_targets().into_iter().filter(wanted).cloned().collect();
        if about.is_empty() {
            self.tell("already acknowledged", false);
            return;
        }
        let dialog = AlarmDialog { act, about, line: Line::default(), error: None };
        self.overlay = Some(Overlay::Alarm(Box::new(dialog)));
    }

    /// Enter in the question.
    pub(super) fn say_alarm(&mut self) -> Vec<Action> {
        let Some(Overlay::Alarm(mut dialog)) = self.overlay.take() else { return Vec::new() };
        match dialog.records(self) {
            Ok(records) => {
                self.pending += 1;
                let about = dialog.about.iter().map(|view| view.record().episode.clone()).collect();
                let act = dialog.act;
                vec![Action::Alarm(AlarmRequest { act, records, about, shelf: None })]
            }
            Err(why) => {
                dialog.error = Some(why);
                self.overlay = Some(Overlay::Alarm(dialog));
                Vec::new()
            }
        }
    }

    pub(super) fn alarm_reply(&mut self, reply: AlarmReply) {
        self.pending = self.pending.saturating_sub(1);
        let AlarmRequest { act, about, .. } = reply.request;
        match reply.outcome {
            // a shelf of a maintenance: the results of that are on the screen
            Ok(_) if about.is_empty() => {}
            Ok(seq) => self.alarms.unconfirmed.push(Awaited { seq, act, about }),
            Err(why) => self.tell(format!("{}: not confirmed: {why}", act.as_str()), true),
        }
        self.confirm_alarms();
    }

    /// Tells of what is seen in the stream by now.
    pub(super) fn confirm_alarms(&mut self) {
        let last = self.alarms.last_seq;
        let (seen, waiting) =
            std::mem::take(&mut self.alarms.unconfirmed).into_iter().partition(|it| it.seq <= last);
        self.alarms.unconfirmed = waiting;
        let seen: Vec<Awaited> = seen;
        for awaited in seen {
            let (told, bad) = self.effect(&awaited);
            self.tell(told, bad);
        }
    }

    /// What came of it, and whether that is not what was wanted.
    fn effect(&self, awaited: &Awaited) -> (String, bool) {
        let names = |about: &[&AlarmId]| match about {
            [one] => one.to_string(),
            [one, ..] => format!("{one} and {} more", about.len() - 1),
            [] => String::new(),
        };
        let all: Vec<&AlarmId> = awaited.about.iter().map(|episode| &episode.alarm).collect();
        if awaited.act != AlarmAct::Acknowledge {
            return (format!("{}: {}", names(&all), awaited.act.done()), false);
        }
        let counts = |episode: &&Episode| {
            let now = self.alarms.present(&episode.alarm, &self.picture);
            let now = now.filter(|view| view.record().episode == **episode);
            now.is_some_and(|view| matches!(view.state, AlarmState::Acked | AlarmState::Normal))
        };
        let missed: Vec<&AlarmId> =
            awaited.about.iter().filter(|it| !counts(it)).map(|it| &it.alarm).collect();
        if missed.is_empty() {
            return (format!("{}: acknowledged", names(&all)), false);
        }
        let why = "it has become worse, or was raised again, in the meantime";
        (format!("{}: not acknowledged: {why}", names(&missed)), true)
    }
}

/// The most urgent of these.
pub fn worst(about: &[AlarmView]) -> Severity {
    about.iter().map(|view| view.record().severity).max().unwrap_or_default()
}
