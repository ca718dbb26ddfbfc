//! A service's settings: from where each comes, and what is told of those that are wrong.

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Guider {
    #[serde(default = "one")]
    interval: f64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    count: Option<u8>,
    #[serde(default)]
    guide: bool,
    #[serde(default)]
    filter: Filter,
    #[serde(default)]
    camera: Camera,
    #[serde(default)]
    fields: Vec<u32>,
}

#[derive(Debug, PartialEq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Filter {
    #[default]
    Red,
    Green,
    Custom {
        width: f32,
    },
}

#[derive(Debug, PartialEq, Default, Deserialize)]
struct Camera {
    address: String,
    gain: u8,
}

fn one() -> f64 {
    1.0
}

fn guider(extra: &str, variables: &[(&str, &str)]) -> ServiceSettings {
    let text = format!("services:\n  - type: guider.main\n    variant: a\n{extra}");
    let config = Config::parse("t.yaml", text.as_bytes(), &environment(variables));
    config.unwrap_or_else(|errors| panic!("{errors}")).services.remove(0).settings
}

#[test]
fn the_file_beats_the_environment_and_that_the_defaults() {
    let variables = [
        ("GUIDER_MAIN_INTERVAL", "4"),
        ("GUIDER_MAIN_NAME", "007"),
        ("GUIDER_MAIN_COUNT", "1"),
        ("GUIDER_MAIN_GUIDE", "Yes"),
        ("GUIDER_MAIN_FILTER", "green"),
        ("GUIDER_INTERVAL", "9"),
    ];
    let (read, warnings) = guider("", &variables).deserialize::<Guider>().unwrap();
    assert_eq!((read.interval, read.name.as_str(), read.count), (4.0, "007", Some(1)));
    assert_eq!((read.guide, read.filter), (true, Filter::Green));
    assert!(warnings.is_empty(), "{warnings}");

    let file = guider("    interval: 2\nname: from the top\n", &variables);
    let (read, _) = file.deserialize::<Guider>().unwrap();
    assert_eq!((read.interval, read.name.as_str()), (2.0, "from the top"));

    let (read, _) = guider("", &[]).deserialize::<Guider>().unwrap();
    assert!((read.interval - 1.0).abs() < f64::EPSILON);
    assert_eq!(read.count, None);
}

#[test]
fn wrong_types_and_unknown_keys_of_settings_are_told_all_at_once() {
    let entry = "    intervall: 3\n    interval: fast\n    name: yes\n    count: 300\n    \
                 guide: \"no\"\n    filter: gren\n    camera: {adress: x, gain: 1e5}\n    \
                 fields: [1, 2.5, x]\nsome_other_services: 1\n";
    let errors = guider(entry, &[]).deserialize::<Guider>().unwrap_err();
    insta::assert_snapshot!(errors);
}

#[test]
fn mistakes_outside_the_file_say_where_and_show_no_value() {
    let variables = [
        ("GUIDER_MAIN_INTERVAL", "s3cret"),
        ("GUIDER_MAIN_FIELDS", "s3cret"),
        ("GUIDER_MAIN_GIUDE", "1"),
        ("P", "s3cret"),
    ];
    let settings = guider("    filter: \"${P}\"\n    count: \"${P}\"\n", &variables);
    let errors = settings.deserialize::<Guider>().unwrap_err().to_string();
    assert!(!errors.contains("s3cret"), "{errors}");
    insta::assert_snapshot!(errors);
}

#[test]
fn a_missing_field_is_told_with_the_entry_s_place() {
    #[derive(Debug, Deserialize)]
    struct Needy {
        #[expect(dead_code)]
        address: String,
        #[expect(dead_code)]
        port: u16,
    }
    let errors = guider("    port: many\n", &[]).deserialize::<Needy>().unwrap_err();
    insta::assert_snapshot!(errors);
}

