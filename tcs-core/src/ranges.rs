//! Sets of numbers that come in long runs, bounded: the numbers of events that are missing. Pure.

/// Runs of numbers kept; beyond that the last ones are forgotten.
const MAX_RUNS: usize = 64;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    /// First and last of each run of numbers, in their order, none touching the next.
    runs: Vec<(u64, u64)>,
}

impl Ranges {
    /// How many numbers are in it.
    pub(crate) fn count(&self) -> u64 {
        self.runs
            .iter()
            .fold(0, |sum, (first, last)| sum.saturating_add((last - first).saturating_add(1)))
    }

    /// Adds the numbers from `first` to `last`, of which none is in it.
    pub(crate) fn insert(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let at = self.runs.partition_point(|run| run.0 < first);
        self.runs.insert(at, (first, last));
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(self.runs.len());
        for run in self.runs.drain(..) {
            match joined.last_mut() {
                Some(before) if run.0 <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(run.1);
                }
                Some(_) | None => joined.push(run),
            }
        }
        joined.truncate(MAX_RUNS);
        self.runs = joined;
    }

    /// Takes a number out; whether it was in it.
    pub(crate) fn remove(&mut self, number: u64) -> bool {
        let Some(at) = self.runs.iter().position(|run| run.0 <= number && number <= run.1) else {
            return false;
        };
        let (first, last) = self.runs.remove(at);
        if number < last {
            self.runs.insert(at, (number + 1, last));
        }
        if first < number {
            self.runs.insert(at, (first, number - 1));
        }
        self.runs.truncate(MAX_RUNS);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_runs_and_are_counted_once() {
        let mut ranges = Ranges::default();
        for number in [3, 4, 9, 5, 8, 4, 1, 2] {
            ranges.insert(number, number);
        }
        assert_eq!(ranges, Ranges { runs: vec![(1, 5), (8, 9)] });
        assert_eq!(ranges.count(), 7);
        assert!(ranges.remove(3) && !ranges.remove(3) && !ranges.remove(7));
        assert_eq!(ranges, Ranges { runs: vec![(1, 2), (4, 5), (8, 9)] });
        ranges.insert(3, 7);
        assert_eq!(ranges, Ranges { runs: vec![(1, 9)] });
        ranges.insert(0, u64::MAX);
        assert_eq!(ranges.count(), u64::MAX);
    }

    #[test]
    fn there_are_never_too_many_runs() {
        let mut ranges = Ranges::default();
        for n in 0..1000 {
            ranges.insert(2 * n, 2 * n);
        }
        assert_eq!(ranges.count(), MAX_RUNS as u64);
    }
}
