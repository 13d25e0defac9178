//! The routes: one table, from which the router is built and which the format reference is checked against.

mod advisories;
mod extract;
mod keys;
mod log;
mod namespaces;
mod plugins;
mod publishers;
mod publishes;
mod takedowns;
mod uploads;

use std::time::Duration;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{self, MethodRouter},
};
use http::{HeaderValue, Method, header};

use crate::{
    App,
    problem::{Code, Problem},
    pulse::Part,
};

/// A route: its method, its path below `/api`, and what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with variables in braces.
    pub path: &'static str,
    /// The scope that the request's key needs, or `none`.
    pub scope: &'static str,
}

macro_rules! routes {
    ($($method:ident $path:literal $scope:literal => $handler:path;)*) => {
        /// All routes.
        pub const ROUTES: &[Route] = &[$(Route { method: stringify!($method), path: $path, scope: $scope },)*];

        fn handlers() -> Vec<(&'static str, MethodRouter<App>)> {
            vec![$(($path, routing::on(method(stringify!($method)), $handler)),)*]
        }
    };
}

routes! {
    GET "/v1/health" "none" => log::health;
    GET "/v1/events" "none" => log::events;
    POST "/v1/namespaces" "admin" => namespaces::create;
    GET "/v1/namespaces/{namespace}" "none" => namespaces::show;
    GET "/v1/namespaces/{namespace}/publishers" "none" => publishers::show;
    POST "/v1/namespaces/{namespace}/publishers" "publish:NAMESPACE" => publishers::state;
    POST "/v1/namespaces/{namespace}/publishers/{key}/revoke" "admin" => publishers::revoke;
    POST "/v1/keys" "admin" => keys::create;
    GET "/v1/keys" "admin" => keys::list;
    DELETE "/v1/keys/{id}" "admin" => keys::revoke;
    POST "/v1/publishes" "publish:NAMESPACE" => publishes::begin;
    POST "/v1/publishes/inline" "publish:NAMESPACE" => publishes::inline;
    GET "/v1/publishes/{id}" "publish:NAMESPACE" => publishes::show;
    POST "/v1/publishes/{id}/finish" "publish:NAMESPACE" => publishes::finish;
    PUT "/v1/uploads/{id}" "none: the address is signed" => uploads::put;
    GET "/v1/plugins/{namespace}/{name}" "none" => plugins::show;
    GET "/v1/plugins/{namespace}/{name}/{version}" "none" => plugins::show_version;
    POST "/v1/plugins/{namespace}/{name}/{version}/yank" "yank:NAMESPACE" => plugins::yank;
    POST "/v1/plugins/{namespace}/{name}/{version}/unyank" "yank:NAMESPACE" => plugins::unyank;
    POST "/v1/plugins/{namespace}/{name}/{version}/certify" "admin" => plugins::certify;
    POST "/v1/plugins/{namespace}/{name}/takedown" "admin" => takedowns::take_down;
    POST "/v1/plugins/{namespace}/{name}/restore" "admin" => takedowns::restore;
    POST "/v1/plugins/{namespace}/{name}/appeal" "publish:NAMESPACE" => takedowns::appeal;
    POST "/v1/plugins/{namespace}/{name}/advisories" "publish:NAMESPACE" => advisories::publish;
    POST "/v1/plugins/{namespace}/{name}/advisories/{id}/withdraw" "publish:NAMESPACE" => advisories::withdraw;
}

pub(crate) use publishers::registry_id;

fn method(name: &str) -> routing::MethodFilter {
    match name {
        "GET" => routing::MethodFilter::GET,
        "PUT" => routing::MethodFilter::PUT,
        "DELETE" => routing::MethodFilter::DELETE,
        _ => routing::MethodFilter::POST,
    }
}

/// The API as a tower service: the same below `stoa serve` and below Lambda. It keeps nothing between requests
/// and needs no task in the background.
pub fn router(app: App) -> Router {
    let below = handlers().into_iter().fold(Router::new(), |router, (path, handler)| router.route(path, handler));
    Router::new()
        .nest("/api", below)
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        // Bodies are bounded where they are read, by what the route takes.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(app.clone(), bound))
        .with_state(app)
}

async fn unknown(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(200).collect();
    Problem::new(Code::RouteUnknown, format!("there is nothing at `{path}`"))
}

async fn not_allowed(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(200).collect();
    Problem::new(Code::MethodNotAllowed, format!("`{path}` does not take `{}`", request.method()))
}

/// Bounds a request in time, and marks every answer: nothing of the API is to be cached or sniffed.
async fn bound(State(app): State<App>, request: Request, next: Next) -> Response {
    // An upload is as slow as the line of its sender; it bounds itself.
    let (upload, changes) = (request.method() == Method::PUT, request.method() != Method::GET);
    let mut response =
        if upload { next.run(request).await } else { within(app.config.request_timeout, next.run(request)).await };
    listen(&app, &response, changes);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Takes from an answer what it says of the storage.
fn listen(app: &App, response: &Response, changes: bool) {
    match response.extensions().get() {
        Some(code @ (Code::StorageFull | Code::Unavailable)) => {
            app.pulse.refused(*code, app.clock.now());
            // Whoever is woken finds out when it is over.
            app.bell.ring();
        }
        None if changes && response.status().is_success() => app.pulse.works(Part::Storage),
        _ => {}
    }
}

async fn within(time: Duration, answer: impl Future<Output = Response>) -> Response {
    tokio::time::timeout(time, answer).await.unwrap_or_else(|_| {
        Problem::new(Code::Timeout, format!("no answer within {} s", time.as_secs())).into_response()
    })
}
