//! What is copied: a service in one line, and the command that shows the same.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use tcs_present::by_host::Order;

use tcs_core::wire::Level;

use super::logs::store::Shown;
use super::{Moment, Page, State};
use crate::dashboard::event::Action;

impl State {
    /// What is known of the chosen service, in one line for a mail or a ticket.
    pub(super) fn copy(&mut self) -> Vec<Action> {
        let Some(service) = self.chosen() else { return Vec::new() };
        let mut text = format!("{} {}", service.id, service.verdict);
        if let Some(host) = service.short_host() {
            let _ = write!(text, " @{host}");
        }
        if let Some(since) = service.since {
            let _ = write!(text, " since {}", since.format("%Y-%m-%d %H:%M:%S UTC"));
        }
        let headline = service.headline();
        if !headline.is_empty() {
            text.push_str(": ");
            text.push_str(&headline);
        }
        let text = tcs_present::text::shown(&text).into_owned();
        self.tell(format!("copied: {text}"), false);
        vec![Action::Copy(text)]
    }

    /// What the `Y` key copies: the command line that shows the same.
    pub fn command_line(&self) -> String {
        let mut words = vec!["tcsctl".to_owned()];
        words.extend(self.options.connection.iter().cloned());
        let chosen = self.table.chosen().map(ToString::to_string);
        match (self.page, chosen) {
            (Page::Detail, Some(id)) => words.extend(["--detailed".to_owned(), id]),
            (Page::Logs, Some(id)) => {
                words.extend(["logs".to_owned(), id, "-f".to_owned()]);
                let Shown { level, stream, .. } = self.logs.shown;
                if level > Level(i64::MIN) {
                    words.extend(["--level".to_owned(), level.name().to_lowercase()]);
                }
                if let Some(stream) = stream {
                    words.extend(["--stream".to_owned(), stream.as_str().to_owned()]);
                }
            }
            (Page::Alarms, _) => words.push("alarms".to_owned()),
            (Page::Why, Some(id)) => words.extend(["why".to_owned(), id]),
            (Page::Events, _) => words.extend(["events".to_owned(), "-f".to_owned()]),
            (Page::Timeline, _) => {
                let (from, to) = self.timeline_period();
                let written = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
                words.extend(["timeline".to_owned(), "--since".to_owned(), written(from)]);
                words.extend(["--until".to_owned(), written(to)]);
                if self.timeline.problems {
                    words.push("--problems".to_owned());
                }
                let filter = self.table.filter.text().trim();
                words.extend((!filter.is_empty()).then(|| filter.to_owned()));
            }
            (Page::Fleet | Page::Detail | Page::Logs | Page::Why, _) => {
                if self.table.all {
                    words.push("--all".to_owned());
                }
                let mut filter = self.table.filter.text().to_owned();
                if self.table.faults {
                    filter.push_str(" is:fault");
                }
                if !filter.is_empty() {
                    words.push("list".to_owned());
                    words.push(filter.trim().to_owned());
                }
                if self.table.view != Order::Launcher {
                    words.extend(["--by".to_owned(), self.table.view.as_str().to_owned()]);
                }
            }
        }
        if let Moment::Past { at, .. } = &self.moment
            && self.page != Page::Timeline
        {
            words.push("--at".to_owned());
            words.push(at.to_rfc3339_opts(SecondsFormat::Millis, true));
        }
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }

    /// Copies the command that shows this.
    pub(super) fn copy_command(&mut self) -> Vec<Action> {
        let line = self.command_line();
        self.tell(format!("copied: {line}"), false);
        vec![Action::Copy(line)]
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
