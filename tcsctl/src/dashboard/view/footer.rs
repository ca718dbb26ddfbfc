//! The keys that do something here and now; while a filter is typed, its line.

use ratatui::layout::Rect;
use tcs_present::{Role, text};

use super::pen::Pen;
use crate::dashboard::keymap::{Command, TABLE};
use crate::dashboard::state::overlay::{Line, Overlay};
use crate::dashboard::state::{Page, State};

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, area: Rect) {
    if let Some(Overlay::Filter { line, error, .. }) = &state.overlay {
        let mut x = typed(pen, area, "/", line);
        if let Some(error) = error {
            x += 2;
            pen.put(x, area.y, area.right().saturating_sub(x), &error.to_string(), Role::Bad);
        } else if line.text().is_empty() {
            let hint = "text  /regex/  host:  status:  verdict:  launcher:  is:fault  !not";
            pen.put(x + 2, area.y, area.right().saturating_sub(x + 2), hint, Role::Dim);
        }
        return;
    }
    for (from, _, command) in places(state) {
        let (key, short) = words(state, command);
        let used = pen.put(from, area.y, area.width, &key, Role::Key);
        pen.put(from + used + 1, area.y, area.width, short, Role::Dim);
    }
}

/// A line that is typed, with its cursor; returns the column after it.
pub(super) fn typed(pen: &mut Pen<'_>, area: Rect, prompt: &str, line: &Line) -> u16 {
    let mut x = area.x + 1;
    x += pen.put(x, area.y, 1, prompt, Role::Accent);
    let room = area.right().saturating_sub(x + 2);
    // the end of what stands before the cursor is always seen
    let before = text::tail(line.before_cursor(), usize::from(room));
    x += pen.put(x, area.y, room, before, Role::Strong);
    let cursor = x;
    let after = &line.text()[line.before_cursor().len()..];
    let used = pen.put(x, area.y, area.right().saturating_sub(x + 1), after, Role::Strong);
    pen.wash(Rect::new(cursor, area.y, 1, 1), Role::Selected);
    x + used.max(1)
}

fn words(state: &State, command: Command) -> (String, &'static str) {
    let key = match command {
        // two keys that belong together
        Command::Earlier => [Command::Earlier, Command::Later]
            .map(|command| state.options.keymap.keys(command).first().map(ToString::to_string))
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        command => {
            state.options.keymap.keys(command).first().map(ToString::to_string).unwrap_or_default()
        }
    };
    let short = match (command, state.page) {
        (Command::Back, Page::Fleet) => "live",
        (Command::Back, Page::Detail | Page::Logs | Page::Events) => "back",
        (command, _) => command.entry().short,
    };
    (key, short)
}

/// Which commands stand there: first and past-the-end column, and the command.
pub fn places(state: &State) -> Vec<(u16, u16, Command)> {
    let width = state.size.0;
    let back = state.page != Page::Fleet
        || matches!(state.moment, crate::dashboard::state::Moment::Past { .. });
    let first = back.then_some(Command::Back);
    let wanted = TABLE.iter().filter(|entry| !entry.short.is_empty()).map(|entry| entry.command);
    // help and quit stay when there is no room for all
    let last = [Command::Help, Command::Quit];
    let cells = |command: Command| {
        let (key, short) = words(state, command);
        (text::width(&key) + 1 + short.len()) as u16
    };
    let kept: u16 = last.iter().map(|command| cells(*command) + 2).sum();
    let mut x = 1;
    let mut out = Vec::new();
    for command in first.into_iter().chain(wanted.filter(|command| !last.contains(command))) {
        let wide = cells(command);
        let there = command == Command::Open && state.page == Page::Detail
            || command == Command::Logs && state.page == Page::Logs
            || command == Command::Events && state.page == Page::Events;
        if there || !state.is_valid(command) || state.options.keymap.keys(command).is_empty() {
            continue;
        }
        if x + wide + 2 + kept > width {
            break;
        }
        out.push((x, x + wide, command));
        x += wide + 2;
    }
    for command in last {
        let wide = cells(command);
        if !state.options.keymap.keys(command).is_empty() && x + wide <= width {
            out.push((x, x + wide, command));
            x += wide + 2;
        }
    }
    out
}
