//! Going about: rows, pages, views, the order of the table, and back.

use tcs_core::fleet::Filter;
use tcs_present::columns::Column;

use super::{Moment, Page, Stale, State};

impl State {
    /// Moves in whatever has the keys.
    pub(super) fn go(&mut self, by: isize) {
        match self.page {
            Page::Fleet => {
                self.step(by);
                self.scrolled = 0;
            }
            Page::Detail | Page::Logs | Page::Why => self.scroll(by),
            // counted from the newest, which is at the bottom: up is back in time
            Page::Events => self.scroll(by.saturating_neg()),
            Page::Timeline => {
                self.select_timeline_row(self.timeline.row.saturating_add_signed(by));
            }
            Page::Alarms => {
                self.alarms.select(self.alarms.cursor.saturating_add_signed(by));
                self.alarms.scroll(self.alarm_rows());
            }
        }
    }

    pub(super) fn scroll(&mut self, by: isize) {
        let page = self.page_step();
        let most = match self.page {
            Page::Logs => {
                let shown = self.shown_log();
                return self.logs.scroll(by, &shown, page);
            }
            Page::Fleet | Page::Detail => self.detail_reach(),
            Page::Why => self.explanation_reach(),
            Page::Events => self.events().count().saturating_sub(page),
            Page::Alarms | Page::Timeline => return self.go(by),
        };
        // what is shown may have become shorter since
        self.scrolled = self.scrolled.min(most).saturating_add_signed(by).min(most);
    }

    pub(super) fn page_step(&self) -> usize {
        match self.page {
            Page::Fleet => self.rows().saturating_sub(1).max(1),
            Page::Timeline => self.timeline_rows().0.saturating_sub(1).max(1),
            Page::Alarms => self.alarm_rows().saturating_sub(1).max(1),
            Page::Detail | Page::Logs | Page::Events | Page::Why => self.page_rows().max(1),
        }
    }

    pub(super) fn open(&mut self, page: Page) {
        self.page = if self.page == page { Page::Fleet } else { page };
        self.scrolled = 0;
    }

    pub(super) fn leave_page(&mut self) {
        if !matches!(self.page, Page::Fleet | Page::Detail) || !self.is_wide() {
            self.page = Page::Fleet;
        }
        self.problems.focus = false;
        self.stale = Stale::Now;
    }

    /// Another order of the same services; the chosen one stays so.
    pub(super) fn next_view(&mut self) {
        self.table.view = self.table.view.next();
        if !matches!(self.page, Page::Fleet | Page::Detail) {
            self.page = Page::Fleet;
        }
        if self.table.chosen().is_some() {
            self.table.pin();
        }
        self.stale = Stale::Now;
    }

    /// Closes whatever is most in front; at last returns to the present, to all, and stays there.
    pub(super) fn back(&mut self) {
        self.why.waits = false;
        if self.notice.take().is_some_and(|notice| notice.bad)
            || self.past.cancel()
            || self.past.difference.take().is_some()
        {
        } else if self.page == Page::Why {
            self.leave_why();
        } else if self.page != Page::Fleet {
            self.page = Page::Fleet;
            self.scrolled = 0;
        } else if !matches!(self.moment, Moment::Live) {
            self.live();
        } else if !self.table.filter.is_empty() || self.table.faults {
            self.table.filter = Filter::default();
            self.table.faults = false;
            self.stale = Stale::Now;
        }
    }

    pub(super) fn sort_by(&mut self, column: Column) {
        if !column.layout().sorts {
            return;
        }
        self.table.reverse = self.table.sort == column && !self.table.reverse;
        self.table.sort = column;
        self.leave_page();
    }
    pub(super) fn sort_by_next(&mut self) {
        let mut after = Column::ALL.into_iter().cycle();
        after.find(|column| *column == self.table.sort);
        let usage = self.table.shows_usage;
        let next = after.find(|it| it.layout().sorts && it.is_shown(usage));
        self.table.reverse = false;
        self.sort_by(next.unwrap_or(Column::Verdict));
    }
}
