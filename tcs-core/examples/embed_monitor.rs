//! A monitor in any program: `cargo run -p tcs-core --example embed_monitor`, beside a broker on
//! localhost:4222 or where `NATS_URL` says; `tcsctl` shows it. Without a broker it runs as well.

use std::{thread::sleep, time::Duration};

use tcs_core::monitor::create_monitor;
use tcs_core::wire::Status;

fn main() {
    let monitor = create_monitor("example.embedded");
    monitor.submonitor("camera").set_status(Status::Ok, "-15.2 C");
    monitor.set_status(Status::Ok, "observing");
    for exposure in 1..=5 {
        let _busy = monitor.track_task("exposure");
        monitor.submonitor("camera").set_status(Status::Busy, format!("exposure {exposure}"));
        sleep(Duration::from_secs(1));
        monitor.submonitor("camera").set_status(Status::Ok, "read out");
    }
    monitor.set_status(Status::Shutdown, "the night is over");
}
