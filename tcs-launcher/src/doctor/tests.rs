use std::path::PathBuf;

use super::findings::{Level, findings};
use super::{Broker, ConfigFile, Console, Facts, Limits, Stream, Unit};

/// A host on which all is well.
fn facts() -> Facts {
    let stream = |name: &str| Stream {
        name: name.to_owned(),
        messages: 7,
        has_leader: true,
        is_at_risk: false,
        no_ack: false,
    };
    Facts {
        consoles: vec![Console { path: "/usr/bin/tcsctl".into(), is_script: false }],
        config: ConfigFile::Good { path: "/etc/tcs/services.yaml".into(), services: 20 },
        readable_by_all: Vec::new(),
        broker: Some(Ok(Broker {
            url: "nats://srv01:4222".to_owned(),
            version: "2.9.10".to_owned(),
            login: "user launcher".to_owned(),
            streams: vec![
                ("registry", Ok(vec![stream("svc_registry")])),
                ("status", Ok(vec![stream("svc_status")])),
            ],
            ahead: Some(0.01),
            launchers: vec![("launcher.a.srv01".to_owned(), env!("CARGO_PKG_VERSION").to_owned())],
        })),
        clock_synchronised: Some(true),
        unit: Some(Unit {
            systemctl: "systemctl",
            is_loaded: true,
            is_enabled: true,
            state: "active".to_owned(),
            pid: 7,
        }),
        limits: Limits {
            open_files: Some(1024),
            processes: Some(4096),
            memory: None,
            is_legacy: false,
        },
        free_space: Some(("/var/lib/tcs".into(), 10_000_000_000)),
    }
}

fn broker(facts: &mut Facts) -> &mut Broker {
    facts.broker.as_mut().unwrap().as_mut().unwrap()
}

#[test]
fn nothing_is_wrong() {
    let found = findings(&facts());
    assert!(found.iter().all(|it| it.level == Level::Ok && it.mend.is_none()), "{found:#?}");
    for about in ["configuration", "broker", "streams", "clock", "unit", "limits", "console"] {
        assert!(found.iter().any(|it| it.text.starts_with(about)), "{about}: {found:#?}");
    }
}

/// One thing is made wrong, and just that is found.
fn finds(level: Level, text: &str, mend: &str, spoil: impl FnOnce(&mut Facts)) {
    let mut facts = facts();
    spoil(&mut facts);
    let found: Vec<_> = findings(&facts).into_iter().filter(|it| it.level != Level::Ok).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].level, level, "{found:#?}");
    assert_eq!(found[0].text, text);
    let told = found[0].mend.as_deref().unwrap();
    assert!(told.contains(mend), "{told}");
}

#[test]
fn each_fault_by_itself_with_its_command() {
    use Level::{Error, Warning};
    finds(Error, "configuration: a.yaml has 2 mistakes", "tcsd check --config a.yaml", |it| {
        it.config = ConfigFile::Wrong("a.yaml".into(), 2);
    });
    let denied = "configuration: a.yaml cannot be read: Permission denied";
    finds(Error, denied, "sudo tcsd doctor", |it| {
        it.config = ConfigFile::Unreadable("a.yaml".into(), "Permission denied".to_owned());
    });
    let none = "configuration: there is none at config/services.yaml or /etc/tcs/services.yaml";
    finds(Error, none, "sudo tcsd install", |it| it.config = ConfigFile::Missing);
    let open = "rights: every user can read the passwords in /etc/tcs/tcsd.env";
    finds(Error, open, "chmod o= /etc/tcs/tcsd.env", |it| {
        it.readable_by_all = vec!["/etc/tcs/tcsd.env".into()];
    });
    finds(Error, "broker: connection refused", "systemctl enable --now tcs-nats", |it| {
        it.broker = Some(Err("connection refused".to_owned()));
    });
    finds(Error, "streams: status: no right", "tcsd check --connect", |it| {
        broker(it).streams[1].1 = Err("no right".to_owned());
    });
    let lacking = "streams: the server has no JetStream";
    finds(Error, lacking, "systemctl disable --now nats-server", |it| {
        for (_, streams) in &mut broker(it).streams {
            *streams = Err("the server has no JetStream".to_owned());
        }
    });
    let single = "streams: svc_status has one replica in a cluster";
    finds(Warning, single, "nats.replicas: 3", |it| {
        broker(it).streams[1].1.as_mut().unwrap()[0].is_at_risk = true;
    });
    finds(
        Error,
        "streams: svc_status has no leader: it takes no messages",
        "nats stream info",
        |it| {
            broker(it).streams[1].1.as_mut().unwrap()[0].has_leader = false;
        },
    );
    let own = env!("CARGO_PKG_VERSION");
    let other = format!("versions: launcher.b.srv02 runs 0.0.9, this tcsd is {own}");
    finds(Warning, &other, "systemctl reload tcsd", |it| {
        broker(it).launchers.push(("launcher.b.srv02".to_owned(), "0.0.9".to_owned()));
    });
    finds(Warning, "clock: not synchronised", "timedatectl set-ntp true", |it| {
        it.clock_synchronised = Some(false);
    });
    finds(Warning, "clock: 4 min behind the broker's", "timedatectl set-ntp true", |it| {
        broker(it).ahead = Some(240.0);
    });
    finds(Error, "unit: tcsd.service has failed", "journalctl -u tcsd", |it| {
        it.unit.as_mut().unwrap().state = "failed".to_owned();
    });
    finds(Warning, "unit: tcsd.service is inactive", "systemctl start tcsd", |it| {
        it.unit.as_mut().unwrap().state = "inactive".to_owned();
    });
    let at_boot = "unit: tcsd.service runs, and is not started at boot";
    finds(Warning, at_boot, "systemctl enable tcsd", |it| {
        it.unit.as_mut().unwrap().is_enabled = false;
    });
    finds(Error, "limits: 100 open files; 20 services may need 224", "LimitNOFILE=65536", |it| {
        it.limits.open_files = Some(100);
    });
    let tasks = "cgroup: 64 processes and threads; 20 services may need 320";
    finds(Warning, tasks, "TasksMax=infinity", |it| it.limits.processes = Some(64));
    finds(Warning, "disk: 12 MB are free at /var/lib/tcs", "df -h", |it| {
        it.free_space = Some(("/var/lib/tcs".into(), 12_000_000));
    });
    let hidden = "console: `tcsctl` starts /opt/venv/bin/tcsctl (the Python one), which hides \
                  /usr/bin/tcsctl (this one)";
    finds(Warning, hidden, "pipx", |it| {
        let path = PathBuf::from("/opt/venv/bin/tcsctl");
        it.consoles.insert(0, Console { path, is_script: true });
    });
}
