//! What is started after what.

use serde_json::json;

use super::support::{Line, event, picture};
use crate::FleetView;
use crate::graph::{Graph, affected};

fn declared(id: &str, after: &[&str]) -> Line {
    event("declared", id, 0.0).with(&json!({"declared": {"enabled": true, "after": after}}))
}

fn started(id: &str, at: f64, took: f64) -> [Line; 2] {
    let ready = event("ready", id, at + took).with(&json!({"startup_duration_seconds": took}));
    [event("start", id, at), ready]
}

/// `power`, after it `camera` and `dome`, after both `guider`; `lamp` by itself.
fn site(camera_took: f64) -> Vec<Line> {
    let mut lines = vec![
        declared("power.a", &[]),
        declared("camera.a", &["power.a"]),
        declared("dome.a", &["power.a", "nobody.a"]),
        declared("guider.a", &["camera.a", "dome.a", "guider.a"]),
        declared("lamp.a", &[]),
    ];
    lines.extend(started("power.a", 10.0, 1.0));
    lines.extend(started("camera.a", 11.0, camera_took));
    lines.extend(started("dome.a", 11.0, 3.0));
    lines.extend(started("guider.a", 30.0, 2.0));
    lines.extend(started("lamp.a", 200.0, 1.0));
    lines
}

fn names(view: &FleetView, places: impl IntoIterator<Item = usize>) -> Vec<String> {
    places.into_iter().map(|at| view.services[at].id.to_string()).collect()
}

fn chain(view: &FleetView) -> Vec<String> {
    let graph = Graph::of(view);
    let all = graph.around(&(0..view.services.len()).collect::<Vec<_>>());
    names(view, graph.critical_chain(view, &all).iter().map(|it| it.service))
}

#[test]
fn what_comes_before_and_after_directly_or_not() {
    let view = picture(&site(8.0), 100.0);
    let graph = Graph::of(&view);
    let place = |id: &str| view.position(id).unwrap();
    let around = |ids: &[&str]| {
        names(&view, graph.around(&ids.iter().map(|id| place(id)).collect::<Vec<_>>()))
    };
    assert_eq!(around(&["guider.a"]), ["camera.a", "dome.a", "guider.a", "power.a"]);
    assert_eq!(around(&["dome.a"]), ["dome.a", "guider.a", "power.a"]);
    assert!(around(&["lamp.a"]).is_empty(), "it has no order");
    let of = |id: &str| names(&view, affected(&view, &graph, view.get(id).unwrap()).1);
    assert_eq!(of("power.a"), ["camera.a", "dome.a", "guider.a"]);
    assert!(of("guider.a").is_empty());
}

#[test]
fn only_what_runs_is_affected() {
    let mut lines = site(8.0);
    lines.push(event("stop", "guider.a", 60.0).with(&json!({"reason": "terminated"})));
    let view = picture(&lines, 100.0);
    let graph = Graph::of(&view);
    let after = affected(&view, &graph, view.get("power.a").unwrap()).1;
    assert_eq!(names(&view, after), ["camera.a", "dome.a"]);
}

#[test]
fn the_chain_goes_through_what_was_ready_last() {
    assert_eq!(chain(&picture(&site(8.0), 100.0)), ["power.a", "camera.a", "guider.a"]);
    assert_eq!(chain(&picture(&site(1.0), 100.0)), ["power.a", "dome.a", "guider.a"]);
    // one that was started again later has not been waited for
    let mut lines = site(8.0);
    lines.extend(started("camera.a", 50.0, 1.0));
    assert_eq!(chain(&picture(&lines, 100.0)), ["power.a", "dome.a", "guider.a"]);
}

#[test]
fn a_circle_ends() {
    let mut lines = vec![
        declared("a.a", &["b.a"]),
        declared("b.a", &["c.a"]),
        declared("c.a", &["a.a"]),
        declared("d.a", &["c.a"]),
    ];
    for id in ["a.a", "b.a", "c.a", "d.a"] {
        lines.extend(started(id, 10.0, 1.0));
    }
    let view = picture(&lines, 100.0);
    let graph = Graph::of(&view);
    let after = affected(&view, &graph, view.get("a.a").unwrap()).1;
    assert_eq!(names(&view, after), ["b.a", "c.a", "d.a"], "not the service itself");
    assert_eq!(chain(&view).len(), 4);
}
