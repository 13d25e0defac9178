//! Plugins in JavaScript and Python: published by the program, chosen and called through the loader, and shown by the
//! demo. Their components are large, and a debug build takes a quarter of a minute to compile one; so compiled code is
//! kept from run to run, by the loader's own cache. It is named by the component's digest and by all that shapes the
//! compiler's output, and authenticated: other bytes, or another engine, are compiled again.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use stoa_core::{
    lock::Lock,
    resolve::ResolveOptions,
    wanted::{Want, Wanted},
};
use stoa_loader::{Cache, Host, LoaderError, Refresh, Registry, TrustRoot};

use crate::process::{Stage, skip, stoa};

fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/plugins")
}

/// The folders of both plugins, where they are built.
fn built() -> Option<[String; 2]> {
    let folders = ["highlight", "wordcount"].map(|name| plugins().join(name));
    for folder in &folders {
        let component = folder.join("target").join(folder.file_name().expect("a name")).with_extension("wasm");
        if !component.is_file() {
            skip(&format!("`{}` is not built: `cargo xtask guests --with js,py` does", component.display()));
            return None;
        }
    }
    Some(folders.map(|folder| folder.to_str().expect("text").to_owned()))
}

/// Compiled code that is kept, and the right to be the one who compiles: of two tests, the second finds it.
fn compiled() -> (PathBuf, File) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("code-of-other-languages");
    fs::create_dir_all(&folder).expect("a folder");
    let turn = File::create(folder.with_extension("turn")).expect("a lock");
    turn.lock().expect("a turn");
    (folder, turn)
}

