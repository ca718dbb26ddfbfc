//! Asks launchers what services and hosts use.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tcs_core::bus::Bus;
use tcs_core::bus::rpc::RequestError;
use tcs_core::fleet::FleetView;
use tcs_core::wire::control::{ResourcesRequest, command};
use tcs_present::top::Answer;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Launchers asked at once.
const AT_ONCE: usize = 16;

/// What launchers have answered, and who gave no answer, and why.
#[derive(Debug, Clone, Default)]
pub(crate) struct Round {
    /// One for each launcher that answered.
    pub(crate) answers: Vec<Answer>,
    /// A launcher, and what was wrong.
    pub(crate) problems: Vec<(String, String)>,
}

/// Asks all launchers that run.
pub(crate) async fn ask_all(bus: &Bus, view: &FleetView) -> Round {
    let running = view.services.iter().filter(|it| it.is_launcher && it.phase.is_up());
    let asked = running.map(|launcher| {
        let (id, host) = (launcher.id.to_string(), launcher.host.clone());
        async move {
            let host = host.as_deref().unwrap_or_default().to_owned();
            let answer = ask(bus, &id, host, &ResourcesRequest::default()).await;
            answer.map_err(|why| (id, why))
        }
    });
    let asked: Vec<_> = asked.collect();
    let mut round = Round::default();
    for answer in stream::iter(asked).buffered(AT_ONCE).collect::<Vec<_>>().await {
        match answer {
            Ok(mut answer) => {
                answer.keep_own(view);
                round.answers.push(answer);
            }
            Err(problem) => round.problems.push(problem),
        }
    }
    round
}

/// Asks one launcher.
pub(crate) async fn ask(
    bus: &Bus,
    launcher: &str,
    host: String,
    wanted: &ResourcesRequest,
) -> Result<Answer, String> {
    match bus.request(launcher, command::RESOURCES, wanted, PATIENCE).await {
        Ok(data) => Ok(Answer::new(launcher.to_owned(), host, &data)),
        Err(RequestError::NotReachable { .. }) => Err("does not report resource usage".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The last minutes of one service.
pub(crate) fn history_of(service: &Arc<str>) -> ResourcesRequest {
    let mut wanted = ResourcesRequest::default();
    wanted.services = Some(vec![service.to_string()]);
    wanted.history = true;
    wanted
}
