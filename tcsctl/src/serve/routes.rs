//! What is served at which path, and what holds for all of it.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tcs_core::fleet::Filter;
use tcs_present::json::Document;
use tcs_present::metrics::{self, CONTENT_TYPE};
use tcs_present::report::escape;
use tcs_present::selection::{Selection, Wanted};
use tcs_present::top;
use tokio_util::sync::CancellationToken;

use super::access::{Access, Query};
use super::asked::Asking;
use super::coding::{GZIP, gzip, takes_gzip};
use super::document::Room;
use super::http::{Client, Local};
use super::live::Site;
use super::refusal::Refusal;
use super::stream;
use crate::output::json_line;

const PAGE: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// The script of the page: one file for browsers, several for those who read them.
const PAGE_SCRIPT: &str = concat!(
    include_str!("page/script/base.js"),
    include_str!("page/script/news.js"),
    include_str!("page/script/overview.js"),
    include_str!("page/script/past.js"),
    include_str!("page/script/service.js"),
    include_str!("page/script/begin.js"),
);

/// What requests share.
#[derive(Clone)]
struct Shared {
    site: Arc<Site>,
    asking: Arc<Asking>,
    access: Arc<Access>,
    room: Arc<Room>,
    page: Bytes,
    stop: CancellationToken,
}

type Reply = Result<Response, Refusal>;

/// All paths.
pub(super) fn router(
    site: Arc<Site>,
    access: Arc<Access>,
    title: &str,
    stop: CancellationToken,
) -> Router {
    let page = include_str!("page/index.html").replace("{title}", &escape(title));
    let asking = Arc::new(Asking::new(Arc::clone(&site)));
    let room = Arc::default();
    let shared = Shared { site, asking, access, room, page: page.into(), stop };
    let secret = Router::new()
        .route("/", get(index))
        .route("/page.js", get(async || of_kind(SCRIPT, PAGE_SCRIPT)))
        .route("/page.css", get(async || of_kind(STYLE, include_str!("page/page.css"))))
        .route("/api/v1/fleet", get(fleet))
        .route("/api/v1/stream", get(changes))
        .route("/api/v1/alarms", get(alarms))
        .route("/api/v1/timeline", get(timeline))
        .route("/api/v1/resources", get(resources))
        .route("/api/v1/why", get(why))
        .route("/api/v1/logs", get(logs))
        .route("/metrics", get(prometheus))
        .fallback(async || Refusal(StatusCode::NOT_FOUND, "no such page".to_owned()))
        .layer(from_fn_with_state(shared.clone(), with_token));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .merge(secret)
        .layer(from_fn_with_state(shared.clone(), with_host))
        .layer(map_response(guarded))
        .with_state(shared)
}

/// Nothing is kept, nothing is loaded from elsewhere, nothing runs that is not ours.
async fn guarded(mut response: Response) -> Response {
    const HEADERS: [(&str, &str); 6] = [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src \
             data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "no-store"),
    ];
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Lets only requests pass that call the server by a name of its own.
async fn with_host(State(shared): State<Shared>, request: Request, next: Next) -> Reply {
    let local = request.extensions().get::<Local>();
    let mut hosts = request.headers().get_all(header::HOST).into_iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    // a request may name its whole address instead
    let authority = request.uri().authority().map(Authority::as_str);
    let is_taken =
        |host: &str| local.is_some_and(|Local(local)| shared.access.takes_host(host, *local));
    if host.is_some_and(is_taken) && hosts.next().is_none() && authority.is_none_or(is_taken) {
        return Ok(next.run(request).await);
    }
    let text = "unknown host name; add it with --allow-host NAME";
    Err(Refusal(StatusCode::MISDIRECTED_REQUEST, text.to_owned()))
}

/// Lets only requests pass that show the token, if one is asked for.
async fn with_token(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let one = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let cookies: Vec<&str> =
        headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok()).collect();
    let query = Query::parse(request.uri().query().unwrap_or_default());
    // an address with the token in it is not to stay in the browser
    if let Ok(query) = &query
        && request.uri().path() == "/"
        && let Some(cookie) = query.get("token").and_then(|given| shared.access.cookie_for(given))
    {
        let rest = query.without("token");
        let to = if rest.is_empty() { "./".to_owned() } else { format!("./?{rest}") };
        let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, to)];
        return (StatusCode::SEE_OTHER, headers).into_response();
    }
    if shared.access.admits(one, &cookies) {
        return next.run(request).await;
    }
    let text = "a token is needed: open this page once as /?token=..., or send it as a header: \
                Authorization: Bearer ...\n";
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], text).into_response()
}

fn of_kind(kind: &'static str, body: impl Into<Bytes>) -> Response {
    ([(header::CONTENT_TYPE, kind)], body.into()).into_response()
}

async fn index(State(shared): State<Shared>) -> Response {
    of_kind(PAGE, shared.page)
}

