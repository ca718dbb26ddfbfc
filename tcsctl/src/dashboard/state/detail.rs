//! The lines of the detail, and how far they can be scrolled.

use ratatui::layout::Rect;
use tcs_present::{
    Line, Role,
    detail::{Form, pane},
};

use super::{Page, State};

/// Above the curves: a launcher keeps 60 samples, by default one each 10 s.
pub const USAGE: &str = "Usage, last 10 min";
/// Events of it shown.
const EVENTS: usize = 6;
/// Lower areas have no room for output.
const LEAST_WITH_LOG: u16 = 16;
/// Lines of output at most, where that is more than a quarter.
const MOST_LOG: u16 = 14;

impl State {
    /// All that is known of the chosen service, as lines for this area; none if none is chosen.
    pub fn detail(&self, area: Rect) -> Vec<Line> {
        let Some(service) = self.chosen() else { return Vec::new() };
        let mine = self.events().rev().filter(|entry| entry.id == service.id);
        let events: Vec<_> = mine.take(EVENTS).collect();
        let form = Form { times: self.options.times, pane: Some(&events) };
        let width = usize::from(area.width.saturating_sub(2));
        let mut lines = pane(&self.picture, service, form, width);
        let usage = self.usage_lines(width.saturating_sub(2));
        if !usage.is_empty() {
            // below what is said first
            let at = lines.iter().position(Line::is_empty).unwrap_or(lines.len());
            let title = Line::new().with(Role::Title, USAGE);
            let indented = usage.into_iter().map(|line| {
                let mut indented = Line::new().with(Role::Text, "  ");
                indented.extend(line);
                indented
            });
            let section = [Line::new(), title].into_iter().chain(indented);
            lines.splice(at..at, section.collect::<Vec<_>>());
        }
        lines
    }

    /// How far the detail can be scrolled: until its last line is seen.
    pub fn detail_reach(&self) -> usize {
        let (area, _) = self.detail_areas(self.detail_area());
        reach(self.detail(area).len(), area)
    }

    fn detail_area(&self) -> Rect {
        let panes = self.panes();
        panes.detail.map_or(panes.page, |(_, area)| area)
    }

    /// Where the end of the chosen service's output is shown, if it is.
    pub fn log_tail(&self) -> Option<Rect> {
        let is_seen = self.page == Page::Detail || (self.page == Page::Fleet && self.is_wide());
        is_seen.then(|| self.detail_areas(self.detail_area()).1)?
    }

    /// The detail, and below it the end of the output, where there is room: what the detail leaves, at
    /// least a quarter.
    pub fn detail_areas(&self, area: Rect) -> (Rect, Option<Rect>) {
        if area.height < LEAST_WITH_LOG || !self.has_logs() {
            return (area, None);
        }
        let is_chosen = self.logs.service.as_ref() == self.table.chosen();
        let is_told = is_chosen && !self.logs.waiting && self.logs.store.is_empty();
        let lines = self.detail(area).len() as u16;
        let spare = area.height.saturating_sub(lines + 1);
        // where there is none, a line says why
        let least = if is_told { 2 } else { area.height / 4 };
        let most = if is_told { 2 } else { MOST_LOG.max(least) };
        let tail = spare.clamp(least, most);
        let detail = Rect { height: area.height - tail, ..area };
        (detail, Some(Rect { y: detail.bottom(), height: tail, ..area }))
    }
}

/// How far so many lines can be scrolled in this area: what does not fit is counted on a line of
/// its own.
pub fn reach(lines: usize, area: Rect) -> usize {
    let height = usize::from(area.height);
    if lines > height { lines + 1 - height } else { 0 }
}
