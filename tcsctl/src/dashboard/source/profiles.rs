//! What launchers answer about profiles.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, Value};
use tcs_core::bus::rpc::RequestError;
use tcs_core::observer::Observer;
use tcs_core::wire::control::{ProfileRequest, command, read_reply};
use tokio::sync::mpsc::Sender;

use super::Feed;
use crate::dashboard::event::{Event, ProfilePlan};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks which profiles there are.
pub(super) async fn read(observer: Observer, launchers: Vec<Arc<str>>, feed: Sender<Feed>) {
    let asked = launchers.into_iter().map(|launcher| async {
        let reply = ask(&observer, &launcher, &ProfileRequest::default()).await;
        (launcher, reply.map(|data| read_reply(&data).value))
    });
    feed.send(Feed::Event(Event::Profiles(join_all(asked).await))).await.ok();
}

/// Asks what would change in one; `None`: without one.
pub(super) async fn plan(
    observer: Observer,
    name: Option<Arc<str>>,
    launchers: Vec<Arc<str>>,
    feed: Sender<Feed>,
) {
    let request = parameters(name.as_deref(), true);
    let asked = launchers.into_iter().map(|launcher| async {
        let reply = ask(&observer, &launcher, &request).await;
        (launcher, reply.map(|data| read_reply(&data).value))
    });
    let plans = join_all(asked).await;
    feed.send(Feed::Event(Event::ProfilePlan(ProfilePlan { name, plans }))).await.ok();
}

/// What is said to move to a profile.
pub(super) fn parameters(name: Option<&str>, dry_run: bool) -> ProfileRequest {
    ProfileRequest { name: name.map(str::to_owned), clear: name.is_none(), dry_run }
}

async fn ask(
    observer: &Observer,
    launcher: &str,
    request: &ProfileRequest,
) -> Result<Map<String, Value>, String> {
    let reply = observer.bus().request(launcher, command::PROFILE, request, PATIENCE).await;
    reply.map_err(|error| match error {
        RequestError::NotReachable { .. } => "no launcher answers".to_owned(),
        error => error.to_string(),
    })
}
