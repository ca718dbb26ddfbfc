//! `tcsd install` into a folder, what it wrote at work, and its removal; the units under systemd's own
//! judgement; and that getting the tools of the tests changes nothing of the system unasked.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tcs_core::bus::Bus;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::streams::Made;
use tcs_testkit::nats::{LIMIT, Server, on_each_server};
use tcs_testkit::port::Port;
use tcs_testkit::programs::{program, write_script};

fn tcsd(arguments: &[&str], root: &Path) -> Output {
    Command::new(program("tcsd")).args(arguments).arg("--root").arg(root).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Those of a `tcsd.env`.
fn section(server: &Server, user: &str, password: &str) -> NatsSection {
    NatsSection {
        port: Some(server.port()),
        user: Some(user.to_owned()),
        password: Some(password.into()),
        ..NatsSection::default()
    }
}

async fn connect(section: &NatsSection) -> Result<Bus, String> {
    let settings = Settings::from_process(section, None).unwrap();
    Bus::connect(&settings, "test", LIMIT).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_installed_works_and_goes_again() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);

    let refused = tcsd(&["install"], root.path());
    assert_eq!(refused.status.code(), Some(1), "nobody was asked: {refused:?}");
    assert!(text(&refused.stderr).contains("hint: look at the steps, then add --yes"));
    let shown = tcsd(&["install", "--dry-run"], root.path());
    assert_eq!(shown.status.code(), Some(0), "{shown:?}");
    assert!(text(&shown.stdout).contains("write  /etc/tcs/nats-server.conf (0640"), "{shown:?}");
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0, "nothing was done");

    let done = tcsd(&["install", "--yes", "--cameras"], root.path());
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let rights = |path: &str| at(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(rights("etc/tcs/tcsd.env"), 0o600);
    assert_eq!(rights("etc/tcs/nats-server.conf"), 0o640);
    assert_eq!(rights("usr/local/bin/tcsd"), 0o755);
    assert!(at("etc/systemd/system/tcsd.service.d/cameras.conf").exists());

    let version = Command::new(at("usr/local/bin/tcsd")).arg("--version").output().unwrap();
    assert!(text(&version.stdout).starts_with("tcsd "), "{version:?}");
    let check = Command::new(at("usr/local/bin/tcsd"))
        .arg("check")
        .arg(at("etc/tcs/services.yaml"))
        .output()
        .unwrap();
    assert_eq!(check.status.code(), Some(0), "{check:?}");

    // the broker takes the generated logins, and no others
    let config = read(at("etc/tcs/nats-server.conf")).replace("/var/lib/tcs-nats", "STORE");
    let environment = read(at("etc/tcs/tcsd.env"));
    let password = environment.lines().find_map(|it| it.strip_prefix("NATS_PASSWORD=")).unwrap();
    let viewer: serde_json::Value = serde_json::from_str(&read(at("etc/tcs/viewer.json"))).unwrap();
    let viewer = viewer["password"].as_str().unwrap();
    assert!(password.len() > 30 && password != viewer);
    on_each_server(async |binary| {
        let server = Server::start_with(&binary, &config).await;
        let launcher = connect(&section(&server, "launcher", password)).await.unwrap();
        let made = launcher.create_missing_streams().await;
        assert!(made.iter().all(|(_, made)| matches!(made, Made::Created(_))), "{made:?}");
        let console = connect(&section(&server, "viewer", viewer)).await.unwrap();
        assert_eq!(console.streams_of("svc.status.>").await.unwrap(), ["svc_status"]);
        let refused = connect(&section(&server, "launcher", viewer)).await.unwrap_err();
        assert!(refused.contains("refused"), "{refused}");
    })
    .await;

    // again: what is there is kept
    let again = tcsd(&["install", "--yes"], root.path());
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert!(text(&again.stdout).contains("keep   /etc/tcs/nats-server.conf"), "{again:?}");
    assert_eq!(read(at("etc/tcs/tcsd.env")), environment);

    let removed = tcsd(&["uninstall", "--yes"], root.path());
    assert_eq!(removed.status.code(), Some(0), "{removed:?}");
    assert!(!at("usr/local/bin/tcsd").exists() && !at("etc/systemd/system/tcsd.service").exists());
    assert!(at("etc/tcs/services.yaml").exists(), "configuration stays");
    let purged = tcsd(&["uninstall", "--yes", "--purge"], root.path());
    assert_eq!(purged.status.code(), Some(0), "{purged:?}");
    assert!(!at("etc/tcs").exists());
}

