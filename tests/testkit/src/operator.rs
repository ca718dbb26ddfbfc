//! An operator with one account and one user, as `nsc` makes them.

use base64::Engine as _;
use nkeys::KeyPair as NKeyPair;

/// When tokens are issued, in seconds, unless a test says otherwise.
const ISSUED: i64 = 1_700_000_000;

/// A token as `nsc` writes it: claims about `subject`, signed with `pair`; times in seconds.
fn token(
    pair: &NKeyPair,
    subject: &str,
    (issued, expires): (i64, Option<i64>),
    kind: &str,
    more: &str,
) -> String {
    let expires = expires.map_or_else(String::new, |at| format!(r#""exp":{at},"#));
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let claims = format!(
        r#"{{{expires}"jti":"{kind}","iat":{issued},"iss":"{}","name":"{kind}","sub":"{subject}","nats":{{{more}"type":"{kind}","version":2}}}}"#,
        pair.public_key()
    );
    let claims = format!("{header}.{}", encode(claims.as_bytes()));
    format!("{claims}.{}", encode(&pair.sign(claims.as_bytes()).unwrap()))
}

/// An operator with one account, as a server's configuration, and how its users are made.
pub struct Site {
    operator: NKeyPair,
    account: NKeyPair,
    /// Its keys.
    pub user: NKeyPair,
    /// The server's.
    pub config: String,
}

impl Site {
    /// With new keys.
    pub fn new() -> Self {
        let (operator, account, user) =
            (NKeyPair::new_operator(), NKeyPair::new_account(), NKeyPair::new_user());
        let mut site = Self { operator, account, user, config: String::new() };
        site.config = site.config_with("");
        site
    }

    /// The configuration in which the user's tokens that were issued before this are revoked.
    pub fn revoked(&self, before: i64) -> String {
        let user = self.user.public_key();
        self.config_with(&format!(r#""revocations":{{"{user}":{before}}},"#))
    }

    fn config_with(&self, more: &str) -> String {
        let (operator, account) = (&self.operator, self.account.public_key());
        let claims = format!(
            r#"{more}"limits":{{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1}},"#
        );
        let times = (ISSUED, None);
        let operator_jwt = token(operator, &operator.public_key(), times, "operator", "");
        let account_jwt = token(operator, &account, times, "account", &claims);
        format!(
            "operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload: {{ {account}: {account_jwt} }}\n"
        )
    }

    /// The user's token, which expires at a time in seconds.
    pub fn user_jwt(&self, expires: Option<i64>) -> String {
        self.user_jwt_issued(ISSUED, expires)
    }

    fn user_jwt_issued(&self, issued: i64, expires: Option<i64>) -> String {
        let rights = r#""pub":{},"sub":{},"subs":-1,"data":-1,"payload":-1,"#;
        token(&self.account, &self.user.public_key(), (issued, expires), "user", rights)
    }

    /// A credentials file for the user.
    pub fn creds(&self, expires: Option<i64>) -> String {
        self.creds_issued(ISSUED, expires)
    }

    /// The same, issued at a time in seconds.
    pub fn creds_issued(&self, issued: i64, expires: Option<i64>) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            self.user_jwt_issued(issued, expires),
            self.user.seed().unwrap()
        )
    }
}
