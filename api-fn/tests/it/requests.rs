//! What a request has to look like, whatever it asks for.

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Method, Request, StatusCode, header};
use serde_json::json;
use std::{convert::Infallible, time::Duration};
use stoa_api::{ApiConfig, problem::Code, routes::ROUTES};

use crate::support::{Plugin, Registry, request};

fn raw(registry: &Registry, content_type: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let mut request = request(Method::POST, "/api/v1/namespaces", Some(&registry.admin), None);
    if let Some(content_type) = content_type {
        request.headers_mut().insert(header::CONTENT_TYPE, content_type.parse().expect("a header"));
    }
    *request.body_mut() = body.into();
    request
}

#[tokio::test]
async fn a_body_is_json_of_the_right_type_shape_and_depth() {
    let registry = Registry::new().await;
    let json = Some("application/json");
    let send = |content_type, body: String| registry.send(raw(&registry, content_type, body));
    let body = r#"{"namespace":"acme"}"#.to_owned();
    send(None, body.clone()).await.refused(Code::MediaTypeUnsupported);
    send(Some("text/plain"), body.clone()).await.refused(Code::MediaTypeUnsupported);
    send(json, "{".into()).await.refused(Code::JsonMalformed);
    send(json, r#"{"namespace":"acme","namespace":"other"}"#.into()).await.refused(Code::JsonMalformed);
    send(json, "[".repeat(100_000)).await.refused(Code::JsonTooDeep);
    send(json, r#"{"namespace":"acme","owner":"me"}"#.into()).await.refused(Code::JsonShape);
    send(json, r#"{"namespace":1}"#.into()).await.refused(Code::JsonShape);
    send(json, String::new()).await.refused(Code::JsonMalformed);
    send(Some("Application/JSON; charset=utf-8"), body).await.ok();
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_before_it_is_read_whole() {
    let config = ApiConfig { max_inline_bytes: 1024, ..ApiConfig::default() };
    let registry = Registry::with(config).await;
    // Endless: the answer can only come before the end.
    let endless = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 512])));
    let answer = registry.send(raw(&registry, Some("application/json"), Body::from_stream(endless))).await;
    assert_eq!(answer.refused(Code::BodyTooLarge)["detail"], "the body has more than 1024 bytes");
}

#[tokio::test]
async fn a_body_that_stops_is_refused_and_one_that_breaks_off_too() {
    let config = ApiConfig { body_idle: Duration::from_millis(20), ..ApiConfig::default() };
    let registry = Registry::with(config).await;
    let stuck = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    registry.send(raw(&registry, Some("application/json"), stuck)).await.refused(Code::BodySlow);
    let pieces = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))];
    let broken = Body::from_stream(stream::iter(pieces));
    let body = registry.send(raw(&registry, Some("application/json"), broken)).await.refused(Code::BodyIncomplete);
    assert_eq!(body["detail"], "the body broke off after 1 bytes");
}

#[tokio::test]
async fn addresses_that_name_nothing_are_refused_as_problems() {
    let registry = Registry::new().await;
    registry.get("/").await.refused(Code::RouteUnknown);
    registry.get("/api/v1/nothing").await.refused(Code::RouteUnknown);
    registry.get("/api/v1/plugins/demo/..%2f..%2fetc").await.refused(Code::ParameterInvalid);
    registry.get("/api/v1/plugins/demo/%ff").await.refused(Code::ParameterInvalid);
    registry.get("/api/v1/plugins/demo/x%00y").await.refused(Code::ParameterInvalid);
    registry.get("/api/v1/plugins/demo/x/1.0.0+linux").await.refused(Code::ParameterInvalid);
    registry.get("/api/v1/events?after=-1").await.refused(Code::ParameterInvalid);
    registry.get("/api/v1/events?limit=0").await.refused(Code::ParameterInvalid);
    registry.get("/api/v1/events?limit=201").await.refused(Code::ParameterInvalid);
    registry.get("/api/v1/events?since=1").await.refused(Code::ParameterInvalid);
    registry.finish("x").await.refused(Code::ParameterInvalid);
    let answer = registry.send(request(Method::PATCH, "/api/v1/keys", None, None)).await;
    assert_eq!(answer.headers[header::ALLOW], "POST,GET,HEAD");
    answer.refused(Code::MethodNotAllowed);
}

