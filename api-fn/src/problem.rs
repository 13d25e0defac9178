//! Every refusal of the API: its code, status, title and hint stand together in one table.
//!
//! An answer that is no success is `application/problem+json` (RFC 9457) with the members `type`, `title`,
//! `status`, `detail`, `code` and `hint`, and `trace` where the fault is the registry's own.

use std::fmt;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

macro_rules! problems {
    ($($variant:ident $code:literal $status:ident $title:literal $hint:literal)*) => {
        /// A refusal by its stable name: clients match on it, so a code never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// All codes, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as it is written in an answer.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The status of the answer.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// What it is, in one sentence that is the same every time.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What to try.
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint,)* }
            }
        }
    };
}

problems! {
    // The request itself.
    RouteUnknown "route-unknown" NOT_FOUND "There is no such route"
        "The routes are listed in the format reference, api.md."
    MethodNotAllowed "method-not-allowed" METHOD_NOT_ALLOWED "The route does not take this method"
        "The `Allow` header names the methods that it takes."
    MediaTypeUnsupported "media-type-unsupported" UNSUPPORTED_MEDIA_TYPE "The body is of another type than the route takes"
        "Send JSON with `content-type: application/json`."
    BodyTooLarge "body-too-large" PAYLOAD_TOO_LARGE "The body is longer than the route takes"
        "Publish larger sets in three steps: begin, upload, finish."
    BodyIncomplete "body-incomplete" BAD_REQUEST "The body ended before its end"
        "Send the request again."
    BodySlow "body-slow" REQUEST_TIMEOUT "The body came too slowly"
        "Send the request again over a faster connection."
    JsonMalformed "json-malformed" BAD_REQUEST "The body is not JSON"
        "A body is one JSON value in UTF-8; no object names a member twice."
    JsonTooDeep "json-too-deep" BAD_REQUEST "The JSON is nested too deeply"
        "No body of this API needs more than a few levels."
    JsonShape "json-shape" UNPROCESSABLE_ENTITY "The JSON does not have the shape that the route takes"
        "Members that the route does not know are refused: look for a typing error."
    ParameterInvalid "parameter-invalid" BAD_REQUEST "A part of the address is not valid"
        "The detail names the part and the rule."

    // Keys and scopes.
    KeyMissing "key-missing" UNAUTHORIZED "The request carries no API key"
        "Send `authorization: Bearer stoa_…`."
    KeyMalformed "key-malformed" UNAUTHORIZED "The API key is mistyped"
        "Copy the key again, whole: its checksum does not fit."
    KeyUnknown "key-unknown" UNAUTHORIZED "The registry does not know this API key"
        "Check that the key was made by this registry."
    KeyExpired "key-expired" UNAUTHORIZED "The API key has expired"
        "Ask an administrator of the registry for a new key."
    KeyRevoked "key-revoked" UNAUTHORIZED "The API key was revoked"
        "Ask an administrator of the registry for a new key."
    ScopeMissing "scope-missing" FORBIDDEN "The API key does not have the scope that this needs"
        "Use a key with the scope that the detail names."
    KeyIdUnknown "key-id-unknown" NOT_FOUND "There is no API key with this id"
        "`GET /api/v1/keys` lists the keys."
    LastAdminKey "last-admin-key" CONFLICT "The key is the last one that administers the registry"
        "Make another key with the scope `admin` first, then revoke this one."
    ExpiryInvalid "expiry-invalid" UNPROCESSABLE_ENTITY "A key can not expire at this time"
        "Give a time that is still to come."

    // Namespaces and what is in them.
    NamespaceUnknown "namespace-unknown" NOT_FOUND "There is no such namespace"
        "An administrator of the registry creates namespaces."
    NamespaceExists "namespace-exists" CONFLICT "The namespace exists already"
        "Choose another name."
    NamespaceConfusable "namespace-confusable" CONFLICT "The namespace looks like one that exists"
        "Choose a name that people can tell apart from the other."
    PluginUnknown "plugin-unknown" NOT_FOUND "There is no such plugin"
        "Check the spelling; names are lower case."
    VersionUnknown "version-unknown" NOT_FOUND "The plugin has no such version"
        "`GET /api/v1/plugins/NAMESPACE/NAME` lists the versions."
    ReasonInvalid "reason-invalid" UNPROCESSABLE_ENTITY "The reason is not one that can be recorded"
        "Write one line for the people who depend on the release."

    // What is said of releases by others than their authors.
    CauseInvalid "cause-invalid" UNPROCESSABLE_ENTITY "The cause is not one of those that there are"
        "The detail lists them; `other` leaves it to the reason."
    LevelInvalid "level-invalid" UNPROCESSABLE_ENTITY "The level is not one of those that there are"
        "1 to 9 certify, and 0 takes a certification back; what each stands for, the operator says."
    TakedownStronger "takedown-stronger" CONFLICT "It was killed, and a quarantine would be less"
        "Restore it first, if that is what is meant."
    TakedownNone "takedown-none" CONFLICT "It was not taken down"
        "An appeal names what was taken down: a release, or the plugin as a whole."
    TakedownFinal "takedown-final" CONFLICT "Its bytes were deleted, and it can not be restored"
        "Publish the next version."
    PluginTakenDown "plugin-taken-down" CONFLICT "The plugin was taken down, and takes no release"
        "`stoa takedown appeal` contradicts; the operator of the registry decides."
    AdvisoryInvalid "advisory-invalid" UNPROCESSABLE_ENTITY "The advisory is not one that can be recorded"
        "The detail names the member and the rule."
    AdvisoryUnknown "advisory-unknown" NOT_FOUND "The plugin has no such advisory"
        "`stoa info PLUGIN` shows the open ones."
    AdvisoryForeign "advisory-foreign" FORBIDDEN "The advisory is the registry's, and its publisher can not change it"
        "Write to the operator of the registry, or publish one of your own."
    AdvisoriesFull "advisories-full" CONFLICT "The plugin has as many open advisories as it can have"
        "Withdraw what is no flaw, or say several flaws in one."

    // The set of records.
    SetSize "set-size" UNPROCESSABLE_ENTITY "The set has no releases, or too many"
        "Publish 1 to 20 releases together."
    SetRepeats "set-repeats" UNPROCESSABLE_ENTITY "The set names one plugin twice"
        "Publish two versions of one plugin one after the other."
    RecordInvalid "record-invalid" UNPROCESSABLE_ENTITY "A release record is not valid"
        "The detail names the member and the rule."
    MemberUnknown "member-unknown" UNPROCESSABLE_ENTITY "A release record has a member that the format does not have"
        "Look for a typing error: what the registry would not understand, it does not take."
    NameInvalid "name-invalid" UNPROCESSABLE_ENTITY "The id in a release record is not one that a plugin can have"
        "Write `namespace:name` in lower-case letters, digits and single hyphens; some words are reserved."
    VersionInvalid "version-invalid" UNPROCESSABLE_ENTITY "The version in a release record is not one that a release can have"
        "Write a semantic version without build metadata: `1.2.3`, `2.0.0-rc.1`."
    RecordTooLarge "record-too-large" UNPROCESSABLE_ENTITY "A release record is too long"
        "Shorten descriptions and reasons; longer texts belong into the readme."
    RecordNotCanonical "record-not-canonical" UNPROCESSABLE_ENTITY "A release record writes something that its canonical form leaves out"
        "Leave out members that are empty or have their default value: the digest covers the canonical form."
    EventTooLarge "event-too-large" UNPROCESSABLE_ENTITY "The records of the set are too long together"
        "Publish fewer releases together."
    VersionExists "version-exists" CONFLICT "The version exists already, with another content"
        "A version never changes: publish the next one."
    KindDiffers "kind-differs" CONFLICT "The plugin is of another kind"
        "Publish under a new name."
    NameConfusable "name-confusable" CONFLICT "The name looks like one that exists in the namespace"
        "Choose a name that people can tell apart from the other."
    DependencyUnknown "dependency-unknown" UNPROCESSABLE_ENTITY "A dependency does not exist"
        "Publish the dependency first, or in the same set."
    DependencyUnmet "dependency-unmet" UNPROCESSABLE_ENTITY "No release of a dependency meets the requirement"
        "Publish a version that meets it first, or in the same set, or change the requirement."
    DependencyTypesDiffer "dependency-types-differ" UNPROCESSABLE_ENTITY "No release of a dependency that meets the requirement exports a function as the component calls it"
        "Build against the WIT of a release that meets the requirement, or change the requirement."
    DependencySelf "dependency-self" UNPROCESSABLE_ENTITY "A plugin depends on itself"
        "Remove the dependency."
    DocumentFull "document-full" CONFLICT "The plugin has as much history as its index document holds"
        "Go on under a new name, and say so in the readme of the old one."
    IndexFull "index-full" INSUFFICIENT_STORAGE "The part of the index that would list the plugin is full"
        "Publish under another name, which another part lists, or tell the operator of the registry."
    ApiBroken "api-broken" UNPROCESSABLE_ENTITY "A minor release or a patch removes or changes what the one before exports"
        "Publish it as the next major version, or keep the function as it was."

    // Signatures of publishers.
    AttestationInvalid "attestation-invalid" UNPROCESSABLE_ENTITY "A signature or a provenance is not one of this release"
        "Sign with `stoa publish --sign KEY`; supply the provenance that the build made of this very component."
    SignatureMissing "signature-missing" UNPROCESSABLE_ENTITY "The namespace demands signatures, and a release has none"
        "Publish with `--sign KEY`, a key of the namespace: `stoa publisher list NAMESPACE` shows them."
    SignatureRefused "signature-refused" FORBIDDEN "A signature is not one that counts for this release"
        "The detail names the rule. Sign this very release with a key of the namespace that counts now."
    StatementRefused "statement-refused" CONFLICT "A change of a namespace's keys does not hold"
        "The detail names the rule. `stoa publisher list NAMESPACE` shows the keys, and when they count."

    // The blobs of a set.
    BlobEmpty "blob-empty" UNPROCESSABLE_ENTITY "A record names a blob without any bytes"
        "Build the plugin first; leave a readme without text out."
    ArtifactTooLarge "artifact-too-large" PAYLOAD_TOO_LARGE "The component is too long"
        "Strip debugging information: `wasm-tools strip --all`."
    WitTooLarge "wit-too-large" PAYLOAD_TOO_LARGE "The WIT is too long"
        "Split the package, or leave unused interfaces out."
    ReadmeTooLarge "readme-too-large" PAYLOAD_TOO_LARGE "The readme is too long"
        "Link to longer texts."
    BlobMissing "blob-missing" CONFLICT "A blob of the set was not uploaded"
        "Upload it to the address that the begun publish gave; `GET /api/v1/publishes/ID` gives it again."
    BlobUnasked "blob-unasked" UNPROCESSABLE_ENTITY "A blob was sent that no record of the set names"
        "Send only the blobs that the records name."
    BlobMalformed "blob-malformed" UNPROCESSABLE_ENTITY "A blob is not base64"
        "Use the standard alphabet with padding (RFC 4648, section 4)."
    BlobSize "blob-size" UNPROCESSABLE_ENTITY "A blob does not have the size that its record gives"
        "Make the record from the very bytes that are sent."
    BlobDigest "blob-digest" UNPROCESSABLE_ENTITY "A blob does not have the digest that its record gives"
        "Make the record from the very bytes that are sent."
    PublishUnknown "publish-unknown" NOT_FOUND "There is no such publish, or its time is over"
        "Begin again: a begun publish lasts for a day."
    UploadRefused "upload-refused" FORBIDDEN "The registry did not give this upload address, or its time is over"
        "Begin the publish again to get a new address."

    // What the bytes are.
    ArtifactNotWasm "artifact-not-wasm" UNPROCESSABLE_ENTITY "The artifact is not WebAssembly"
        "Publish the component that the build made, a `.wasm` file."
    ArtifactMachineCode "artifact-machine-code" UNPROCESSABLE_ENTITY "The artifact is machine code"
        "Publish the portable `.wasm` component: each host compiles it for itself, and runs nothing that others compiled."
    ArtifactCoreModule "artifact-core-module" UNPROCESSABLE_ENTITY "The artifact is a core module, not a component"
        "Build for `wasm32-wasip2`, or make a component with `wasm-tools component new`."
    ArtifactKind "artifact-kind" UNPROCESSABLE_ENTITY "The artifact is of another kind than its record says"
        "`kind = \"interface\"` is for WIT packages, `kind = \"plugin\"` for components."
    ComponentInvalid "component-invalid" UNPROCESSABLE_ENTITY "The component is not valid"
        "Check it with `wasm-tools validate`, and that the file is whole."
    ComponentBounds "component-bounds" UNPROCESSABLE_ENTITY "The component is beyond a bound of the registry"
        "The detail names the bound: leave out what is not needed, or make two plugins of it."
    ComponentFeature "component-feature" UNPROCESSABLE_ENTITY "The component uses a feature that hosts do not enable"
        "Build for WebAssembly 2.0, without the feature that the detail names."
    ComponentInterface "component-interface" UNPROCESSABLE_ENTITY "The component has an import or export that no host can use"
        "Imports and exports are the interfaces, functions and types of a WIT world."
    ImportUnclassified "import-unclassified" UNPROCESSABLE_ENTITY "Nothing says who answers an import"
        "Name the dependency that provides it (`for = […]`), or the host interface, in plugin.toml."
    ImportUnsupported "import-unsupported" UNPROCESSABLE_ENTITY "The component imports what no host offers yet"
        "Build for WASI 0.2."
    ConventionUnknown "convention-unknown" UNPROCESSABLE_ENTITY "The conventions have no such interface"
        "Use the WIT of `stoa:plugin@0.1.0`; nobody else has packages in `stoa`."
    ConventionDiffers "convention-differs" UNPROCESSABLE_ENTITY "An interface of the conventions has other functions or types"
        "Use the WIT of `stoa:plugin@0.1.0` as it is."
    CallNotValues "call-not-values" UNPROCESSABLE_ENTITY "A call to a dependency passes something other than values"
        "Pass ids or lists instead, or compose the two components into one before publishing."
    CallWithoutError "call-without-error" UNPROCESSABLE_ENTITY "The result of a call to a dependency can not say that the call failed"
        "Return a result whose error is or holds a `call-error`, or give the dependency `on-failure = \"trap\"`."
    ImportsDiffer "imports-differ" UNPROCESSABLE_ENTITY "The record lists other imports than the component has"
        "Make the record from the very component that is sent."
    ExportsDiffer "exports-differ" UNPROCESSABLE_ENTITY "The record lists other exports than the component has"
        "Make the record from the very component that is sent."
    TracksDiffer "tracks-differ" UNPROCESSABLE_ENTITY "The record lists other tracks than the component needs"
        "Make the record from the very component that is sent."
    WitDiffers "wit-differs" UNPROCESSABLE_ENTITY "The record names another WIT than the component carries"
        "Make the record from the very component that is sent."
    NameDiffers "name-differs" UNPROCESSABLE_ENTITY "The component names itself otherwise than its record"
        "Rebuild the component, or correct plugin.toml."
    ReadmeNotText "readme-not-text" UNPROCESSABLE_ENTITY "The readme is not text"
        "Write it in UTF-8."

    // The registry.
    Contended "contended" SERVICE_UNAVAILABLE "Too many changes at once"
        "Send the same request again in a moment: it is safe to repeat."
    Timeout "timeout" GATEWAY_TIMEOUT "The request took too long"
        "Send the same request again: it is safe to repeat, also where it had succeeded."
    Unavailable "unavailable" SERVICE_UNAVAILABLE "The registry can not reach its storage"
        "Send the same request again in a moment: it is safe to repeat."
    StorageFull "storage-full" INSUFFICIENT_STORAGE "The registry has no room left"
        "Tell the operator of the registry."
    Internal "internal" INTERNAL_SERVER_ERROR "The registry failed"
        "Send the trace id to the operator of the registry, whose log has the reason."
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal: a code with what this one is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    detail: String,
    members: Map<String, Value>,
}

