//! What is copied: a service in one line, and the command that shows the same.

use std::fmt::Write as _;

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
            (Page::Logs, Some(id)) => words.extend(["logs".to_owned(), id, "-f".to_owned()]),
            (Page::Events, _) => words.extend(["events".to_owned(), "-f".to_owned()]),
            (Page::Fleet | Page::Detail | Page::Logs, _) => {
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
            }
        }
        if let Moment::Past { at, .. } = &self.moment {
            words.push("--at".to_owned());
            words.push(at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
        }
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
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
