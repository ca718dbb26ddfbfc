//! `tcsctl call`: a command that a service offers itself, or the list of them.

use std::process::ExitCode;

use serde_json::{Map, Value};
use tcs_core::id::check_name;
use tcs_core::wire::control::command;

use super::remote::{Question, Remote};
use super::session::{Ended, Session};
use crate::cli::CallArgs;
use crate::exit::Exit;

pub(super) async fn run(session: &Session, args: &CallArgs) -> Result<ExitCode, Ended> {
    let data = parameters(args.parameters.as_deref())?;
    if let Some(command) = &args.command {
        for (what, name) in [("service", &args.service), ("command", command)] {
            check_name(what, name).map_err(|error| wrong(&error.to_string()))?;
        }
    }
    let remote = Remote::new(session).await?;
    let Some(command) = &args.command else {
        return remote.ask_services(&args.service, command::COMMANDS, args.json).await;
    };
    let question = Question {
        id: args.service.clone(),
        command: "call",
        whom: Ok(args.service.clone()),
        call: command.clone(),
        data,
        acts: true,
    };
    let limit = remote.limit(session.left());
    remote.ask_all(vec![question], limit, args.json).await
}

/// The parameters as they were typed.
fn parameters(typed: Option<&str>) -> Result<Value, Ended> {
    let Some(typed) = typed else { return Ok(Value::Object(Map::new())) };
    match serde_json::from_str(typed) {
        Ok(parameters @ Value::Object(_)) => Ok(parameters),
        Ok(other) => Err(wrong(&format!("parameters must be an object, not `{other}`"))),
        Err(error) => Err(wrong(&format!("parameters: {error}"))),
    }
}

fn wrong(what: &str) -> Ended {
    let hint = "hint: tcsctl call guider.jk15 reset '{\"reason\": \"clouds\"}'";
    Ended::new(Exit::Usage, format!("{what}\n{hint}"))
}
