//! What `tcsd uninstall` takes away: only what an installation wrote.

use std::path::{Path, PathBuf};

use super::{
    Facts, Layout, OPERATORS, Options, PROGRAMS, Plan, Step, UNITS, USERS, check, systemctl,
};

/// The steps of a removal. Configuration, state and users stay, unless `purge` is set.
pub(crate) fn removal(options: &Options, facts: &Facts, purge: bool) -> Result<Plan, String> {
    check(options, facts, "uninstall")?;
    let layout = Layout::new(options, facts);
    let mut plan = Plan::default();
    let there = UNITS.map(|unit| layout.units.join(unit)).into_iter().filter(|it| facts.exists(it));
    let (foreign, mut paths): (Vec<_>, Vec<_>) = there.partition(|it| facts.foreign.contains(it));
    plan.notes.extend(
        foreign.iter().map(|path| {
            format!("{} was not written by `tcsd install`, and is kept", path.display())
        }),
    );
    if facts.has_systemd {
        for unit in paths.iter().filter_map(|path| path.file_name()?.to_str()) {
            plan.steps.push(systemctl(options, &["disable", "--now", unit]));
        }
    }
    if !paths.is_empty() && !facts.is_packaged() {
        paths.extend(programs(facts, &layout));
    }
    let drop_ins = layout.units.join("tcsd.service.d");
    if purge || !facts.has_other_drop_ins {
        paths.push(drop_ins);
    } else {
        paths.extend(facts.own_drop_ins.iter().cloned());
        plan.notes.push(format!("{} has files of yours, which are kept", drop_ins.display()));
    }
    if purge {
        paths.extend([&layout.config, &layout.state, &layout.store].map(Clone::clone));
    }
    let found = paths.into_iter().filter(|path| facts.exists(path));
    plan.steps.extend(found.map(|path| Step::Remove { path }));
    if facts.has_systemd && !plan.steps.is_empty() {
        plan.steps.push(systemctl(options, &["daemon-reload"]));
    }
    if purge && !options.user {
        let users = USERS.into_iter().filter(|user| facts.users.contains(*user));
        let users = users.map(|user| ["userdel", user]);
        let group = facts.has_operators.then_some(["groupdel", OPERATORS]);
        let commands = users.chain(group).map(|words| words.map(str::to_owned).to_vec());
        plan.steps.extend(commands.map(|command| Step::Run { command }));
    } else if !purge && facts.exists(&layout.config) {
        let (config, state) = (layout.config.display(), layout.state.display());
        plan.notes.push(format!("{config} and {state} are kept; --purge removes them"));
    }
    if facts.is_packaged() {
        plan.notes.push("the programs belong to a package: remove it with apt or dnf".to_owned());
    }
    Ok(plan)
}

/// The programs that were copied: where the unit says, whatever `--prefix` was then.
fn programs(facts: &Facts, layout: &Layout) -> Vec<PathBuf> {
    let bin = facts.unit_program.as_deref().and_then(Path::parent).unwrap_or(&layout.bin);
    if bin == Path::new("/usr/bin") {
        return Vec::new();
    }
    let programs = PROGRAMS.map(|name| bin.join(name)).into_iter();
    programs.filter(|path| !facts.foreign.contains(path)).collect()
}
