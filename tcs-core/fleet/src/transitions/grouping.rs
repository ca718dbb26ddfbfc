//! What happens to many services at once, as one thing: a broker that stalls makes a whole fleet
//! late within seconds, and well again.

use chrono::TimeDelta;

use super::{Cause, Transition};
use crate::{SLACK, Verdict};

/// So many services make a group.
pub const MANY: usize = 3;

/// One transition, or one kind of transition of many services at about the same time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Group<'a> {
    /// In the order in which they happened; one at least.
    pub members: Vec<&'a Transition>,
}

impl<'a> Group<'a> {
    /// The first of them.
    pub fn first(&self) -> &'a Transition {
        self.members[0]
    }

    /// Whether it stands for many.
    pub fn is_many(&self) -> bool {
        self.members.len() > 1
    }

    /// How long what was before had lasted, at the service where that was longest.
    pub fn lasted(&self) -> Option<TimeDelta> {
        self.members.iter().filter_map(|it| it.before?.lasted).max()
    }

    /// From the first to the last.
    pub fn within(&self) -> TimeDelta {
        let last = self.members.last().map_or(self.first().at, |last| last.at);
        last - self.first().at
    }
}

/// Puts together what happened to [`MANY`] services and more, each within [`SLACK`] of the one
/// before: the same change of verdict, made by heartbeats. All else stands for itself. Both are in
/// the order in which they happened, a group at the place of its first.
pub fn grouped<'a>(transitions: impl IntoIterator<Item = &'a Transition>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut open: Vec<(Change, usize)> = Vec::new();
    for transition in transitions {
        let Some(change) = change(transition) else {
            groups.push(Group { members: vec![transition] });
            continue;
        };
        let place = open.iter().position(|(kind, _)| *kind == change);
        let joins = place.map(|place| open[place].1).filter(|at| {
            let group: &Group<'_> = &groups[*at];
            group.members.last().is_some_and(|last| transition.at - last.at <= SLACK)
                && group.members.iter().all(|member| member.id != transition.id)
        });
        if let Some(at) = joins {
            groups[at].members.push(transition);
            continue;
        }
        groups.push(Group { members: vec![transition] });
        open.retain(|(kind, _)| *kind != change);
        open.push((change, groups.len() - 1));
    }
    let small = |group: &Group<'_>| group.members.len() > 1 && group.members.len() < MANY;
    if groups.iter().any(small) {
        let split = |group: Group<'a>| {
            let one = |member| Group { members: vec![member] };
            if small(&group) { group.members.into_iter().map(one).collect() } else { vec![group] }
        };
        groups = groups.into_iter().flat_map(split).collect();
        groups.sort_by_key(|group| group.first().at);
    }
    groups
}

/// From which verdict to which.
type Change = (Option<Verdict>, Verdict);

fn change(transition: &Transition) -> Option<Change> {
    let by_heartbeat = matches!(transition.cause, Cause::Heartbeat);
    by_heartbeat.then(|| (transition.before.map(|before| before.verdict), transition.verdict))
}
