//! The output of one service.

use std::collections::VecDeque;
use std::sync::Arc;

use tcs_core::wire::control::LogLine;

use crate::dashboard::event::LogNews;

/// Lines kept.
pub const MAX_LINES: usize = 5000;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    /// Whose.
    pub service: Option<Arc<str>>,
    /// Oldest first.
    pub lines: VecDeque<LogLine>,
    /// Asked for, and nothing has come yet.
    pub waiting: bool,
    /// Why there is nothing, or nothing more.
    pub trouble: Option<String>,
    /// Long lines go on below, rather than being cut.
    pub wrap: bool,
}

impl Logs {
    /// Begins with another service.
    pub(super) fn open(&mut self, service: Arc<str>) {
        *self = Self { service: Some(service), waiting: true, wrap: self.wrap, ..Self::default() };
    }

    pub(super) fn close(&mut self) {
        *self = Self { wrap: self.wrap, ..Self::default() };
    }

    pub(super) fn take(&mut self, news: LogNews) {
        if self.service.as_ref() != Some(&news.service) {
            return;
        }
        self.waiting = false;
        match news.outcome {
            Ok(lines) => {
                self.trouble = None;
                if news.whole {
                    self.lines.clear();
                }
                self.lines.extend(lines);
                let over = self.lines.len().saturating_sub(MAX_LINES);
                self.lines.drain(..over);
            }
            Err(why) => self.trouble = Some(why),
        }
    }
}
