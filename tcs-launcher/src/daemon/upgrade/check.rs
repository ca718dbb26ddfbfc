//! The new program is run before it takes over, and says whether it could.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tcs_core::service::log::clean;
use tokio::io::AsyncReadExt as _;

use crate::runner::spawner::Spawner;
use crate::takeover::{CHECK, CanTakeOver, FORMAT};

/// How long it may take.
const CHECK_LIMIT: Duration = Duration::from_secs(20);
/// Bytes of what it says.
const LONGEST: u64 = 64 * 1024;

/// Runs the new program, which is to say whether it could take over; it is killed where that is not
/// wanted any more.
pub(super) async fn check(
    spawner: &Arc<Spawner>,
    program: &Path,
    table: OwnedFd,
    unwanted: impl Future<Output = ()>,
) -> Result<CanTakeOver, String> {
    let shown = program.display();
    let mut command = Command::new(program);
    command.arg(CHECK).args(std::env::args_os().skip(1)).stdin(table);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = spawner.guard(command).await;
    let mut child = started.map_err(|error| format!("{shown} cannot be started: {error}"))?;
    let pid = child.id().unwrap_or_default().cast_signed();
    let (mut said, mut complaint) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let answer = async {
        if let (Some(stdout), Some(stderr)) = (stdout, stderr) {
            let (mut stdout, mut stderr) = (stdout.take(LONGEST), stderr.take(LONGEST));
            let reading = (stdout.read_to_end(&mut said), stderr.read_to_end(&mut complaint));
            let _ = tokio::join!(reading.0, reading.1);
        }
        child.wait().await
    };
    let ended = tokio::select! {
        ended = tokio::time::timeout(CHECK_LIMIT, answer) => {
            ended.map_err(|_| format!("no answer within {} s", CHECK_LIMIT.as_secs()))
        }
        () = unwanted => Err("it is no longer needed".to_owned()),
    };
    let status = match ended {
        Ok(status) => status.map_err(|error| error.to_string()),
        Err(why) => {
            let _ = child.kill().await;
            Err(why)
        }
    };
    spawner.forget(pid);
    let status = status.map_err(|error| format!("{shown}: {error}"))?;
    let complaint = String::from_utf8_lossy(&complaint);
    let complaint = clean(complaint.trim().lines().last().unwrap_or_default());
    match serde_json::from_slice::<CanTakeOver>(&said) {
        Ok(can) if status.success() && can.takes_over == FORMAT => Ok(can),
        _ if complaint.is_empty() => Err(format!("{shown} cannot take over ({status})")),
        _ => Err(format!("{shown} cannot take over ({status}): {complaint}")),
    }
}
