//! The schema and the decoder say the same of a file: what one refuses, the other does. What the
//! decoder only warns of may be either.

use std::sync::LazyLock;

use jsonschema::Validator;

use super::super::{problem::Problems, schema, yaml};
use super::*;

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::options().should_validate_formats(true).build(&schema()).unwrap());

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Warning,
    Error,
}

/// What the decoder says, and whether the file fits the schema.
fn verdicts(text: &str) -> (Said, bool) {
    let said = match Config::parse("t.yaml", text.as_bytes(), &Environment::default()) {
        Ok(config) if config.warnings.is_empty() => Said::Nothing,
        Ok(_) => Said::Warning,
        // which the launch at the top of the file could make good: more than a schema knows
        Err(errors) if errors.to_string().contains("names no place") => Said::Warning,
        Err(_) => Said::Error,
    };
    let tree = yaml::parse(text, &mut Problems::default()).unwrap();
    (said, VALIDATOR.is_valid(&yaml::tests::as_json(&tree)))
}

#[test]
fn both_say_the_same_of_each_form() {
    use Said::{Error, Nothing, Warning};
    let entry = |text: &str| format!("services: [{{type: a, variant: b, {text}}}]");
    let launch = |text: &str| entry(&format!("launch: {{{text}}}"));
    let top = |text: &str| format!("launch: {{{text}}}\n{}", entry(""));
    let nats = |text: &str| format!("nats: {{{text}}}\nservices: []");
    for (said, text) in [
        (Error, launch("sample: 0.5")),
        (Nothing, launch("sample: 0")),
        (Nothing, launch("sample: ")),
        (Nothing, launch("sample: '15'")),
        (Error, launch("sample: 1.0e+300")),
        (Error, launch("stop_timeout: 1.0e+300")),
        (Error, launch("stop_timeout: 1000000001")),
        (Nothing, launch("stop_timeout: 1000000000")),
        (Error, launch("stop_timeout: .inf")),
        (Error, launch("stop_timeout: '1e5'")),
        (Error, launch("start_timeout: -0.1")),
        (Error, launch("start_timeout: '-1'")),
        (Error, launch("heartbeat: 0")),
        (Error, launch("healthcheck: 3601")),
        (Error, launch("backoff: {factor: 1.0e+300}")),
        (Error, launch("backoff: {max: 1.0e+300}")),
        (Error, launch("backoff: {factor: 0.5}")),
        (Nothing, launch("backoff: {factor: , max: 5}")),
        (Error, launch("stop_signal: TREM")),
        (Error, launch("stop_signal: 32")),
        (Error, launch("stop_signal: 0")),
        (Error, launch("stop_signal: true")),
        (Nothing, launch("stop_signal: sigInt")),
        (Nothing, launch("stop_signal: '15'")),
        (Nothing, launch("stop_signal: 0xF")),
        (Error, launch("stop_signal: '015'")),
        (Error, launch("exec: sleep 9")),
        (Error, launch("exec: ''")),
        (Error, launch("exec: ['', a]")),
        (Error, launch("exec: [a, {b: c}]")),
        (Error, launch("exec: 5")),
        (Nothing, launch("exec: sleep")),
        (Nothing, launch("exec: [sleep, 9, 1.5]")),
        (Nothing, launch("exec: ")),
        (Error, launch("after: b")),
        (Error, launch("after: [b.c, 'd*.e']")),
        (Error, launch("after: [1.5]")),
        (Warning, launch("after: [b.c]")),
        (Error, launch("env: {'A=B': c}")),
        (Error, launch("env: {A: true}")),
        (Nothing, launch("env: {A: 5, B: , C: 1.5}")),
        (Nothing, launch("user: 0")),
        (Nothing, launch("user: root, cwd: 5, python: , mode: , ready: , log: , limits: , env: ")),
        (Nothing, launch("enabled: , rust: , nats: , level: , stop_signal: , after: ")),
        (Error, launch("user: true")),
        (Error, launch("level: 1.5")),
        (Nothing, launch("level: 2.0")),
        (Nothing, launch("level: '-2'")),
        (Error, launch("level: 9223372036854775808")),
        (Nothing, launch("mode: asyncio")),
        (Nothing, launch("mode: {async: }")),
        (Error, launch("mode: threads")),
        (Nothing, launch("ready: {notify: }")),
        (Nothing, launch("ready: {log: 5}")),
        (Error, launch("ready: {log: }")),
        (Error, launch("ready: {notify: , log: a}")),
        (Error, launch("ready: {tcp: 8080}")),
        (Error, launch("ready: {tcp: 'localhost:70000'}")),
        (Error, launch("ready: {tcp: 'local host:80'}")),
        (Nothing, launch("ready: {tcp: '[::1]:80'}")),
        (Error, launch("log: {dir: a, keep: 0}")),
        (Error, launch("log: {dir: a, max_size: 0}")),
        (Error, launch("log: {dir: a, max_size: 0K}")),
        (Error, launch("log: {dir: a, max_size: 1.5}")),
        (Error, launch("log: {dir: a, max_size: -1}")),
        (Nothing, launch("log: {dir: a, max_size: 1.5K, keep: 1}")),
        (Nothing, launch("log: {dir: a, max_size: 0x10, keep: , journal: }")),
        (Nothing, launch("schedule: {cron: '30 7 * * *', zone: Europe/Warsaw, overlap: queue}")),
        (Nothing, launch("schedule: {every: 15m, catch_up: true, cron: }")),
        (Nothing, launch("schedule: ")),
        (Error, launch("schedule: {cron: '7 * * *'}")),
        (Error, launch("schedule: {cron: 5}")),
        (Error, launch("schedule: {every: 15}")),
        (Error, launch("schedule: {every: 0s}")),
        (Error, launch("schedule: {every: 1.5h}")),
        (Error, launch("schedule: {evry: 5m}")),
        (Error, launch("schedule: {every: 5m, overlap: wait}")),
        (Error, launch("schedule: 15m")),
        (Warning, launch("profiles: {night: [a.b]}")),
        (Nothing, top("profiles: {night: [a.b], day: , simulation-2: a.b}")),
        (Error, top("profiles: {'the night': [a.b]}")),
        (Error, top("profiles: {night: [b]}")),
        (Error, top("profiles: {night: {a: b}}")),
        (Error, top("profiles: [night]")),
        (Error, launch("limits: {memory: 1.5.2G}")),
        (Error, launch("limits: {memory: 999999999G}")),
        (Error, launch("limits: {open_files: -1}")),
        (Error, launch("limits: {open_files: 18446744073709551616}")),
        (Nothing, launch("limits: {memory: 0, core: 1_000, cpu_seconds: '5'}")),
        (Error, launch("limits: [1]")),
        (Error, entry("launch: []")),
        (Nothing, entry("launch: ")),
        (Error, "services: [{type: a, variant: b.c}]".to_owned()),
        (Error, "services: [{type: a, variant: 15}]".to_owned()),
        (Nothing, "services: [{type: a, variant: ''}]".to_owned()),
        (Nothing, "services: [{type: a, variant: }]".to_owned()),
        (Error, "services: [{type: 'a*'}]".to_owned()),
        (Error, "services: [{type: 'a..b'}]".to_owned()),
        (Error, "services: [{type: }]".to_owned()),
        (Error, "services: [{variant: b}]".to_owned()),
        (Error, "services: []\nregistry: {a: 'b c'}".to_owned()),
        (Nothing, "services: []\nregistry: {a: , b: c.d}".to_owned()),
        (Error, "services: {'a*': {b: }}".to_owned()),
        (Error, "services: {a: {b.c: }}".to_owned()),
        (Error, "services: {a: }".to_owned()),
        (Error, "services: [a, ]".to_owned()),
        (Error, "services: a".to_owned()),
        (Nothing, "services: ".to_owned()),
        (Nothing, "services: {a: {b: , c: {restart: always}}}".to_owned()),
        (Warning, entry("restart: x")),
        (Error, entry("restart: true")),
        (Error, entry("restart: 5")),
        (Nothing, entry("restart: no, restart_sec: , restart_max: , module: ")),
        (Error, entry("restart_max: 4294967296")),
        (Error, entry("restart_max: 0.5")),
        (Error, entry("restart_sec: 1.0e+300")),
        (Error, entry("restart_window: soon")),
        (Error, entry("module: 5")),
        (Error, entry("module: a..b")),
        (Nothing, entry("module: pomiar.głębia")),
        (Error, nats("subject_prefix: 'svc.>'")),
        (Error, nats("subject_prefix: ''")),
        (Warning, nats("subject_prefix: ")),
        (Nothing, nats("subject_prefix: 5")),
        (Error, nats("host: 'nats://a'")),
        (Error, nats("host: [a, 'nats://b']")),
        (Nothing, nats("host: [a, 5]")),
        (Nothing, nats("host: , port: , password: 123, required: , streams: ")),
        (Error, nats("domain: a, js_domain: b")),
        (Nothing, nats("domain: a, js_domain: ")),
        (Error, nats("replicas: 6")),
        (Error, nats("port: 65536")),
        (Error, nats("streams: {status: 'a.b'}")),
        (Nothing, nats("streams: {status: a, heartbeat: 5, registry: }")),
        (Warning, "nats:\nservices: []".to_owned()),
    ] {
        let (found, fits) = verdicts(&text);
        assert_eq!(found, said, "{text}\n{}", problems(&text));
        assert!(said == Warning || fits == (said == Nothing), "the schema: {fits}: {text}");
    }
}

