//! `tcsctl serve`: the site over HTTP.

use std::path::Path;
use std::process::ExitCode;

use tcs_core::bus::Bus;
use tcs_core::observer::Observer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::list::parse;
use super::session::{Ended, Session, client_name, interrupted};
use crate::cli::ServeArgs;
use crate::exit::Exit;
use crate::output::Word;
use crate::serve::access::Token;
use crate::serve::{self, Settings};

pub(super) async fn run(session: &Session, args: ServeArgs) -> Result<ExitCode, Ended> {
    let usage = |message: String| Ended::new(Exit::Usage, message);
    let token = args.token_file.as_deref().map(token).transpose().map_err(usage)?;
    let settings = Settings {
        listen: args.listen,
        allowed_hosts: args.allow_host,
        token,
        title: args.title,
        filter: parse(&args.filter)?,
    };
    settings.check(args.no_token).map_err(usage)?;
    let listener = TcpListener::bind(settings.listen).await;
    let no = |error: std::io::Error| {
        Ended::new(Exit::No, format!("cannot listen on {}: {error}", settings.listen))
    };
    let listener = listener.map_err(no)?;
    let address = listener.local_addr().map_err(no)?;
    // a site need not answer yet
    let bus = Bus::open(&session.settings()?, client_name(), session.timeout()).await?;
    let observer = Observer::new(session.keep(bus)).with_core(session.connection.core);
    session.screen.tell(Word::Note, &format!("listening on http://{address}/"));
    let stop = CancellationToken::new();
    let stopped = interrupted();
    let serving = serve::run(observer, settings.clone(), listener, stop.clone());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => ended.map_err(|error| Ended::new(Exit::No, error.to_string()))?,
        () = stopped => {
            stop.cancel();
            serving.await?;
        }
    }
    Ok(Exit::Done.into())
}

fn token(path: &Path) -> Result<Token, String> {
    Token::read(path).map_err(|error| format!("--token-file: {error}"))
}
