//! The timeline as SVG. Colour and height tell the verdict: what is worse is taller.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use tcs_fleet::history::{Chronicle, Track, timeline};
use tcs_fleet::{ServiceView, Verdict};

use super::markup::escape;
use crate::timeline::{Shown, scale};
use crate::{Look, text};

/// Of the drawing, in its own units.
const WIDTH: f64 = 1000.0;
const NAMES: f64 = 220.0;
const ROW: f64 = 16.0;
const HEAD: f64 = 20.0;
/// Names are cut to so many characters.
const LONGEST: usize = 34;
/// Columns of the scale: one time each twelve.
const COLUMNS: usize = 120;

pub(super) fn draw(chronicle: &Chronicle, look: &Look) -> String {
    let history = &chronicle.history;
    let services = Shown::default().services(chronicle);
    let height = HEAD + ROW * services.len() as f64 + 4.0;
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"timeline of {} \
         services\">\n",
        services.len()
    );
    scale_of(&mut out, chronicle, look, height);
    for (i, service) in services.iter().enumerate() {
        let Some(track) = history.services.get(&service.id) else { continue };
        row(&mut out, chronicle, (service, track), HEAD + ROW * i as f64, look);
    }
    for gap in &history.gaps {
        let (x, width) = place(chronicle, gap.from, gap.until);
        let title = escape(&crate::timeline::gap_text(gap, history.to, look));
        let _ = writeln!(
            out,
            "<rect class=\"gap\" x=\"{x:.2}\" y=\"{HEAD}\" width=\"{width:.2}\" height=\"{:.2}\">\
             <title>{title}</title></rect>",
            height - HEAD
        );
    }
    out.push_str("</svg>");
    out
}

/// Where a part of the period lies, and how wide it is: to be seen, half a unit at least.
fn place(chronicle: &Chronicle, from: DateTime<Utc>, until: DateTime<Utc>) -> (f64, f64) {
    let history = &chronicle.history;
    let seconds = |span: chrono::TimeDelta| span.num_milliseconds() as f64 / 1000.0;
    let whole = seconds(history.to - history.from).max(0.001);
    let x = |at| NAMES + seconds(at - history.from) / whole * (WIDTH - NAMES);
    (x(from), (x(until) - x(from)).max(0.5))
}

fn scale_of(out: &mut String, chronicle: &Chronicle, look: &Look, height: f64) {
    let history = &chronicle.history;
    let drawn = timeline(history, history.from, history.to, COLUMNS);
    let line = scale(&drawn, look).plain();
    let column = (WIDTH - NAMES) / COLUMNS as f64;
    let mut at = 0;
    for part in line.split_inclusive(' ') {
        let label = part.trim();
        if !label.is_empty() {
            let x = NAMES + at as f64 * column;
            let _ = writeln!(
                out,
                "<text class=\"scale\" x=\"{x:.1}\" y=\"12\">{}</text><line x1=\"{x:.1}\" \
                 x2=\"{x:.1}\" y1=\"15\" y2=\"{height:.1}\"/>",
                escape(label)
            );
        }
        at += text::width(part);
    }
}

/// How tall a verdict stands in its row.
const fn tall(verdict: Verdict) -> f64 {
    match verdict {
        Verdict::Failed | Verdict::Lost | Verdict::Error => 13.0,
        Verdict::Restarting | Verdict::Late | Verdict::Degraded => 9.0,
        Verdict::Starting | Verdict::Stopping => 6.0,
        Verdict::Ok => 4.0,
        Verdict::Unknown | Verdict::Stopped => 1.5,
    }
}

fn row(
    out: &mut String,
    chronicle: &Chronicle,
    (service, track): (&ServiceView, &Track),
    y: f64,
    look: &Look,
) {
    let history = &chronicle.history;
    let name = escape(&text::cut_middle(&text::shown(&service.id), LONGEST));
    let base = y + ROW - 2.0;
    let _ = writeln!(out, "<text x=\"0\" y=\"{:.1}\">{name}</text>", base - 2.0);
    for (from, until, stage) in track.spans(history.from, history.to) {
        let (x, width) = place(chronicle, from, until);
        let (verdict, tall) = (stage.verdict, tall(stage.verdict));
        let wall = |at| look.times.wall(at).format("%H:%M:%S").to_string();
        let cause = stage.reason.as_ref().map(|reason| format!(": {}", reason.cause()));
        let title = format!(
            "{} {verdict} {} to {}{}",
            service.id,
            wall(from),
            wall(until),
            cause.unwrap_or_default()
        );
        let _ = writeln!(
            out,
            "<rect class=\"v-{verdict}\" x=\"{x:.2}\" y=\"{:.2}\" width=\"{width:.2}\" \
             height=\"{tall}\"><title>{}</title></rect>",
            base - tall,
            escape(&text::shown(&title))
        );
    }
    for at in track.restarts.iter().filter(|at| history.from <= **at && **at < history.to) {
        let (x, _) = place(chronicle, *at, *at);
        let _ = writeln!(
            out,
            "<rect class=\"restart\" x=\"{x:.2}\" y=\"{:.2}\" width=\"1\" height=\"3\"/>",
            base - 13.0
        );
    }
}
