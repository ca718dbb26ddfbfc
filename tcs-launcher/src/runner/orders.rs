//! Orders to a run while it is in progress.

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// An order to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    Stop,
    Kill,
}

/// Receives the orders for one run. Orders to a run that has ended are lost, as intended; a run is
/// killed when all handles to it are gone, as it cannot be given orders any more.
#[derive(Debug, Clone)]
pub struct Handle(mpsc::UnboundedSender<Order>);

/// The other end.
#[derive(Debug)]
pub(crate) struct Orders {
    inbox: mpsc::UnboundedReceiver<Order>,
    put_back: Option<Order>,
    is_over: bool,
}

impl Orders {
    /// The next one. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Order {
        if let Some(order) = self.put_back.take() {
            return order;
        }
        if self.is_over {
            return std::future::pending().await;
        }
        self.inbox.recv().await.unwrap_or_else(|| {
            self.is_over = true;
            Order::Kill
        })
    }

    /// Has it be the next one again.
    pub(crate) fn put_back(&mut self, order: Order) {
        self.put_back = Some(order);
    }
}

impl Handle {
    pub(crate) fn new() -> (Self, Orders) {
        let (orders, inbox) = mpsc::unbounded_channel();
        (Self(orders), Orders { inbox, put_back: None, is_over: false })
    }

    /// Asks it to end.
    pub fn stop(&self) {
        let _ = self.0.send(Order::Stop);
    }

    /// Ends it and all it has started.
    pub fn kill(&self) {
        let _ = self.0.send(Order::Kill);
    }
}
