//! What services use: their launchers are asked.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tcs_core::observer::Observer;
use tcs_core::wire::control::{ResourcesRequest, ServiceFigures};
use tokio::sync::mpsc::Sender;

use super::Feed;
use crate::dashboard::event::{Event, UsageNews};
use crate::resources;

/// Launchers asked at once.
const AT_ONCE: usize = 16;

/// Asks these launchers, and the one of a service for its last minutes; tells all answers at once.
pub(super) async fn ask(
    observer: Observer,
    launchers: Vec<Arc<str>>,
    history: Option<(Arc<str>, Arc<str>)>,
    feed: Sender<Feed>,
) {
    let all = ResourcesRequest::default();
    let asked = launchers.into_iter().map(|id| {
        let (bus, all) = (observer.bus().clone(), all.clone());
        async move {
            let answer = resources::ask(&bus, &id, String::new(), &all).await;
            answer.map_err(|why| (id, why))
        }
    });
    let asked = stream::iter(asked).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
    let (answers, history) = tokio::join!(asked, last_minutes(&observer, history));
    let mut news = UsageNews { history, ..UsageNews::default() };
    for answer in answers {
        match answer {
            Ok(answer) => news.answers.push(answer),
            Err(problem) => news.problems.push(problem),
        }
    }
    feed.send(Feed::Event(Event::Usage(Box::new(news)))).await.ok();
}

async fn last_minutes(
    observer: &Observer,
    of: Option<(Arc<str>, Arc<str>)>,
) -> Option<(Arc<str>, ServiceFigures)> {
    let (service, launcher) = of?;
    let wanted = resources::history_of(&service);
    let answer = resources::ask(observer.bus(), &launcher, String::new(), &wanted).await.ok()?;
    let mut figures = answer.reply.services.into_iter();
    figures.find(|it| it.service_id == *service).map(|figures| (service, figures))
}