impl Problem {
    /// A refusal that names the thing, the rule and the value.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: visible(&detail.into()), members: Map::new() }
    }

    /// A member of its own, for programs: what the detail says in words.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// A failure of the registry itself. The reason goes to the log under a trace id; the answer carries the
    /// id and nothing else, because a source may name files, tables or hosts.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        Self::logged(Code::Internal, error)
    }

    /// As [`Problem::internal`], with a code that says a little more.
    pub(crate) fn logged(code: Code, error: &dyn std::error::Error) -> Self {
        let trace = trace_id();
        tracing::error!(%trace, code = code.as_str(), error = chain(error), "a request failed");
        Self::new(code, "the log of the registry has the reason under this trace id").with("trace", trace)
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What this one is about.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The body of the answer.
    pub fn to_json(&self) -> Value {
        let mut body = self.members.clone();
        let code = self.code;
        let members = json!({
            // A name that identifies the kind of problem and need not be fetched (RFC 9457, section 3.1.1).
            "type": format!("urn:stoa:problem:{code}"),
            "title": code.title(),
            "status": code.status().as_u16(),
            "detail": self.detail,
            "code": code.as_str(),
            "hint": code.hint(),
        });
        if let Value::Object(members) = members {
            body.extend(members);
        }
        Value::Object(body)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.code.status(), self.to_json().to_string()).into_response();
        response.extensions_mut().insert(self.code);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.code.status() {
            // RFC 6750, section 3: what kind of credential would have done.
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"stoa\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// A detail repeats what strangers sent, and ends on terminals and in logs: what can not be seen there, or turns the
/// line around, is written as `\u{…}`.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

/// 64 random bits in hexadecimal; without randomness, which is a failure of its own, zeros.
fn trace_id() -> String {
    let mut bytes = [0; 8];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "no randomness for a trace id");
    }
    format!("{:016x}", u64::from_be_bytes(bytes))
}

