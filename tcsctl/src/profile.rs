//! Moving launchers to another profile, as far as `tcsctl profile` and the dashboard share it: what is
//! stopped before any of them moves.

use tcs_core::wire::control::{Consequence, ReloadReply};

/// The services that are stopped first, each behind its launcher, so that on no launcher something is
/// started while on another something still runs that leaves. None where that cannot happen: a
/// launcher keeps this order by itself.
pub(crate) fn stops_first<'a>(plans: &[(&'a str, &'a ReloadReply)]) -> Vec<(&'a str, &'a str)> {
    let of = |wanted: Consequence| {
        let all = plans.iter().flat_map(move |(launcher, plan)| {
            plan.services.iter().map(move |service| (*launcher, service))
        });
        all.filter(move |(_, service)| service.then == Some(wanted))
            .map(|(launcher, service)| (launcher, service.service_id.as_str()))
    };
    let is_elsewhere = |launcher: &str| of(Consequence::Starts).any(|(it, _)| it != launcher);
    if !of(Consequence::Stops).any(|(launcher, _)| is_elsewhere(launcher)) {
        return Vec::new();
    }
    of(Consequence::Stops).collect()
}

#[cfg(test)]
mod tests {
    use tcs_core::wire::control::ServiceChange;

    use super::*;

    fn plan(services: &[(&str, Consequence)]) -> ReloadReply {
        let change = |(id, then): &(&str, Consequence)| ServiceChange {
            service_id: (*id).to_owned(),
            then: Some(*then),
            ..ServiceChange::default()
        };
        ReloadReply { services: services.iter().map(change).collect(), ..ReloadReply::default() }
    }

    #[test]
    fn stops_come_first_where_another_launcher_starts_something() {
        use Consequence::{Restarts, Starts, Stops};
        let (a, b) = (plan(&[("camera.a", Stops), ("dome.a", Starts)]), plan(&[("x.b", Starts)]));
        assert_eq!(stops_first(&[("la", &a), ("lb", &b)]), [("la", "camera.a")]);
        assert_eq!(stops_first(&[("la", &a)]), []);
        let restarts = plan(&[("x.b", Restarts), ("y.b", Stops)]);
        assert_eq!(stops_first(&[("lb", &restarts)]), []);
        assert_eq!(
            stops_first(&[("la", &a), ("lb", &restarts)]),
            [("la", "camera.a"), ("lb", "y.b")],
            "all of them: the order holds for what starts anywhere"
        );
        let only_stops = plan(&[("camera.a", Stops)]);
        assert_eq!(stops_first(&[("la", &only_stops), ("lb", &restarts)]), []);
    }
}
