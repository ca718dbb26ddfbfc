//! A fleet monitor of one's own: prints each change of a verdict.
//!
//! `cargo run --example mini_monitor`, with `NATS_URL` or a selected `nats` context saying where.

use std::collections::BTreeMap;

use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::{Bus, REQUEST_TIMEOUT};
use tcs_core::clock;
use tcs_core::observer::Observer;
use tcs_core::wire::Kind;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a monitor's purpose")]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::from_process(&NatsSection::default(), None)?;
    let bus = Bus::open(&settings, "mini-monitor 1.0", REQUEST_TIMEOUT).await?;
    let observer = Observer::new(bus);
    let mut picture = observer.blank();
    let mut following = observer.follow(&Kind::FLEET);
    let mut shown = BTreeMap::new();
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        tokio::select! {
            batch = following.next() => match batch {
                Some(batch) => picture.extend(batch),
                None => return Ok(()),
            },
            _ = tick.tick() => {
                for service in picture.view(clock::monotonic()).services {
                    let verdict = service.verdict;
                    if shown.insert(service.id.clone(), verdict) != Some(verdict) {
                        println!("{:<40} {verdict:?}  {}", service.id, service.headline());
                    }
                }
            }
        }
    }
}
