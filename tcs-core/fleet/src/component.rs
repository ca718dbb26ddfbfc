//! Which component of a service is in trouble.

use tcs_wire::StatusMessage;

/// The component, by its path inside the service (`camera/encoder`), whose own status makes the
/// service's status worse than the service's own, and what it says. `None`: the service itself is
/// in no better state than its components.
pub(super) fn in_trouble(message: &StatusMessage) -> Option<(String, Option<&str>)> {
    let (mut worst, mut details) = (message.status, &*message.details);
    let mut found: Option<(String, Option<&str>)> = None;
    while details.own_status.is_some_and(|own| own < worst) {
        let Some(next) = details.components.iter().find(|part| part.status >= worst) else { break };
        let path = match found {
            Some((above, _)) => format!("{above}/{}", next.name),
            None => next.name.clone(),
        };
        found = Some((path, next.message.as_deref()));
        (worst, details) = (next.status, &next.details);
    }
    found
}
