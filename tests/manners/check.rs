//! `tcsd check` tries what would run.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use tcs_testkit::programs::write_script;

use super::write_config;

/// A stand-in for the framework of the Python fleet, which is not on a package index: as there,
/// `@service` leaves the type on the class (ocabox-tcs 1.0, `base_service.py`).
const FRAMEWORK: &str = "
class BaseService:
    @classmethod
    def main(cls):
        pass

def service(type):
    def register(cls):
        cls._service_type = type
        return cls
    return register
";

#[test]
fn its_manual_and_completions_are_printed() {
    let printed = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tcsd")).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let page = printed(&["man"]);
    for section in ["NAME", "OPTIONS", "EXAMPLES", "SIGNALS", "EXIT CODES", "ENVIRONMENT", "FILES"]
    {
        assert!(page.contains(&format!(".SH {section}\n")), "{section}: {page}");
    }
    // each page that it names is there
    let named = page.lines().filter_map(|line| line.strip_prefix("tcsd\\-")?.strip_suffix("(1)"));
    let named: Vec<&str> = named.collect();
    assert!(named.contains(&"check"), "{named:?}: {page}");
    for command in named {
        let page = printed(&["man", command]);
        let name = format!(".SH NAME\ntcsd\\-{command} \\- ");
        assert!(page.contains(&name) && page.contains(".SH SEE ALSO\n"), "{page}");
    }
    assert!(printed(&["completions", "bash"]).contains("--terminate-delay"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/services.schema.json");
    let known = std::fs::read_to_string(&file).unwrap();
    assert_eq!(printed(&["schema"]), known, "tcsd schema > config/services.schema.json");
}

/// A disk that is full is told, a reader that has gone is not; neither is a panic.
#[test]
fn what_cannot_be_printed_is_told() {
    let dir = tempfile::tempdir().unwrap();
    write_config(dir.path(), "  - {type: a, variant: b, launch: {exec: [sh]}}\n");
    let run = |args: &[&str], to: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcsd"));
        let command = command.args(args).current_dir(dir.path()).stdout(to);
        let output = command.stderr(Stdio::piped()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let commands: [&[&str]; 8] = [
        &["schema"],
        &["check", "services.yaml"],
        &["plan", "services.yaml"],
        &["man"],
        &["completions", "fish"],
        &["new", "my_services"],
        &["--help"],
        &["--version"],
    ];
    for args in commands {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (code, told) = run(args, full.into());
        assert_eq!(code, Some(1), "{args:?}: {told}");
        let why = "error: cannot write to standard output: No space left on device";
        assert!(told.contains(why) && !told.contains("panic"), "{args:?}: {told}");
        std::fs::remove_dir_all(dir.path().join("my_services")).ok();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (code, told) = run(args, writer.into());
        assert_eq!(code, Some(0), "{args:?}: {told}");
        assert!(!told.contains("standard output") && !told.contains("panic"), "{args:?}: {told}");
        std::fs::remove_dir_all(dir.path().join("my_services")).ok();
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcsd"));
    let status = command.args(["--config", "nowhere.yaml"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

/// Names may hold marks that turn the direction of writing.
#[test]
fn what_is_printed_turns_nothing_around() {
    let dir = tempfile::tempdir().unwrap();
    let turned = "b\u{202e}c";
    let entry = format!(
        "  - {{type: a, variant: {turned}, launch: {{exec: [sh, {turned}], after: [x.{turned}], \
         ready: {{log: {turned}}}, user: {turned}, cwd: {turned}, python: {turned}}}}}\n\
         {turned}: {turned}\n"
    );
    write_config(dir.path(), &entry);
    let named = format!("{turned}.yaml");
    std::fs::copy(dir.path().join("services.yaml"), dir.path().join(&named)).unwrap();
    std::fs::write(dir.path().join("empty.yaml"), "").unwrap();
    std::fs::write(dir.path().join(".env"), format!("{turned}\n")).unwrap();
    let missing = format!("{turned}/{turned}.yaml");
    for args in [["check", &named], ["plan", &named], ["check", &missing], ["--config", &missing]]
        .iter()
        .chain([&["check", turned], &["new", turned], &["__service", turned]])
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcsd"));
        let output = command.args(args).current_dir(dir.path()).output().unwrap();
        for bytes in [output.stdout, output.stderr] {
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains('\u{202e}'), "{args:?}: {text}");
        }
    }
}

#[test]
fn a_check_tries_what_would_run() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("framework/ocabox_tcs/__init__.py", "");
    write("framework/ocabox_tcs/base_service.py", FRAMEWORK);
    let registers = |kind: &str| {
        format!(
            "from ocabox_tcs.base_service import BaseService, service
print('noise')
@service('{kind}')
class It(BaseService):
    pass
"
        )
    };
    write("good.py", &registers("good"));
    write("other.py", &registers("renamed"));
    write("nothing.py", "x = 1\n");
    write("broken.py", "import no_such_library\n");
    write("leaves.py", "import sys\nsys.exit(0)\n");
    // it is a program: run at its top level, which only its launcher does
    write("program.py", "open('was_run', 'w')\n");
    write("typo.py", "def f(:\n");
    write("plain", "#!/bin/sh\n");
    let framework = dir.path().join("framework").display().to_string();
    let entry = |kind: &str, module: &str| {
        format!(
            "  - {{type: {kind}, variant: a, module: {module}, launch: {{env: {{PYTHONPATH: '{framework}'}}}}}}\n"
        )
    };
    let good = entry("good", "good");
    let alone = "  - {type: program, variant: a, module: program}\n";
    let check = |services: &str, args: &[&str]| {
        write_config(dir.path(), services);
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcsd"));
        command.args(["check", "services.yaml"]).args(args).current_dir(dir.path());
        command.env_remove("VIRTUAL_ENV");
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };

    let (code, out, told) = check(&format!("{good}{alone}"), &[]);
    assert_eq!((code, told.as_str()), (Some(0), ""));
    assert!(out.contains("good.a: Python, python3 -m good; restart no; ready at its first status other than startup; \
         start timeout 1 min, stop timeout 10 s\n"), "{out}");
    assert!(!dir.path().join("was_run").exists());

    // the file's word counts, and nothing secret is shown
    write("examples_minimal.py", &registers("examples.minimal"));
    write(".env", "DOME_PW='hunter 2'\n");
    let minimal = entry("examples.minimal", "examples_minimal");
    let rust = "  - {type: examples.minimal, variant: b, module: gone, launch: {rust: true}}\n";
    let dome = "  - {type: dome, variant: a, launch: {exec: [sh, '${DOME_PW}', -x]}}\n";
    let (code, out, told) = check(&format!("{minimal}{rust}{dome}"), &[]);
    assert_eq!((code, told.as_str()), (Some(0), ""));
    for line in [
        "examples.minimal.a: Python, python3 -m examples_minimal (not the Rust service of that name)",
        "examples.minimal.b: Rust; restart no",
        "dome.a: program, sh *** -x; restart no",
    ] {
        assert!(out.contains(line), "{out}");
    }
    write(".env", "A=1\nDOME_PW='hunter\n");
    let (code, _, told) = check(good.as_str(), &[]);
    assert!(code == Some(1) && told.contains("/.env:2:1: error: not NAME=value"), "{told}");
    assert!(!told.contains("hunter"), "{told}");
    write(".env", "");

    let (code, _, told) = check(good.as_str(), &["--config", "other.yaml"]);
    assert!(code == Some(2) && told.contains("the configuration file is given twice"), "{told}");

    let (code, _, told) = check(&entry("other", "other"), &[]);
    assert_eq!(code, Some(0));
    assert!(
        told.contains(
            "services.yaml:3:5: warning: module `other` (by python3) registers `renamed`: "
        ),
        "{told}"
    );
    assert!(told.contains("hint: write `type: renamed`"), "{told}");

    let bad = [
        ("broken", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("absent", "ModuleNotFoundError: No module named 'absent'"),
        ("nothing", "registers no service"),
        ("leaves", "SystemExit: 0"),
        ("typo", "SyntaxError: "),
    ];
    let services: String = bad.iter().map(|(module, _)| entry(module, module)).collect();
    let (code, _, told) = check(&services, &[]);
    assert_eq!(code, Some(1), "{told}");
    for (line, (module, why)) in bad.iter().enumerate() {
        let place = format!("services.yaml:{}:5: error: module `{module}` (by python3)", line + 3);
        let found = told.lines().find(|line| line.starts_with(&place));
        assert!(found.is_some_and(|line| line.contains(why)), "{module}: {told}");
    }
    let typo = "  - {type: typo, variant: a, module: typo}\n";
    assert!(check(typo, &[]).2.contains("SyntaxError: "), "without the framework, too");
    write("folder/file", "");
    write_script(&dir.path().join("script"), "#!/no/such/interpreter\n");
    let program = |path: &str| format!("  - {{type: p, variant: a, launch: {{exec: [{path}]}}}}\n");
    for (path, why) in [
        ("./script", "its interpreter `/no/such/interpreter` does not exist: it cannot start"),
        ("./folder", "program `./folder` is a directory: it cannot start"),
    ] {
        let (code, _, told) = check(&program(path), &[]);
        assert!(code == Some(1) && told.contains(why), "{told}");
    }
    assert_eq!(check(&services, &["--no-import"]).0, Some(0));

    let programs = "
  - {type: a, variant: a, launch: {exec: [./plain]}}
  - {type: b, variant: a, launch: {exec: [/nowhere/program]}}
  - {type: c, variant: a, launch: {exec: [sh], cwd: /nowhere}}
  - {type: d, variant: a, launch: {exec: [sh], user: no-such-user}}
  - {type: e, variant: a, launch: {exec: [/nowhere/program], enabled: false}}
";
    let (code, _, told) = check(programs, &[]);
    assert_eq!(code, Some(1));
    for (line, what) in [
        (4, "error: program `./plain` is not executable"),
        (5, "error: no program `/nowhere/program`"),
        (6, "error: no directory `/nowhere`"),
        (7, "error: no user `no-such-user`"),
        (8, "warning: no program `/nowhere/program`"),
    ] {
        assert!(told.contains(&format!("services.yaml:{line}:5: {what}")), "{told}");
    }
}
