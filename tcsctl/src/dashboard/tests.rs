//! Screens, as text and as styled runs; and (fleet, keys, screen).

mod alarms;
mod animation;
mod broken_night;
mod confirm;
pub(crate) mod fixture;
mod hostile;
mod keys;
mod logs;
mod marks;
mod palette;
mod problems;
mod profile;
mod screens;
mod screenshots;
mod svg;
mod time;
mod timeline;
mod usage;
mod views;
mod why;
mod work;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::event::{Action, Event};
use super::state::State;
use super::view;

/// What the state looks like.
fn buffer(state: &State) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, state.size.0, state.size.1));
    view::draw(state, &mut buffer);
    buffer
}

/// Its text, a line each, without the blanks at the end.
fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                line.push_str(symbol);
                skip = tcs_present::text::width(symbol).max(1);
            }
            skip -= 1;
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Its text with the runs of each style written out: `{red bold|× failed}`.
fn styled(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut runs: Vec<(String, String)> = Vec::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let style = style(cell.fg, cell.bg, cell.modifier);
            match runs.last_mut() {
                Some((last, text)) if *last == style => text.push_str(cell.symbol()),
                _ => runs.push((style, cell.symbol().to_owned())),
            }
        }
        let line: String = runs
            .into_iter()
            .map(
                |(style, text)| if style.is_empty() { text } else { format!("{{{style}|{text}}}") },
            )
            .collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn style(fg: Color, bg: Color, modifier: Modifier) -> String {
    let mut words = Vec::new();
    if fg != Color::Reset {
        words.push(fg.to_string().to_lowercase());
    }
    if bg != Color::Reset {
        words.push(format!("on {}", bg.to_string().to_lowercase()));
    }
    for (one, word) in [
        (Modifier::BOLD, "bold"),
        (Modifier::DIM, "dim"),
        (Modifier::UNDERLINED, "underlined"),
        (Modifier::REVERSED, "reversed"),
    ] {
        if modifier.contains(one) {
            words.push(word.to_owned());
        }
    }
    words.join(" ")
}

/// Presses keys, by their names, with the picture brought up to date after each; returns what was
/// wanted of the program.
fn press(state: &mut State, keys: &str) -> Vec<Action> {
    let mut actions = Vec::new();
    for key in keys.split_whitespace() {
        actions.extend(state.update(Event::Key(key.parse().unwrap()), state.now));
        state.settle(state.now);
    }
    actions
}

/// Types a text, each blank as the key of that name.
fn type_in(state: &mut State, text: &str) -> Vec<Action> {
    let keys = text.chars().map(|c| if c == ' ' { "Space".to_owned() } else { c.to_string() });
    let keys: Vec<String> = keys.collect();
    press(state, &keys.join(" "))
}
