//! The lines of the detail, and how far they can be scrolled.

use ratatui::layout::Rect;
use tcs_present::{
    Line,
    detail::{Form, pane},
};

use super::State;

/// Events of it shown.
const EVENTS: usize = 6;

impl State {
    /// All that is known of the chosen service, as lines for this area; none if none is chosen.
    pub fn detail(&self, area: Rect) -> Vec<Line> {
        let Some(service) = self.chosen() else { return Vec::new() };
        let mine = self.events().rev().filter(|entry| entry.id == service.id);
        let events: Vec<_> = mine.take(EVENTS).collect();
        let form = Form { times: self.options.times, pane: Some(&events) };
        pane(&self.picture, service, form, usize::from(area.width.saturating_sub(2)))
    }

    /// How far the detail can be scrolled: until its last line is seen.
    pub fn detail_reach(&self) -> usize {
        let panes = self.panes();
        let area = panes.detail.map_or(panes.page, |(_, area)| area);
        reach(self.detail(area).len(), area)
    }
}

/// How far so many lines can be scrolled in this area: what does not fit is counted on a line of
/// its own.
pub fn reach(lines: usize, area: Rect) -> usize {
    let height = usize::from(area.height);
    if lines > height { lines + 1 - height } else { 0 }
}
