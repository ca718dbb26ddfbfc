//! What a half-typed name or filter may become.

use tcs_core::fleet::filter;

/// More than that nobody reads.
pub(super) const MOST: usize = 500;

/// What is known of a fleet.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Names of services, each with its verdict.
    pub(super) services: Vec<(String, &'static str)>,
    pub(super) hosts: Vec<String>,
    /// Names of launchers, without `launcher.`.
    pub(super) launchers: Vec<String>,
}

/// What may be typed, and what is said of it.
pub(super) type Candidate = (String, Option<&'static str>);

/// Names of services that begin with what was typed; if there are none, those that hold it.
pub(super) fn names(typed: &str, known: &Known) -> Vec<Candidate> {
    let typed = typed.to_lowercase();
    let all = || known.services.iter().filter(|(name, _)| can_be_typed(name));
    let begins = |name: &str| name.to_lowercase().starts_with(&typed);
    let holds = |name: &str| name.to_lowercase().contains(&typed);
    let any_begins = all().any(|(name, _)| begins(name));
    all()
        .filter(|(name, _)| if any_begins { begins(name) } else { holds(name) })
        .take(MOST)
        .map(|(name, verdict)| (name.clone(), Some(*verdict)))
        .collect()
}

/// Candidates for a word of a filter: keys, and the values of a key, also behind `!` and commas.
pub(super) fn words(typed: &str, known: impl FnOnce() -> Known) -> Vec<Candidate> {
    let (not, word) = match typed.strip_prefix('!') {
        Some(word) => ("!", word),
        None => ("", typed),
    };
    let of_key = word.split_once(':').filter(|(key, _)| filter::KEYS.contains(key));
    if let Some((key, values)) = of_key {
        let (done, begun) = values.rfind(',').map_or(("", values), |at| values.split_at(at + 1));
        let values = match (filter::words(key), key) {
            (Some(words), _) => words.iter().map(|word| (*word).to_owned()).collect(),
            (None, "host") => known().hosts,
            (None, _) => known().launchers,
        };
        return values
            .into_iter()
            .filter(|value| value.to_lowercase().starts_with(&begun.to_lowercase()))
            .filter(|value| can_be_typed(value) && !done.split(',').any(|it| it == value))
            .take(MOST)
            .map(|value| (format!("{not}{key}:{done}{value}"), None))
            .collect();
    }
    let found = names(word, &known());
    let begun = |key: &&&str| !word.is_empty() && key.starts_with(word);
    let keys = filter::KEYS.iter().filter(begun).map(|key| (format!("{key}:"), Some("filter")));
    // a name that merely holds the beginning of a key was not meant
    let has_key = filter::KEYS.iter().any(|key| begun(&key));
    let is_near = |(name, _): &Candidate| !has_key || name.to_lowercase().starts_with(word);
    let found: Vec<Candidate> = found.into_iter().filter(is_near).chain(keys).collect();
    found.into_iter().map(|(text, told)| (format!("{not}{text}"), told)).collect()
}

/// What a shell, or a terminal, would act on is not offered.
fn can_be_typed(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "._-:@".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let services =
            [("guider.d1", "ok"), ("dome.main", "ok"), ("a:b.n", "failed"), ("evil$(x).n", "ok")];
        Known {
            services: services.map(|(name, verdict)| (name.to_owned(), verdict)).into(),
            hosts: ["srv01".to_owned(), "srv02".to_owned()].into(),
            launchers: vec!["Kx1xDO.srv01-process-launcher".to_owned()],
        }
    }

    fn offered(typed: &str) -> Vec<String> {
        words(typed, known).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn a_beginning_counts_more_than_a_part() {
        assert_eq!(offered("d"), ["dome.main"]);
        assert_eq!(offered("D"), ["dome.main"]);
        assert_eq!(offered("d1"), ["guider.d1"]);
        assert_eq!(offered("!gui"), ["!guider.d1"]);
        assert_eq!(offered(""), ["guider.d1", "dome.main", "a:b.n"]);
    }

    #[test]
    fn keys_and_their_values_are_offered() {
        assert_eq!(offered("ho"), ["host:"]);
        assert_eq!(offered("host:"), ["host:srv01", "host:srv02"]);
        assert_eq!(offered("host:srv01,"), ["host:srv01,srv02"]);
        assert_eq!(offered("verdict:fa"), ["verdict:failed"]);
        assert_eq!(offered("!verdict:failed,lo"), ["!verdict:failed,lost"]);
        assert_eq!(offered("is:"), ["is:fault"]);
        assert_eq!(offered("launcher:k"), ["launcher:Kx1xDO.srv01-process-launcher"]);
        assert_eq!(offered("a:"), ["a:b.n"], "a name with a colon");
        assert!(offered("phase:").contains(&"phase:backoff".to_owned()));
    }
}
