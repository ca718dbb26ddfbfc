//! Who may ask: by which name the server is called, and with which token. Pure, but for the token's
//! file.
//!
//! A page anywhere may have its name resolve to this server's address (DNS rebinding), and its
//! scripts may then read what the visitor's browser can reach. They cannot change the `Host` that the
//! browser sends: it is the page's own name.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use subtle::ConstantTimeEq as _;

/// A query may be so long.
pub const MAX_QUERY: usize = 2048;
/// Bytes of a token: one that can be guessed is none.
const TOKEN: std::ops::RangeInclusive<usize> = 16..=512;

/// A secret that who asks must know.
#[derive(Clone)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// From the content of a file. It is sent in headers, cookies and addresses, so that it may only
    /// hold what is written in all of them as it is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !TOKEN.contains(&text.len()) {
            return Err(format!(
                "a token has {} to {} characters, this has {}\nhint: openssl rand -hex 32",
                TOKEN.start(),
                TOKEN.end(),
                text.len()
            ));
        }
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !text.bytes().all(is_fit) {
            return Err("a token consists of letters, digits and -._~\nhint: openssl rand -hex 32"
                .to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// From a file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{name} cannot be read: {error}"))?;
        Self::parse(&text).map_err(|error| format!("{name}: {error}"))
    }

    fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

/// What a server demands of requests.
#[derive(Debug)]
pub struct Access {
    listen: SocketAddr,
    allowed: Vec<String>,
    token: Option<Token>,
    cookie: String,
}

impl Access {
    /// Of a server that listens there. Names may have a port, which is passed over.
    pub fn new(listen: SocketAddr, allowed: &[String], token: Option<Token>) -> Self {
        let name = |text: &String| host_of(text).unwrap_or(text).to_ascii_lowercase();
        let allowed = allowed.iter().map(name).collect();
        // browsers do not tell the ports of one host apart
        let cookie = format!("tcs_{}", listen.port());
        Self { listen, allowed, token, cookie }
    }

    /// Whether a request that came in at `local` may name the server like this.
    pub fn takes_host(&self, host: &str, local: IpAddr) -> bool {
        let Some(name) = host_of(host) else { return false };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if let Ok(address) = name.parse::<IpAddr>() {
            let address = address.to_canonical();
            let own = [self.listen.ip(), local].map(|ip| ip.to_canonical());
            if address.is_loopback() || own.contains(&address) {
                return true;
            }
        }
        name == "localhost" || self.allowed.contains(&name)
    }

    /// Whether no token is needed, or one of these headers shows it.
    pub fn admits(&self, authorization: Option<&str>, cookies: &[&str]) -> bool {
        let Some(token) = &self.token else { return true };
        let bearer = authorization.and_then(|text| {
            let (scheme, given) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| given.trim())
        });
        let pairs = cookies.iter().flat_map(|header| header.split(';'));
        let of_name = |pair: &'_ str| -> Option<String> {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.cookie).then(|| value.to_owned())
        };
        bearer.is_some_and(|given| token.is(given))
            || pairs.filter_map(of_name).any(|given| token.is(&given))
    }

    /// The cookie for who has shown the token in an address; `None`: it is another one, or none is
    /// asked for.
    pub fn cookie_for(&self, given: &str) -> Option<String> {
        let Token(token) = self.token.as_ref().filter(|token| token.is(given))?;
        // without `Path` it holds for the page and what is below it, also behind a proxy's path
        Some(format!("{}={token}; HttpOnly; SameSite=Strict", self.cookie))
    }
}

/// The name or address in a `Host`: without its port, and without the brackets of an address.
pub fn host_of(text: &str) -> Option<&str> {
    let is_port = |text: &str| text.len() <= 5 && text.bytes().all(|it| it.is_ascii_digit());
    let (name, rest) = match text.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    let is_named = !name.is_empty() && name.len() <= 255 && name.bytes().all(is_fit);
    let is_whole = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    (is_named && is_whole).then_some(name)
}

