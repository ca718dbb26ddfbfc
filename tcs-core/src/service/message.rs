//! A message that a service receives.

use serde::de::DeserializeOwned;
use serde_json::Value;

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
