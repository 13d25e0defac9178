//! The life of an API key.

use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use stoa_api::{bootstrap_admin_key, problem::Code, token::Token};

use crate::support::{Plugin, Registry, pretty, request};

async fn make(registry: &Registry, body: Value) -> (Token, Value) {
    let answer = registry.post("/api/v1/keys", &registry.admin, body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let token = answer.body["key"].as_str().expect("a key").parse().expect("a key");
    (token, answer.body)
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_until_it_is_revoked() {
    let registry = Registry::new().await;
    let (key, shown) = make(&registry, json!({"label": "CI", "scopes": ["publish:demo:mark*"]})).await;
    registry.publish_as(&[&Plugin::simple("demo:markdown", "1.0.0")], &key).await.ok();
    let other = registry.publish_as(&[&Plugin::simple("demo:slugify", "1.0.0")], &key).await;
    assert_eq!(other.refused(Code::ScopeMissing)["scope"], "publish:demo:slugify");
    registry.get_as("/api/v1/keys", &key).await.refused(Code::ScopeMissing);

    let path = format!("/api/v1/keys/{}", key.id());
    let revoke = || registry.send(request(Method::DELETE, &path, Some(&registry.admin), None));
    let revoked = revoke().await.ok();
    assert_eq!(revoked["revoked_at"], "2026-11-23T08:00:00Z");
    assert_eq!((&revoked["id"], &revoked["last_four"]), (&shown["id"], &shown["last_four"]));
    registry.clock.advance(60);
    assert_eq!(revoke().await.ok(), revoked, "revoking again changes nothing");
    registry.publish_as(&[&Plugin::simple("demo:markdown", "1.1.0")], &key).await.refused(Code::KeyRevoked);
}

#[tokio::test]
async fn a_key_ends_at_the_second_it_expires() {
    let registry = Registry::new().await;
    let body = json!({"label": "short", "scopes": ["admin"], "expires_at": "2026-11-23T08:01:00Z"});
    let (key, _) = make(&registry, body).await;
    registry.clock.advance(59);
    registry.get_as("/api/v1/keys", &key).await.ok();
    registry.clock.advance(1);
    registry.get_as("/api/v1/keys", &key).await.refused(Code::KeyExpired);
}

#[tokio::test]
async fn the_list_shows_keys_without_their_secrets() {
    let registry = Registry::new().await;
    let list = registry.get_as("/api/v1/keys", &registry.admin).await.ok();
    insta::assert_snapshot!(pretty(&list));
    let after = registry.get_as("/api/v1/keys?after=adadadadadad", &registry.admin).await.ok();
    assert_eq!(after["keys"], json!([list["keys"][1]]));
}

#[tokio::test]
async fn neither_the_ledger_nor_any_answer_but_the_first_has_the_secret() {
    let registry = Registry::new().await;
    let (key, shown) = make(&registry, json!({"label": "CI", "scopes": ["publish:demo"]})).await;
    assert!(shown["key"].as_str().is_some_and(|text| text.ends_with(shown["last_four"].as_str().expect("text"))));
    let secret = key.reveal().split('_').nth(2).map(str::to_owned).expect("a secret");
    let rows =
        stoa_store::ledger::Ledger::list(&*registry.ledger, "keys", None, 10, stoa_core::time::Time::from_unix(0));
    for (name, item) in rows.await.expect("items") {
        assert!(!String::from_utf8_lossy(&item.value).contains(&secret), "{name}");
    }
    let list = registry.get_as("/api/v1/keys", &registry.admin).await.ok();
    assert!(!list.to_string().contains(&secret));
}

#[tokio::test]
async fn every_key_that_will_not_do_has_its_code() {
    let registry = Registry::new().await;
    let with = |value: &str| {
        let mut request = request(Method::GET, "/api/v1/keys", None, None);
        request.headers_mut().insert(header::AUTHORIZATION, value.parse().expect("a header"));
        registry.send(request)
    };
    let missing = registry.get("/api/v1/keys").await;
    assert_eq!(missing.headers[header::WWW_AUTHENTICATE], "Bearer realm=\"stoa\"");
    missing.refused(Code::KeyMissing);
    with("Basic c3RvYTpzdG9h").await.refused(Code::KeyMissing);
    with("Bearer").await.refused(Code::KeyMalformed);
    let mistyped = registry.admin.reveal().replace("stoa_a", "stoa_b");
    let body = with(&format!("Bearer {mistyped}")).await.refused(Code::KeyMalformed);
    assert_eq!(body["detail"], "the checksum of the API key does not fit the rest of it");
    let guessed = Token::new([0xad; 6], [7; 32]);
    let wrong_secret = with(&format!("Bearer {}", guessed.reveal())).await.refused(Code::KeyUnknown);
    let foreign = Token::new([0x77; 6], [1; 32]);
    let wrong_id = with(&format!("bearer {}", foreign.reveal())).await.refused(Code::KeyUnknown);
    assert_eq!(wrong_secret, wrong_id, "an answer does not tell which half was right");
}

#[tokio::test]
async fn a_new_key_has_to_make_sense() {
    let registry = Registry::new().await;
    let admin = registry.admin.clone();
    let refused = |body: Value| registry.post("/api/v1/keys", &admin, body);
    let body = refused(json!({"label": "", "scopes": ["admin"]})).await.refused(Code::JsonShape);
    assert_eq!(body["detail"], "the label has 0 characters: it is one line of 1 to 100");
    let body = refused(json!({"label": "x", "scopes": []})).await.refused(Code::JsonShape);
    assert_eq!(body["detail"], "the key would have 0 scopes: 1 to 50 are possible");
    let body = refused(json!({"label": "x", "scopes": ["root"]})).await.refused(Code::JsonShape);
    assert_eq!(
        body["detail"],
        "`root` is not a scope: write `admin`, `publish:NAMESPACE` or `yank:NAMESPACE`, the latter two also with `:PATTERN`"
    );
    let past = json!({"label": "x", "scopes": ["admin"], "expires_at": "2026-11-23T08:00:00Z"});
    refused(past).await.refused(Code::ExpiryInvalid);
    let id = request(Method::DELETE, "/api/v1/keys/000000000000", Some(&admin), None);
    registry.send(id).await.refused(Code::KeyIdUnknown);
}

#[tokio::test]
async fn the_first_key_of_a_registry_is_an_administrator() {
    let registry = Registry::new().await;
    let token = bootstrap_admin_key(&*registry.ledger, stoa_core::time::Time::from_unix(0)).await.expect("a key");
    registry.post("/api/v1/namespaces", &token, json!({"namespace": "acme"})).await.ok();
}

async fn revoke(registry: &Registry, by: &Token, key: &Token) -> crate::support::Answer {
    registry.send(request(Method::DELETE, &format!("/api/v1/keys/{}", key.id()), Some(by), None)).await
}

#[tokio::test]
async fn the_last_key_that_administers_a_registry_is_not_revoked() {
    let registry = Registry::new().await;
    let admin = registry.admin.clone();
    let body = revoke(&registry, &admin, &admin).await.refused(Code::LastAdminKey);
    assert_eq!(body["detail"], format!("the key {} is the only valid one with the scope `admin`", admin.id()));
    revoke(&registry, &admin, &registry.demo).await.ok();

    // A key that is expired administers nothing, and may be revoked itself.
    let (short, _) =
        make(&registry, json!({"label": "short", "scopes": ["admin"], "expires_at": "2026-11-23T08:01:00Z"})).await;
    registry.clock.advance(60);
    revoke(&registry, &admin, &admin).await.refused(Code::LastAdminKey);
    revoke(&registry, &admin, &short).await.ok();

    let (second, _) = make(&registry, json!({"label": "second", "scopes": ["admin"]})).await;
    revoke(&registry, &admin, &admin).await.ok();
    revoke(&registry, &second, &second).await.refused(Code::LastAdminKey);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_keys_that_revoke_each_other_at_once_one_stays() {
    for _ in 0..20 {
        let registry = Registry::new().await;
        let (one, (other, _)) =
            (registry.admin.clone(), make(&registry, json!({"label": "other", "scopes": ["admin"]})).await);
        let answers = futures::join!(revoke(&registry, &one, &other), revoke(&registry, &other, &one));
        let lost = match (answers.0.status.is_success(), answers.1.status.is_success()) {
            (true, false) => answers.1,
            (false, true) => answers.0,
            both => panic!("{both:?}"),
        };
        let code = lost.body["code"].as_str().unwrap_or_default();
        assert!(["last-admin-key", "key-revoked"].contains(&code), "{code}");
    }
}
