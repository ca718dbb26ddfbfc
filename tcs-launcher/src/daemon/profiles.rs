//! Named sets of services: those of the chosen one run, those of the others only do not
//! (`docs/spec/supervision.md#profiles`).

use std::collections::BTreeMap;

use tcs_core::config::{Config, nearest};
use tcs_core::id::ServiceId;
use tcs_core::wire::control::ProfilesReply;
use tcs_supervisor::reload::Touched;
use tcs_supervisor::{Diff, Phase};

use super::Daemon;
use crate::control::ProfileChoice;

type Profiles = BTreeMap<String, Vec<ServiceId>>;

impl Daemon<'_> {
    /// Which profiles the file has now, and which one was chosen last.
    pub(super) fn profiles(&self) -> Result<ProfilesReply, String> {
        let (_, config) = self.read_file()?;
        let names = |ids: Vec<ServiceId>| ids.iter().map(ToString::to_string).collect();
        let profiles = config.launch.profiles.into_iter();
        let profiles = profiles.map(|(name, ids)| (name, names(ids))).collect();
        Ok(ProfilesReply { current: self.kept.now().profile, profiles })
    }

    /// The profile that a choice comes to; one that the file does not have is an error.
    pub(super) fn chosen(
        &self,
        choice: ProfileChoice,
        config: &Config,
    ) -> Result<Option<String>, String> {
        let profiles = &config.launch.profiles;
        match choice {
            ProfileChoice::Keep => Ok(self.kept.now().profile),
            ProfileChoice::Set(None) => Ok(None),
            ProfileChoice::Set(Some(name)) if profiles.contains_key(&name) => Ok(Some(name)),
            ProfileChoice::Set(Some(name)) => Err(unknown(&name, profiles)),
        }
    }

    /// Services of profiles that people have started or stopped meanwhile are brought to what is
    /// wanted of them. Those that are stopped for planned work stay so.
    pub(super) fn bring_up_and_down(
        &self,
        config: &Config,
        diff: &mut Diff,
        touched: &mut Vec<Touched>,
    ) {
        let in_a_profile =
            |id: &ServiceId| config.launch.profiles.values().any(|ids| ids.contains(id));
        for entry in config.services.iter().filter(|entry| in_a_profile(&entry.id)) {
            let id = &entry.id;
            let Some(service) = self.supervisor.service(id) else { continue };
            if touched.iter().any(|it| it.id == *id) || self.kept.work(id).is_some() {
                continue;
            }
            let runs_by_itself = entry.launch.enabled && entry.launch.schedule.is_none();
            let is_down = matches!(service.phase, Phase::Declared | Phase::Stopped);
            if runs_by_itself && is_down {
                diff.up.push(id.clone());
            } else if !entry.launch.enabled && service.wanted {
                diff.down.push(id.clone());
            } else {
                continue;
            }
            touched.push(Touched::by_state(id.clone()));
        }
    }
}

fn unknown(name: &str, profiles: &Profiles) -> String {
    let known = profiles.keys().map(String::as_str);
    let near = nearest(name, known.clone());
    let near = near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
    match known.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => format!("no profile `{name}`: the file has none"),
        known => format!("no profile `{name}`{near}; the file has {known}"),
    }
}

/// With the services that this profile says; one that the file no longer has changes nothing.
pub(super) fn apply(config: &mut Config, profile: Option<&str>) {
    let Some(name) = profile else { return };
    let profiles = &config.launch.profiles;
    let Some(chosen) = profiles.get(name) else {
        tracing::warn!("{}; services run as the file says without one", unknown(name, profiles));
        return;
    };
    for entry in &mut config.services {
        if profiles.values().any(|ids| ids.contains(&entry.id)) {
            entry.launch.enabled = chosen.contains(&entry.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use tcs_core::config::Environment;

    use super::*;

    #[test]
    fn a_profile_says_which_of_the_services_in_profiles_run() {
        let file = "
launch:
  profiles: {night: [guider.a, weather.a], day: [weather.a, archive.a]}
services:
- {type: guider, variant: a, launch: {enabled: false}}
- {type: weather, variant: a}
- {type: archive, variant: a}
- {type: other, variant: a}
- {type: unused, variant: a, launch: {enabled: false}}
";
        let enabled = |profile| {
            let config = Config::parse("t.yaml", file.as_bytes(), &Environment::default());
            let mut config = config.unwrap();
            apply(&mut config, profile);
            let on = config.services.into_iter().filter(|it| it.launch.enabled);
            on.map(|it| it.service_type.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(enabled(None), "weather archive other");
        assert_eq!(enabled(Some("night")), "guider weather other");
        assert_eq!(enabled(Some("day")), "weather archive other");
        assert_eq!(enabled(Some("gone")), "weather archive other");
    }

    #[test]
    fn an_unknown_profile_names_those_that_there_are() {
        let profiles = Profiles::from([("night".into(), vec![]), ("day".into(), vec![])]);
        let error = unknown("nihgt", &profiles);
        assert_eq!(error, "no profile `nihgt` (did you mean `night`?); the file has day, night");
        assert_eq!(unknown("x", &Profiles::new()), "no profile `x`: the file has none");
    }
}
