//! An operator with one account and one user, as `nsc` makes them.
//!
//! Included with `#[path = "support/operator.rs"] mod operator;`.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use base64::Engine as _;
use nkeys::KeyPair as NKeyPair;

/// A token as `nsc` writes it: claims about `subject`, signed by `issuer`.
fn token(issuer: &NKeyPair, subject: &str, kind: &str, more: &str) -> String {
    token_until(issuer, subject, None, kind, more)
}

fn token_until(
    issuer: &NKeyPair,
    subject: &str,
    expires: Option<i64>,
    kind: &str,
    more: &str,
) -> String {
    let expires = expires.map_or_else(String::new, |at| format!(r#""exp":{at},"#));
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let claims = format!(
        r#"{{{expires}"jti":"{kind}","iat":1700000000,"iss":"{}","name":"{kind}","sub":"{subject}","nats":{{{more}"type":"{kind}","version":2}}}}"#,
        issuer.public_key()
    );
    let signed = format!("{header}.{}", encode(claims.as_bytes()));
    format!("{signed}.{}", encode(&issuer.sign(signed.as_bytes()).unwrap()))
}

/// An operator with one account, as a server's configuration, and how its users are made.
pub struct Site {
    account: NKeyPair,
    pub user: NKeyPair,
    pub config: String,
}

impl Site {
    pub fn new() -> Self {
        let unlimited = r#""limits":{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1},"#;
        let (operator, account, user) =
            (NKeyPair::new_operator(), NKeyPair::new_account(), NKeyPair::new_user());
        let operator_jwt = token(&operator, &operator.public_key(), "operator", "");
        let account_jwt = token(&operator, &account.public_key(), "account", unlimited);
        let config = format!(
            "operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload: {{ {}: {account_jwt} }}\n",
            account.public_key()
        );
        Self { account, user, config }
    }

    /// The user's token, which expires at a time in seconds.
    pub fn user_jwt(&self, expires: Option<i64>) -> String {
        let rights = r#""pub":{},"sub":{},"subs":-1,"data":-1,"payload":-1,"#;
        token_until(&self.account, &self.user.public_key(), expires, "user", rights)
    }

    /// A credentials file for the user.
    pub fn creds(&self, expires: Option<i64>) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            self.user_jwt(expires),
            self.user.seed().unwrap()
        )
    }
}