#[tokio::test]
async fn what_is_wrong_with_an_address_is_said_in_the_api_s_own_words() {
    let registry = Registry::new().await;
    let events = "the route takes `after`, a place in the log from 0 on, and `limit`, 1 to 200, each at most once";
    let cases = [
        ("/api/v1/plugins/demo/%ff", "`name` in the path is not UTF-8 once it is decoded".to_owned()),
        ("/api/v1/namespaces/%c3%28", "`namespace` in the path is not UTF-8 once it is decoded".to_owned()),
        ("/api/v1/events?after=-1", format!("the query is `after=-1`: {events}")),
        ("/api/v1/events?after=1&after=2", format!("the query is `after=1&after=2`: {events}")),
        ("/api/v1/events?since=1", format!("the query is `since=1`: {events}")),
    ];
    for (path, detail) in cases {
        assert_eq!(registry.get(path).await.refused(Code::ParameterInvalid)["detail"], detail, "{path}");
    }
    let keys = registry.get_as("/api/v1/keys?before=1", &registry.admin).await.refused(Code::ParameterInvalid);
    assert_eq!(keys["detail"], "the query is `before=1`: the route takes `after`, the id of a key, each at most once");
}

#[tokio::test]
async fn every_route_of_the_table_is_served_and_asks_for_the_key_it_says() {
    let registry = Registry::new().await;
    for route in ROUTES {
        let path = route.path.replace("{id}", "00").replace(['{', '}'], "");
        let answer =
            registry.send(request(route.method.parse().expect("a method"), &format!("/api{path}"), None, None));
        let answer = answer.await;
        let code = answer.body["code"].as_str().unwrap_or("none");
        assert!(!["route-unknown", "method-not-allowed"].contains(&code), "{route:?}: {code}");
        let open = route.scope.starts_with("none");
        assert_eq!(code == "key-missing", !open, "{route:?}: {code}");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}

#[tokio::test]
async fn no_other_site_s_script_may_use_the_api() {
    let registry = Registry::new().await;
    let mut preflight = request(Method::OPTIONS, "/api/v1/namespaces", None, None);
    preflight.headers_mut().insert(header::ORIGIN, "https://example.org".parse().expect("a header"));
    let answer = registry.send(preflight).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
}

#[tokio::test]
async fn an_upload_takes_the_bytes_of_its_address_and_no_others() {
    let registry = Registry::new().await;
    let plugin = Plugin::simple("demo:markdown", "1.0.0");
    let begun = registry.post("/api/v1/publishes", &registry.demo, json!({"releases": [plugin.record]})).await.ok();
    let missing = begun["missing"][0].clone();
    let bytes = plugin.blob(&missing["digest"]);

    registry.upload(&missing, &bytes[1..]).await.refused(Code::BlobSize);
    let mut other = bytes.clone();
    other[0] ^= 1;
    registry.upload(&missing, &other).await.refused(Code::BlobDigest);
    let longer = [bytes.as_slice(), b"x"].concat();
    registry.upload(&missing, &longer).await.refused(Code::BlobSize);

    // Without a length announced beforehand, as a chunked body has none.
    let url = format!("/api{}", missing["upload"]["url"].as_str().expect("an address"));
    let chunked = |pieces: Vec<Result<Bytes, std::io::Error>>| {
        Request::builder()
            .method(Method::PUT)
            .uri(&url)
            .body(Body::from_stream(stream::iter(pieces)))
            .expect("a request")
    };
    let endless = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[0; 4096])));
    let flood = Request::builder().method(Method::PUT).uri(&url).body(Body::from_stream(endless)).expect("a request");
    registry.send(flood).await.refused(Code::BlobSize);
    registry.send(chunked(vec![Ok(bytes[1..].to_vec().into())])).await.refused(Code::BlobSize);
    registry.send(chunked(vec![Err(std::io::Error::other("reset"))])).await.refused(Code::BodyIncomplete);
    registry.get(&url).await.refused(Code::MethodNotAllowed);
    let forged = url.replace("token=", "token=0");
    registry.send(request(Method::PUT, &forged, None, None)).await.refused(Code::UploadRefused);
    assert_eq!(registry.listing().await, "", "nothing of all that stays");

    let half = bytes.len() / 2;
    let pieces = vec![Ok(bytes[..half].to_vec().into()), Ok(bytes[half..].to_vec().into())];
    assert_eq!(registry.send(chunked(pieces)).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_sender_that_pauses_keeps_no_memory_from_others() {
    const MIB: u64 = 1024 * 1024;
    // Room for one blob at a time.
    let config = ApiConfig { max_artifact_bytes: MIB, memory_budget: MIB, ..ApiConfig::default() };
    let registry = Registry::with(config).await;
    let plugin = Plugin::simple("demo:markdown", "1.0.0");
    let begun = registry.post("/api/v1/publishes", &registry.demo, json!({"releases": [plugin.record]})).await.ok();
    let (paused, others) = (begun["missing"][0].clone(), begun["missing"][1].clone());
    let mut bytes: Bytes = plugin.blob(&paused["digest"]).into();
    let first = bytes.split_to(bytes.len() / 2);
    let (came, mut half_way) = tokio::sync::oneshot::channel();
    let (go_on, wait) = tokio::sync::oneshot::channel::<()>();
    let rest = async move {
        came.send(()).expect("the test waits");
        wait.await.expect("the test goes on");
        Ok::<_, Infallible>(bytes)
    };
    let body = Body::from_stream(stream::once(async { Ok(first) }).chain(stream::once(rest)));
    let url = format!("/api{}", paused["upload"]["url"].as_str().expect("an address"));
    let mut upload = Box::pin(registry.send(Request::put(url).body(body).expect("a request")));
    tokio::select! {
        answer = &mut upload => panic!("half of it was enough: {answer:?}"),
        reached = &mut half_way => reached.expect("the first half was taken"),
    }

    let uploaded = registry.upload(&others, &plugin.blob(&others["digest"])).await;
    assert_eq!(uploaded.status, StatusCode::NO_CONTENT, "{uploaded:?}");
    registry.publish(&[&Plugin::simple("demo:slugify", "1.0.0")]).await.ok();
    assert!(!registry.listing().await.contains(paused["digest"].as_str().expect("a digest")));

    go_on.send(()).expect("the upload waits");
    assert_eq!(upload.await.status, StatusCode::NO_CONTENT);
    registry.finish(begun["id"].as_str().expect("an id")).await.ok();
}

#[tokio::test]
async fn an_upload_that_finds_no_disk_is_the_registry_s_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = ApiConfig { spool: folder.path().join("gone"), ..ApiConfig::default() };
    let registry = Registry::with(config).await;
    let plugin = Plugin::simple("demo:markdown", "1.0.0");
    let begun = registry.post("/api/v1/publishes", &registry.demo, json!({"releases": [plugin.record]})).await.ok();
    let missing = &begun["missing"][0];
    registry.upload(missing, &plugin.blob(&missing["digest"])).await.refused(Code::Unavailable);
    assert_eq!(registry.listing().await, "");
}

