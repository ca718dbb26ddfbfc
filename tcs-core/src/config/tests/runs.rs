//! What would run, and how.

use super::*;

#[test]
fn check_says_what_would_run_and_how() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("services.yaml");
    let text = "\
count: none of it
services:
  - {type: guider, variant: a, interval: fast}
  - {type: guider, variant: b, module: old.guider}
  - {type: giuder, variant: c}
  - {type: giuder, variant: f, launch: {rust: true, enabled: false}}
  - {type: halina, variant: d, module: halina.server, launch: {python: /no/python}}
  - {type: dome, variant: e, launch: {exec: [/no/dome, x], enabled: false, cwd: /no/dir}}
";
    fs::write(&path, text).unwrap();
    let types = [KnownType { name: "guider", settings: check_settings::<settings::Guider> }];
    let found = check(&path, true, &environment(&[("PATH", "/no")]), &types);
    let how: Vec<&How> = found.plan.iter().map(|planned| &planned.how).collect();
    let python = |interpreter: &str, module: &str| How::Python {
        interpreter: interpreter.into(),
        module: module.into(),
    };
    assert_eq!(
        how,
        [
            &How::Rust(None),
            &python("python3", "old.guider"),
            &python("python3", "ocabox_tcs.services.giuder"),
            &How::Rust(None),
            &python("/no/python", "halina.server"),
            &How::Program(vec!["/no/dome".into(), "x".into()]),
        ]
    );
    assert!(!found.plan[5].entry.launch.enabled);
    let name = directory.path().display().to_string();
    insta::assert_snapshot!(found.report.to_string().replace(&name, "DIR"));
}

/// A sentinel is one that tcsctl runs, unless the file or this program has another one.
#[test]
fn a_sentinel_is_built_in() {
    let text = "\
services:
  - {type: sentinel, variant: a}
  - {type: sentinel, variant: b, module: old.sentinel}
  - {type: sentinel, variant: c, launch: {exec: [x]}}
  - {type: report, variant: night}
  - {type: serve, variant: d}
";
    let config = Config::parse("s.yaml", text.as_bytes(), &environment(&[])).unwrap();
    let how = |types: &[KnownType<'_>]| -> Vec<How> {
        config.services.iter().map(|it| How::of(it, types, &environment(&[]))).collect()
    };
    let found = how(&[]);
    assert_eq!(found[0], How::BuiltIn("sentinel"));
    assert_eq!(found[0].to_string(), "built in, tcsctl sentinel");
    assert!(matches!(&found[1..3], [How::Python { .. }, How::Program(_)]), "{found:?}");
    assert_eq!(found[3], How::BuiltIn("report-service"));
    assert_eq!(found[4], How::BuiltIn("serve-service"));
    let own = KnownType { name: "sentinel", settings: check_settings::<settings::Guider> };
    assert_eq!(how(&[own])[0], How::Rust(None));
}

#[test]
fn the_interpreter_is_the_nearest_one_that_exists() {
    let launch = |text: &str| {
        let text = format!("services: [{{type: a, variant: b, launch: {{{text}}}}}]");
        parse(&text).services.remove(0).launch
    };
    let choose = |text: &str, variables: &[(&str, &str)], there: &[&str]| {
        let exists = |path: &Path| there.iter().any(|there| Path::new(there) == path);
        interpreter(&launch(text), &environment(variables), exists).display().to_string()
    };
    let venv = [("VIRTUAL_ENV", "/venv")];
    let both = ["/venv/bin/python", ".venv/bin/python"];
    assert_eq!(choose("python: py", &venv, &both), "py");
    assert_eq!(choose("", &venv, &both), "/venv/bin/python");
    assert_eq!(choose("", &[], &both), ".venv/bin/python");
    assert_eq!(choose("cwd: /srv", &[], &["/srv/.venv/bin/python"]), "/srv/.venv/bin/python");
    assert_eq!(choose("", &[("VIRTUAL_ENV", "")], &["/bin/python"]), "python3");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        never_panics(&bytes);
    }

    #[test]
    fn nothing_that_looks_like_yaml_panics(text in "([ \n]{0,3}(services|nats|launch|type|ready|a|\\$\\{A\\}|&a|\\*a|<<|0[0-9:._]{1,6}|![a-z]*|é|\u{9b})(: |\n|- |, |\\{|\\}|\\[|\\]|\"|')?){0,60}") {
        never_panics(text.as_bytes());
    }

    #[test]
    fn no_number_panics(text in "[-+]?[0-9._:eExXboinfa]{1,60}") {
        never_panics(format!("a: {text}\nservices: [{{type: a, n: {text}}}]").as_bytes());
    }
}

fn never_panics(bytes: &[u8]) {
    let environment = environment(&[("A", "1.5")]);
    match Config::parse("t.yaml", bytes, &environment) {
        Ok(config) => {
            let _ = config.warnings.to_string();
            for entry in &config.services {
                let _ = entry.settings.deserialize::<Json>();
                let _ = entry.settings.deserialize::<settings::Guider>().map_err(|e| e.to_string());
            }
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}
