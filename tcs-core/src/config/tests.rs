//! Tests of the whole room: the fixtures of each form, and what people are told.

mod agreement;
mod orders;
mod runs;
mod settings;
mod words;

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::*;
use crate::wire::policy::RestartWhen;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().copied())
}

fn fixture(name: &str, variables: &[(&str, &str)]) -> Config {
    let bytes = fs::read(top().join("tests/fixtures/config").join(name)).unwrap();
    match Config::parse(name, &bytes, &environment(variables)) {
        Ok(config) => config,
        Err(errors) => panic!("{errors}"),
    }
}

fn parse(text: &str) -> Config {
    match Config::parse("t.yaml", text.as_bytes(), &Environment::default()) {
        Ok(config) => config,
        Err(errors) => panic!("{errors}"),
    }
}

fn problems(text: &str) -> String {
    match Config::parse("t.yaml", text.as_bytes(), &Environment::default()) {
        Ok(config) => config.warnings.to_string(),
        Err(errors) => errors.to_string(),
    }
}

fn ids(config: &Config) -> Vec<&str> {
    config.services.iter().map(|entry| entry.id.as_str()).collect()
}

fn settings(entry: &Entry) -> Json {
    entry.settings.deserialize().unwrap().0
}

#[test]
fn a_list_with_top_level_settings() {
    let config = fixture("list.yaml", &[]);
    assert_eq!(config.warnings.to_string(), "");
    assert_eq!(
        ids(&config),
        ["hello_world.main", "guider.jk15", "guider.wk06", "weather.station.main"]
    );
    let nats = config.nats.as_ref().unwrap();
    assert_eq!((nats.host.as_deref(), nats.port), (Some("nats.oca.lan"), Some(4222)));
    assert_eq!(nats.required, Some(true), "Python's default");
    let when: Vec<_> = config.services.iter().map(|entry| entry.restart.when.as_str()).collect();
    assert_eq!(when, ["no", "on-failure", "always", "on-abnormal"]);
    let guider = &config.services[1];
    assert_eq!(guider.restart.limit, NonZeroU32::new(3));
    assert_eq!(config.services[2].restart.limit, None);
    assert_eq!(config.services[2].restart.window, Duration::from_mins(1));
    assert_eq!(
        settings(guider),
        json!({
            "site": {"name": "OCA Cerro Murphy", "latitude": -24.6},
            "observer": "nobody",
            "interval": 2.5,
            "camera": {"address": "192.168.7.20", "gain": 10},
        })
    );
}

#[test]
fn a_mapping_of_types_and_variants() {
    let config = fixture("mapping.yaml", &[]);
    assert_eq!(config.warnings.to_string(), "");
    assert_eq!(
        ids(&config),
        ["hello_world.main", "hello_world.second", "examples.minimal.tutorial", "guider.jk15"]
    );
    let nats = config.nats.as_ref().unwrap();
    assert_eq!((nats.port, nats.required), (Some(4222), Some(false)));
    assert_eq!(settings(&config.services[1]), json!({"interval": 5}));
    assert_eq!(config.services[3].restart.delay, Duration::from_secs(1));
}

#[test]
fn the_older_spelling_and_modules() {
    let config = fixture("instance_context.yaml", &[]);
    assert_eq!(config.warnings.to_string(), "");
    assert_eq!(
        ids(&config),
        ["hello_world.main", "telescope_control.jk15", "data_importer.nightly", "plan_runner.dev"]
    );
    assert_eq!(config.services[0].module, None);
    assert_eq!(config.services[0].python_module(), "ocabox_tcs.services.hello_world");
    assert_eq!(
        config.services[1].module,
        Some(Module { name: "my_project.telescope_control".into(), origin: ModuleOrigin::Entry })
    );
}

#[test]
fn the_registry_wins_over_a_module() {
    let config = fixture("registry.yaml", &[]);
    let modules: Vec<_> = config.services.iter().map(Entry::python_module).collect();
    assert_eq!(
        modules,
        [
            "ocabox_tcs.services.hello_world",
            "halina.server.halina_server",
            "ocabox_tcs.services.examples.01_minimal",
            "ocm.toi.bridge"
        ]
    );
    insta::assert_snapshot!(config.warnings);
}

