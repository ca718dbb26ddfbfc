use std::path::PathBuf;

use super::{Facts, Options, Passwords, Plan, Step, plan, removal};

fn facts() -> Facts {
    let password = |name: &str| format!("p-{name}");
    Facts {
        is_root: true,
        home: "/home/op".into(),
        config_home: "/home/op/.config".into(),
        state_home: "/home/op/.local/state".into(),
        program: "/opt/venv/bin/tcsd".into(),
        console: Some("/opt/venv/bin/tcsctl".into()),
        path: [PathBuf::from("/usr/local/bin")].into(),
        broker: Some("/usr/sbin/nats-server".into()),
        has_systemd: true,
        passwords: Passwords {
            launcher: password("launcher"),
            service: password("service"),
            operator: password("operator"),
            viewer: password("viewer"),
        },
        ..Facts::default()
    }
}

fn shown(plan: &Plan) -> String {
    let steps = plan.steps.iter().map(ToString::to_string);
    let notes = plan.notes.iter().map(|note| format!("note: {note}"));
    steps.chain(notes).collect::<Vec<_>>().join("\n")
}

fn text(plan: &Plan, name: &str) -> String {
    let found = plan.steps.iter().find_map(|step| match step {
        Step::Write { path, text, .. } if path.ends_with(name) => Some(text.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no {name}: {plan:#?}"))
}

#[test]
fn a_host_with_nothing() {
    let plan = plan(&Options::default(), &facts()).unwrap();
    assert_eq!(
        shown(&plan),
        "\
create the system user tcs
create /etc/tcs/ (0750, root:tcs)
create /usr/local/bin/ (0755)
copy   /opt/venv/bin/tcsd to /usr/local/bin/tcsd
copy   /opt/venv/bin/tcsctl to /usr/local/bin/tcsctl
write  /etc/tcs/services.yaml (0640, root:tcs): sample configuration
create the system user tcs-nats
create the system group tcs-operators
write  /etc/tcs/tcsd.env (0600, root:root): login of tcsd
write  /etc/tcs/service.env (0640, root:tcs): login of services that run without tcsd
write  /etc/tcs/operator.json (0640, root:tcs-operators): login for operators
write  /etc/tcs/viewer.json (0640, root:tcs): login for read access
write  /etc/tcs/nats-server.conf (0640, root:tcs-nats): broker with generated passwords
write  /etc/systemd/system/tcs-nats.service (0644, root:root): systemd unit
write  /etc/systemd/system/tcsd.service (0644, root:root): systemd unit
run    systemctl daemon-reload
run    systemctl enable --now tcs-nats.service
run    systemctl enable --now tcsd.service
note: to view the fleet: tcsctl --context /etc/tcs/viewer.json
note: read access for a user: usermod -aG tcs NAME
note: operator access for a user: usermod -aG tcs,tcs-operators NAME"
    );
    let config = text(&plan, "nats-server.conf");
    for name in ["launcher", "service", "operator", "viewer"] {
        assert!(config.contains(&format!("password: \"p-{name}\"")), "{name}: {config}");
    }
    assert!(!config.contains("$TCS_VIEWER_PASSWORD"), "{config}");
    assert!(config.contains("store_dir: \"/var/lib/tcs-nats\""), "{config}");
    let unit = text(&plan, "tcsd.service");
    assert!(
        unit.contains("ExecStart=/usr/local/bin/tcsd --config /etc/tcs/services.yaml"),
        "{unit}"
    );
}

#[test]
fn what_exists_is_kept() {
    let mut facts = facts();
    let existing =
        ["/etc/tcs", "/etc/tcs/services.yaml", "/etc/tcs/nats-server.conf", "/usr/local/bin"];
    facts.existing = existing.map(PathBuf::from).into();
    facts.users = ["tcs", "tcs-nats"].into();
    facts.broker_listens = true;
    let plan = plan(&Options::default(), &facts).unwrap();
    let shown = shown(&plan);
    assert!(shown.contains("keep   /etc/tcs/services.yaml, which exists"), "{shown}");
    assert!(shown.contains("keep   /etc/tcs/nats-server.conf, which exists"), "{shown}");
    assert!(!shown.contains(".env (") && !shown.contains("create "), "{shown}");
    assert!(!shown.contains("enable --now tcs-nats.service"), "a broker runs: {shown}");
    assert!(shown.contains("a broker listens on port 4222 already"), "{shown}");
    assert!(shown.contains("logins: stop the other; systemctl enable --now tcs-nats"), "{shown}");
    // Debian's package of the broker starts it
    facts.has_distribution_broker = true;
    let plan = super::plan(&Options::default(), &facts).unwrap();
    let shown = super::tests::shown(&plan);
    let mend = "logins: systemctl disable --now nats-server; systemctl enable --now tcs-nats";
    assert!(shown.contains(mend), "{shown}");
}

#[test]
fn a_package_has_programs_and_unit() {
    let mut facts = facts();
    facts.program = "/usr/bin/tcsd".into();
    facts.has_packaged_unit = true;
    let options = Options { cameras: true, launch_user: true, ..Options::default() };
    let plan = plan(&options, &facts).unwrap();
    let shown = shown(&plan);
    assert!(!shown.contains("copy ") && !shown.contains("system/tcsd.service ("), "{shown}");
    assert!(shown.contains("write  /etc/systemd/system/tcsd.service.d/cameras.conf"), "{shown}");
    // services that run as tcs, and as others, can enter their working directory
    let drop_in = text(&plan, "launch-user.conf");
    assert!(drop_in.contains("User=root\nGroup=tcs\nStateDirectoryMode=0771\n"), "{drop_in}");
    assert!(shown.ends_with("NAME") && shown.contains("enable --now tcsd.service"), "{shown}");
}

#[test]
fn a_user_needs_no_root() {
    let facts = Facts { is_root: false, ..facts() };
    let refused = plan(&Options::default(), &facts).unwrap_err();
    assert!(refused.contains("needs root\nhint: sudo /opt/venv/bin/tcsd install; "), "{refused}");

    let options = Options { user: true, ..Options::default() };
    let plan = plan(&options, &facts).unwrap();
    let shown = shown(&plan);
    assert!(!shown.contains("root") && !shown.contains("system user"), "{shown}");
    assert!(shown.contains("run    systemctl --user enable --now tcsd.service"), "{shown}");
    assert!(shown.contains("note: /home/op/.local/bin is not in PATH"), "{shown}");
    assert!(shown.contains("loginctl enable-linger"), "{shown}");
    let unit = text(&plan, "tcsd.service");
    for line in [
        "ExecStart=/home/op/.local/bin/tcsd --config /home/op/.config/tcs/services.yaml --no-color",
        "WorkingDirectory=/home/op/.local/state/tcs",
        "Environment=STATE_DIRECTORY=/home/op/.local/state/tcs",
        "EnvironmentFile=-/home/op/.config/tcs/tcsd.env",
    ] {
        assert!(unit.lines().any(|it| it == line), "{line}: {unit}");
    }
}

#[test]
fn a_removal_takes_what_was_installed_and_keeps_what_was_written() {
    let mut facts = facts();
    let programs = ["/usr/local/bin/tcsd", "/usr/local/bin/tcsctl"];
    facts.existing = programs.map(PathBuf::from).into();
    let none = removal(&Options::default(), &facts, false).unwrap();
    assert_eq!(none.steps, [], "programs that came by other means stay");

    facts.existing.extend(["/etc/systemd/system/tcsd.service", "/etc/tcs"].map(PathBuf::from));
    facts.users = ["tcs"].into();
    facts.has_operators = true;
    let plain = removal(&Options::default(), &facts, false).unwrap();
    assert_eq!(
        shown(&plain),
        "\
run    systemctl disable --now tcsd.service
remove /etc/systemd/system/tcsd.service
remove /usr/local/bin/tcsd
remove /usr/local/bin/tcsctl
run    systemctl daemon-reload
note: /etc/tcs and /var/lib/tcs are kept; --purge removes them"
    );
    let all = shown(&removal(&Options::default(), &facts, true).unwrap());
    assert!(
        all.contains("remove /etc/tcs\n")
            && all.ends_with("run    userdel tcs\nrun    groupdel tcs-operators"),
        "{all}"
    );
    let options = Options { user: true, ..Options::default() };
    facts.existing.insert("/home/op/.config/tcs".into());
    let all = shown(&removal(&options, &facts, true).unwrap());
    assert!(all.contains("remove /home/op/.config/tcs") && !all.contains("are kept"), "{all}");
}

/// The broker runs as another user than the owner of the folder, and must get at its file.
#[test]
fn the_broker_can_read_its_configuration() {
    let plan = plan(&Options::default(), &facts()).unwrap();
    let folder = plan.steps.iter().find_map(|step| match step {
        Step::Folder { path, mode, owner } if path.ends_with("etc/tcs") => Some((*mode, *owner)),
        _ => None,
    });
    assert_eq!(folder, Some((0o750, Some("root:tcs"))));
    let unit = text(&plan, "tcs-nats.service");
    for line in ["User=tcs-nats", "Group=tcs-nats", "SupplementaryGroups=tcs"] {
        assert!(unit.lines().any(|it| it == line), "{line}: {unit}");
    }
}

/// `kill` is in a package of its own, which small systems lack.
#[test]
fn units_reload_by_the_shell_only_and_brokers_stop_without_a_failure() {
    for user in [false, true] {
        let plan = plan(&Options { user, ..Options::default() }, &facts()).unwrap();
        for unit in ["tcsd.service", "tcs-nats.service"] {
            let unit = text(&plan, unit);
            let reload = unit.lines().find_map(|line| line.strip_prefix("ExecReload="));
            assert_eq!(reload, Some("/bin/sh -c \"kill -HUP $MAINPID\""), "{unit}");
        }
        let broker = text(&plan, "tcs-nats.service");
        assert!(broker.contains("\nKillSignal=SIGINT\n"), "at SIGTERM it exits with 1: {broker}");
    }
}

#[test]
fn what_others_wrote_is_kept() {
    let mut facts = facts();
    let theirs = ["/usr/local/bin/tcsctl", "/etc/systemd/system/tcsd.service", "/etc/tcs/tcsd.env"];
    facts.existing = theirs.map(PathBuf::from).into();
    facts.foreign = theirs[..2].iter().map(PathBuf::from).collect();
    facts.has_other_login = true;
    let plan = plan(&Options::default(), &facts).unwrap();
    let shown = shown(&plan);
    for path in theirs {
        assert!(shown.contains(&format!("keep   {path}, which exists")), "{path}: {shown}");
        assert!(shown.contains(&format!("note: {path} ")), "{path}: {shown}");
    }
    // a login for another broker: none is needed here
    for part in ["nats", "service.env", "operator.json", "enable --now"] {
        assert!(!shown.contains(part), "{part}: {shown}");
    }
    facts.foreign = ["/usr/local/bin/tcsd"].map(PathBuf::from).into();
    let refused = super::plan(&Options::default(), &facts).unwrap_err();
    assert!(refused.contains("/usr/local/bin/tcsd is another program"), "{refused}");
}

#[test]
fn an_installation_that_was_not_finished_is_finished_with_its_passwords() {
    let mut facts = facts();
    facts.existing = ["/etc/tcs", "/etc/tcs/tcsd.env"].map(PathBuf::from).into();
    let plan = plan(&Options::default(), &facts).unwrap();
    let shown = shown(&plan);
    assert!(shown.contains("keep   /etc/tcs/tcsd.env, which exists"), "{shown}");
    assert!(shown.contains("write  /etc/tcs/service.env "), "{shown}");
    assert!(text(&plan, "nats-server.conf").contains("password: \"p-launcher\""), "{shown}");
}

#[test]
fn a_path_that_a_unit_would_split_is_refused() {
    for prefix in
        ["/opt/my programs", "/opt/$HOME", "/opt/a\nExecStartPre=/bin/x", "/opt/\"a", "opt"]
    {
        let options = Options { prefix: Some(prefix.into()), ..Options::default() };
        let refused = plan(&options, &facts()).unwrap_err();
        assert!(refused.contains("unit") || refused.contains("absolute"), "{prefix:?}: {refused}");
    }
    let options = Options { prefix: Some("/opt/CONFIG-50%".into()), ..Options::default() };
    let unit = text(&plan(&options, &facts()).unwrap(), "tcsd.service");
    assert!(unit.contains("ExecStart=/opt/CONFIG-50%%/bin/tcsd --config /etc/tcs/"), "{unit}");
    assert_eq!(super::files::program_of(&unit), Some("/opt/CONFIG-50%/bin/tcsd".into()));
    assert!(super::files::is_own_unit(&unit));
}

#[test]
fn a_removal_leaves_what_others_wrote() {
    let mut facts = facts();
    let units = ["/etc/systemd/system/tcsd.service", "/etc/systemd/system/tcs-nats.service"];
    let folder = "/etc/systemd/system/tcsd.service.d";
    let cameras = "/etc/systemd/system/tcsd.service.d/cameras.conf";
    let programs = ["/opt/tcs/bin/tcsd", "/opt/tcs/bin/tcsctl", "/usr/local/bin/tcsctl"];
    let all = units.into_iter().chain([folder, cameras]).chain(programs);
    facts.existing = all.map(PathBuf::from).collect();
    facts.foreign = [units[1]].map(PathBuf::from).into();
    facts.own_drop_ins = [cameras].map(PathBuf::from).into();
    facts.has_other_drop_ins = true;
    // it was installed with another `--prefix`
    facts.unit_program = Some("/opt/tcs/bin/tcsd".into());
    let plan = removal(&Options::default(), &facts, false).unwrap();
    assert_eq!(
        shown(&plan),
        format!(
            "\
run    systemctl disable --now tcsd.service
remove {}
remove /opt/tcs/bin/tcsd
remove /opt/tcs/bin/tcsctl
remove {cameras}
run    systemctl daemon-reload
note: {} was not written by `tcsd install`, and is kept
note: {folder} has files of yours, which are kept",
            units[0], units[1]
        )
    );
    facts.foreign.insert("/opt/tcs/bin/tcsctl".into());
    let plan = removal(&Options::default(), &facts, true).unwrap();
    let shown = shown(&plan);
    assert!(
        !shown.contains("bin/tcsctl") && shown.contains(&format!("remove {folder}\n")),
        "{shown}"
    );
}