/// `tcsd` into another root, with its environment changed.
fn tcsd_with(arguments: &[&str], root: &Path, change: impl FnOnce(&mut Command)) -> Output {
    let mut command = Command::new(program("tcsd"));
    command.args(arguments).arg("--root").arg(root);
    change(&mut command);
    command.output().unwrap()
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn what_others_have_installed_is_neither_written_over_nor_removed() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    let theirs = [
        // the console of Python, the login for a central broker, and an operator's own drop-in
        ("opt/tcs/bin/tcsctl", "#!/usr/bin/python3\n"),
        ("etc/tcs/tcsd.env", "NATS_URL=nats://central:4222\nNATS_PASSWORD=secret\n"),
        ("etc/systemd/system/tcsd.service.d/override.conf", "[Service]\nLimitNOFILE=65536\n"),
        ("etc/systemd/system/tcs-nats.service", "[Service]\nExecStart=/opt/other\n"),
    ];
    for (path, text) in theirs {
        write(&at(path), text);
    }
    let all_are_there = |when: &str| {
        for (path, text) in theirs {
            assert_eq!(read(at(path)), text, "{when}: {path}");
        }
    };
    let arguments = ["install", "--yes", "--cameras", "--prefix", "/opt/tcs"];
    let done = tcsd(&arguments, root.path());
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(at("opt/tcs/bin/tcsd").exists(), "{done:?}");
    all_are_there("installed");
    assert!(!at("etc/tcs/nats-server.conf").exists(), "the broker is elsewhere: {done:?}");
    assert!(text(&done.stdout).contains("no broker is set up on this host"), "{done:?}");
    assert!(text(&done.stdout).contains("is another program"), "{done:?}");

    // without `--prefix`: the unit tells where the programs are
    let removed = tcsd(&["uninstall", "--yes"], root.path());
    assert_eq!(removed.status.code(), Some(0), "{removed:?}");
    all_are_there("removed");
    assert!(!at("opt/tcs/bin/tcsd").exists(), "{removed:?}");
    assert!(!at("etc/systemd/system/tcsd.service").exists(), "{removed:?}");
    assert!(!at("etc/systemd/system/tcsd.service.d/cameras.conf").exists(), "{removed:?}");
    let again = tcsd(&["uninstall", "--yes"], root.path());
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert!(text(&again.stdout).starts_with("nothing to do\n"), "{again:?}");
    all_are_there("removed twice");
}

#[test]
fn an_installation_that_failed_is_finished_with_the_same_passwords() {
    for stopped_at in ["tcsd.env", "operator.json", "nats-server.conf"] {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join("etc/tcs").join(path);
        // in the way of the file that is written first
        let obstacle = at(&format!("{stopped_at}.new"));
        write(&obstacle.join("x"), "");
        let failed = tcsd(&["install", "--yes"], root.path());
        assert_eq!(failed.status.code(), Some(1), "{failed:?}");
        assert!(text(&failed.stderr).contains("hint: run the command again"), "{failed:?}");
        let before = std::fs::read_to_string(at("tcsd.env")).ok();
        std::fs::remove_dir_all(&obstacle).unwrap();
        let done = tcsd(&["install", "--yes"], root.path());
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        let login = read(at("tcsd.env"));
        assert!(before.is_none_or(|before| before == login), "{stopped_at}");
        let password = login.lines().find_map(|it| it.strip_prefix("NATS_PASSWORD=")).unwrap();
        let viewer = read(at("viewer.json"));
        let viewer: serde_json::Value = serde_json::from_str(&viewer).unwrap();
        let config = read(at("nats-server.conf"));
        for password in [password, viewer["password"].as_str().unwrap()] {
            assert!(config.contains(&format!("password: \"{password}\"")), "{stopped_at}");
        }
    }
}