#[tokio::test]
async fn a_storage_that_fails_is_a_problem_with_a_trace_and_without_its_reason() {
    let registry = Registry::new().await;
    registry.ledger.hooks().fail(stoa_store::memory::Call::Read, "!head/head");
    let body = registry.get("/api/v1/health").await.refused(Code::Unavailable);
    assert_eq!(body["detail"], "the log of the registry has the reason under this trace id");
    assert_eq!(body["trace"].as_str().map(str::len), Some(16));
}

#[tokio::test]
async fn a_storage_that_hangs_is_given_up() {
    let config = ApiConfig { request_timeout: Duration::from_millis(50), ..ApiConfig::default() };
    let registry = Registry::with(config).await;
    let stopped = registry.ledger.hooks().stop_before(stoa_store::memory::Call::Read, "!head/head");
    registry.get("/api/v1/health").await.refused(Code::Timeout);
    drop(stopped);
    registry.get("/api/v1/health").await.ok();
}

#[tokio::test]
async fn health_tells_of_a_storage_that_takes_nothing_until_it_does() {
    use stoa_store::memory::Call;
    let registry = Registry::new().await;
    let plugin = Plugin::simple("demo:markdown", "1.0.0");
    let rung = registry.bell.rung();
    let artifact = plugin.record["artifact"]["digest"].as_str().expect("a digest");
    registry.blobs.hooks().fail(Call::PutNew, format!("store/sha256/{artifact}"));
    registry.publish(&[&plugin]).await.refused(Code::Unavailable);
    assert_eq!(registry.bell.rung(), rung + 1, "whoever looks after the storage is woken");
    registry.clock.advance(60);
    let health = registry.get("/api/v1/health").await.ok();
    let trouble = json!({
        "part": "storage", "state": "failing", "code": "unavailable",
        "detail": "The registry can not reach its storage", "since": "2026-11-23T08:00:00Z",
    });
    assert_eq!((&health["status"], &health["troubles"]), (&json!("degraded"), &json!([trouble])));
    assert_eq!(health["signed"], json!(null), "nothing follows this log");
    registry.publish(&[&plugin]).await.ok();
    let health = registry.get("/api/v1/health").await.ok();
    assert_eq!((&health["status"], &health["troubles"]), (&json!("ok"), &json!([])));
}
