//! What stands in front and takes the keys: the filter's line, the palette, menus, the question
//! before an action, help.

use std::sync::Arc;

use tcs_core::fleet::Filter;
use tcs_core::fleet::filter::FilterError;

use tcs_present::touched::Standing;

use super::alarm_acts::AlarmDialog;
use super::logs::search::Search;
use super::profile::ProfileMove;
use super::work::{Maintenance, WorkDialog};
use crate::dashboard::event::{Operation, Request};
use crate::dashboard::key::{Code, Key};
use crate::dashboard::keymap::{Command, Entry, TABLE};

/// The dialog, menu or input line in front, which takes all keys.
#[derive(Debug, Clone)]
pub enum Overlay {
    /// A filter is typed; what it lets through is seen at once.
    Filter {
        /// What is typed.
        line: Line,
        /// The filter before, for Esc.
        before: Filter,
        /// Why what is typed is no filter.
        error: Option<FilterError>,
    },
    /// What is searched in a log is typed; the first match is gone to at once.
    Search {
        /// What is typed.
        line: Line,
        /// What was searched before, for Esc.
        before: Option<Search>,
        /// Where the page stood, for Esc.
        bottom: Option<u64>,
    },
    /// A command's name is typed.
    Palette {
        /// What is typed.
        line: Line,
        /// Which of [`super::State::choices`].
        choice: usize,
    },
    /// What can be done with the chosen service.
    Menu {
        /// Which of [`MENU`].
        choice: usize,
    },
    /// For which planned work something is to be done.
    Work(WorkDialog),
    /// Whether it is meant.
    Confirm(Question),
    /// What became of an operation on several services.
    Results {
        /// First line shown.
        scrolled: usize,
    },
    /// What is said about alarms.
    Alarm(Box<AlarmDialog>),
    /// All keys.
    Help {
        /// First line shown.
        scrolled: usize,
    },
}

/// For what something is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Purpose {
    /// Somebody wants it.
    Request,
    /// Planned work: the services stay stopped, with this comment.
    Work(Arc<str>),
    /// Maintenance of a host: what runs there stops.
    Maintenance(Maintenance),
    /// The end of the maintenance of what this filter lets through: what was stopped for it starts.
    EndOfMaintenance(Arc<str>),
    /// Another set of services is to run.
    Profile(Box<ProfileMove>),
}

/// What a person is asked before something is done.
#[derive(Debug, Clone)]
pub struct Question {
    /// The question in one line.
    pub title: String,
    /// What `y` does; `None`: what would be done is not known yet, or nothing can be.
    pub meant: Option<String>,
    /// For what.
    pub(super) purpose: Purpose,
    /// What would be done.
    pub operation: Operation,
    /// To which services; some of them may not be asked.
    pub(super) ids: Vec<Arc<str>>,
    /// To those that are marked.
    pub(super) is_bulk: bool,
    /// To each of these.
    pub requests: Vec<Request>,
    /// How they were when it was asked.
    pub(super) standing: Vec<Standing>,
    /// What it would touch.
    pub lines: Vec<tcs_present::Line>,
    /// Cells of the dialog.
    pub width: u16,
    /// First line shown.
    pub scrolled: usize,
}

/// The action menu.
pub const MENU: [Command; 13] = [
    Command::Restart,
    Command::Stop,
    Command::Start,
    Command::StopForWork,
    Command::Maintenance,
    Command::Mark,
    Command::MarkFailed,
    Command::Logs,
    Command::Copy,
    Command::CopyCommand,
    Command::Acknowledge,
    Command::AlarmNote,
    Command::Shelve,
];

/// A line that is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    text: String,
    /// Byte position.
    at: usize,
}

/// Longer ones are not taken.
const MAX_LINE: usize = 512;

