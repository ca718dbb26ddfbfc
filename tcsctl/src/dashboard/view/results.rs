//! What became of an operation on many services, as it comes.

use std::fmt::Write as _;

use tcs_core::fleet::format_duration;
use tcs_present::{Line, Role, list, text};

use super::pen::Pen;
use crate::dashboard::state::State;
use crate::dashboard::state::batch::{Progress, Row};

/// Draws it over the page.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, scrolled: usize) {
    let Some(batch) = &state.batch else { return };
    let area = state.results_dialog();
    let (done, failed, open) = batch.counts();
    let mut title = format!("{}: {done} done", batch.title);
    for (n, word) in [(failed, "failed"), (open, "under way")] {
        if n > 0 {
            let _ = write!(title, ", {n} {word}");
        }
    }
    let role = if failed > 0 { Role::Warn } else { Role::Border };
    let inside = pen.frame(area, &title, role);
    let name = usize::from(inside.width) * 2 / 5;
    let height = usize::from(inside.height);
    let from = scrolled.min(batch.rows.len().saturating_sub(height));
    for (Row { request, progress, .. }, y) in
        batch.rows.iter().skip(from).zip(inside.y..inside.bottom())
    {
        let mut line =
            Line::new().with(Role::Strong, &list::short_name(&text::shown(&request.service), name));
        line.pad_to(name + 2);
        match progress {
            Progress::Waiting => line.push(Role::Dim, "waiting"),
            Progress::Asked if request.parameters.when_idle => {
                line.push(Role::Moving, "asked, stops when idle ...")
            }
            Progress::Asked => line.push(Role::Moving, "asked ..."),
            Progress::Done { text, took } => line
                .push(Role::Good, text)
                .push(Role::Dim, &format!("  in {}", format_duration(*took))),
            Progress::Failed(why) => line.push(Role::Bad, why),
        };
        pen.line(inside.x, y, inside.width, &line);
    }
    let hint =
        if from + height < batch.rows.len() { " j for more " } else { " any key closes it " };
    pen.put_right(area.x, area.bottom() - 1, area.width - 2, hint, Role::Strong);
}
