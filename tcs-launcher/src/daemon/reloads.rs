//! The configuration, read at start and again; and what reading it again would do.

use std::collections::BTreeMap;
use std::time::Duration;

use tcs_core::bus::settings::NatsSection;
use tcs_core::clock;
use tcs_core::config::{Config, Environment, Secrets, waits};

use super::plan::{Fixed, Plan};
use super::{Daemon, profiles};
use crate::control::ProfileChoice;
use crate::{reload_text, schedules};
use tcs_core::wire::control::{ReloadReply, ServiceChange};
use tcs_supervisor::reload::{self, Planned, Touched};
use tcs_supervisor::{Conclusion, Diff, Event, Operation, ServiceId, Ticket};

/// What the file said at start, and only another start of tcsd can change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StartupConfig {
    nats: Option<NatsSection>,
    heartbeat: Duration,
}

impl StartupConfig {
    pub(super) fn of(config: &Config) -> Self {
        Self { nats: config.nats.clone(), heartbeat: config.launch.heartbeat }
    }

    /// What a file that says `now` cannot change any more.
    fn notes(&self, now: &Self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.nats != now.nats {
            notes.push(
                "`nats` has changed: tcsd itself keeps its connection until it is restarted; \
                 services that start from now on read the new section"
                    .to_owned(),
            );
        }
        if self.heartbeat != now.heartbeat {
            let text = "`launch.heartbeat` of tcsd itself changes when tcsd is restarted";
            notes.push(text.to_owned());
        }
        notes
    }
}

/// A configuration that has been read, and what it changes.
pub(super) struct Prepared {
    profile: Option<String>,
    /// Somebody wants that profile.
    is_chosen: bool,
    environment: Environment,
    warnings: Vec<String>,
    plans: Vec<Plan>,
    diff: Diff,
    pub(super) report: ReloadReply,
}

