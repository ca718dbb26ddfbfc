//! Messages of a subject that a service has subscribed to.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::message::Message;
use crate::bus::subscribe::Subscriber;
use crate::monitor::Reporter;

/// Messages of a subject, from when it was subscribed to; see
/// [`Context::subscribe`](super::Context::subscribe).
#[derive(Debug)]
pub struct Subscription {
    from: From,
    stop: CancellationToken,
}

#[derive(Debug)]
enum From {
    Broker(Subscriber),
    /// In a test.
    Test(mpsc::Receiver<Message>),
}

impl Subscription {
    pub(super) async fn new(
        reporter: &Reporter,
        subject: &str,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let from = match reporter.bus() {
            Some(bus) => From::Broker(bus.subscribe(subject).await?),
            None => From::Test(reporter.listen(subject)),
        };
        Ok(Self { from, stop })
    }

    /// The next message; `None` when a stop is requested.
    pub async fn next(&mut self) -> Option<Message> {
        let next = async {
            match &mut self.from {
                From::Broker(subscriber) => {
                    let (subject, payload) = subscriber.next().await?;
                    Some(Message { subject, payload })
                }
                From::Test(messages) => messages.recv().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            message = next => message,
        }
    }
}
