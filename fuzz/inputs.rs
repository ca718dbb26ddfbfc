//! What is done with one fuzz input, by the fuzz targets and, over the corpus, by a normal test.

use chrono::{DateTime, TimeDelta, Utc};
use tcs_core::config::{Config, Environment, Report};
use tcs_core::fleet::filter::Filter;
use tcs_core::fleet::{Fleet, Link, Order, Stamp};
use tcs_core::wire::{Subjects, decode, rpc};
use tcs_launcher::runner::notify;
use tcsctl::recording::{Recorded, renew, shift};
use tcsctl::serve::access::{Access, Query, Token};
use tcsctl::serve::coding::takes_gzip;

/// Does with one input what its target is for; panics at a fault.
type TryInput = fn(&[u8]);

/// What reads text that is not ours, by the name of its target.
#[allow(dead_code, reason = "a target needs its own function alone")]
pub(crate) const TARGETS: [(&str, TryInput); 8] = [
    ("decode", decode_any),
    ("dotenv", dotenv_any),
    ("filter", filter_any),
    ("fleet", fold_any),
    ("http", http_any),
    ("notify", notify_any),
    ("recording", recording_any),
    ("yaml", config_any),
];

const SUBJECTS: [&str; 5] = [
    "svc.status.a.b",
    "svc.heartbeat.a.b",
    "svc.registry.crashed.a.b",
    "svc.registry.declared.a.b",
    "svc.journal.a.b",
];

/// The input as the body of each kind of message.
#[allow(dead_code, reason = "a target needs its own function alone")]
pub(crate) fn decode_any(input: &[u8]) {
    let subjects = Subjects::default();
    for text in SUBJECTS {
        let subject = subjects.parse(text).expect("one of ours");
        if let Ok(decoded) = decode(subject, input) {
            let mut fleet = Fleet::new();
            let stored = DateTime::<Utc>::UNIX_EPOCH;
            fleet.apply(text, decoded, Stamp { stored, order: Order::Core { arrival: 1 } });
            read(&fleet, stored);
        }
    }
    let _ = rpc::read_request(input);
    let _ = rpc::read_reply(input);
}

/// The input's lines as messages, a second apart: the first character picks the subject. Both ways
/// round they must give the same picture.
#[allow(dead_code, reason = "a target needs its own function alone")]
pub(crate) fn fold_any(input: &[u8]) {
    let subjects = Subjects::default();
    let messages: Vec<_> = input
        .split(|byte| *byte == b'\n')
        .take(200)
        .zip(1_u32..)
        .filter_map(|(line, i)| {
            let (pick, body) = line.split_first()?;
            let text = SUBJECTS[usize::from(*pick) % SUBJECTS.len()];
            let decoded = decode(subjects.parse(text)?, body).ok()?;
            let stored = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(i.into());
            let order = Order::Stream { created: DateTime::<Utc>::UNIX_EPOCH, seq: i.into() };
            Some((text, decoded, Stamp { stored, order }))
        })
        .collect();
    let fold = |messages: &mut dyn Iterator<Item = &(&str, _, Stamp)>| {
        let mut fleet = Fleet::new();
        for (text, decoded, stamp) in messages {
            fleet.apply(text, tcs_core::wire::Decoded::clone(decoded), *stamp);
        }
        read(&fleet, DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(500))
    };
    assert_eq!(fold(&mut messages.iter()), fold(&mut messages.iter().rev()));
}

