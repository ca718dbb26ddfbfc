//! Ways to log in and to encrypt, against real servers.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::{Bus, ConnectError, Failure, LinkState};
use tcs_core::clock;
use tcs_testkit::nats::{self, LIMIT, Server, on_each_server};
use tcs_testkit::operator::Site;

async fn connect(section: &NatsSection) -> Result<Bus, ConnectError> {
    let settings = Settings::from_process(section, None).unwrap();
    Bus::connect(&settings, "test 0", LIMIT).await
}

async fn failure(section: &NatsSection) -> Failure {
    match connect(section).await {
        Err(ConnectError::Failed { failure, .. }) => failure,
        other => panic!("{other:?}"),
    }
}

fn at(url: &str) -> NatsSection {
    NatsSection { url: Some(url.into()), ..NatsSection::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_token() {
    on_each_server(async |binary| {
        let config = "authorization { token: \"s3c/ret\" }";
        let server = Server::start_with(&binary, config).await;
        let section = NatsSection { token: Some("s3c/ret".into()), ..at(&server.url()) };
        connect(&section).await.unwrap();
        let in_url = format!("nats://s3c%2Fret@127.0.0.1:{}", server.port());
        connect(&at(&in_url)).await.unwrap();
        let wrong = NatsSection { token: Some("other".into()), ..at(&server.url()) };
        assert_eq!(failure(&wrong).await, Failure::Login);
    })
    .await;
}

/// A pair from NATS's own documentation.
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

#[tokio::test(flavor = "multi_thread")]
async fn by_nkey_out_of_a_file() {
    on_each_server(async |binary| {
        let config = format!("authorization {{ users [{{ nkey: {PUBLIC} }}] }}");
        let server = Server::start_with(&binary, &config).await;
        let file = server.dir().join("user.nk");
        std::fs::write(&file, format!("# a key\n{SEED}\n")).unwrap();
        let nkey = Some(file.to_str().unwrap().into());
        connect(&NatsSection { nkey, ..at(&server.url()) }).await.unwrap();
        assert_eq!(failure(&at(&server.url())).await, Failure::Login);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_credentials_and_by_jwt_with_its_seed() {
    let site = Site::new();
    on_each_server(async |binary| {
        let server = Server::start_with(&binary, &site.config).await;
        let file = server.dir().join("user.creds");
        std::fs::write(&file, site.creds(None)).unwrap();
        let creds = Some(file.to_str().unwrap().into());
        connect(&NatsSection { creds, ..at(&server.url()) }).await.unwrap();
        let user_jwt = site.user_jwt(None);
        let seed = site.user.seed().unwrap();
        let (jwt, own) = (Some(user_jwt.as_str().into()), Some(seed.as_str().into()));
        connect(&NatsSection { jwt, seed: own, ..at(&server.url()) }).await.unwrap();
        let (jwt, other) = (Some(user_jwt.as_str().into()), Some(SEED.into()));
        let wrong = NatsSection { jwt, seed: other, ..at(&server.url()) };
        assert_eq!(failure(&wrong).await, Failure::Login);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_are_read_anew() {
    let site = Site::new();
    on_each_server(async |binary| {
        let server = Server::start_with(&binary, &site.config).await;
        let file = server.dir().join("user.creds");
        let creds = Some(file.to_str().unwrap().into());
        let section = NatsSection { creds, ..at(&server.url()) };
        let begin = clock::monotonic();
        let bus = loop {
            let soon = clock::wall().timestamp() + 2;
            std::fs::write(&file, site.creds(Some(soon))).unwrap();
            match connect(&section).await {
                Ok(bus) => break bus,
                // on a busy machine it may expire before it is used
                Err(error) => assert!(begin.elapsed() < LIMIT, "{error}"),
            }
        };
        let mut link = bus.link();
        // The server ends the connection when the token expires, and the old one is refused.
        let refused = link.wait_for(|state| {
            matches!(state, LinkState::Disconnected { why: Some(Failure::Login), .. })
        });
        drop(nats::within_limit("the old token is refused", refused).await.unwrap());
        // A file that is being written is not taken for the new one.
        std::fs::write(&file, "-----BEGIN").unwrap();
        std::fs::write(&file, site.creds(None)).unwrap();
        let back = link.wait_for(LinkState::is_connected);
        drop(nats::within_limit("connected with the new token", back).await.unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_user_behind_a_web_socket() {
    on_each_server(async |binary| {
        let config = "websocket { host: \"127.0.0.1\", port: -1, no_tls: true }
                      authorization { users [{ user: op, password: \"p@ss word\" }] }";
        let server = Server::start_with(&binary, config).await;
        let url = format!("ws://op:p%40ss%20word@127.0.0.1:{}", server.websocket_port());
        let bus = connect(&at(&url)).await.unwrap();
        assert!(bus.is_connected());
    })
    .await;
}

/// An authority, and certificates for the server and a client, as PEM files in `dir`.
fn certificates(dir: &Path) {
    let write = |name: &str, text: String| std::fs::write(dir.join(name), text).unwrap();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("ca.pem", ca.self_signed(&ca_key).unwrap().pem());
    let issuer = Issuer::new(ca, ca_key);
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        write(&format!("{name}.pem"), params.signed_by(&key, &issuer).unwrap().pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_certificates_over_tls() {
    on_each_server(async |binary| {
        for first in [false, true] {
            if first && binary.version.starts_with("2.9.") {
                continue; // came with 2.10
            }
            let dir = tempfile::tempdir().unwrap();
            certificates(dir.path());
            let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
            let config = format!(
                "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true {} }}",
                file("server.pem"),
                file("server.key"),
                file("ca.pem"),
                if first { ", handshake_first: true" } else { "" }
            );
            let ours = NatsSection {
                ca: Some(file("ca.pem")),
                cert: Some(file("client.pem")),
                key: Some(file("client.key")),
                tls_first: Some(first),
                ..NatsSection::default()
            };
            let server = Server::start_in(dir, &binary, &config).await;
            let url = Some(format!("nats://127.0.0.1:{}", server.port()).as_str().into());
            let ours = NatsSection { url: url.clone(), ..ours };
            // The server demands TLS, so a plain address gets it too.
            connect(&ours).await.unwrap();
            let tls = Some(format!("tls://localhost:{}", server.port()).as_str().into());
            connect(&NatsSection { url: tls, ..ours.clone() }).await.unwrap();
            let unknown = NatsSection { url, tls_first: Some(first), ..NatsSection::default() };
            assert_eq!(failure(&unknown).await, Failure::UnknownAuthority);
            let nobody = NatsSection { cert: None, key: None, ..ours.clone() };
            let failure = failure(&nobody).await;
            assert!(matches!(failure, Failure::Tls(_)), "{failure:?}");
            let gone = NatsSection { ca: Some("/nowhere/ca.pem".into()), ..ours };
            let error = connect(&gone).await.unwrap_err().to_string();
            assert!(error.starts_with("TLS: cannot read /nowhere/ca.pem"), "{error}");
        }
    })
    .await;
}