/// The parameters of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// From what stands behind the `?`; an error where that is too long.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_QUERY {
            return Err(format!("the query has {} bytes; {MAX_QUERY} at most", text.len()));
        }
        Ok(Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect()))
    }

    /// The first parameter of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The same query without the parameters of this name.
    pub fn without(&self, name: &str) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(self.0.iter().filter(|(known, _)| known != name));
        text.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(token: Option<&str>) -> Access {
        let token = token.map(|text| Token::parse(text).unwrap());
        let allowed = ["tcs.example.org".to_owned(), "Wall:8765".to_owned()];
        Access::new("0.0.0.0:8765".parse().unwrap(), &allowed, token)
    }

    #[test]
    fn only_its_own_names_are_taken() {
        let local: IpAddr = "192.0.2.7".parse().unwrap();
        for (host, taken) in [
            ("localhost", true),
            ("LOCALHOST:8765", true),
            ("localhost.", true),
            ("127.0.0.1:8765", true),
            ("127.9.9.9", true),
            ("[::1]:8765", true),
            ("[::ffff:127.0.0.1]", true),
            ("192.0.2.7:80", true),
            ("tcs.example.org", true),
            ("TCS.example.org:443", true),
            ("wall", true),
            ("192.0.2.8", false),
            ("evil.example.org", false),
            ("localhost.evil.example.org", false),
            ("tcs.example.org.evil", false),
            ("127.0.0.1.evil", false),
            ("localhost@evil", false),
            ("localhost:8765:1", false),
            ("localhost:x", false),
            ("[::1", false),
            ("[::1]evil", false),
            ("local host", false),
            ("", false),
            (":80", false),
        ] {
            assert_eq!(access(None).takes_host(host, local), taken, "{host:?}");
        }
    }

    #[test]
    fn a_token_is_shown_in_one_of_two_headers() {
        let token = "0123456789abcdef";
        assert!(access(None).admits(None, &[]));
        let access = access(Some(token));
        assert!(access.admits(Some("Bearer 0123456789abcdef"), &[]));
        assert!(access.admits(Some("bearer  0123456789abcdef "), &[]));
        assert!(access.admits(None, &["a=b; tcs_8765=0123456789abcdef"]));
        assert!(access.admits(None, &["a=b", "tcs_8765=0123456789abcdef; c"]));
        for (authorization, cookies) in [
            (None, vec![]),
            (Some("0123456789abcdef"), vec![]),
            (Some("Basic 0123456789abcdef"), vec![]),
            (Some("Bearer 0123456789abcdeF"), vec![]),
            (Some("Bearer 0123456789abcdef0"), vec![]),
            (Some("Bearer "), vec![]),
            (None, vec!["tcs_8766=0123456789abcdef"]),
            (None, vec!["tcs_8765=", "tcs_8765"]),
        ] {
            assert!(!access.admits(authorization, &cookies), "{authorization:?} {cookies:?}");
        }
        let cookie = access.cookie_for(token).unwrap();
        assert_eq!(cookie, "tcs_8765=0123456789abcdef; HttpOnly; SameSite=Strict");
        assert!(access.cookie_for("x").is_none());
        assert!(!format!("{access:?}").contains(token));
    }

    #[test]
    fn a_token_that_can_be_guessed_or_acts_is_refused() {
        for bad in ["", "short", "0123456789abcde;", "0123456789 abcdef", &"x".repeat(513)] {
            assert!(Token::parse(bad).is_err(), "{bad}");
        }
        assert!(Token::parse(" 0123456789abcdef\n").is_ok());
    }

    #[test]
    fn a_query_is_bounded_and_kept_without_its_token() {
        let query = Query::parse("view=wall&token=a%20b&host=s%26v").unwrap();
        assert_eq!((query.get("token"), query.get("host")), (Some("a b"), Some("s&v")));
        assert_eq!(query.without("token"), "view=wall&host=s%26v");
        assert!(Query::parse(&"x".repeat(MAX_QUERY + 1)).is_err());
    }
}