#[test]
fn variables_in_every_place() {
    let config = fixture(
        "variables.yaml",
        &[
            ("TCS_PORT", "4333"),
            ("TCS_PASSWORD", "0123"),
            ("TCS_SITE", "jk15"),
            ("NUMBER", "007"),
            ("RATE", ".5"),
            ("FLAG", "true"),
            ("EMPTY", ""),
        ],
    );
    let nats = config.nats.as_ref().unwrap();
    assert_eq!((nats.host.as_deref(), nats.port), (Some("localhost"), Some(4333)));
    assert_eq!(
        nats.password.as_ref().map(crate::bus::Secret::reveal),
        Some("0123"),
        "a password is text, whatever it looks like"
    );
    assert!(!format!("{config:?}").contains("0123"), "{config:?}");
    assert_eq!(ids(&config), ["guider.jk15"]);
    assert_eq!(
        settings(&config.services[0]),
        json!({
            "quoted": 7, "unquoted": 7, "single": 7,
            "in_text": "frame_007.fits",
            "float": 0.5,
            "flag": "true",
            "empty": "",
            "default_number": 12,
            "nested": "${NUMBER}",
            "unset": "${ABSENT}",
            "not_ours": ["$NUMBER", "${ NUMBER }", "${NUMBER-x}", "$007"],
            "deep": {"list": [{"a": 7}]},
            "${NUMBER}": "keys are not expanded",
        })
    );
    insta::assert_snapshot!(config.warnings);
}

#[test]
fn yaml_as_pyyaml_reads_it() {
    let config = fixture("pyyaml.yaml", &[]);
    let dark = &config.services[0];
    assert_eq!(dark.restart.when, RestartWhen::OnFailure);
    let settings_of = |entry| {
        let mut all = settings(entry);
        for top in ["base", "dark"] {
            all.as_object_mut().unwrap().remove(top);
        }
        all
    };
    assert_eq!(settings_of(dark), json!({"exposure": 0, "shutter": false, "cooler": true}));
    let light = &config.services[1];
    assert_eq!(light.restart.when, RestartWhen::No);
    assert_eq!(
        settings_of(light),
        json!({
            "exposure": 60, "mode": 31, "start": "2026-11-23", "dome": null,
            "level": "1e5", "limit": 1500.0, "gain": 20, "mask": 8, "lead_time": 90,
        })
    );
    insta::assert_snapshot!(config.warnings);
}

#[test]
fn what_is_ours_lies_in_launch() {
    let config = fixture("launch.yaml", &[]);
    assert_eq!(config.warnings.to_string(), "");
    let [dome, guider] = &config.services[..] else { panic!("{config:?}") };
    let exec: Vec<&str> = dome.launch.exec.iter().flatten().map(String::as_str).collect();
    assert_eq!(exec, ["/usr/local/bin/dome-server", "--port", "7000"]);
    let env: Vec<_> = dome.launch.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(env, [("EMPTY", ""), ("LC_ALL", "C"), ("TZ", "America/Santiago")]);
    assert_eq!(dome.launch.stop_timeout, Some(Duration::from_secs(20)), "from the top");
    assert_eq!(config.launch.stop_timeout, Some(Duration::from_secs(20)));
    assert_eq!(dome.launch.stop_signal.as_str(), "SIGINT");
    assert!(
        matches!(&dome.launch.ready, Some(Ready::Tcp { host, port: 7000 }) if host == "localhost"),
        "an entry's `ready` replaces the default: {:?}",
        dome.launch.ready
    );
    assert_eq!(dome.launch.log.as_ref().unwrap().max_size, 5 << 20);
    assert_eq!(dome.launch.limits.memory, Some(2 << 30));
    assert_eq!(dome.launch.level, -1);
    assert_eq!(guider.launch.after, ["dome_server.main".parse().unwrap()]);
    assert!(dome.launch.enabled && !guider.launch.enabled);
    assert_eq!(guider.launch.stop_timeout, Some(Duration::from_millis(1500)));
    assert!(matches!(guider.launch.ready, Some(Ready::Heartbeat)));
    assert_eq!(guider.launch.mode, Some(Mode::Process));
    assert_eq!(settings(guider), json!({}), "nothing of it reaches the service");
}