impl Daemon<'_> {
    /// The first configuration.
    pub(super) fn begin(&mut self, config: &Config) -> Option<Conclusion> {
        let mut config = config.clone();
        profiles::apply(&mut config, self.kept.now().profile.as_deref());
        let plans = self.site().plan(&config);
        let (mut diff, _) = reload::diff(&BTreeMap::new(), &planned(&plans));
        let is_there = |id: &String| plans.iter().any(|plan| plan.entry.id.as_str() == id);
        self.kept.change(|kept| kept.stopped.retain(|id, _| is_there(id)));
        let held = self.kept.now().stopped;
        diff.held = held.keys().filter_map(|id| id.parse().ok()).collect();
        self.apply(plans, diff, None)
    }

    /// Reads the file again, and touches what has changed; one with errors changes nothing. Who
    /// asked gets the answer after the effects, and now what is to change.
    pub(super) fn read_again(
        &mut self,
        profile: ProfileChoice,
        request: Option<(Ticket, Operation)>,
    ) -> Result<ReloadReply, String> {
        self.systemd.reloading();
        let result = self.prepare(profile).map(|prepared| {
            let report = prepared.report.clone();
            self.reload(prepared, request);
            report
        });
        if let Err(error) = &result {
            tracing::error!("not reloaded, nothing was changed: {error}");
        }
        self.systemd.reloaded(&self.supervisor, result.as_ref().err().map(String::as_str));
        result
    }

    fn reload(&mut self, prepared: Prepared, request: Option<(Ticket, Operation)>) {
        let Prepared { profile, is_chosen, environment, warnings, plans, diff, report } = prepared;
        self.kept.change(|kept| {
            kept.profile = profile;
            if is_chosen {
                kept.profile_by = request.as_ref().map(|(_, it)| it.sender.to_string());
                kept.profile_since = Some(clock::wall());
            }
        });
        self.secrets = self.secrets.with(Secrets::of_environment(&environment));
        self.environment = environment;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!("reloaded the configuration");
        for line in reload_text::lines(&report) {
            tracing::info!("{line}");
        }
        let some_go = !diff.removed.is_empty();
        self.apply(plans, diff, request);
        if some_go {
            self.declare_all();
        }
    }

    /// Reads the file, and says what it changes; nothing is changed by that. The error names file,
    /// line and column.
    pub(super) fn prepare(&self, choice: ProfileChoice) -> Result<Prepared, String> {
        let (environment, mut config) = self.read_file()?;
        self.refuse_empty(&config)?;
        let is_chosen = choice != ProfileChoice::Keep;
        let profile = self.chosen(choice, &config)?;
        profiles::apply(&mut config, profile.as_deref());
        let warnings = (!config.warnings.is_empty()).then(|| config.warnings.to_string());
        let warnings = warnings.into_iter().collect();
        let mut notes = self.given.notes(&StartupConfig::of(&config));
        if !environment.added().eq(self.environment.added()) {
            let text = "`.env` has changed: a service gets the change at its next start";
            notes.push(text.to_owned());
        }
        let plans = self.site().plan(&config);
        // one that is on its way out is no longer there
        let stays = |id: &ServiceId| self.supervisor.service(id).is_some_and(|it| !it.leaving);
        let old = self.plans.iter().filter(|(id, _)| stays(id));
        let old = old.map(|(id, plan)| (id.clone(), plan.planned.clone())).collect();
        let (mut diff, mut touched) = reload::diff(&old, &planned(&plans));
        if is_chosen {
            self.bring_up_and_down(&config, &mut diff, &mut touched);
        }
        let services = self.changes(&touched, &diff, &config);
        let unchanged = plans.len() - (services.len() - diff.removed.len());
        let changed = !services.is_empty();
        let report = ReloadReply { changed, dry_run: false, services, unchanged, notes };
        Ok(Prepared { profile, is_chosen, environment, warnings, plans, diff, report })
    }

    pub(super) fn read_file(&self) -> Result<(Environment, Config), String> {
        let here = std::env::current_dir().map_err(|error| error.to_string())?;
        let environment = Environment::of_process(&here).map_err(|errors| errors.to_string())?;
        let config = schedules::load(&self.config, self.options.explicit, &environment)
            .map_err(|errors| errors.to_string())?;
        Ok((environment, config))
    }

    /// A file that is empty by accident (cut off, not written yet) stops nothing.
    fn refuse_empty(&self, config: &Config) -> Result<(), String> {
        let count = self.supervisor.services().filter(|it| !it.leaving).count();
        let is_meant = config.lists_services || self.options.allow_empty;
        if count == 0 || is_meant || !config.services.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{}: no `services` in the file, so a reload would stop all {count} of them\n\
             hint: write `services: []` to stop them all, or start tcsd with --allow-empty",
            self.config.display()
        ))
    }

    /// What would become of each: as it becomes of a copy.
    fn changes(&self, touched: &[Touched], diff: &Diff, config: &Config) -> Vec<ServiceChange> {
        let mut after = self.supervisor.clone();
        after.handle(Event::Apply { diff: diff.clone(), request: None }, self.now());
        let change = |it: &Touched| {
            let before = self.supervisor.service(&it.id);
            let after = after.service(&it.id);
            let entry = config.services.iter().find(|entry| entry.id == it.id);
            let waits_for = entry.map(|entry| waits(entry, &config.services)).unwrap_or_default();
            ServiceChange {
                service_id: it.id.to_string(),
                change: Some(it.kind),
                fields: it.fields.clone(),
                then: Some(reload::consequence(before.as_ref(), after.as_ref())),
                busy: before.as_ref().is_some_and(|it| it.busy),
                stop_timeout_s: before.map(|it| it.spec.stop_timeout.as_secs_f64()),
                waits_for: waits_for.iter().map(reload_text::wait).collect(),
                ..ServiceChange::default()
            }
        };
        touched.iter().map(change).collect()
    }

    fn apply(
        &mut self,
        plans: Vec<Plan>,
        diff: Diff,
        request: Option<(Ticket, Operation)>,
    ) -> Option<Conclusion> {
        // what is removed is kept until the supervisor forgets it
        for plan in plans {
            self.plans.insert(plan.entry.id.clone(), plan);
        }
        self.plan_schedules();
        self.handle(Event::Apply { diff, request })
    }
}

fn planned(plans: &[Plan]) -> Vec<Planned<Fixed>> {
    plans.iter().map(|plan| plan.planned.clone()).collect()
}