/// Everything that a view can say.
fn read(fleet: &Fleet, now: DateTime<Utc>) -> String {
    let view = fleet.view(now, Link::Steady);
    let lines = view.services.iter().map(|service| {
        let reasons: Vec<String> = service.reasons.iter().map(ToString::to_string).collect();
        format!("{service:?} {} {reasons:?}", service.headline())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A service file: read, or refused with places that lie in it.
#[allow(dead_code, reason = "a target needs its own function alone")]
pub(crate) fn config_any(input: &[u8]) {
    let environment = Environment::new([("HOME", "/home/op"), ("PORT", "4222")]);
    let lines = input.split(|byte| matches!(byte, b'\n' | b'\r')).count();
    let report = match Config::parse("fuzz.yaml", input, &environment) {
        Ok(config) => config.warnings,
        Err(errors) => errors.report.clone(),
    };
    check_places(&report, lines);
}

/// A `.env` file.
#[allow(dead_code, reason = "a target needs its own function alone")]
pub(crate) fn dotenv_any(input: &[u8]) {
    let lines = input.split(|byte| matches!(byte, b'\n' | b'\r')).count();
    let (environment, report) = Environment::default().with_dotenv_bytes(".env", input);
    check_places(&report, lines);
    for (name, value) in environment.iter() {
        assert!(!name.contains(['=', '\0']) && !value.contains('\0'), "{name:?} {value:?}");
    }
}

fn check_places(report: &Report, lines: usize) {
    let _ = report.to_string();
    for place in report.problems.iter().filter_map(|problem| problem.at) {
        assert!((1..=lines).contains(&(place.line as usize)), "line {} of {lines}", place.line);
    }
}

/// A filter as somebody types it; what it matches is asked of a fleet with one service.
#[allow(dead_code, reason = "a target needs its own function alone")]
pub(crate) fn filter_any(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Filter::parse(text) {
        Ok(filter) => {
            let again = Filter::parse(filter.text()).expect("it was read before");
            assert_eq!(format!("{again:?}"), format!("{filter:?}"));
            let status = br#"{"data": {"name": "a.b", "status": "ok"}, "meta": {}}"#;
            let mut fleet = Fleet::new();
            let subjects = Subjects::default();
            let stored = DateTime::<Utc>::UNIX_EPOCH;
            let decoded = decode(subjects.parse(SUBJECTS[0]).expect("one of ours"), status);
            let stamp = Stamp { stored, order: Order::Core { arrival: 1 } };
            fleet.apply(SUBJECTS[0], decoded.expect("a status"), stamp);
            for service in &fleet.view(stored, Link::Steady).services {
                let _ = filter.matches(service);
            }
        }
        Err(error) => drop(error.to_string()),
    }
}

/// A datagram of `sd_notify`.
#[allow(dead_code, reason = "a target needs its own function alone")]
pub(crate) fn notify_any(input: &[u8]) {
    let words = notify::parse(&String::from_utf8_lossy(input));
    assert!(words.len() <= input.split(|byte| *byte == b'\n').count());
}

/// A recording: what can be read is, and moving its times there and back changes nothing in
/// messages that were written by a program of ours.
#[allow(dead_code, reason = "a target needs its own function alone")]
pub(crate) fn recording_any(input: &[u8]) {
    let recorded = Recorded::parse(input);
    let lines = input.split(|byte| *byte == b'\n').count();
    assert!(recorded.entries.len() + recorded.broken <= lines);
    let _ = recorded.warnings();
    for entry in &recorded.entries {
        let _ = (entry.stored(), entry.held_at());
        let moved = shift(&entry.payload, TimeDelta::hours(3));
        assert_eq!(shift(&moved, TimeDelta::zero()), moved);
        let _ = renew(&entry.payload, "x");
    }
}

/// What HTTP lets in: the input's lines are a host, an authorization, a cookie, a query, a token, and
/// what a client takes. Nobody is admitted who does not show the token, or does not call the server by a
/// name of its own.
#[allow(dead_code, reason = "a target needs its own function alone")]
pub(crate) fn http_any(input: &[u8]) {
    const SECRET: &str = "0123456789abcdef";
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let [host, authorization, cookie, query, token, codings] = std::array::from_fn(|_| next());
    if takes_gzip([codings]) {
        let codings = codings.to_ascii_lowercase();
        assert!(codings.contains("gzip") || codings.contains('*'), "{codings}");
        assert!(!takes_gzip([&*codings, "gzip;q=0"]), "{codings}");
    }
    let listen = "192.0.2.1:80".parse().expect("an address");
    let local = "192.0.2.7".parse().expect("an address");
    let secret = Token::parse(SECRET).expect("a token");
    let access = Access::new(listen, &["wall.example.org".to_owned()], Some(secret));
    if access.takes_host(host, local) {
        let host = host.to_ascii_lowercase();
        let own = ["localhost", "wall.example.org", "192.0.2.1", "192.0.2.7", "127.", "[", "::"];
        assert!(own.iter().any(|name| host.starts_with(name)), "{host}");
        assert!(!host.contains(['@', '/', ' ', '\\']), "{host}");
    }
    if access.admits(Some(authorization), &[cookie]) {
        assert!(authorization.contains(SECRET) || cookie.contains(SECRET));
    }
    if let Ok(query) = Query::parse(query) {
        let rest = query.without("token");
        assert!(rest.is_ascii() && !rest.contains(['\r', '\n']), "{rest}");
        if let Ok(rest) = Query::parse(&rest) {
            assert_eq!(rest.get("token"), None);
            assert_eq!(rest.get("filter"), query.get("filter"));
        }
        let given = query.get("token").unwrap_or_default();
        assert_eq!(access.cookie_for(given).is_some(), given == SECRET);
    }
    if let Ok(token) = Token::parse(token) {
        let access = Access::new(listen, &[], Some(token));
        let cookie = access.cookie_for(text.split('\n').nth(4).unwrap_or_default().trim());
        let cookie = cookie.expect("it is its own");
        assert!(cookie.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{cookie}");
        let shown = cookie.split(';').next().unwrap_or_default();
        assert!(access.admits(None, &[shown]), "{shown}");
    }
}
