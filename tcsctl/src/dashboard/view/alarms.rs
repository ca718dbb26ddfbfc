//! The page of alarms, and the question before one is acknowledged, shelved or noted.

use ratatui::layout::Rect;
use tcs_present::{Look, Role, alarms};

use super::footer::typed;
use super::pen::Pen;
use crate::dashboard::event::AlarmAct;
use crate::dashboard::layout;
use crate::dashboard::state::State;
use crate::dashboard::state::alarm_acts::{AlarmDialog, worst};

/// Draws the page.
pub(super) fn draw_page(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let book = &state.alarms;
    let views: Vec<_> = book.views.iter().collect();
    let look = Look { width: Some(usize::from(area.width.saturating_sub(2))), times: pen.times };
    let summary = alarms::header(&views, &state.picture, &look).plain();
    pen.rule(Rect { height: 1, ..area }, &format!("alarms: {summary}"), Role::Border);
    let room = area.width.saturating_sub(2);
    if views.is_empty() {
        let text = match &book.trouble {
            Some(why) => format!("alarms cannot be read: {why}"),
            None if book.is_read => "no open alarms".to_owned(),
            None => "reading".to_owned(),
        };
        pen.put(area.x + 1, area.y + 1, room, &text, Role::Dim);
        return;
    }
    let height = state.alarm_rows();
    let rows = alarms::rows(&views, &state.picture, &look);
    for (i, line) in rows.iter().enumerate().skip(book.offset).take(height) {
        let y = area.y + 1 + (i - book.offset) as u16;
        pen.line(area.x + 1, y, room, line);
        if i == book.cursor {
            pen.wash(Rect::new(area.x, y, area.width, 1), Role::Selected);
        }
    }
    let top = area.y + 1 + height as u16;
    draw_chosen(pen, state, Rect::new(area.x, top, area.width, area.bottom().saturating_sub(top)));
}

/// All about the chosen one.
fn draw_chosen(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let Some(view) = state.alarms.chosen().filter(|_| area.height > 1) else { return };
    pen.rule(Rect { height: 1, ..area }, &view.id.to_string(), Role::Border);
    let room = area.width.saturating_sub(2);
    let look = Look { width: Some(usize::from(room)), times: pen.times };
    let notes: Vec<_> = state.alarms.notes(&view.id).collect();
    let lines = alarms::details(view, &notes, &state.picture, &look);
    let lines = lines.into_iter().flat_map(|line| line.wrap(usize::from(room), 0, 3));
    for (line, y) in lines.zip(area.y + 1..area.bottom()) {
        pen.line(area.x + 1, y, room, &line);
    }
}

/// Draws the question over the page.
pub(super) fn draw_dialog(pen: &mut Pen<'_>, state: &State, dialog: &AlarmDialog) {
    const MOST: usize = 5;
    let shown = dialog.about.len().min(MOST);
    let area = layout::dialog(state.size, 72, shown as u16 + 7);
    let role = if worst(&dialog.about) == tcs_alarms::Severity::Critical {
        Role::Warn
    } else {
        Role::Border
    };
    let inside = pen.frame(area, dialog.act.as_str(), role);
    for (i, view) in dialog.about.iter().take(MOST).enumerate() {
        let y = inside.y + i as u16;
        let raised = pen.times.short(view.record().episode.raised.time(), state.picture.now);
        let more = dialog.about.len() - shown;
        let text = match more {
            1.. if i + 1 == MOST => format!("{} and {more} more", view.id),
            _ => format!("{}, {}, raised {raised}", view.id, view.record().severity),
        };
        pen.put(inside.x, y, inside.width, &text, Role::Strong);
    }
    let y = inside.y + shown as u16 + 1;
    let line = Rect::new(inside.x.saturating_sub(1), y, inside.width + 1, 1);
    let end = typed(pen, line, ">", &dialog.line);
    if dialog.line.text().is_empty() {
        let room = inside.right().saturating_sub(end + 2);
        pen.put(end + 2, y, room, dialog.hint(), Role::Dim);
    }
    if let Some(error) = &dialog.error {
        pen.put(inside.x, y + 1, inside.width, error, Role::Bad);
    }
    let y = area.bottom().saturating_sub(2);
    let mut x = inside.x;
    x += pen.put(x, y, 5, "Enter", Role::Key);
    let does = match dialog.act {
        AlarmAct::Acknowledge => " acknowledges",
        AlarmAct::Shelve => " shelves",
        AlarmAct::Note => " stores the note",
    };
    x += pen.put(x, y, 20, does, Role::Text) + 3;
    x += pen.put(x, y, 3, "Esc", Role::Key);
    pen.put(x, y, 20, " cancels", Role::Dim);
}