/// A value of some form.
fn value() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(
        &[
            "",
            "true",
            "0",
            "1",
            "-1",
            "0.5",
            "5",
            "5.0",
            "1.0e+300",
            "100000000000000000000",
            "''",
            "a",
            "'a b'",
            "a.b",
            "'a*'",
            "'a>b'",
            "'5'",
            "'1.5'",
            "'-1'",
            "64K",
            "1.5G",
            "TERM",
            "sigint",
            "localhost:80",
            "[]",
            "[a]",
            "[a.b]",
            "[1]",
            "[[a]]",
            "{}",
            "{a: b}",
            "{a: }",
            "{log: x}",
            "{log: '('}",
            "{tcp: 'a:1'}",
            "{started: }",
            "{dir: x}",
            "{dir: x, keep: 2}",
            "{factor: 2, max: 9}",
            "{memory: 1G}",
            "on-failure",
            "no",
            "async",
            "notify",
            "a=b",
            "{'a=b': c}",
            "{status: a}",
            "{'': a}",
        ][..],
    )
}

fn keys(of: &str) -> Vec<String> {
    let schema = schema();
    let keys = schema["$defs"][of]["properties"].as_object().unwrap().keys();
    keys.filter(|key| *key != "type" && *key != "launch").cloned().collect()
}