/// How long compiling may take on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// A host that runs both, from an empty cache and the signed index alone.
async fn host(stage: &Stage, url: &str, code: &Path) -> Host<()> {
    let root = TrustRoot::pinned(fs::read(stage.root()).expect("a root"));
    let cache = Cache::at(stage.path("cache-of-the-host")).expect("a cache");
    let registry = Registry::open(url, root, cache).await.expect("a registry");
    let host: Host<()> = Host::builder().name("test/1").code_cache(code).build().expect("a host");
    let want = |id: &str| Want::new(id.parse().expect("an id"), "^1".parse().expect("a requirement"));
    let wanted = Wanted::new(BTreeMap::new(), vec![want("demo:highlight"), want("demo:wordcount")]).expect("wishes");
    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    let options = ResolveOptions::new("main".parse().expect("a name"));
    let offer = host.offer().to_core();
    let chosen = snapshot.resolve(&wanted, None::<&Lock>, &offer, &options).await.expect("a choice");
    let plan = registry.plan(&chosen, &wanted, |_| ()).await.expect("a plan");
    // On a machine that does much else an engine may take longer than a host waits. Its compiler goes on, into the
    // cache, where a later try finds what it made.
    let until = Instant::now() + PATIENCE;
    loop {
        match host.apply(plan.clone()).await.expect("applied").all() {
            Ok(()) => return host,
            Err(LoaderError::NotLoaded { source, .. })
                if matches!(*source, LoaderError::CompileTimeout { .. }) && Instant::now() < until => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Calls a function and gives its result as text.
async fn call(host: &Host<()>, plugin: &str, call: &str) -> String {
    let values = host.plugin(plugin).expect("a plugin").call_wave(call).await.expect("an answer");
    values.iter().map(|value| value.to_wave().expect("a text")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_in_javascript_and_python_are_published_and_called_with_the_limits_of_every_host() {
    let (Some(stage), Some(folders)) = (Stage::new(), built()) else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    let published = stage.publish(&server.url, &key, &[&folders[0], &folders[1]]).json();
    assert_eq!((published["seq"].as_u64(), published["state"].as_str()), (Some(3), Some("published")), "{published}");

    let (code, _turn) = compiled();
    let host = host(&stage, &server.url, &code).await;
    let highlight = |text: &str, language: &str| format!("highlight({}, {})", quoted(text), quoted(language));
    let html = call(&host, "demo:highlight", &highlight("let é = \"<b>\"; // 𝄞", "js")).await;
    let expected = "<pre class=\"highlight\"><code class=\"language-javascript\">\
                    <span class=\"hl-keyword\">let</span> é = \
                    <span class=\"hl-string\">&quot;&lt;b&gt;&quot;</span>; \
                    <span class=\"hl-comment\">// 𝄞</span></code></pre>";
    assert_eq!(html, format!("ok({})", quoted(expected)));
    assert_eq!(call(&host, "demo:highlight", &highlight("x", "cobol")).await, "err(unknown-language)");
    let long = "x".repeat(64 * 1024 + 1);
    assert_eq!(call(&host, "demo:highlight", &highlight(&long, "js")).await, "err(too-long(32768))");
    assert_eq!(
        call(&host, "demo:highlight", "languages()").await,
        "ok([\"bash\", \"html\", \"javascript\", \"json\", \"python\", \"rust\", \"text\", \"toml\", \"typescript\", \"wit\"])"
    );

    let count = |text: &str, top: u32| format!("count({}, {top})", quoted(text));
    assert_eq!(
        call(&host, "demo:wordcount", &count("Dr. Øst läse हिन्दी. 東京! Läse", 1)).await,
        "ok({words: 7, sentences: 3, paragraphs: 1, characters: 29, reading-seconds: 2, \
         top: [{word: \"läse\", times: 2}]})"
    );
    assert_eq!(call(&host, "demo:wordcount", &count(&long, 1)).await, "err(too-long(65536))");
    // The slowest texts of the longest length keep within the time and memory that a host gives.
    for slowest in ["1,", "/[ ", "1\"\""].map(|part| part.repeat(32 * 1024 / part.len())) {
        assert!(call(&host, "demo:highlight", &highlight(&slowest, "js")).await.starts_with("ok("));
    }
    let slowest = "a! ".repeat(21_845);
    let counted = call(&host, "demo:wordcount", &count(&slowest, 1)).await;
    assert!(counted.starts_with("ok({words: 21845, sentences: 21845, "), "{counted}");
    let unknown = host.plugin("demo:elsewhere").err();
    assert!(matches!(unknown, Some(LoaderError::UnknownPlugin { .. })), "{unknown:?}");
    host.shutdown(Duration::from_secs(2)).await;
}

/// A text as WAVE writes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[test]
fn the_demo_with_all_publishes_and_calls_the_plugins_in_other_languages_too() {
    let (Some(stoa), Some(folders), Some(stage)) = (stoa(), built(), Stage::new()) else { return };
    let (code, _turn) = compiled();
    // Compiled beforehand, for the demo waits no longer than any host does.
    let server = stage.serve();
    let key = stage.author(&server);
    stage.publish(&server.url, &key, &[&folders[0], &folders[1]]).json();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        host(&stage, &server.url, &code).await.shutdown(Duration::from_secs(2)).await;
    });
    let output = Command::new(stoa)
        .args(["demo", "--once", "--json", "--all", "--plugins"])
        .arg(plugins())
        .arg("--code-cache")
        .arg(&code)
        .output()
        .expect("the program runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(output.status.success(), "{json:#}");
    let steps = json["steps"].as_array().expect("steps");
    let names: Vec<_> = steps.iter().map(|step| step["name"].as_str().expect("a name")).collect();
    let added = ["compile their engines", "call demo:highlight", "call demo:wordcount", "start them again"];
    let at = names.iter().position(|name| *name == "call demo:site").expect("the step before");
    assert_eq!(names[at + 1..=at + 4], added);
    assert_eq!(names[at + 5], "stop the server");
    let detail = |name: &str| steps[names.iter().position(|n| *n == name).expect("a step")]["detail"].clone();
    assert!(detail("call demo:highlight").as_str().expect("text").contains("hl-keyword"), "{json:#}");
    let counted = detail("call demo:wordcount");
    assert!(counted.as_str().expect("text").starts_with("ok({words: 6, sentences: 1, paragraphs: 1,"), "{counted}");
    for plugin in ["highlight", "markdown", "site", "slugify", "wordcount"] {
        assert!(
            detail("publish over HTTP").as_str().expect("text").contains(&format!("demo:{plugin}@1.0.0")),
            "{json:#}"
        );
    }
}
