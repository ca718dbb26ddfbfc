//! One HTTP request over a connection of its own, and whether it was taken. Redirects are not followed:
//! headers and body may hold secrets of the host that is named. Errors name that host, and never the path,
//! which may hold one too.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::{Either, select};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tcs_alarms::Failure;
use tcs_alarms::settings::Url;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// No answer within this is a failure: well below a claim's lease.
const LIMIT: Duration = Duration::from_secs(10);
/// The head of an answer is not read beyond this; its body is not read at all.
const MAX_HEAD: usize = 8192;

/// What is sent.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// A line break in a header would begin another request, and is refused.
    fn composed(&self) -> Result<hyper::Request<Full<Bytes>>, String> {
        let Self { method, url, headers, body } = self;
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(&url.path)
            .header(HOST, &url.authority)
            .header(USER_AGENT, concat!("tcsctl/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close");
        for (name, value) in headers {
            request =
                request.header(name, HeaderValue::from_bytes(value.as_bytes()).map_err(text)?);
        }
        request.body(Full::from(body.clone())).map_err(text)
    }

    /// Sends it; an error where the answer is not a success.
    pub(super) async fn send(&self) -> Result<(), Failure> {
        let host = &self.url.authority;
        let late = || format!("{host}: no answer within {} s", LIMIT.as_secs());
        let end = Instant::now() + LIMIT;
        let request = self.composed().map_err(|error| format!("{host}: {error}"))?;
        let stream = timeout_at(end, self.connect())
            .await
            .map_err(|_| late())?
            .map_err(|error| format!("{host}: {error}"))?;
        let status = timeout_at(end, status_of(stream, request))
            .await
            .map_err(|_| Failure::without_answer(late()))?
            .map_err(|error| Failure::without_answer(format!("{host}: {error}")))?;
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("{host} answered {}", status.as_u16()).into())
        }
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let Url { host, port, is_tls, .. } = &self.url;
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(text)?;
        if !is_tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(host.clone()).map_err(text)?;
        Ok(Box::new(TlsConnector::from(tls()?).connect(name, stream).await.map_err(text)?))
    }
}

/// With TLS or without.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// With what it is caused by: hyper tells that apart.
fn text(error: impl std::error::Error) -> String {
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{error}{cause}")
}

/// By the certificates of this host.
fn tls() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(text)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

async fn status_of(
    stream: Box<dyn Stream>,
    request: hyper::Request<Full<Bytes>>,
) -> Result<StatusCode, String> {
    let mut client = http1::Builder::new();
    client.max_buf_size(MAX_HEAD);
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.map_err(text)?;
    let (answer, connection) = (pin!(sender.send_request(request)), pin!(connection));
    let answer = match select(answer, connection).await {
        Either::Left((answer, _)) => answer,
        // it has ended, and has told why
        Either::Right((_, answer)) => answer.await,
    };
    answer.map(|answer| answer.status()).map_err(text)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn request(port: u16, value: &str) -> Request {
        Request {
            method: Method::POST,
            url: format!("http://127.0.0.1:{port}/x?token=s3cret").parse().ok().unwrap(),
            headers: vec![("Title".to_owned(), value.to_owned())],
            body: b"{}".to_vec(),
        }
    }

    #[test]
    fn a_header_cannot_begin_another_request() {
        assert!(request(1, "a").composed().is_ok());
        assert!(request(1, "a\r\nHost: x").composed().is_err());
    }

    /// What the receiver got, and what became of the request.
    async fn told(answer: &[u8]) -> (String, Result<(), Failure>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let request = request(listener.local_addr().unwrap().port(), "grün");
        let receive = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut got, mut buffer) = (Vec::new(), [0; 1024]);
            while !got.ends_with(b"{}") {
                let count = stream.read(&mut buffer).await.unwrap();
                got.extend_from_slice(&buffer[..count]);
            }
            stream.write_all(answer).await.ok();
            String::from_utf8(got).unwrap()
        };
        tokio::join!(receive, request.send())
    }

    #[tokio::test]
    async fn only_a_success_is_one_and_no_error_tells_the_path() {
        let (got, outcome) = told(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        assert!(got.starts_with("POST /x?token=s3cret HTTP/1.1\r\n"), "{got}");
        let got = got.to_lowercase();
        assert!(got.contains("content-length: 2\r\n") && got.contains("title: grün\r\n"), "{got}");
        assert_eq!(outcome, Ok(()));
        let long = [&b"HTTP/1.1 200 OK\r\nX: "[..], &vec![b'x'; 20_000], b"\r\n\r\n"].concat();
        for (answer, expected) in [
            (
                &b"HTTP/1.1 302 Found\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n"[..],
                " answered 302",
            ),
            (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", " answered 500"),
            (b"nonsense\r\n\r\n", ": "),
            (b"", ": "),
            (&long, ": "),
        ] {
            let Failure { error, may_have_arrived } = told(answer).await.1.unwrap_err();
            assert_eq!(may_have_arrived, !expected.contains("answered"), "{error}");
            assert!(error.starts_with("127.0.0.1:") && error.contains(expected), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