fn some_of(of: &str) -> impl Strategy<Value = String> + use<> {
    let pair = (proptest::sample::select(keys(of)), value());
    proptest::collection::btree_map(pair.0, pair.1, 0..4).prop_map(|pairs| {
        let pairs = pairs.into_iter().map(|(key, value)| format!("{key}: {value}"));
        pairs.collect::<Vec<_>>().join(", ")
    })
}

proptest! {
    #[test]
    fn both_say_the_same_of_any_file(
        entry in some_of("Entry"), launch in some_of("Launch"), log in some_of("Log"),
        limits in some_of("Limits"), nats in some_of("NatsSection"), top in some_of("Launch"),
    ) {
        let entry = if entry.is_empty() { entry } else { format!("{entry}, ") };
        for text in [
            format!("services: [{{type: t, {entry}launch: {{{launch}}}}}]"),
            format!("services: [{{type: t, launch: {{log: {{{log}}}, limits: {{{limits}}}}}}}]"),
            format!("nats: {{{nats}}}\nlaunch: {{{top}}}\nservices: []"),
        ] {
            let (said, fits) = verdicts(&text);
            prop_assert!(said == Said::Warning || fits == (said == Said::Nothing),
                "{said:?}, the schema: {fits}: {text}\n{}", problems(&text));
        }
    }
}

/// The same of the settings of a sentinel, by the types that `tcsctl` reads them with.
fn of_sentinel(settings: &str) -> (bool, bool) {
    let text = format!("services: [{{type: sentinel, variant: main, {settings}}}]");
    let config = Config::parse("t.yaml", text.as_bytes(), &Environment::default()).unwrap();
    let settings = &config.services[0].settings;
    let read = settings.deserialize::<tcs_alarms::settings::SentinelSettings>();
    let fits = |(it, _): (tcs_alarms::settings::SentinelSettings, _)| it.rules().is_ok();
    let tree = yaml::parse(&text, &mut Problems::default()).unwrap();
    (read.is_ok_and(fits), VALIDATOR.is_valid(&yaml::tests::as_json(&tree)))
}

