//! Runs a service as a task of the launcher's own process. How its future ends is its exit:
//! an error, a panic and an early return are judged as those of a process are.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};

use tcs_core::clock;
use tokio::runtime::Handle as Runtime;
use tokio_util::sync::CancellationToken;

use super::orders::{Handle, Order, Orders};
use super::{EventSender, RunnerEvent, What};
use tcs_supervisor::{Exit, Report, Run, ServiceId};

/// The exit of a task that was aborted, as if it had been a process.
const SIGKILL: i32 = 9;

/// Starts what `service` makes as `run` of service `id`, on the threads of `services`: they are
/// others than the launcher's, so that a task that blocks its thread blocks no supervision. To stop it its token is cancelled; to
/// kill it, it is aborted, which it only notices where it awaits: a task that blocks its thread
/// cannot be ended, and is never reported as cleared.
///
/// `busy` takes the nanoseconds in which its main future computes.
///
/// That it is ready is for the service's host to say, over a clone of `tell`.
pub(crate) fn start<F>(
    services: &Runtime,
    id: ServiceId,
    run: Run,
    tell: EventSender,
    busy: Arc<AtomicU64>,
    service: impl FnOnce(CancellationToken) -> F,
) -> Handle
where
    F: Future<Output = Exit> + Send + 'static,
{
    keep_places_of_panics();
    let stop = CancellationToken::new();
    let work = service(stop.clone());
    let services = services.clone();
    let (handle, orders) = Handle::new();
    tokio::spawn(async move {
        let say = async |report| {
            // a launcher that no longer listens has ended
            let _ =
                tell.send(RunnerEvent { id: id.clone(), run, what: What::Report(report) }).await;
        };
        say(Report::Spawned { pid: None }).await;
        let exit = live(&services, counted(work, busy), stop, orders).await;
        say(Report::Exited(exit)).await;
        say(Report::Cleared).await;
    });
    handle
}

async fn live<F>(services: &Runtime, work: F, stop: CancellationToken, mut orders: Orders) -> Exit
where
    F: Future<Output = Exit> + Send + 'static,
{
    let mut task = services.spawn(catching(work));
    loop {
        tokio::select! {
            ended = &mut task => return ended.unwrap_or_else(|_| Exit::signal(SIGKILL)),
            order = orders.next() => match order {
                Order::Stop => stop.cancel(),
                Order::Kill => {
                    task.abort();
                    return task.await.unwrap_or_else(|_| Exit::signal(SIGKILL));
                }
            },
        }
    }
}

/// Adds the nanoseconds in which it computes to `busy`.
async fn counted<F: Future<Output = Exit>>(work: F, busy: Arc<AtomicU64>) -> Exit {
    let mut work = Box::pin(work);
    std::future::poll_fn(move |context| {
        let start = clock::monotonic();
        let polled = work.as_mut().poll(context);
        let nanos = clock::monotonic().saturating_duration_since(start).as_nanos();
        busy.fetch_add(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
        polled
    })
    .await
}

/// Turns a panic into an exit, on the thread that panics: only there is its place known.
async fn catching<F: Future<Output = Exit>>(work: F) -> Exit {
    let mut work = Box::pin(work);
    std::future::poll_fn(move |context| {
        panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))).unwrap_or_else(
            |payload| {
                let place = PLACE.take().map(|place| format!(" at {place}")).unwrap_or_default();
                let error = format!("panicked{place}: {}", message(payload.as_ref()));
                Exit::failed(1, error).into()
            },
        )
    })
    .await
}

fn message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

thread_local! {
    /// Where this thread last panicked.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn keep_places_of_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            PLACE.set(info.location().map(ToString::to_string));
            before(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;

    /// What a run of this task reports, with the given orders once it runs.
    async fn reports<F>(
        service: impl FnOnce(CancellationToken) -> F,
        orders: &[fn(&Handle)],
    ) -> Vec<Report>
    where
        F: Future<Output = Exit> + Send + 'static,
    {
        let (tell, mut told) = mpsc::channel(16);
        let handle = start(
            &Runtime::current(),
            "a.x".parse().unwrap(),
            Run(1),
            tell,
            Arc::default(),
            service,
        );
        for order in orders {
            order(&handle);
        }
        let mut reports = Vec::new();
        while let Some(RunnerEvent { what: What::Report(report), .. }) =
            timeout(Duration::from_secs(30), told.recv()).await.expect("it does not end")
        {
            reports.push(report);
        }
        assert_eq!(reports.first(), Some(&Report::Spawned { pid: None }));
        assert_eq!(reports.last(), Some(&Report::Cleared));
        reports
    }

    fn exit_of(reports: &[Report]) -> &Exit {
        match &reports[1] {
            Report::Exited(exit) => exit,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn how_it_ends_is_its_exit() {
        let failed = Exit::failed(137, "no camera".to_owned());
        let reports_of = reports(|_| std::future::ready(failed.clone()), &[]).await;
        assert_eq!(exit_of(&reports_of), &failed);

        let reports_of = reports(
            |_| async {
                tokio::task::yield_now().await;
                panic!("broken {}", 7)
            },
            &[],
        )
        .await;
        let exit = exit_of(&reports_of);
        let error = exit.error.as_deref().unwrap();
        assert_eq!(exit.code, Some(1));
        assert!(error.starts_with("panicked at ") && error.ends_with(": broken 7"), "{error}");
        assert!(error.contains("task.rs:"), "{error}");
    }

    #[tokio::test]
    async fn a_stop_cancels_and_a_kill_aborts() {
        let stopped = reports(
            |stop| async move {
                stop.cancelled().await;
                Exit::code(0)
            },
            &[Handle::stop],
        )
        .await;
        assert_eq!(exit_of(&stopped), &Exit::code(0));
        let deaf = |_| std::future::pending();
        assert_eq!(exit_of(&reports(deaf, &[Handle::stop, Handle::kill]).await), &Exit::signal(9));
    }
}