/// An error with all its sources. The only place that prints them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Whether an error comes down to a full disk or a used-up quota.
pub(crate) fn storage_full(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::{Error, ErrorKind};
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<Error>().map(Error::kind);
        if matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)) {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_one_code_status_title_and_hint() {
        let rows: Vec<String> = Code::ALL
            .iter()
            .map(|code| format!("{code} | {} | {} | {}", code.status().as_u16(), code.title(), code.hint()))
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn a_code_is_written_once_and_in_one_grammar() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} stands twice");
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
            assert!(!code.status().is_success() && !code.status().is_redirection(), "{code}");
        }
    }

    #[test]
    fn a_detail_hides_nothing_of_what_it_repeats() {
        let sent = "a\0b \u{1b}[31m \u{202e}c \u{200b} \"é\" \\";
        let problem = Problem::new(Code::NameInvalid, sent);
        assert_eq!(problem.detail(), r#"a\0b \u{1b}[31m \u{202e}c \u{200b} "é" \"#);
    }

    #[test]
    fn an_internal_failure_tells_the_client_a_trace_id_and_nothing_else() {
        let error = std::io::Error::other("/var/lib/secret is locked");
        let body = Problem::internal(&error).to_json();
        assert!(!body.to_string().contains("secret"));
        assert_eq!(body["trace"].as_str().map(str::len), Some(16));
    }
}