#[test]
fn both_say_the_same_of_a_sentinel() {
    let rule = |text: &str| format!("rules: {{a: {{severity: info, {text}}}}}");
    let when = |text: &str| rule(&format!("when: {{{text}}}"));
    let channel = |text: &str| format!("channels: {{a: {text}}}");
    let step =
        |text: &str| format!("channels: {{a: {{exec: [x]}}}}, escalate: {{warning: [{text}]}}");
    for (fits, text) in [
        (true, "deadman: , escalate: ".to_owned()),
        (false, "channels: ".to_owned()),
        (false, "rules: ".to_owned()),
        (true, channel("{webhook: {url: 'http://h/x', form: ntfy, headers: {A: b, C: '5'}}}")),
        (false, channel("{webhook: {url: 'http://h/x', headers: {A: 5}}}")),
        (false, channel("{webhook: {url: 'h/x'}}")),
        (false, channel("{webhook: {url: 'http://h', from: ntfy}}")),
        (false, channel("{webhook: {url: 'http://h', form: nfty}}")),
        (false, channel("{webhook: {}}")),
        (false, channel("{webhok: {url: 'http://h'}}")),
        (false, channel("{}")),
        (true, channel("{pagerduty: {key: a}}")),
        (false, channel("{pagerduty: {}}")),
        (true, channel("{exec: [x, '{severity}']}")),
        (false, channel("{exec: [x, 5]}")),
        (false, channel("{exec: []}")),
        (false, "channels: {a.b: {exec: [x]}}".to_owned()),
        (true, "deadman: {url: 'https://h/x', every: 60s}".to_owned()),
        (true, "deadman: {url: 'https://h/x', every: 60}".to_owned()),
        (false, "deadman: {every: 60s}".to_owned()),
        (false, "deadman: {url: 'https://h/x', every: often}".to_owned()),
        (true, "rules: {failed: ~}".to_owned()),
        (false, "rules: {host_silent: ~}".to_owned()),
        (false, "rules: {a/b: ~}".to_owned()),
        (true, when("verdict: failed")),
        (true, when("verdict: [late, degraded], not_reason: flapping")),
        (false, when("verdict: fialed")),
        (false, when("reason: [flaping]")),
        (false, when("verdct: failed")),
        (false, when("")),
        (false, when("not_reason: flapping")),
        (true, when("metric: t, above: -90")),
        (true, when("metric: t, above: 1.5, below: 2, verdict: ok")),
        (false, when("metric: t")),
        (false, when("above: 3, verdict: ok")),
        (true, when("skew: {above: 5s}")),
        (false, when("skew: {above: 5s}, verdict: ok")),
        (false, when("skew: {above: '5'}")),
        (true, rule("when: {verdict: lost}, for: 1h30m, clear_after: 0s, latch: true, help: x")),
        (true, rule("when: {verdict: lost}, match: dome.main, for: 2.5")),
        (false, rule("when: {verdict: lost}, for: 5x")),
        (false, rule("when: {verdict: lost}, latch: often")),
        (false, rule("wen: {verdict: lost}")),
        (false, "rules: {a: {when: {verdict: lost}}}".to_owned()),
        (false, "rules: {a: {when: {verdict: lost}, severity: high}}".to_owned()),
        (true, step("{a: 0s}, {a: 5m, repeat: 30m}")),
        (true, step("")),
        (false, step("{}")),
        (false, step("a")),
        (false, step("{a: soon}")),
        (false, "escalate: {critcal: []}".to_owned()),
        // what another program reads is its own affair
        (false, "module: own.sentinel, rules: 5".to_owned()),
    ] {
        let (read, valid) = of_sentinel(&text);
        assert_eq!(read, fits, "the decoder: {text}");
        assert_eq!(valid, fits || text.starts_with("module"), "the schema: {text}");
    }
    // in the mapping's form the type is a key
    let fits = |text: &str| {
        let tree = yaml::parse(text, &mut Problems::default()).unwrap();
        VALIDATOR.is_valid(&yaml::tests::as_json(&tree))
    };
    assert!(fits("services: {sentinel: {main: {rules: {failed: ~}}, other: }}"));
    assert!(!fits("services: {sentinel: {main: {rules: {failed: 5}}}}"));
    assert!(fits("services: {sentinel: {main: {launch: {exec: [x]}, rules: 5}}}"));
    assert!(fits("services: [{type: guider, rules: 5}]"));
}