#[test]
fn every_mistake_in_lists_and_parts_is_told_at_once() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code)]
    struct Dome {
        name: String,
        host: std::net::Ipv4Addr,
        cameras: Vec<Eye>,
        slots: std::collections::BTreeMap<String, std::net::Ipv4Addr>,
        corner: (f64, f64),
        park: Mode,
        wind: Option<u16>,
        shutter: Strict,
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code)]
    struct Eye {
        name: String,
        exposure: f64,
        address: std::net::Ipv4Addr,
        #[serde(default)]
        modes: Vec<Mode>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    #[expect(dead_code)]
    enum Mode {
        Fast { rate: u32, bits: u8 },
        Slow,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code)]
    struct Strict {
        seconds: std::num::NonZeroU8,
    }
    let text = "    name: [x]
    host: nowhere
    cameras:
      - {name: north, exposure: long, address: 10.0.0.300}
      - {nam: south, exposure: 1.0, address: 10.0.0.2, modes: [slow, fats, {fast: {rate: x}}]}
      - 7
      - {exposure: 2.0}
    slots: {a: 10.0.0.1, b: here, c: there}
    corner: [1.0, up]
    park: {fast: {rate: -1, bits: 300}}
    wind: strong
    shutter: {second: 1, seconds: 0}
";
    let errors = guider(text, &[]).deserialize::<Dome>().unwrap_err();
    insta::assert_snapshot!(errors);
}

#[test]
fn a_rule_about_several_fields_is_told_when_they_are_right_and_not_of_stand_ins() {
    #[derive(Debug, Deserialize)]
    struct Raw {
        low: f64,
        high: f64,
    }
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "Raw")]
    struct Range;
    impl TryFrom<Raw> for Range {
        type Error = String;
        fn try_from(raw: Raw) -> Result<Self, String> {
            if raw.low < raw.high { Ok(Self) } else { Err("low is not below high".to_owned()) }
        }
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code)]
    struct Site {
        range: Range,
        other: Range,
    }
    let told = |text: &str| {
        let errors = guider(text, &[]).deserialize::<Site>().unwrap_err();
        let problems = errors.report.problems.iter();
        problems.map(|problem| problem.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        told("    range: {low: 2, high: 1}\n    other: {low: 2, high: 2}\n"),
        ["`range`: low is not below high", "`other`: low is not below high"]
    );
    assert_eq!(
        told("    range: {low: x}\n    other: {low: 2, high: 2}\n"),
        [
            "`range.high` is missing",
            "`range.low`: expected a number, found the text \"x\"",
            "`other`: low is not below high"
        ]
    );
}

#[test]
fn a_type_may_ask_for_what_is_the_launcher_s() {
    #[derive(Deserialize)]
    struct Base {
        r#type: String,
        variant: String,
        restart: String,
    }
    let settings = guider("    restart: always\n", &[]);
    let (base, warnings) = settings.deserialize::<Base>().unwrap();
    assert_eq!(
        (base.r#type, base.variant, base.restart),
        ("guider.main".into(), "a".into(), "always".into())
    );
    assert!(warnings.is_empty());
}

#[test]
fn a_type_that_takes_any_key_gets_them_all() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Open {
        interval: f64,
        #[serde(flatten)]
        rest: std::collections::BTreeMap<String, Json>,
    }
    let settings = guider(
        "    interval: 2\n    a: x\nb: [1]\n",
        &[("GUIDER_MAIN_A", "no"), ("GUIDER_MAIN_NEW_ONE", "1")],
    );
    let (open, warnings) = settings.deserialize::<Open>().unwrap();
    assert!(warnings.is_empty());
    assert_eq!(json!(open.rest), json!({"a": "x", "b": [1], "new_one": 1}));
}

#[test]
fn a_service_without_settings_warns_of_those_it_is_given() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {}
    let ((), warnings) = guider("    a: 1\n", &[]).deserialize().unwrap();
    assert!(warnings.to_string().contains("t.yaml:4:5: warning: unknown key `a`"), "{warnings}");
    let errors = guider("    a: 1\n", &[]).deserialize::<Strict>().map(|_| ()).unwrap_err();
    assert!(errors.to_string().contains("t.yaml:4:5: error"), "{errors}");
}

#[test]
fn an_enum_with_fields_and_the_settings_of_an_unknown_variant() {
    let (read, _) =
        guider("    filter: {custom: {width: 2}}\n", &[]).deserialize::<Guider>().unwrap();
    assert_eq!(read.filter, Filter::Custom { width: 2.0 });
    let config = parse("name: shared\nservices:\n  - {type: guider, variant: a, interval: 5}\n");
    let of = |variant: &str| {
        let settings = config.settings_for(&"guider".parse().unwrap(), &variant.parse().unwrap());
        let (read, _) = settings.deserialize::<Guider>().unwrap();
        (read.name, read.interval)
    };
    assert_eq!(of("a"), ("shared".into(), 5.0));
    assert_eq!(of("unheard_of"), ("shared".into(), 1.0));
}
