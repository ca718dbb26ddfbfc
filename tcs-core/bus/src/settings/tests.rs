use std::collections::HashMap;
use std::io::ErrorKind;

use super::*;

/// Resolves with this environment and these files.
fn resolve(
    flags: &NatsSection,
    file: &NatsSection,
    env: &[(&str, &str)],
    files: &[(&str, &str)],
) -> Result<Settings, SettingsError> {
    let env: HashMap<_, _> = env.iter().copied().collect();
    let files: HashMap<_, _> = files.iter().copied().collect();
    let get = |name: &str| match name {
        "HOME" => Some("/home/op".to_owned()),
        name => env.get(name).map(|value| (*value).to_owned()),
    };
    let read = |path: &Path| {
        let text = files.get(path.to_str().unwrap()).map(|text| (*text).to_owned());
        text.ok_or_else(|| std::io::Error::from(ErrorKind::NotFound))
    };
    let outside = Env { env: &get, read: &read };
    Settings::resolve(flags, Some((Path::new("site.yaml"), file)), outside)
}

fn url(url: &str) -> NatsSection {
    NatsSection { url: Some(url.into()), ..NatsSection::default() }
}

fn host(host: Option<&str>, port: Option<u16>) -> NatsSection {
    NatsSection { host: host.map(str::to_owned), port, ..NatsSection::default() }
}

fn server(settings: &Settings) -> (String, String) {
    (settings.shown_servers(), settings.servers.origin.to_string())
}

