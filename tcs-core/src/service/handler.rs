//! Commands of a service: methods whose parameter is read from the request, and whose result is
//! the reply.

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::context::{Context, FromContext};
use super::kinds::Service;
use super::schema::{self, Schema};
use crate::bus::rpc::Reply;
use crate::config::read_json;

/// A method, or closure, that answers a command. `P` are its parameters.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "this cannot handle a command",
    note = "give a method of the service: `async fn reset(&self, args: ResetArgs) -> Result<impl \
            Serialize>`; `args` implements Deserialize and may be left out, `ctx: &Context` may follow"
)]
pub trait Handler<'a, S: Service, P>: Send + Sync + 'static {
    fn answer(
        &self,
        data: Map<String, Value>,
        service: &'a S,
        ctx: &'a Context<S>,
    ) -> BoxFuture<'a, Reply>;

    fn parameters() -> Schema;
}

/// Waits for the result and writes it: an object as it is, nothing as an empty one, anything else
/// as `{"result": ...}`.
async fn reply<R: Serialize>(work: impl Future<Output = anyhow::Result<R>> + Send) -> Reply {
    let result = work.await.map_err(|error| format!("{error:#}"))?;
    match serde_json::to_value(result) {
        Ok(Value::Object(reply)) => Ok(reply),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(other) => Ok(Map::from_iter([("result".to_owned(), other)])),
        Err(error) => Err(format!("the reply cannot be written: {error}")),
    }
}

/// Reads the parameters; `null` and `{}` are the same for a method that takes none.
fn read<A: DeserializeOwned>(data: Map<String, Value>) -> Result<A, String> {
    read_json(data).map_err(|error| format!("parameters: {error}; expected {}", schema::of::<A>()))
}

/// Method without parameters.
impl<'a, S, F, W, R> Handler<'a, S, ()> for F
where
    S: Service,
    F: Fn(&'a S) -> W + Send + Sync + 'static,
    W: Future<Output = anyhow::Result<R>> + Send + 'a,
    R: Serialize + 'a,
{
    fn answer(
        &self,
        _: Map<String, Value>,
        service: &'a S,
        _: &'a Context<S>,
    ) -> BoxFuture<'a, Reply> {
        Box::pin(reply(self(service)))
    }

    fn parameters() -> Schema {
        Schema::nothing()
    }
}

/// Method with parameters.
impl<'a, S, F, A, W, R> Handler<'a, S, (A,)> for F
where
    S: Service,
    F: Fn(&'a S, A) -> W + Send + Sync + 'static,
    A: DeserializeOwned + 'static,
    W: Future<Output = anyhow::Result<R>> + Send + 'a,
    R: Serialize + 'a,
{
    fn answer(
        &self,
        data: Map<String, Value>,
        service: &'a S,
        _: &'a Context<S>,
    ) -> BoxFuture<'a, Reply> {
        match read(data) {
            Ok(arguments) => Box::pin(reply(self(service, arguments))),
            Err(why) => Box::pin(async { Err(why) }),
        }
    }

    fn parameters() -> Schema {
        schema::of::<A>()
    }
}

/// Method with the context alone.
impl<'a, S, F, C, W, R> Handler<'a, S, &'static C> for F
where
    S: Service,
    C: FromContext<S>,
    F: Fn(&'a S, &'a C) -> W + Send + Sync + 'static,
    W: Future<Output = anyhow::Result<R>> + Send + 'a,
    R: Serialize + 'a,
{
    fn answer(
        &self,
        _: Map<String, Value>,
        service: &'a S,
        ctx: &'a Context<S>,
    ) -> BoxFuture<'a, Reply> {
        Box::pin(reply(self(service, C::from_context(ctx))))
    }

    fn parameters() -> Schema {
        Schema::nothing()
    }
}

/// Method with parameters and the context.
impl<'a, S, F, A, C, W, R> Handler<'a, S, (A, &'static C)> for F
where
    S: Service,
    A: DeserializeOwned + 'static,
    C: FromContext<S>,
    F: Fn(&'a S, A, &'a C) -> W + Send + Sync + 'static,
    W: Future<Output = anyhow::Result<R>> + Send + 'a,
    R: Serialize + 'a,
{
    fn answer(
        &self,
        data: Map<String, Value>,
        service: &'a S,
        ctx: &'a Context<S>,
    ) -> BoxFuture<'a, Reply> {
        match read(data) {
            Ok(arguments) => Box::pin(reply(self(service, arguments, C::from_context(ctx)))),
            Err(why) => Box::pin(async { Err(why) }),
        }
    }

    fn parameters() -> Schema {
        schema::of::<A>()
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Move {
        count: u8,
        to: Option<f64>,
        #[serde(default)]
        why: String,
    }

    fn told(data: Value) -> Result<Move, String> {
        let Value::Object(data) = data else { unreachable!() };
        read(data)
    }

    #[test]
    fn a_caller_is_told_every_mistake_in_plain_words() {
        let right = told(json!({"count": 3, "to": 2, "more": [1]}));
        assert_eq!(right, Ok(Move { count: 3, to: Some(2.0), why: String::new() }));
        let wrong = told(json!({"count": "x", "to": [1], "why": 5})).unwrap_err();
        let mistakes = "parameters: `count`: expected a whole number from 0 to 255, found the text \"x\"; \
                        `to`: expected a number, found a list; `why`: expected text, found 5; expected ";
        assert!(wrong.starts_with(mistakes), "{wrong}");
        assert!(told(json!({})).unwrap_err().starts_with("parameters: `count` is missing; "));
        let large = told(json!({"count": 300})).unwrap_err();
        assert!(large.contains("expected a whole number from 0 to 255, found 300"), "{large}");
    }
}