#[test]
fn every_mistake_at_once_with_its_place() {
    let bytes = fs::read(top().join("tests/fixtures/config/mistakes.yaml")).unwrap();
    let errors = Config::parse("mistakes.yaml", &bytes, &Environment::default()).unwrap_err();
    insta::assert_snapshot!(errors);
}

#[test]
fn files_that_are_wrong_as_a_whole() {
    let texts = [
        "services:\n  - type: a\n   variant: b\n",
        "services: []\n---\nservices: []\n",
        "a: *b\nc: !!python/object:os.system x\n[1]: 2\nservices: []",
        "- a\n",
        "",
        "serivces: []",
        "services: {guider: jk15, no: {a: ~}, x: {1: ~}}",
    ];
    let latin1 = Config::parse("t.yaml", b"ok: 1\na: \xe9\n", &Environment::default());
    let told = texts.map(problems).into_iter().chain([latin1.unwrap_err().to_string()]);
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
    let config = parse("\u{feff}services:\r\n  - type: a\r\n    variant: b\r\n");
    assert_eq!(ids(&config), ["a.b"]);
}

#[test]
fn aliases_cannot_make_a_small_file_large_nor_deep() {
    let start = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned();
    let bomb = (1..9).map(|level| {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("a{level}: &a{level} [{items}]")
    });
    let bomb: Vec<String> = std::iter::once(start.clone()).chain(bomb).collect();
    assert!(problems(&bomb.join("\n")).contains("more than 100000 values"));
    let deep = (1..2000).map(|level| format!("a{level}: &a{level} [*a{}]", level - 1));
    let deep: Vec<String> = std::iter::once(start).chain(deep).collect();
    assert!(problems(&deep.join("\n")).contains("levels deep"));
    assert!(problems(&"[".repeat(5000)).contains("error"));
    assert!(problems("a: &a [*a]").contains("inside the value that it stands for"));
}

#[test]
fn a_line_may_end_in_any_of_three_ways() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["services:", "  - type: dome", "    variant: [x]"].join(end);
        let told = problems(&text);
        assert!(told.starts_with("t.yaml:3:14: error: "), "{told}");
        assert!(told.contains("3 |     variant: [x]\n"), "{told}");
    }
}

#[test]
fn what_is_shown_of_a_line_is_safe_and_short() {
    let text = problems(&format!("services: \"\u{9b}31m\u{202e}{}\"", "x".repeat(5000)));
    assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'));
    assert!(text.lines().all(|line| line.chars().count() < 200), "{text}");
}

#[test]
fn the_default_file_may_be_missing_and_a_named_one_must_exist() {
    let path = Path::new("no/such/file.yaml");
    let config = Config::load(path, false, &Environment::default()).unwrap();
    assert!(config.services.is_empty() && config.warnings.is_empty());
    let errors = Config::load(path, true, &Environment::default()).unwrap_err();
    assert!(errors.to_string().starts_with("no/such/file.yaml: error: cannot read the file: "));
}

#[test]
fn the_sample_for_users_has_nothing_to_be_warned_of() {
    let path = top().join("config/services.sample.yaml");
    let config = Config::load(&path, true, &Environment::default()).unwrap();
    assert_eq!(config.warnings.to_string(), "");
    assert_eq!(config.services.len(), 5);
}

#[test]
fn dotenv_never_overrides_and_is_passed_on() {
    let directory = tempfile::tempdir().unwrap();
    let text = "\u{feff}# comment\nexport A=1\nB=\"two words\" # why\nB=three\nHOST=x\n=hush\n";
    fs::write(directory.path().join(".env"), text).unwrap();
    let (environment, report) = environment(&[("HOST", "real")]).with_dotenv(directory.path());
    assert_eq!(environment.get("HOST"), Some("real"));
    assert_eq!(environment.added().collect::<Vec<_>>(), [("A", "1"), ("B", "three")]);
    let told = report.to_string();
    assert!(told.contains("/.env:6:1: error: not NAME=value\n"), "{told}");
    assert!(report.has_errors() && !told.contains("hush"), "{told}");
}