#[test]
fn nothing_is_written_outside_of_another_root() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("image"), dir.path().join("host"));
    std::fs::create_dir_all(outside.join("tcs")).unwrap();
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(outside.join("tcs/services.yaml"), "mine").unwrap();
    // an image may have links that are meant for the system in it
    std::os::unix::fs::symlink(&outside, root.join("etc")).unwrap();
    for arguments in [&["install", "--yes"][..], &["uninstall", "--yes", "--purge"]] {
        let refused = tcsd(arguments, &root);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(text(&refused.stderr).contains(" leads out of "), "{refused:?}");
        let left: Vec<_> = std::fs::read_dir(&outside).unwrap().map(|it| it.unwrap()).collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(read(outside.join("tcs/services.yaml")), "mine");
    }
    // a link that stays inside is followed
    std::fs::remove_file(root.join("etc")).unwrap();
    std::fs::create_dir(root.join("system")).unwrap();
    std::os::unix::fs::symlink("system", root.join("etc")).unwrap();
    let done = tcsd(&["install", "--yes"], &root);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(root.join("system/tcs/tcsd.env").exists());
}

#[test]
fn an_odd_environment_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let stub = |path: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_script(&path, "#!/bin/sh\n");
    };
    // the first in PATH counts, not the first by its name, and none that lies where one is now
    stub("z/nats-server");
    stub("a/nats-server");
    stub("here/nats-server");
    let path = format!("::.:{0}/z:{0}/a", dir.path().display());
    let all = |root: &Path| {
        let mut found = vec![root.to_owned()];
        let mut next = 0;
        while let Some(folder) = found.get(next).cloned() {
            next += 1;
            let entries = std::fs::read_dir(folder).into_iter().flatten();
            found.extend(entries.map(|entry| entry.unwrap().path()));
        }
        found
    };
    for mask in ["000", "077"] {
        let root = tempfile::tempdir().unwrap();
        let script = format!("umask {mask}; exec \"$@\"");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script, "sh"]).arg(program("tcsd"));
        command.args(["install", "--yes", "--root"]).arg(root.path());
        command.env_clear().env("PATH", &path);
        let done = command.current_dir(dir.path().join("here")).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "HOME is not needed: {done:?}");
        let unit = read(root.path().join("etc/systemd/system/tcs-nats.service"));
        let expected = format!("ExecStart={}/z/nats-server -c ", dir.path().display());
        assert!(unit.contains(&expected), "{expected}: {unit}");
        for path in all(root.path()).into_iter().skip(1) {
            let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
            let expected = match path.strip_prefix(root.path()).unwrap().to_str().unwrap() {
                "etc/tcs" => 0o750,
                "etc/tcs/tcsd.env" => 0o600,
                file if file.starts_with("etc/tcs/") => 0o640,
                file if file.starts_with("etc/systemd/system/") => 0o644,
                _ => 0o755,
            };
            assert_eq!(mode, expected, "umask {mask}: {mode:o} {}", path.display());
        }
    }
    let root = tempfile::tempdir().unwrap();
    for home in [None, Some("relative"), Some("/nowhere")] {
        let change = |command: &mut Command| {
            command.env_remove("HOME").envs(home.map(|home| ("HOME", home)));
        };
        let refused = tcsd_with(&["install", "--user", "--dry-run"], root.path(), change);
        assert_eq!(refused.status.code(), Some(1), "{home:?}: {refused:?}");
    }
}

/// By default systemd ends a whole unit of which the kernel has killed one process for want of memory.
#[test]
fn a_service_that_takes_too_much_memory_does_not_end_the_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for unit in ["../config/tcsd.service", "src/install/tcsd-user.service"] {
        let text = read(root.join(unit));
        assert!(text.lines().any(|line| line == "OOMPolicy=continue"), "{unit}:\n{text}");
    }
}

