//! Facts of the engine that the design leans on, kept as tests: an upgrade that changes one of them
//! fails here first, with the name of the decision it breaks (docs/decisions/0010 to 0013).

use std::{
    error::Error,
    fs::File,
    os::fd::AsRawFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use wasmtime::{
    Config, Engine, Store, StoreContextMut, Trap, UpdateDeadline,
    component::{Component, Func, Instance, Linker, ResourceTable, Val},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

type Outcome = Result<(), Box<dyn Error>>;

/// What every spike's store holds: an empty WASI, a count of charged ticks, and the spike's own function.
struct Data {
    wasi: WasiCtx,
    table: ResourceTable,
    ticks: u32,
    me: Option<Func>,
}

impl WasiView for Data {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

fn engine() -> Result<Engine, wasmtime::Error> {
    let mut config = Config::new();
    config.concurrency_support(false).epoch_interruption(true);
    Engine::new(&config)
}

fn component(engine: &Engine, text: &str) -> Result<Component, Box<dyn Error>> {
    Ok(Component::new(engine, wat::parse_str(text)?)?)
}

/// A store whose epoch callback counts each tick and yields, as the loader's does.
fn store(engine: &Engine) -> Store<Data> {
    let data = Data { wasi: WasiCtx::builder().build(), table: ResourceTable::new(), ticks: 0, me: None };
    let mut store = Store::new(engine, data);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut cx| {
        cx.data_mut().ticks += 1;
        Ok(UpdateDeadline::Yield(1))
    });
    store
}

async fn instantiate(linker: &Linker<Data>, store: &mut Store<Data>, component: &Component) -> (Instance, Func) {
    let instance = linker.instantiate_async(&mut *store, component).await.expect("the spike's guest instantiates");
    let run = instance.get_func(&mut *store, "run").expect("the spike's guest exports `run`");
    store.data_mut().me = Some(run);
    (instance, run)
}

async fn call(store: &mut Store<Data>, func: Func, argument: u32) -> Result<u32, wasmtime::Error> {
    let mut results = [Val::Bool(false)];
    func.call_async(&mut *store, &[Val::U32(argument)], &mut results).await?;
    match results {
        [Val::U32(n)] => Ok(n),
        other => Err(wasmtime::format_err!("expected one u32, got {other:?}")),
    }
}

/// `run(n)` adds `n` to a counter that lives in the instance, and gives the sum.
const COUNTER: &str = r#"(component
    (core module $m
        (global $sum (mut i32) (i32.const 0))
        (func (export "run") (param i32) (result i32)
            (global.set $sum (i32.add (global.get $sum) (local.get 0)))
            (global.get $sum)))
    (core instance $i (instantiate $m))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))"#;

