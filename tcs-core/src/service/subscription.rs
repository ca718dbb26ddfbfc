//! Messages that a service receives.

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

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

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    /// The subject on which it was published.
    pub subject: String,
    /// As it came.
    pub payload: Vec<u8>,
}

impl Message {
    /// Decodes its data: the `data` of a message in the fleet's envelope, the whole body of any
    /// other.
    ///
    /// # Errors
    /// It is not JSON, or has another form.
    pub fn read<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        let read = |value| serde_json::from_value(value);
        let value = match serde_json::from_slice(&self.payload) {
            Ok(Value::Object(mut envelope))
                if envelope.contains_key("data") && envelope.contains_key("meta") =>
            {
                read(envelope.remove("data").unwrap_or_default())
            }
            Ok(other) => read(other),
            Err(error) => Err(error),
        };
        value.map_err(|error| {
            anyhow::anyhow!("message on `{}`: {error}", self.subject.escape_debug())
        })
    }
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
