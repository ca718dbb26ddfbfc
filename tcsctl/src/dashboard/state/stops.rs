//! The moments at which problems began: where the keys stop that go from problem to problem, and
//! what is marked on the line of time.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::fleet::Verdict;
use tcs_core::fleet::transitions::Transition;

/// A problem of a service that had the same one less than this before is no new one for the fleet.
const SAME: TimeDelta = TimeDelta::minutes(5);
/// What begins within this of the problem before is one stop with it.
const TOGETHER: TimeDelta = TimeDelta::seconds(3);
/// But a stop is not longer than this.
const LONGEST: TimeDelta = TimeDelta::seconds(15);

/// When problems of this service, or of the fleet, began, oldest first.
pub(super) fn of(entries: &[Transition], service: Option<&str>) -> Vec<DateTime<Utc>> {
    service.map_or_else(|| of_fleet(entries), |id| of_service(entries, id))
}

/// When problems of this service began, oldest first.
fn of_service(entries: &[Transition], id: &str) -> Vec<DateTime<Utc>> {
    begun(entries.iter().filter(|entry| &*entry.id == id)).map(shown_from).collect()
}

/// When problems of the fleet began, oldest first: of a service that crashes again and again the
/// first, of many at once the last.
pub(super) fn of_fleet(entries: &[Transition]) -> Vec<DateTime<Utc>> {
    let mut before: HashMap<(&str, Verdict), DateTime<Utc>> = HashMap::new();
    let mut began = Vec::new();
    for entry in begun(entries.iter()) {
        let last = before.insert((&*entry.id, entry.verdict), entry.at);
        if last.is_none_or(|last| entry.at - last >= SAME) {
            began.push(shown_from(entry));
        }
    }
    began.sort_unstable();
    let mut stops: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
    for at in began {
        match stops.last_mut() {
            Some((first, last)) if at - *last <= TOGETHER && at - *first <= LONGEST => *last = at,
            _ => stops.push((at, at)),
        }
    }
    stops.into_iter().map(|(_, last)| last).collect()
}

/// Those at which a service got into trouble, or into worse.
fn begun<'a>(
    entries: impl Iterator<Item = &'a Transition>,
) -> impl Iterator<Item = &'a Transition> {
    let mut verdicts: HashMap<&str, Verdict> = HashMap::new();
    entries.filter(move |entry| {
        let known = verdicts.insert(&entry.id, entry.verdict);
        let before = entry.before.map(|before| before.verdict).or(known);
        entry.verdict.is_fault() && before.is_none_or(|before| entry.verdict < before)
    })
}

/// From when on the picture shows it.
fn shown_from(entry: &Transition) -> DateTime<Utc> {
    entry.at + entry.delivered_late.max(TimeDelta::zero())
}

#[cfg(test)]
mod tests {
    use tcs_core::fleet::transitions::{Before, Cause};

    use super::*;

    fn entry(second: i64, id: &str, from: Verdict, to: Verdict) -> Transition {
        Transition {
            at: at(second),
            delivered_late: TimeDelta::zero(),
            id: id.into(),
            cause: Cause::Heartbeat,
            by: None,
            before: (from != to).then_some(Before { verdict: from, lasted: None, blocked: false }),
            verdict: to,
            reasons: Vec::new(),
        }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_393_000 + second, 0).unwrap()
    }

    fn seconds(stops: &[DateTime<Utc>]) -> Vec<i64> {
        stops.iter().map(|stop| (*stop - at(0)).num_seconds()).collect()
    }

    #[test]
    fn a_crash_loop_is_one_stop_of_the_fleet_and_each_crash_one_of_the_service() {
        use Verdict::{Failed, Ok, Restarting};
        let mut night = Vec::new();
        for crash in 0..700 {
            night.push(entry(60 * crash, "bad.a", Ok, Restarting));
            night.push(entry(60 * crash + 1, "bad.a", Restarting, Restarting));
            night.push(entry(60 * crash + 5, "bad.a", Restarting, Ok));
        }
        night.push(entry(42_000, "bad.a", Ok, Restarting));
        night.push(entry(42_010, "bad.a", Restarting, Failed));
        night.push(entry(42_020, "good.a", Failed, Ok));
        assert_eq!(seconds(&of_fleet(&night)), [0, 42_010]);
        let own = of_service(&night, "bad.a");
        assert_eq!(own.len(), 702);
        assert!(of_service(&night, "good.a").is_empty());
        night.push(entry(42_500, "bad.a", Ok, Restarting));
        assert_eq!(seconds(&of_fleet(&night)), [0, 42_010, 42_500], "after a while it is new");
    }

    #[test]
    fn what_happens_to_many_at_once_is_one_stop_at_which_all_are_seen() {
        let mut night: Vec<_> =
            (0..9).map(|i| entry(i, &format!("s.{i}"), Verdict::Ok, Verdict::Late)).collect();
        night.push(entry(60, "other.a", Verdict::Ok, Verdict::Error));
        assert_eq!(seconds(&of_fleet(&night)), [8, 60]);
        night[9].delivered_late = TimeDelta::seconds(2);
        assert_eq!(seconds(&of_fleet(&night)), [8, 62], "when its message was there");
    }

    #[test]
    fn where_the_verdict_before_is_not_told_the_list_tells_it() {
        let entries = [
            entry(0, "a.a", Verdict::Failed, Verdict::Failed),
            entry(9, "a.a", Verdict::Failed, Verdict::Failed),
        ];
        assert_eq!(seconds(&of_fleet(&entries)), [0]);
    }
}
