//! `tcsctl logs -f`: prints new lines until it is ended. It subscribes to journals only while a
//! launcher answers: without one only Python programs write there, and a subscriber slows them down.
//!
//! Lines that were written before they could be heard, or while the link was down, the launchers
//! still hold: they are asked for once more as soon as lines can be heard.

use std::collections::BTreeMap;
use std::process::ExitCode;

use tcs_core::clock;
use tcs_core::observer::{Following, Observer};
use tcs_core::wire::Kind;

use super::{Ended, Reader};
use crate::logs::{self, Gap, LEASE, RENEW, Told};
use crate::output::Word;

/// Prints the lines that launchers hold, then new ones.
pub(super) async fn follow(mut reader: Reader<'_>) -> Result<ExitCode, Ended> {
    let bus = reader.remote.bus.clone();
    // journals may be in no stream
    let observer = Observer::new(bus.clone()).with_core(true);
    let sources = reader.sources.iter().enumerate();
    let journals: BTreeMap<String, usize> =
        sources.map(|(i, it)| (bus.subjects().journal(&it.id), i)).collect();
    reader.ask_all(0, LEASE).await;
    let mut live: Option<Following> = Some(observer.follow(&[Kind::Journal]));
    let replies = reader.ask_all(reader.args.lines.max(1), LEASE).await;
    reader.print_held(replies)?;
    let mut gap = Gap::default();
    let mut renew = tokio::time::interval_at((clock::monotonic() + RENEW).into(), RENEW);
    loop {
        let batch = async {
            match &mut live {
                Some(live) => live.next().await.unwrap_or_default(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            batch = batch => {
                for one in &batch {
                    if let Some((i, line)) = logs::live_of(one, &journals) {
                        reader.print_live(i, line)?;
                    }
                }
                // each is looked at
                if batch.iter().filter(|one| gap.ends_with(one)).count() > 0 {
                    reader.catch_up().await?;
                }
            }
            _ = renew.tick() => {
                if renew_leases(&mut reader, live.is_some()).await {
                    reader.told.iter_mut().for_each(Told::settle);
                    if live.is_none() {
                        live = Some(observer.follow(&[Kind::Journal]));
                    } else if reader.is_behind {
                        reader.catch_up().await?;
                    }
                } else {
                    live = None;
                }
            }
        }
    }
}
/// Renews the leases with all launchers; whether any of them answers.
async fn renew_leases(reader: &mut Reader<'_>, was_answered: bool) -> bool {
    let replies = reader.ask_all(0, LEASE).await;
    let screen = &reader.remote.session.screen;
    let is_answered = replies.iter().any(|(_, reply)| reply.is_ok());
    let whom = &reader.sources[0].whom;
    match (was_answered, is_answered) {
        (false, true) => screen.tell(Word::Warning, &format!("{whom} answers again")),
        (true, false) => {
            if let Some((_, Err(failure))) = replies.first() {
                screen.tell(Word::Warning, &format!("{failure}; asking again"));
            }
        }
        (true, true) | (false, false) => {}
    }
    for (i, reply) in replies {
        if let Ok(reply) = reply {
            reader.runs.insert(reader.sources[i].id.clone(), reply.runs);
        }
    }
    is_answered
}
