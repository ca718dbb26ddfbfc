//! What is wrong, above the table.

use ratatui::layout::Rect;
use tcs_present::{Line, Look, Role, problems, symbols, text};

use super::pen::Pen;
use crate::dashboard::keymap::Command;
use crate::dashboard::state::{Page, State};

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let block = &state.problems;
    let room = area.width.saturating_sub(2);
    let key = state.options.keymap.shown(state.page, Command::Problems);
    if let Some(worst) = block.rows.first().filter(|_| block.folded) {
        let worst = &state.picture.services[*worst];
        let sign = symbols::symbol(worst.verdict);
        let words = format!("{} ({key}): ", text::count(block.rows.len(), "problem"));
        let line = Line::new().with(Role::Warn, &words);
        let line = line.with(worst.verdict.into(), &format!("{sign} {}", worst.id));
        pen.line(area.x + 1, area.y, room, &line);
        return;
    }
    let seen = block.seen(usize::from(area.height));
    let look = Look { width: Some(usize::from(room)), times: pen.times };
    let shown = &block.rows[block.offset..(block.offset + seen).min(block.rows.len())];
    let lines = problems::lines(&state.picture, shown, &look);
    for (i, (service, line)) in shown.iter().zip(&lines).enumerate() {
        let y = area.y + i as u16;
        let mark = state.alarms.mark(&state.picture.services[*service].id);
        let mark = mark.filter(|mark| !mark.text.is_empty());
        let taken = mark.map_or(0, |mark| (text::width(&mark.text) as u16 + 2).min(room / 2));
        let used = pen.line(area.x + 1, y, room - taken, line);
        if let Some(mark) = mark {
            pen.put(area.x + 1 + used + 2, y, taken.saturating_sub(2), &mark.text, mark.role);
        }
        if state.marks.contains(&state.picture.services[*service].id) {
            pen.put(area.x, y, 1, symbols::MARK, Role::Accent);
        }
        let is_chosen = state.table.chosen() == Some(&state.picture.services[*service].id);
        if is_chosen && block.has_keys() {
            let focus = matches!(state.page, Page::Fleet);
            let row = Rect::new(area.x, y, area.width, 1);
            pen.wash(row, if focus { Role::Selected } else { Role::SelectedDim });
        }
    }
    if seen < block.rows.len() {
        let words = format!("{} of {} problems ({key} collapses)", seen, block.rows.len());
        pen.put(area.x + 1, area.y + seen as u16, room, &words, Role::Dim);
    }
}