impl Line {
    /// With a text, the cursor at its end.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), at: text.len() }
    }

    /// What is typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor.
    pub fn before_cursor(&self) -> &str {
        &self.text[..self.at]
    }

    /// Takes text at the cursor, without what cannot be shown.
    pub fn insert(&mut self, text: &str) {
        for c in text.chars().filter(|c| !tcs_present::text::is_hidden(*c)) {
            if self.text.len() + c.len_utf8() <= MAX_LINE {
                self.text.insert(self.at, c);
                self.at += c.len_utf8();
            }
        }
    }

    /// Takes a key; whether it was one for editing.
    pub fn key(&mut self, key: Key) -> bool {
        let left = self.text[..self.at].chars().next_back().map_or(0, char::len_utf8);
        let right = self.text[self.at..].chars().next().map_or(0, char::len_utf8);
        match (key.code, key.ctrl, key.alt) {
            (Code::Char(c), false, false) => self.insert(c.encode_utf8(&mut [0; 4])),
            (Code::Backspace, ..) | (Code::Char('h'), true, _) => {
                self.text.drain(self.at - left..self.at);
                self.at -= left;
            }
            (Code::Delete, ..) => {
                self.text.drain(self.at..self.at + right);
            }
            (Code::Left, ..) => self.at -= left,
            (Code::Right, ..) => self.at += right,
            (Code::Home, ..) | (Code::Char('a'), true, _) => self.at = 0,
            (Code::End, ..) | (Code::Char('e'), true, _) => self.at = self.text.len(),
            (Code::Char('u'), true, _) => {
                self.text.drain(..self.at);
                self.at = 0;
            }
            (Code::Char('w'), true, _) => {
                let kept = self.text[..self.at].trim_end();
                let from = kept.rfind(' ').map_or(0, |blank| blank + 1);
                self.text.drain(from..self.at);
                self.at = from;
            }
            _ => return false,
        }
        true
    }
}

/// The commands whose name or explanation holds what is typed; names that begin with it first.
pub fn found(typed: &str) -> Vec<&'static Entry> {
    let typed = typed.trim().to_lowercase();
    let rank = |entry: &Entry| {
        if entry.name.starts_with(&typed) {
            Some(0)
        } else if entry.name.contains(&typed) {
            Some(1)
        } else if scattered(&typed, entry.name) {
            Some(2)
        } else if entry.doc.to_lowercase().contains(&typed) {
            Some(3)
        } else {
            None
        }
    };
    let mut found: Vec<_> =
        TABLE.iter().filter_map(|entry| rank(entry).map(|rank| (rank, entry))).collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// Whether the characters of `typed` stand in `name` in this order.
fn scattered(typed: &str, name: &str) -> bool {
    let mut rest = name.chars();
    typed.chars().all(|wanted| rest.any(|c| c == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_edited_in_characters() {
        let mut line = Line::new("gęś");
        let press = |line: &mut Line, keys: &[&str]| {
            for key in keys {
                assert!(line.key(key.parse().unwrap()), "{key}");
            }
        };
        press(&mut line, &["Left", "Bksp", "ą", "Home", "x", "Del", "End", "!"]);
        assert_eq!(line.text(), "xąś!");
        line.insert("host:a\x1b[31m b");
        press(&mut line, &["ctrl-w"]);
        assert_eq!(line.text(), "xąś!host:a[31m ");
        press(&mut line, &["ctrl-u"]);
        assert_eq!((line.text(), line.before_cursor()), ("", ""));
        line.insert(&"a".repeat(2000));
        assert_eq!(line.text().len(), MAX_LINE);
    }

    #[test]
    fn the_palette_finds_by_beginning_part_letters_and_explanation() {
        let names = |typed| found(typed).iter().map(|e| e.name).take(2).collect::<Vec<_>>();
        assert_eq!(names("re")[0], "reverse");
        assert_eq!(names("event")[0], "events");
        assert_eq!(names("pgd"), ["page-down"]);
        assert!(names("xyz").is_empty());
        assert_eq!(names("fld"), ["fold", "unfold"]);
        assert_eq!(names("asks first"), ["restart", "stop"]);
        assert_eq!(found("").len(), TABLE.len());
    }
}
