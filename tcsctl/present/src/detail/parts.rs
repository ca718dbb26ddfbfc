//! The components of a service and its metrics, a line each.

use serde_json::Value;
use tcs_fleet::ServiceView;
use tcs_wire::Component;

use crate::symbols::{self, TREE};
use crate::{Line, Role, json, text};

/// Components shown of one service, and metrics; `--json` has them all.
const MAX_ROWS: usize = 200;
/// Cells for the name of a metric.
const NAME: usize = 32;

fn more(count: usize) -> Line {
    Line::new().with(Role::Dim, &format!("… and {count} more (--json has them)"))
}

/// The components below it, in their tree. Not recursive: the network decides how deep it is.
pub(super) fn components(service: &ServiceView) -> Vec<Line> {
    let status = service.record.status().map(|kept| &kept.message.details.components[..]);
    let mut lines = Vec::new();
    let mut open = vec![(status.unwrap_or_default(), String::new())];
    while let Some((level, indent)) = open.last_mut() {
        let Some((component, rest)) = level.split_first() else {
            open.pop();
            continue;
        };
        if lines.len() == MAX_ROWS {
            lines.push(more(open.iter().map(|(level, _)| level.len()).sum()));
            break;
        }
        *level = rest;
        let [fork, last, pass] = TREE;
        let (sign, below) = if rest.is_empty() { (last, " ") } else { (fork, pass) };
        let tree = format!("{indent}{sign}{} ", symbols::RULE);
        let below = format!("{indent}{below}  ");
        lines.push(part(&tree, component));
        open.push((&component.details.components, below));
    }
    lines
}

fn part(tree: &str, component: &Component) -> Line {
    let mut line = Line::new().with(Role::Border, tree).with(Role::Text, &component.name);
    line.push(Role::Text, "  ").push(component.status.into(), component.status.as_str());
    if let Some(message) = &component.message {
        line.push(Role::Text, &format!("  {message}"));
    }
    for (name, value) in &component.details.metrics {
        line.push(Role::Dim, &format!("  {name} = {}", number(value)));
    }
    line
}

/// Each with the curve of its last values.
pub(super) fn metrics(service: &ServiceView) -> Vec<Line> {
    let all = json::metrics(service);
    let longest = all.keys().map(|name| text::width(&text::shown(name))).max().unwrap_or(0);
    let row = |(name, value): (&String, &Value)| {
        let beats = service.beats();
        let values = beats.filter_map(|beat| beat.metrics.as_ref()?.get(name)?.as_f64());
        let shown = text::cut_middle(&text::shown(name), NAME);
        let mut line = Line::new().with(Role::Dim, &shown);
        line.pad_to(longest.min(NAME) + 2);
        match curve(&values.collect::<Vec<_>>()) {
            none if none.is_empty() => line.with(Role::Text, &number(value)),
            curve => {
                let number = format!("{:<10} ", number(value));
                line.with(Role::Text, &number).with(Role::Moving, &curve)
            }
        }
    };
    let mut lines: Vec<_> = all.iter().take(MAX_ROWS).map(row).collect();
    if all.len() > MAX_ROWS {
        lines.push(more(all.len() - MAX_ROWS));
    }
    lines
}

fn number(value: &Value) -> String {
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(float)) if float.abs() >= 1e6 || float.abs() < 1e-3 && float != 0.0 => {
                format!("{float:.3e}")
            }
            (None, Some(float)) => {
                let text = format!("{float:.3}");
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            (None, None) => number.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// A small curve of the last values; empty where there are fewer than three.
fn curve(values: &[f64]) -> String {
    if values.len() < 3 {
        return String::new();
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let span = most - least;
    let height = |value: &f64| {
        let height = if span > 0.0 { (value - least) / span * 7.0 } else { 3.0 };
        symbols::HEIGHTS[(height.round() as usize).min(7)]
    };
    values.iter().map(height).collect()
}
