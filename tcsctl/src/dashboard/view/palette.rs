//! Any command by its name, and what can stand behind it.

use ratatui::layout::Rect;
use tcs_present::{Role, text};

use super::footer::typed;
use super::pen::Pen;
use crate::dashboard::layout;
use crate::dashboard::state::State;
use crate::dashboard::state::overlay::Line;
use crate::dashboard::state::palette::with_argument;

/// Cells of a command's name.
const NAME: u16 = 21;

/// Draws it over the page.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, line: &Line, choice: usize) {
    let Some(area) = state.list_dialog() else { return };
    let inside = pen.frame(area, "command", Role::Border);
    typed(pen, Rect { height: 1, x: inside.x - 1, ..inside }, ":", line);
    let list = Rect::new(inside.x, inside.y + 2, inside.width, inside.height.saturating_sub(2));
    let choices = state.choices(line.text());
    let argument = with_argument(line.text());
    if choices.is_empty() {
        let none = match argument {
            Some((_, argument, _)) => state
                .nothing_offered(argument)
                .unwrap_or_else(|| format!("no {} of this name", argument.as_str().to_lowercase())),
            None => "no command of this name".to_owned(),
        };
        pen.put(list.x, list.y, list.width, &none, Role::Dim);
    }
    // names of services are longer than those of commands
    let widest = choices.iter().map(|choice| text::width(&choice.text)).max().unwrap_or(0) as u16;
    let most = list.width / 2;
    let name = if argument.is_some() { widest.clamp(NAME.min(most), most) } else { NAME };
    let height = usize::from(list.height);
    let from = layout::list_offset(choice, height);
    for (i, offered) in choices.iter().enumerate().skip(from).take(height) {
        let y = list.y + (i - from) as u16;
        let text = format!("{} {}", offered.text, offered.hint);
        let role = if offered.is_valid { Role::Text } else { Role::Dim };
        pen.put(list.x, y, name, text.trim_end(), role);
        let keys_wide = text::width(&offered.keys) as u16;
        let room = list.width.saturating_sub(name + 2 + keys_wide + 1);
        pen.put(list.x + name + 1, y, room, &offered.doc, Role::Dim);
        pen.put_right(list.x, y, list.width, &offered.keys, Role::Key);
        if i == choice {
            pen.wash(Rect::new(list.x - 1, y, list.width + 2, 1), Role::Selected);
        }
    }
}
