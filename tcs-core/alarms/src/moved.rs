//! Shifts records to another time and stream, for the replay of a recording.

use chrono::{DateTime, Utc};
use tcs_wire::Timestamp;

use crate::record::{Place, Record};

impl Record {
    /// The same with all its times as `time` makes them, and with all places as `place` does; of one
    /// that it does not know nothing is said.
    #[must_use]
    pub fn moved(
        mut self,
        time: impl Fn(DateTime<Utc>) -> DateTime<Utc>,
        place: impl Fn(Place) -> Option<Place>,
    ) -> Self {
        let shift = |at: &mut Timestamp| *at = time(at.time()).into();
        match &mut self {
            Self::State(it) => {
                shift(&mut it.episode.raised);
                shift(&mut it.since);
                shift(&mut it.notify.at);
                it.raises.iter_mut().for_each(shift);
                it.raised = it.raised.and_then(&place);
                // the messages that it rests on are others there
                it.evidence.clear();
            }
            Self::Ack(it) => {
                shift(&mut it.episode.raised);
                it.expires.iter_mut().for_each(shift);
                it.original = it.original.and_then(|original| {
                    let mut moved = original;
                    shift(&mut moved.at);
                    moved.place = place(original.place)?;
                    Some(moved)
                });
            }
            Self::Note(it) => shift(&mut it.episode.raised),
            Self::Sent(it) => {
                shift(&mut it.episode.raised);
                shift(&mut it.due);
            }
            Self::Shelf(it) => shift(&mut it.until),
            Self::Rules(_) => {}
        }
        self
    }
}
