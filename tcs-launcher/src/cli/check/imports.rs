//! Whether Python modules can be imported by the interpreters that would run them, and which
//! service types they register (`docs/spec/configuration.md#python-modules`).

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Deserialize;
use tcs_core::config::{Environment, How, Planned, Problem};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::daemon;

/// How long one import may take: astronomers' libraries take seconds.
const LIMIT: Duration = Duration::from_secs(30);

/// Interpreters that run at the same time.
const AT_ONCE: usize = 4;

/// The longest answer, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Imports a module as the launcher's own line does, and answers as JSON on what was its standard
/// output; what the module prints is not seen. Without the framework the launcher runs the module
/// as a program, so it is only found and compiled.
const PROBE: &str = "\
import importlib, importlib.util, json, os, sys
name = sys.argv[1]
del sys.argv[1:]
answer = os.fdopen(os.dup(1), 'w')
nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(nowhere, 1)
os.dup2(nowhere, 2)
found = {}
try:
    try:
        import ocabox_tcs.base_service
    except ImportError:
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(f'No module named {name!r}')
        if spec.loader is not None and hasattr(spec.loader, 'get_code'):
            spec.loader.get_code(name)
    else:
        module = importlib.import_module(name)
        found['types'] = [
            vars(c)['_service_type'] for c in vars(module).values()
            if isinstance(c, type) and c.__module__ == name and callable(getattr(c, 'main', None))
            and isinstance(vars(c).get('_service_type'), str)]
except BaseException as error:
    text = f'{type(error).__name__}: {error}'.strip()
    found['error'] = text.splitlines()[0][:500]
json.dump(found, answer)
answer.close()
os._exit(0)
";

/// What the probe answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Found {
    /// Service types that the module registers; `None`: the framework is not there.
    types: Option<Vec<String>>,
    /// Why it cannot be imported.
    error: Option<String>,
}

/// What is wrong with the Python services of a plan.
pub(super) fn problems(plan: &[Planned], environment: &Environment) -> Vec<Problem> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let message = format!("cannot try Python modules: {error}");
            return vec![Problem::warning(None, message)];
        }
    };
    runtime.block_on(async {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut tries = JoinSet::new();
        for (index, planned) in plan.iter().enumerate() {
            let Some(command) = probe(planned, environment) else { continue };
            let places = Arc::clone(&places);
            tries.spawn(async move {
                let _place = places.acquire().await;
                (index, ask(command, LIMIT).await)
            });
        }
        let mut found = Vec::new();
        while let Some(tried) = tries.join_next().await {
            let Ok((index, answer)) = tried else { continue };
            found.extend(judge(&plan[index], answer));
        }
        found
    })
}

/// With directory and environment as the service would have them. `None`: no Python, or one that
/// is not there, which has been said.
fn probe(planned: &Planned, environment: &Environment) -> Option<Command> {
    let How::Python { interpreter, module } = &planned.how else { return None };
    let launch = &planned.entry.launch;
    let mut command = Command::new(daemon::absolute(interpreter));
    command.args(["-c", PROBE, module.as_str()]);
    command.envs(environment.added()).envs(&launch.env).env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(cwd) = &launch.cwd {
        command.current_dir(cwd);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.process_group(0).kill_on_drop(true);
    Some(command)
}

/// The answer, or why there is none; `Err(None)`: the interpreter could not be started.
async fn ask(mut command: Command, limit: Duration) -> Result<Found, Option<String>> {
    let mut child = command.spawn().map_err(|_| None)?;
    let group = child.id().map(|pid| Pid::from_raw(pid.cast_signed()));
    let Some(output) = child.stdout.take() else { return Err(None) };
    let mut text = Vec::new();
    let read = async {
        output.take(LONGEST).read_to_end(&mut text).await.ok();
        child.wait().await
    };
    let ended = tokio::time::timeout(limit, read).await;
    // whatever the module has started at its top level
    if let Some(group) = group {
        killpg(group, Signal::SIGKILL).ok();
    }
    match ended {
        Err(_) => Err(Some(format!("its import did not finish within {} s", limit.as_secs_f64()))),
        Ok(status) => serde_json::from_slice(&text).map_err(|_| {
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            Some(format!("its import ended the interpreter ({how})"))
        }),
    }
}

fn judge(planned: &Planned, answer: Result<Found, Option<String>>) -> Option<Problem> {
    let How::Python { interpreter, module } = &planned.how else { return None };
    let kind = planned.entry.service_type.as_str();
    let what = format!("module `{module}` (by {})", interpreter.display());
    let types = match answer {
        Err(Some(why)) | Ok(Found { error: Some(why), .. }) => {
            return Some(planned.cannot_start(format!("{what}: {why}")));
        }
        Err(None) | Ok(Found { types: None, .. }) => return None,
        Ok(Found { types: Some(types), .. }) => types,
    };
    match &types[..] {
        [] => Some(planned.cannot_start(format!("{what} registers no service"))),
        [one] if one != kind => {
            let message = format!(
                "{what} registers `{one}`: it would report under another id than `{}`, and find \
                 none of its settings",
                planned.entry.id
            );
            Some(Problem::warning(planned.entry.at, message).hint(format!("write `type: {one}`")))
        }
        [_] => None,
        several if several.iter().any(|one| one == kind) => None,
        several => {
            let message = format!("{what} registers {}, not `{kind}`", several.join(", "));
            Some(planned.cannot_start(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_import_that_hangs_or_kills_is_told_and_ended() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdout(Stdio::piped()).process_group(0);
            command
        };
        // one that it has started holds the answer's end open
        let hangs = ask(shell("sleep 1000 & wait"), Duration::from_millis(100)).await;
        assert_eq!(hangs, Err(Some("its import did not finish within 0.1 s".to_owned())));
        let dies = ask(shell("kill -SEGV $$"), LIMIT).await;
        let Err(Some(why)) = dies else { panic!("{dies:?}") };
        assert!(why.starts_with("its import ended the interpreter (signal: 11"), "{why}");
        let mut missing = Command::new("/nowhere/python");
        missing.stdout(Stdio::piped());
        assert_eq!(ask(missing, LIMIT).await, Err(None));
    }
}
