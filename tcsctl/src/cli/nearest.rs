//! "Did you mean": the nearest of some words.

/// The word that `typed` is most likely meant to be; `None` where none is near.
pub fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    if typed.len() < 3 || typed.len() > 40 {
        return None;
    }
    words
        .into_iter()
        .map(|word| (distance(&typed, word), word))
        .min()
        .filter(|(distance, word)| *distance > 0 && *distance <= 1 + word.len() / 5)
        .map(|(_, word)| word)
}

/// Letters to put in, leave out, change or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swap = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(swap)
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_found_and_a_service_name_is_not() {
        let words = ["list", "events", "check", "wait", "watch", "completions", "demo"];
        for (typed, meant) in [
            ("watc", Some("watch")),
            ("evnets", Some("events")),
            ("chekc", Some("check")),
            ("complettions", Some("completions")),
            ("guider", None),
            ("list", None),
            ("li", None),
        ] {
            assert_eq!(nearest(typed, words), meant, "{typed}");
        }
    }
}
