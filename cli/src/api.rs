//! The publishing API, as any stranger speaks to it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::report::{Failure, chain};

/// How long an answer may take; a finish inspects the component and may take some seconds.
const TIMEOUT: Duration = Duration::from_secs(150);

/// A connection to a registry's API.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: reqwest::Client,
    base: String,
    key: Option<String>,
}

impl Api {
    /// The API of the registry at `url`.
    pub(crate) fn new(url: &str, key: Option<&str>) -> Result<Self, Failure> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Failure::new(format!("`{url}` is not the address of a registry that takes releases"))
                .hint("it begins with https://, or with http:// on this machine"));
        }
        if let Some(key) = key {
            check_key(key)?;
            require_safe(url)?;
        }
        let _installed_already = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("stoa/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, base: url.trim_end_matches('/').to_owned(), key: key.map(str::to_owned) })
    }

    /// Sends `body` to a path below `/api/v1/`.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.client.post(format!("{}/api/v1/{path}", self.base));
        let request = request.header("content-type", "application/json").body(body.to_string());
        self.send(request).await
    }

    /// Reads what lies at a path below `/api/v1/`.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(self.client.get(format!("{}/api/v1/{path}", self.base))).await
    }

    /// Deletes what lies at a path below `/api/v1/`.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.send(self.client.delete(format!("{}/api/v1/{path}", self.base))).await
    }

    /// Puts bytes to an address that the API gave for them.
    pub(crate) async fn upload(&self, upload: &Value, bytes: Bytes) -> Result<(), Failure> {
        let unreadable = || Failure::new("the registry gave no address for an upload");
        let url = upload.get("url").and_then(Value::as_str).ok_or_else(unreadable)?;
        // An API that does not know its own address gives one below its base.
        let url = if url.starts_with('/') { format!("{}/api{url}", self.base) } else { url.to_owned() };
        let mut request = self.client.put(url);
        for (name, value) in upload.get("headers").and_then(Value::as_object).into_iter().flatten() {
            request = request.header(name, value.as_str().ok_or_else(unreadable)?);
        }
        let response = request.body(bytes).send().await.map_err(|e| self.unreachable(&e))?;
        if response.status().is_success() { Ok(()) } else { Err(problem(response).await) }
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        if !response.status().is_success() {
            return Err(problem(response).await);
        }
        let bytes = response.bytes().await.map_err(|e| self.unreachable(&e))?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Failure::new(format!("the answer of {} is not JSON: {e}", self.base)))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        Failure::new(format!("{} can not be reached: {}", self.base, chain(error)))
            .hint("is the registry running, and is the address right?")
    }
}

/// A key with a typo is refused here, before it is sent anywhere.
fn check_key(key: &str) -> Result<(), Failure> {
    let plain = key.starts_with("stoa_") && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain {
        return Ok(());
    }
    Err(Failure::new("the API key is not one of a Stoa registry").hint("it begins with `stoa_`; check STOA_API_KEY"))
}

/// A key is never sent in the clear over a network.
fn require_safe(url: &str) -> Result<(), Failure> {
    let Some(rest) = url.strip_prefix("http://") else { return Ok(()) };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') || host.contains('\\') {
        return Err(Failure::new(format!("`{url}` has more than a host and a port before its path")));
    }
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let here = name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    if here {
        return Ok(());
    }
    Err(Failure::new(format!("the API key would go to `{name}` unencrypted")).hint("use https:// for another machine"))
}

/// An error answer (RFC 9457), as the command line shows it.
async fn problem(response: reqwest::Response) -> Failure {
    let (url, status) = (response.url().clone(), response.status());
    let bytes = response.bytes().await.unwrap_or_default();
    let Ok(problem) = serde_json::from_slice::<Value>(&bytes) else {
        return Failure::new(format!(
            "{}{} answered with status {status}",
            url.origin().ascii_serialization(),
            url.path()
        ));
    };
    let text = |name: &str| problem.get(name).and_then(Value::as_str).map(str::to_owned);
    let message = text("detail").or_else(|| text("title")).unwrap_or_else(|| status.to_string());
    Failure { code: text("code"), message, hint: text("hint") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_in_the_clear_to_this_machine_only() {
        for url in ["http://127.0.0.1:80/x", "http://localhost:8080", "http://[::1]:80", "https://example"] {
            assert_eq!(require_safe(url).map_err(|f| f.message), Ok(()), "{url}");
        }
        let disguised = require_safe("http://localhost:80@evil.example/").expect_err("a user, not a host");
        assert!(disguised.message.ends_with("before its path"), "{}", disguised.message);
        for url in ["http://example", "http://127.0.0.1.example:80", "http://10.0.0.1/"] {
            let failure = require_safe(url).expect_err(url);
            assert!(failure.message.ends_with("unencrypted"), "{}", failure.message);
        }
    }

    #[test]
    fn something_else_than_a_key_is_not_sent() {
        for key in ["", "hunter2", "stoa_a b", "stoa_\n"] {
            let failure = Api::new("http://127.0.0.1", Some(key)).expect_err("no key");
            assert_eq!(failure.message, "the API key is not one of a Stoa registry");
        }
    }
}
