//! Downloads a second from `stoa serve`, beside nginx.
//!
//! Both serve the same folder on the loopback device. Clients keep their connections open, ask again as soon as the whole
//! answer is there, and compare its length. Rounds alternate between the two, so that whatever else the machine does
//! befalls both; the medians of rounds are compared.

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Sizes of files in bytes: a document, a small component, a component with an engine in it.
const SIZES: [usize; 3] = [1_500, 100_000, 10_000_000];
/// Connections that are kept open.
const CLIENTS: usize = 8;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);
/// The least ratio that is wanted.
const TARGET: f64 = 0.8;
/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who reads the result.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Report {
    Table,
    Json,
}

/// A server as a process of its own, which ends with this.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // By its own signal: nginx would leave its workers behind.
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        if !told.is_ok_and(|status| status.success()) {
            let _ended_already = self.child.kill();
        }
        let _reaped = self.child.wait();
    }
}

/// One size: downloads a second in each round.
struct Row {
    size: usize,
    stoa: Vec<f64>,
    nginx: Vec<f64>,
}

impl Row {
    fn ratio(&self) -> f64 {
        median(&self.stoa) / median(&self.nginx)
    }
}

pub(crate) fn run(stoa: &str, nginx: &str, conf: &str, report: Report) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let registry = dir.path().join("registry");
    let made = Command::new(stoa).args(["init", "--json", "--dir"]).arg(&registry).stdout(Stdio::null()).status()?;
    if !made.success() {
        return Err(format!("`stoa init` failed: {made}").into());
    }
    let paths = SIZES.map(|size| put(&registry, size));
    let servers = (serve(stoa, &registry, &dir.path().join("address"))?, compare(nginx, conf, dir.path())?);
    let mut rows = Vec::new();
    for (size, path) in SIZES.into_iter().zip(paths) {
        let path = path?;
        let mut row = Row { size, stoa: Vec::new(), nginx: Vec::new() };
        // The first round of each warms what is to be warm, and does not count.
        for round in 0..=ROUNDS {
            let both = [&servers.0, &servers.1].map(|server| rate(&server.address, &path, size));
            let [ours, theirs] = both;
            if round > 0 {
                row.stoa.push(ours?);
                row.nginx.push(theirs?);
            }
        }
        eprintln!("{} B: done", row.size);
        rows.push(row);
    }
    show(&rows, report);
    Ok(())
}

/// Puts a file of this many bytes that do not repeat under its digest. Gives its path.
fn put(registry: &Path, size: usize) -> Outcome<String> {
    let mut state = size as u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(size)
    .collect();
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let path = format!("artifacts/sha256/{digest}");
    let file = registry.join("blobs/public").join(&path);
    fs::create_dir_all(file.with_file_name(""))?;
    fs::write(file, bytes)?;
    Ok(path)
}

/// `stoa serve` of this registry, once it listens.
pub(crate) fn serve(stoa: &str, registry: &Path, ready: &Path) -> Outcome<Server> {
    let mut command = Command::new(stoa);
    command.args(["serve", "--listen", "127.0.0.1:0", "--ready-file"]).arg(ready).arg("--dir").arg(registry);
    let child = command.stdout(Stdio::null()).spawn()?;
    let mut server = Server { child, address: String::new() };
    let until = Instant::now() + PATIENCE;
    while server.address.is_empty() {
        if Instant::now() > until {
            return Err("`stoa serve` is not ready".into());
        }
        thread::sleep(Duration::from_millis(10));
        let text = fs::read_to_string(ready).unwrap_or_default();
        text.trim().trim_start_matches("http://").clone_into(&mut server.address);
    }
    Ok(server)
}

fn compare(nginx: &str, conf: &str, dir: &Path) -> Outcome<Server> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let root = dir.to_str().ok_or("the folder has no path of text")?;
    let text = fs::read_to_string(conf)?.replace("ROOT", root).replace("PORT", &port.to_string());
    let filled = dir.join("nginx.conf");
    fs::write(&filled, text)?;
    let child = Command::new(nginx).arg("-p").arg(dir).arg("-e").arg("stderr").arg("-c").arg(&filled).spawn()?;
    let server = Server { child, address: format!("127.0.0.1:{port}") };
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(&server.address).is_err() {
        if Instant::now() > until {
            return Err("nginx does not listen".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(server)
}

/// Downloads a second of one round.
fn rate(address: &str, path: &str, size: usize) -> Outcome<f64> {
    let began = Instant::now();
    let counts = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| download(address, path, size))).collect();
        clients.into_iter().map(|client| client.join().expect("a client does not panic")).collect::<Outcome<Vec<_>>>()
    })?;
    Ok(counts.iter().sum::<u64>() as f64 / began.elapsed().as_secs_f64())
}

/// Asks for a file again and again on one connection. Gives how often the whole of it came.
fn download(address: &str, path: &str, size: usize) -> Outcome<u64> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let (mut from, mut to) = (BufReader::with_capacity(64 * 1024, stream.try_clone()?), stream);
    let (mut line, mut rest, mut count) = (String::new(), vec![0; 64 * 1024], 0);
    let until = Instant::now() + ROUND;
    while Instant::now() < until {
        to.write_all(request.as_bytes())?;
        line.clear();
        from.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 200 ") {
            return Err(format!("`{path}` is answered `{}`", line.trim_end()).into());
        }
        let mut length = 0;
        loop {
            line.clear();
            from.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse()?,
                Some(_) => {}
                None => break,
            }
        }
        if length != size {
            return Err(format!("`{path}` comes with {length} bytes, and has {size}").into());
        }
        while length > 0 {
            let part = length.min(rest.len());
            from.read_exact(&mut rest[..part])?;
            length -= part;
        }
        count += 1;
    }
    Ok(count)
}

fn show(rows: &[Row], report: Report) {
    if report == Report::Json {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                serde_json::json!({
                    "bytes": row.size, "stoa_per_second": row.stoa, "nginx_per_second": row.nginx,
                    "ratio": row.ratio(), "target": TARGET, "met": row.ratio() >= TARGET,
                })
            })
            .collect();
        println!("{}", serde_json::json!({"bench": "downloads", "clients": CLIENTS, "rows": rows}));
        return;
    }
    println!("| file | stoa serve, downloads/s (spread) | nginx, downloads/s (spread) | ratio | target |");
    println!("|---|--:|--:|--:|---|");
    for row in rows {
        let met = if row.ratio() >= TARGET { "met" } else { "missed" };
        println!(
            "| {} B | {} | {} | {:.2} | ≥ {TARGET}: {met} |",
            row.size,
            shown(&row.stoa),
            shown(&row.nginx),
            row.ratio()
        );
    }
}

fn shown(rates: &[f64]) -> String {
    let (least, most) = rates.iter().fold((f64::MAX, 0_f64), |(least, most), rate| (least.min(*rate), most.max(*rate)));
    format!("{:.0} ({least:.0} to {most:.0})", median(rates))
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
    }
}