#[test]
fn systemd_finds_little_exposed() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("not run: there is no systemd-analyze here");
        return;
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (unit, drop_in, most) in [
        ("config/tcsd.service", None, 2.0),
        ("config/tcsd.service", Some("cameras.conf"), 3.0),
        // root, with the rights to become others
        ("config/tcsd.service", Some("launch-user.conf"), 3.0),
        ("config/tcs-nats.service", None, 2.0),
        ("contrib/systemd/tcs-serve.service", None, 2.0),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(Path::new(unit).file_name().unwrap());
        std::fs::copy(top.join(unit), &path).unwrap();
        if let Some(name) = drop_in {
            let folder = path.with_extension("service.d");
            std::fs::create_dir(&folder).unwrap();
            std::fs::copy(top.join("config/tcsd-drop-ins").join(name), folder.join(name)).unwrap();
        }
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager"])
            .arg(&path)
            .output()
            .unwrap();
        let out = text(&output.stdout);
        let level = out.split("exposure level for ").nth(1).unwrap_or_else(|| panic!("{output:?}"));
        let level: f64 = level.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(level < most, "{unit} with {drop_in:?}: {level}, not below {most}\n{out}");
    }
}

#[test]
fn tools_of_the_tests_do_not_change_the_system_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    std::fs::create_dir_all(at("bin")).unwrap();
    std::fs::create_dir_all(at(".ci")).unwrap();
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/tools");
    std::fs::copy(tools, at(".ci/tools")).unwrap();
    let marker = at("was-run");
    let stub = |name: &str, script: &str| {
        write_script(&at("bin").join(name), &format!("#!/bin/sh\n{script}\n"));
    };
    for name in ["sudo", "apt-get"] {
        stub(name, &format!("echo {name} \"$@\" >> {}", marker.display()));
    }
    stub("id", "echo 1000");
    stub("nats-server", "echo nats-server: v0");
    for name in ["bash", "dirname", "mkdir", "ln", "env"] {
        let found =
            Command::new("sh").args(["-c", &format!("command -v {name}")]).output().unwrap();
        std::os::unix::fs::symlink(text(&found.stdout).trim(), at("bin").join(name)).unwrap();
    }
    let run = |asked: Option<&str>| {
        let mut command = Command::new("/bin/bash");
        command.arg(at(".ci/tools")).env_clear().env("PATH", at("bin"));
        command.envs(asked.map(|value| ("TCS_APT", value)));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        text(&output.stderr).to_owned()
    };
    let said = run(None);
    assert!(
        said.contains("not installed: strace; to install: sudo apt-get install strace"),
        "{said}"
    );
    assert!(!marker.exists(), "{}", read(marker));
    run(Some("1"));
    assert!(read(marker).contains("apt-get install -y"), "asked, it installs");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_what_is_wrong_and_what_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("services.yaml");
    let server = Server::start(&tcs_testkit::nats::server()).await;
    let write = |port: u16| {
        let nats = format!("nats: {{url: 'nats://127.0.0.1:{port}'}}");
        let services = "services:\n  - {type: hello_world, variant: a}\n";
        std::fs::write(&config, format!("{nats}\n{services}")).unwrap();
    };
    let doctor = || {
        let mut command = Command::new(program("tcsd"));
        command.args(["doctor", "--config"]).arg(&config);
        // the console of Python hides that of this release
        let folders =
            [("python", "#!/usr/bin/python3\n"), ("own", "\x7fELF")].map(|(name, start)| {
                let folder = dir.path().join(name);
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(folder.join("tcsctl"), start).unwrap();
                folder
            });
        command.env("PATH", std::env::join_paths(folders).unwrap());
        let output = command.output().unwrap();
        (output.status.code(), text(&output.stdout).to_owned())
    };
    write(server.port());
    let (code, said) = doctor();
    assert!(said.contains("ok       configuration: ") && said.contains(", 1 service\n"), "{said}");
    assert!(said.contains(&format!("ok       broker: {}, nats-server", server.url())), "{said}");
    assert!(said.contains("streams: status: none yet"), "{said}");
    assert!(said.contains("(the Python one), which hides "), "{said}");
    assert_eq!(code, Some(0), "warnings are no errors: {said}");

    std::fs::write(dir.path().join("tcsd.env"), "NATS_PASSWORD=secret\n").unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(dir.path().join("tcsd.env"), std::fs::Permissions::from_mode(0o644))
        .unwrap();
    let nobody = Port::free();
    write(nobody.number());
    let (code, said) = doctor();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error    broker: ") && said.contains("connection refused"), "{said}");
    assert!(said.contains("hint: chmod o= "), "{said}");
    assert!(said.lines().last().unwrap().starts_with("2 errors, "), "{said}");
}
