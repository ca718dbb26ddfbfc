//! A report on its way out.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::NodeId;
use crate::wire::{Details, StatusMessage};

/// A report frozen at the moment of a change.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) message: StatusMessage,
    /// When it was made: [`super::Moment::run_s`].
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