const NONE: fn() -> NatsSection = NatsSection::default;
const CONTEXT: &[(&str, &str)] = &[
    ("/home/op/.config/nats/context.txt", "site"),
    (
        "/home/op/.config/nats/context/site.json",
        r#"{"url":"nats://ctx","user":"u","password":"ctxpw","ca":"~/ca.pem"}"#,
    ),
    ("/home/op/.config/nats/context/other.json", r#"{"url":"nats://other"}"#),
];

#[test]
fn servers_by_precedence() {
    let env = [("NATS_URL", "nats://env")];
    let case = |flags: &NatsSection, file: &NatsSection, env: &[_]| {
        server(&resolve(flags, file, env, CONTEXT).unwrap())
    };
    let is = |server: &str, origin: &str| (format!("nats://{server}:4222"), origin.to_owned());
    assert_eq!(case(&url("flag"), &url("file"), &env), is("flag", "command line"));
    assert_eq!(case(&NONE(), &url("file"), &env), is("file", "site.yaml"));
    assert_eq!(case(&NONE(), &NONE(), &env), is("env", "NATS_URL"));
    assert_eq!(case(&NONE(), &NONE(), &[]), is("ctx", "nats context site"));
    let bare = resolve(&NONE(), &NONE(), &[], &[]).unwrap();
    assert_eq!(server(&bare), is("localhost", "default"));
}

#[test]
fn host_and_port_complete_each_other_and_hide_a_weaker_url() {
    let case = |flags: &NatsSection, file: &NatsSection, env: &[_]| {
        resolve(flags, file, env, &[]).unwrap().shown_servers()
    };
    let file = host(Some("file"), Some(4333));
    assert_eq!(case(&host(Some("flag"), None), &file, &[]), "nats://flag:4333");
    assert_eq!(case(&host(None, Some(5)), &file, &[]), "nats://file:5");
    assert_eq!(case(&host(None, Some(5)), &NONE(), &[]), "nats://localhost:5");
    assert_eq!(case(&host(Some("h"), None), &url("file:1"), &[]), "nats://h:4222");
    assert_eq!(case(&host(Some("::1"), Some(5)), &NONE(), &[]), "nats://[::1]:5");
    assert_eq!(case(&host(Some("a,b"), Some(5)), &NONE(), &[]), "nats://a:5, nats://b:5");
    let env = [("NATS_HOST", "env"), ("NATS_PORT", "7")];
    assert_eq!(case(&NONE(), &NONE(), &env), "nats://env:7");
    assert_eq!(case(&url("a,b"), &file, &env), "nats://a:4222, nats://b:4222");
    let bad = resolve(&NONE(), &NONE(), &[("NATS_PORT", "x")], &[]).unwrap_err();
    assert_eq!(bad.to_string(), "NATS_PORT: `x` is not a port");
}

#[test]
fn the_identity_is_one_and_belongs_to_its_server() {
    // The selected context is not mixed with another server ...
    let settings = resolve(&url("flag"), &NONE(), &[], CONTEXT).unwrap();
    assert_eq!(settings.auth.value, Auth::Anonymous);
    assert_eq!(settings.tls.value, Tls::default());
    // ... and gives everything where nobody names one.
    let settings = resolve(&NONE(), &NONE(), &[], CONTEXT).unwrap();
    assert_eq!(settings.auth.value, Auth::User("u".into(), "ctxpw".into()));
    assert_eq!(settings.tls.value.ca.as_deref(), Some(Path::new("/home/op/ca.pem")));
    assert!(!format!("{settings:?}").contains("ctxpw"));
    // A named one fills in what the flags leave open.
    let flags = NatsSection { context: Some("site".into()), ..url("flag") };
    let settings = resolve(&flags, &url("file"), &[("NATS_TOKEN", "t")], CONTEXT).unwrap();
    assert_eq!(settings.shown_servers(), "nats://flag:4222");
    assert_eq!(settings.auth.origin, Origin::Context("site".into()));
    // A flag beats the context's user by another kind of identity.
    let flags = NatsSection { token: Some("t".into()), context: Some("site".into()), ..NONE() };
    let settings = resolve(&flags, &NONE(), &[], CONTEXT).unwrap();
    assert_eq!(settings.auth.value, Auth::Token("t".into()));
    // The user in the URL that is used; not in the one that is hidden.
    let settings = resolve(&NONE(), &url("x:y@file"), &[("NATS_TOKEN", "t")], &[]).unwrap();
    assert_eq!(settings.auth.value, Auth::User("x".into(), "y".into()));
    let settings = resolve(&url("flag"), &url("x:y@file"), &[], &[]).unwrap();
    assert_eq!(settings.auth.value, Auth::Anonymous);
}

#[test]
fn a_place_below_completes_an_identity() {
    let flags = NatsSection { user: Some("op".into()), ..NONE() };
    let settings = resolve(&flags, &NONE(), &[("NATS_PASSWORD", "pw")], &[]).unwrap();
    assert_eq!(settings.auth.value, Auth::User("op".into(), "pw".into()));
    assert_eq!(settings.auth.origin, Origin::Flag);
    let settings = resolve(&NONE(), &NONE(), &[("NATS_USER", "tok")], &[]).unwrap();
    assert_eq!(settings.auth.value, Auth::Token("tok".into()));
    let error = resolve(&NONE(), &NONE(), &[("NATS_JWT", "j")], &[]).unwrap_err();
    assert_eq!(error.to_string(), "NATS_JWT: jwt without seed");
}

#[test]
fn contexts_by_name() {
    let env = [("NATS_CONTEXT", "other")];
    let settings = resolve(&NONE(), &NONE(), &env, CONTEXT).unwrap();
    assert_eq!(server(&settings).1, "nats context other");
    let flags = NatsSection { context: Some("gone".into()), ..NONE() };
    let error = resolve(&flags, &NONE(), &[], CONTEXT).unwrap_err().to_string();
    assert!(error.starts_with("no nats context `gone`"), "{error}");
}

#[test]
fn a_missing_credentials_file_is_named() {
    let env = [("NATS_CREDS", "~/no.creds")];
    let error = resolve(&NONE(), &NONE(), &env, &[]).unwrap_err().to_string();
    assert!(error.starts_with("NATS_CREDS: creds: cannot read /home/op/no.creds"), "{error}");
}

#[test]
fn prefix_and_api_prefix() {
    let section = NatsSection {
        subject_prefix: Some("ocm.svc".into()),
        js_domain: Some("hub".into()),
        ..NONE()
    };
    let settings = resolve(&NONE(), &section, &[], &[]).unwrap();
    assert_eq!(settings.subjects.value.prefix(), "ocm.svc");
    assert_eq!(settings.api_prefix.value, "$JS.hub.API");
    let wrong = NatsSection { subject_prefix: Some("a b".into()), ..NONE() };
    assert!(matches!(resolve(&wrong, &NONE(), &[], &[]), Err(SettingsError::Prefix { .. })));
    let shown: Vec<_> = settings.decisions().map(|(n, v, o)| format!("{n} {v} ({o})")).into();
    assert_eq!(shown[3], "prefix ocm.svc (site.yaml)");
}

#[test]
fn the_stronger_place_names_the_jetstream_api() {
    let domain =
        |name: &str| NatsSection { js_domain: Some(name.into()), ..NatsSection::default() };
    let prefix = |text: &str| NatsSection { js_api_prefix: Some(text.into()), ..domain("lost") };
    let env = |name: &str| (name == "NATS_JS_DOMAIN").then(|| "fromenv".to_owned());
    let read = |_: &Path| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    let resolve = |flags: &NatsSection, file: &NatsSection| {
        let outside = Env { env: &env, read: &read };
        Settings::resolve(flags, Some((Path::new("site.yaml"), file)), outside)
    };
    let api =
        |flags: &NatsSection, file: &NatsSection| resolve(flags, file).unwrap().api_prefix.value;
    let none = NatsSection::default();
    assert_eq!(api(&none, &none), "$JS.fromenv.API");
    assert_eq!(api(&none, &prefix("JS.TCS.API.")), "JS.TCS.API");
    assert_eq!(api(&domain("north"), &prefix("JS.TCS.API")), "$JS.north.API");
    let error = resolve(&domain("a.b"), &none).unwrap_err().to_string();
    assert_eq!(
        error,
        "--domain: JetStream domain `a.b` has a dot\nhint: give an API prefix as such: --api-prefix"
    );
    assert!(resolve(&domain("a b"), &none).is_err() && resolve(&prefix("a.>"), &none).is_err());
}
