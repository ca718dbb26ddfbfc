//! Services' own metrics: one family, of which the number of series is bounded, because their names
//! come from anywhere.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tcs_fleet::ServiceView;
use tcs_wire::Component;

use super::Scrape;
use super::exposition::{Exposition, Kind, label};
use super::services::wanted;
use crate::json::metrics;

/// Series of one service.
const OF_ONE: usize = 64;
/// Series of all together.
const OF_ALL: usize = 20_000;

/// Writes them, and returns how many were left out.
pub(super) fn write(scrape: &Scrape<'_>, out: &mut Exposition) -> usize {
    let help = "A service's own metrics, numbers and booleans, as it reports them.";
    let mut family = out.family("tcs_service_metric", Kind::Gauge, help);
    let (mut room, mut dropped) = (OF_ALL, 0);
    for service in wanted(scrape) {
        let own = own(service);
        let most = own.len().min(OF_ONE).min(room);
        (room, dropped) = (room - most, dropped + own.len() - most);
        for ((component, name), value) in own.iter().take(most) {
            let (service, component, name) = (label(&service.id), label(component), label(name));
            let labels =
                format_args!("service=\"{service}\",component=\"{component}\",name=\"{name}\"");
            family.add(labels, *value);
        }
    }
    dropped
}

/// All of one service, by component and name. Of two components of one name the first counts.
fn own(service: &ServiceView) -> BTreeMap<(String, String), f64> {
    let mut own = BTreeMap::new();
    let mut add = |component: &str, metrics: &Map<String, Value>| {
        for (name, value) in metrics {
            // the host's are metrics of the host
            if service.is_launcher && component.is_empty() && name.starts_with("host_") {
                continue;
            }
            if let Some(value) = number(value) {
                own.entry((component.to_owned(), name.clone())).or_insert(value);
            }
        }
    };
    add("", &metrics(service));
    let components = service.record.status().map(|kept| &kept.message.details.components[..]);
    let mut left: Vec<(String, &Component)> =
        components.unwrap_or_default().iter().rev().map(|it| (it.name.clone(), it)).collect();
    while let Some((path, component)) = left.pop() {
        add(&path, &component.details.metrics);
        let below = component.details.components.iter().rev();
        left.extend(below.map(|it| (format!("{path}/{}", it.name), it)));
    }
    own
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(is_so) => Some(f64::from(u8::from(*is_so))),
        Value::Number(number) => number.as_f64(),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