#[test]
fn a_line_with_a_mistake_is_shown_without_its_secrets() {
    let text = "\
nats: {password: 'hunter2', port: lots, url: \"nats://me:swordfish@host\"}
services:
  - {type: guider, variant: a, api_token: hunter3, restart: sometimes}
";
    let errors = Config::parse("s.yaml", text.as_bytes(), &environment(&[])).unwrap_err();
    let told = errors.to_string();
    for secret in ["hunter2", "swordfish", "hunter3"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert!(told.contains("nats: {password: '*******', port: lots"), "{told}");
}

#[test]
fn variables_with_credentials_are_known() {
    let known = |text: &str, variables: &[(&str, &str)]| {
        let config = Config::parse("s.yaml", text.as_bytes(), &environment(variables)).unwrap();
        let usual =
            ["NATS_PASSWORD", "NATS_TOKEN", "NATS_CREDS", "NATS_NKEY", "NATS_JWT", "NATS_SEED"];
        assert!(usual.iter().all(|name| config.nats_variables.contains(*name)));
        config.nats_variables.into_iter().filter(|it| !usual.contains(&&**it)).collect::<Vec<_>>()
    };
    let text = "nats: {host: $H, password: \"${DB_PW:-x}\", token: env://TOKEN}\nservices: []\n";
    assert_eq!(known(text, &[("DB_PW", "hunter2")]), ["DB_PW", "TOKEN"]);
    assert_eq!(known("services: []", &[("NATS_URL", "nats://a:b@c")]), ["NATS_URL"]);
    assert!(
        known("nats: {host: \"${H:-a}\"}\nservices: []", &[("NATS_URL", "nats://c")]).is_empty()
    );
}

#[test]
fn whether_a_file_lists_services_is_known() {
    let lists = |text: &str| parse(text).lists_services;
    assert!(lists("services: []") && lists("services: {}"));
    assert!(!lists("") && !lists("services:") && !lists("launch: {level: 1}"));
}

#[test]
fn values_of_the_launcher_are_taken_in_each_form_that_files_have() {
    let config = parse(
        "nats: {host: [a, b], port: \"4333\", password: 0123, api_prefix: X, required: }
services:
  - type: dome
    variant: x
    restart_sec: \"1.5\"
    restart_max: 0x10
    launch: {exec: dome, after: e.x, user: 1000, env: {A: 010, B: }, stop_signal: 9, mode: asyncio,
             limits: {memory: 1.5GiB, core: 1_000}, ready: {started: }, level: 2, cwd: }
  - {type: e, variant: x}
",
    );
    let nats = config.nats.unwrap();
    assert_eq!((nats.host.as_deref(), nats.port), (Some("a,b"), Some(4333)));
    assert_eq!(nats.password.as_ref().map(crate::bus::Secret::reveal), Some("0123"));
    assert_eq!((nats.js_api_prefix.as_deref(), nats.required), (Some("X"), Some(true)));
    let Entry { restart, launch, .. } = &config.services[0];
    assert_eq!((restart.delay.as_millis(), restart.limit), (1500, NonZeroU32::new(16)));
    assert_eq!(launch.exec.as_deref(), Some(&["dome".to_owned()][..]));
    assert_eq!(launch.after, ["e.x".parse().unwrap()]);
    assert_eq!((launch.user.as_deref(), launch.stop_signal.number()), (Some("1000"), 9));
    assert_eq!(json!(launch.env), json!({"A": "010", "B": ""}));
    assert_eq!((launch.limits.memory, launch.limits.core), (Some(3 << 29), Some(1000)));
    assert_eq!((launch.mode, &launch.ready), (Some(Mode::Async), &Some(Ready::Started)));
    assert_eq!((launch.level, launch.cwd.as_ref()), (2, None));
}