/// 503 unless the picture is whole.
async fn ready(State(shared): State<Shared>) -> Reply {
    let now = shared.site.now();
    if now.source.complete {
        return Ok("ready\n".into_response());
    }
    let why = now.source.problem_codes.join(", ");
    Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}")))
}

/// What a request asks for, within what is served.
fn wanted(site: &Site, query: &Query) -> Result<Wanted, Refusal> {
    let Some(filter) = query.get("filter").filter(|filter| !filter.is_empty()) else {
        return Ok(site.wanted.clone());
    };
    if !site.wanted.filter.is_empty() {
        return Err(Refusal::bad("this server shows a part of the site: filter is not taken"));
    }
    Ok(Wanted { all: true, filter: Filter::parse(filter).map_err(Refusal::bad)? })
}

pub(super) fn parsed(query: Option<String>) -> Result<Query, Refusal> {
    Query::parse(&query.unwrap_or_default()).map_err(Refusal::bad)
}

async fn fleet(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Reply {
    let query = parsed(query)?;
    let now = shared.site.now();
    if let Some(id) = query.get("service") {
        let service = shared.asking.service(&now, id)?;
        let selection = Selection::of_one(&now.view, &service.id);
        let document = Document::new(&now.view, &selection, &now.source);
        return shared.room.answer(JSON, json_line(&document.of_these_only()));
    }
    let wanted = wanted(&shared.site, &query)?;
    let text = || -> Bytes {
        let selection = Selection::new(&now.view, &wanted);
        let document = Document::new(&now.view, &selection, &now.source);
        let is_part = !shared.site.wanted.filter.is_empty();
        json_line(&if is_part { document.of_these_only() } else { document }).into()
    };
    let is_whole = wanted.filter.text() == shared.site.wanted.filter.text();
    let text = if is_whole { now.fleet.get_or_init(text).clone() } else { text() };
    shared.room.answer(JSON, text)
}

async fn alarms(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Reply {
    let wanted = wanted(&shared.site, &parsed(query)?)?;
    let now = shared.site.now();
    if let Some(why) = &now.alarms_problem {
        let text = format!("alarms cannot be read: {why}");
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    shared.room.answer(JSON, json_line(&now.alarms(&wanted)))
}

async fn changes(State(shared): State<Shared>, Extension(client): Extension<Client>) -> Response {
    stream::response(&shared.site, client.0, shared.stop)
}

async fn resources(State(shared): State<Shared>) -> Reply {
    let (now, round) = (shared.site.now(), shared.site.round());
    let is_wanted = |id: &str| now.view.get(id).is_some_and(|it| shared.site.wanted.includes(it));
    let (mut answers, mut problems) = (round.answers.clone(), round.problems.clone());
    let is_part = !shared.site.wanted.filter.is_empty();
    answers.retain_mut(|answer| answer.keep(is_wanted) || !is_part);
    if is_part {
        problems.retain(|(launcher, _)| is_wanted(launcher));
    }
    let document = top::Document::new(&answers, &problems, top::Order::Name, now.view.now);
    shared.room.answer(JSON, json_line(&document))
}

async fn timeline(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Reply {
    let query = parsed(query)?;
    let wanted = wanted(&shared.site, &query)?;
    let text = shared.asking.timeline(wanted.filter, query.get("since")).await?;
    shared.room.answer(JSON, text)
}

async fn why(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Reply {
    shared.room.answer(JSON, shared.asking.why(named(&parsed(query)?)?).await?)
}

async fn logs(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Reply {
    shared.room.answer(LINES, shared.asking.logs(named(&parsed(query)?)?).await?)
}

fn named(query: &Query) -> Result<&str, Refusal> {
    query.get("service").ok_or_else(|| Refusal::bad("`service` is missing: ?service=NAME"))
}

async fn prometheus(State(shared): State<Shared>, headers: HeaderMap) -> Reply {
    let now = shared.site.now();
    let text = now.metrics.get_or_init(|| {
        let (round, counted) = (shared.site.round(), shared.site.counted());
        let site = metrics::Site {
            is_connected: now.source.connected,
            is_complete: now.source.complete,
            has_jetstream: now.source.jetstream,
            version: env!("CARGO_PKG_VERSION"),
            round_trip: shared.site.observer.bus().round_trip(),
        };
        metrics::text(&metrics::Scrape {
            view: &now.view,
            wanted: &shared.site.wanted,
            site,
            answers: &round.answers,
            alarms: now.alarms_problem.is_none().then_some(&now.alarms[..]),
            counted: Some(&counted),
        })
        .into()
    });
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    let is_packed = takes_gzip(accepted.map(|it| it.to_str().unwrap_or_default()));
    let text = if is_packed { now.packed_metrics.get_or_init(|| gzip(text).into()) } else { text };
    let mut answer = shared.room.answer(CONTENT_TYPE, text.clone())?;
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_packed {
        answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(GZIP));
    }
    Ok(answer)
}
