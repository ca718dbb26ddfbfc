//! A report on its way out.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{Core, Moment, Node, NodeId};
use crate::wire::text::cut;
use crate::wire::{Component, Details, MAX_COMPONENTS, MAX_LEVELS, Status, StatusMessage};

/// A report frozen at the moment of a change.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) message: StatusMessage,
    /// When it was made: [`Moment::run_s`].
    pub(crate) run_s: f64,
    /// The nodes of the report in the order of a walk from the root, for what is filled in later.
    pub(crate) nodes: Vec<NodeId>,
}

impl Draft {
    /// Puts fresh metrics of some nodes into the frozen report.
    pub(crate) fn fill(&mut self, mut metrics: impl FnMut(NodeId) -> Option<Map<String, Value>>) {
        fn walk(
            details: &mut Details,
            nodes: &mut impl Iterator<Item = NodeId>,
            metrics: &mut impl FnMut(NodeId) -> Option<Map<String, Value>>,
        ) {
            let Some(node) = nodes.next() else { return };
            if let Some(fresh) = metrics(node) {
                details.metrics = fresh;
            }
            for component in &mut details.components {
                walk(&mut component.details, nodes, metrics);
            }
        }
        let details = Arc::make_mut(&mut self.message.details);
        walk(details, &mut self.nodes.iter().copied(), &mut metrics);
    }
}

impl Core {
    /// The report as of now, of so many changes.
    pub(super) fn draft(&self, changes: u64, now: Moment) -> Draft {
        let root = &self.nodes[0];
        let mut nodes = vec![NodeId::ROOT];
        let mut details = self.details(NodeId::ROOT, now.wall, 0, &mut nodes);
        details.coalesced = (changes > 1).then_some(changes);
        let (mut status, mut text) = (root.aggregate, self.trouble_below());
        if self.is_blocked() {
            (status, text) = (Status::Warning, self.blocked.clone());
            details.own_status = Some(root.said.status);
            details.reported_by = Some("watchdog".to_owned());
        }
        let message = StatusMessage {
            status,
            timestamp: Some(now.wall.into()),
            message: text.or_else(|| root.said.message.clone()),
            details: Arc::new(details),
            status_age_s: self.own_since.map(|since| {
                let age = now.mono.saturating_duration_since(since).as_secs_f64();
                (age * 1000.0).round() / 1000.0
            }),
            ..self.template.clone()
        };
        Draft { message, run_s: now.run_s, nodes }
    }

    /// What is wrong with the part that makes the whole worse than the object says of itself:
    /// `encoder: no signal`. Starting and ending are told in the object's own words.
    fn trouble_below(&self) -> Option<String> {
        let Node { said, aggregate, .. } = &self.nodes[0];
        let is_own = matches!(said.status, Status::Startup | Status::Shutdown);
        if is_own || *aggregate < Status::Degraded || *aggregate <= said.status {
            return None;
        }
        let (mut path, mut at) = (String::new(), NodeId::ROOT);
        while self.nodes[at.0].said.status != *aggregate {
            let mut children = self.nodes[at.0].children.iter();
            at = *children.find(|child| self.nodes[child.0].aggregate == *aggregate)?;
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&self.nodes[at.0].name);
        }
        let words = self.nodes[at.0].said.message.as_deref().unwrap_or(aggregate.as_str());
        let mut text = format!("{path}: {words}");
        cut(&mut text);
        Some(text)
    }

    fn details(
        &self,
        id: NodeId,
        wall: DateTime<Utc>,
        level: usize,
        nodes: &mut Vec<NodeId>,
    ) -> Details {
        let node = &self.nodes[id.0];
        let mut components = Vec::new();
        if level < MAX_LEVELS {
            for child in &node.children {
                if nodes.len() > MAX_COMPONENTS {
                    break; // more than that nobody reads
                }
                nodes.push(*child);
                let node = &self.nodes[child.0];
                components.push(Component {
                    name: node.name.clone(),
                    status: node.aggregate,
                    timestamp: Some(wall.into()),
                    message: node.said.message.clone(),
                    details: self.details(*child, wall, level + 1, nodes),
                });
            }
        }
        Details {
            own_status: (!components.is_empty()).then_some(node.said.status),
            components,
            metrics: node.metrics.clone(),
            ..Details::default()
        }
    }
}