/// `run(n)` gives `next(n) + 1`, where `next` is imported.
const RELAY: &str = r#"(component
    (import "next" (func $next (param "n" u32) (result u32)))
    (core func $next' (canon lower (func $next)))
    (core module $m
        (import "" "next" (func $next (param i32) (result i32)))
        (func (export "run") (param i32) (result i32)
            (i32.add (call $next (local.get 0)) (i32.const 1))))
    (core instance $i (instantiate $m (with "" (instance (export "next" (func $next'))))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))"#;

/// `run(n)` counts down from `n` million in a loop, then gives `n`.
const SPINNER: &str = r#"(component
    (core module $m
        (func (export "run") (param i32) (result i32) (local $left i32)
            (local.set $left (i32.mul (local.get 0) (i32.const 1000000)))
            (loop $again
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (br_if $again (local.get $left)))
            (local.get 0)))
    (core instance $i (instantiate $m))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))"#;

#[cfg(target_os = "linux")]
#[tokio::test]
#[expect(unsafe_code, reason = "the spike is about loading compiled code")]
async fn compiled_code_is_loaded_through_the_descriptor_that_was_hashed() -> Outcome {
    let engine = engine()?;
    let compile =
        |text| -> Result<Vec<u8>, Box<dyn Error>> { Ok(engine.precompile_component(&wat::parse_str(text)?)?) };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("code");
    std::fs::write(&path, compile(COUNTER)?)?;
    let hashed = File::open(&path)?;

    // Between the check and the load somebody replaces the file by another valid one.
    let other = folder.path().join("other");
    std::fs::write(&other, compile(RELAY)?)?;
    std::fs::rename(&other, &path)?;

    let through = format!("/proc/self/fd/{}", hashed.as_raw_fd());
    // SAFETY: the file was written above from this engine's own output and nothing else has it open.
    let loaded = unsafe { Component::deserialize_file(&engine, through)? };
    drop(hashed);
    drop(folder);

    let mut store = store(&engine);
    let (_, run) = instantiate(&Linker::new(&engine), &mut store, &loaded).await;
    assert_eq!(call(&mut store, run, 7).await?, 7, "the code that was hashed runs, after its name and folder are gone");
    Ok(())
}

#[tokio::test]
async fn dropping_a_call_future_poisons_its_store() -> Outcome {
    let engine = engine()?;
    let relay = component(&engine, RELAY)?;
    let mut linker = Linker::<Data>::new(&engine);
    let hang = Arc::new(AtomicBool::new(true));
    let hangs = hang.clone();
    linker.root().func_new_async("next", move |_, _, _, results| {
        let hang = hangs.load(SeqCst);
        Box::new(async move {
            if hang {
                std::future::pending::<()>().await;
            }
            results[0] = Val::U32(1);
            Ok(())
        })
    })?;
    let mut store = store(&engine);
    let (_, run) = instantiate(&linker, &mut store, &relay).await;
    let waited = tokio::time::timeout(Duration::from_millis(20), call(&mut store, run, 1)).await;
    assert_eq!(waited.map_err(|_| "dropped").err(), Some("dropped"));

    hang.store(false, SeqCst);
    let error = call(&mut store, run, 1).await.expect_err("a store whose call was dropped");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::CannotEnterComponent));
    Ok(())
}

#[tokio::test]
async fn a_spawned_call_outlives_the_caller_that_gave_up() -> Outcome {
    let engine = engine()?;
    let relay = component(&engine, RELAY)?;
    let mut linker = Linker::<Data>::new(&engine);
    linker.root().func_new_async("next", |_, _, _, results| {
        Box::new(async move {
            tokio::time::sleep(Duration::from_millis(40)).await;
            results[0] = Val::U32(1);
            Ok(())
        })
    })?;
    let mut store = store(&engine);
    let (_, run) = instantiate(&linker, &mut store, &relay).await;
    let shared = Arc::new(tokio::sync::Mutex::new(store));
    let mut owned = shared.clone().lock_owned().await;
    let task = tokio::spawn(async move { call(&mut owned, run, 1).await });
    let waited = tokio::time::timeout(Duration::from_millis(5), task).await;
    assert_eq!(waited.map_err(|_| "gave up").err(), Some("gave up"));

    let mut store = shared.lock().await;
    assert_eq!(call(&mut store, run, 1).await?, 2, "the store is whole");
    Ok(())
}

#[tokio::test]
async fn the_engine_lets_a_host_function_re_enter_its_own_caller() -> Outcome {
    let engine = engine()?;
    let relay = component(&engine, RELAY)?;
    let mut linker = Linker::<Data>::new(&engine);
    let depth = Arc::new(AtomicU32::new(0));
    let count = depth.clone();
    linker.root().func_new_async("next", move |mut cx: StoreContextMut<'_, Data>, _, _, results| {
        let level = count.fetch_add(1, SeqCst);
        Box::new(async move {
            results[0] = Val::U32(0);
            if level == 0 {
                let me = cx.data().me.ok_or_else(|| wasmtime::format_err!("the guest runs before it is known"))?;
                me.call_async(&mut cx, &[Val::U32(0)], results).await?;
            }
            Ok(())
        })
    })?;
    let mut store = store(&engine);
    let (_, run) = instantiate(&linker, &mut store, &relay).await;
    // The instance was entered twice at once: nothing below us refuses it, so the loader's chain must.
    assert_eq!(call(&mut store, run, 0).await?, 2);
    assert_eq!(depth.load(SeqCst), 2);
    Ok(())
}

/// Imports `next` and answers through it with a call into `callee`, whose store is its own.
fn bridge(linker: &mut Linker<Data>, callee: Arc<tokio::sync::Mutex<(Store<Data>, Func)>>) -> Outcome {
    linker.root().func_new_async("next", move |mut cx: StoreContextMut<'_, Data>, _, params, results| {
        let callee = callee.clone();
        Box::new(async move {
            let mut guard = callee.lock().await;
            let (store, run) = &mut *guard;
            store.set_epoch_deadline(1);
            run.call_async(&mut *store, params, results).await?;
            cx.set_epoch_deadline(1);
            Ok(())
        })
    })?;
    Ok(())
}

#[tokio::test]
async fn three_stores_bridged_under_epochs_charge_only_the_one_that_runs() -> Outcome {
    let engine = engine()?;
    let mut base = Linker::<Data>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut base)?;
    let relay = component(&engine, RELAY)?;

    let mut last = store(&engine);
    let (_, run) = instantiate(&base, &mut last, &component(&engine, SPINNER)?).await;
    let last = Arc::new(tokio::sync::Mutex::new((last, run)));

    let mut linker = base.clone();
    bridge(&mut linker, last.clone())?;
    let mut middle = store(&engine);
    let (_, run) = instantiate(&linker, &mut middle, &relay).await;
    let middle = Arc::new(tokio::sync::Mutex::new((middle, run)));

    let mut linker = base.clone();
    bridge(&mut linker, middle.clone())?;
    let mut first = store(&engine);
    let (_, run) = instantiate(&linker, &mut first, &relay).await;

    let stop = Arc::new(AtomicBool::new(false));
    let (ticking, weak) = (stop.clone(), engine.weak());
    let ticker = std::thread::spawn(move || {
        while !ticking.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
            if let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
            }
        }
    });
    first.set_epoch_deadline(1);
    let answer = call(&mut first, run, 200).await;
    stop.store(true, SeqCst);
    ticker.join().map_err(|_| "the ticker panicked")?;

    assert_eq!(answer?, 202);
    let spun = last.lock().await.0.data().ticks;
    assert!(spun >= 10, "200 million rounds take more than 10 ms, so at least 10 ticks: {spun}");
    // One tick may fall into the few microseconds in which a waiting store runs its own code.
    let waited = (first.data().ticks, middle.lock().await.0.data().ticks);
    assert!(waited.0 <= 1 && waited.1 <= 1, "stores that only waited were charged {waited:?}");
    Ok(())
}
