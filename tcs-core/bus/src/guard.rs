//! Other people's code, run so that its panic is a result with the place it happened at, and not
//! the end of a thread. Needs `panic = "unwind"`, which the workspace's profiles keep.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};

/// A panic that was caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    /// The panic message.
    pub message: String,
    /// `file:line:column`, where it is known.
    pub place: Option<String>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "panicked at {place}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

thread_local! {
    /// How many guards are on the stack: inside one, the report is ours to make.
    static GUARDS: Cell<u32> = const { Cell::new(0) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The hook notes the place and prints nothing inside a guard; outside it does what it did before.
fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            if GUARDS.get() == 0 {
                return before(info);
            }
            PLACE.set(info.location().map(ToString::to_string));
        }));
    });
}

/// Runs `act`, and turns its panic into an error.
pub fn catch<T>(act: impl FnOnce() -> T) -> Result<T, Panic> {
    install();
    GUARDS.set(GUARDS.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(act));
    GUARDS.set(GUARDS.get() - 1);
    result.map_err(|panic| Panic { message: text(panic.as_ref()), place: PLACE.take() })
}

/// Catches the panics of a future.
pub fn guarded<F: Future>(future: F) -> Guarded<F> {
    Guarded(Box::pin(future))
}

/// See [`guarded`].
#[derive(Debug)]
pub struct Guarded<F>(Pin<Box<F>>);

impl<F: Future> Future for Guarded<F> {
    type Output = Result<F::Output, Panic>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match catch(|| self.0.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place() {
        let panic = catch(|| -> () { panic!("out of {}", "film") }).unwrap_err();
        assert_eq!(panic.message, "out of film");
        assert!(panic.place.is_some_and(|place| place.contains("guard.rs:")));
        assert_eq!(catch(|| 7), Ok(7));
    }

    #[tokio::test]
    async fn in_a_future_after_an_await_too() {
        let result = guarded(async {
            tokio::task::yield_now().await;
            assert_eq!(1, 2, "sums");
        });
        assert!(result.await.unwrap_err().message.contains("sums"));
    }
}
