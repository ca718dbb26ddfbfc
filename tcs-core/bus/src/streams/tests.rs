use super::*;

fn facts(config: serde_json::Value) -> StreamFacts {
    let config: Config = serde_json::from_value(config).unwrap();
    let at = DateTime::UNIX_EPOCH;
    let state = State {
        messages: 0,
        bytes: 0,
        first_seq: 0,
        last_seq: 0,
        first_ts: at,
        last_ts: at,
        subjects: None,
    };
    Info { config, created: at, state, cluster: None, ts: None }.into()
}

#[test]
fn a_filter_that_lets_all_through_is_known() {
    let of = |subjects: &[&str]| facts(json!({"name": "s", "subjects": subjects}));
    for (subjects, filter, is_all) in [
        (&["svc.status.>"][..], "svc.status.>", true),
        (&["svc.status.site1.>", "svc.status.site2.*"], "svc.status.>", true),
        (&["svc.status.>"], ">", true),
        (&["svc.status.a"], "svc.status.a", true),
        (&["svc.status.>", "svc.registry.>"], "svc.status.>", false),
        (&["svc.>"], "svc.status.>", false),
        (&["svc.status.>"], "svc.status.a", false),
        (&["svc.*.a"], "svc.status.>", false),
        (&[], "svc.status.>", false),
    ] {
        assert_eq!(of(subjects).is_all_of(filter), is_all, "{subjects:?} {filter}");
    }
    let copy = json!({"name": "s", "subjects": ["svc.status.>"], "sources": [{"name": "t"}]});
    assert!(!facts(copy).is_all_of("svc.status.>"), "others' messages may have other subjects");
}
