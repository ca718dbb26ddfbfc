//! `tcsctl alarms test`: whether people are reached.

use std::process::ExitCode;
use std::time::Duration;

use tcs_alarms::running;

use crate::cli::TestArgs;
use crate::commands::remote::{Question, Remote, parameters};
use crate::commands::session::{Ended, Session};
use crate::sentinel::{TEST, TestRequest};

/// A receiver has 10 s.
const PATIENCE: Duration = Duration::from_secs(15);

/// Asks every sentinel: each may reach people, or not, from where it runs.
pub(super) async fn run(session: &Session, args: &TestArgs) -> Result<ExitCode, Ended> {
    let remote = Remote::new(session).await?;
    let question = |id: &str| Question {
        id: id.to_owned(),
        command: "call",
        whom: Ok(id.to_owned()),
        call: TEST.to_owned(),
        data: parameters(&TestRequest { channel: args.channel.clone() }),
        acts: true,
    };
    let questions: Vec<Question> = running(&remote.view).map(question).collect();
    if questions.is_empty() {
        return Err(remote.nobody("no sentinel runs: nobody is notified"));
    }
    remote.ask_all(questions, remote.limit(PATIENCE), args.json).await
}
