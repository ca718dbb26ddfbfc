//! The numbers of the events that were given up: what a reader is told is missing. Pure.

/// Ranges kept; beyond that the last ones are joined, and only the count stays exact.
const MAX_RANGES: usize = 64;

/// Sequence numbers (`event_seq`) of events that no stream will ever hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub count: u64,
    /// First and last of each run of numbers, in their order.
    pub ranges: Vec<(u64, u64)>,
}

impl Lost {
    pub(super) fn extend(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            self.insert(number);
        }
    }

    /// Numbers come in their order, or nearly so.
    fn insert(&mut self, number: u64) {
        let at = self.ranges.partition_point(|(first, _)| *first <= number);
        if at > 0 && self.ranges[at - 1].1 >= number {
            return;
        }
        self.count += 1;
        let joins_before = at > 0 && self.ranges[at - 1].1 + 1 == number;
        let joins_after = self.ranges.get(at).is_some_and(|(first, _)| *first == number + 1);
        match (joins_before, joins_after) {
            (true, true) => {
                self.ranges[at - 1].1 = self.ranges[at].1;
                self.ranges.remove(at);
            }
            (true, false) => self.ranges[at - 1].1 = number,
            (false, true) => self.ranges[at].0 = number,
            (false, false) => self.ranges.insert(at, (number, number)),
        }
        if self.ranges.len() > MAX_RANGES
            && let Some((_, last)) = self.ranges.pop()
            && let Some(range) = self.ranges.last_mut()
        {
            range.1 = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_ranges_and_are_counted_once() {
        let mut lost = Lost::default();
        lost.extend([3, 4, 9, 5, 8, 4, 1, 2]);
        assert_eq!(lost, Lost { count: 7, ranges: vec![(1, 5), (8, 9)] });
    }

    #[test]
    fn there_are_never_too_many_ranges() {
        let mut lost = Lost::default();
        lost.extend((0..1000).map(|n| 2 * n));
        assert_eq!((lost.count, lost.ranges.len()), (1000, MAX_RANGES));
        assert_eq!(lost.ranges.last().map(|range| range.1), Some(1998));
    }
}
