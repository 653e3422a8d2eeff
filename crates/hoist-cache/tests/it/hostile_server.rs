//! Servers that are slow, broken or mean no good.

use std::io::{BufRead as _, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hoist_cache::{BinaryCache, CacheOptions, FetchError};
use hoist_nix::{Compression, NarInfo, StoreDir, StorePath};

use crate::{Hostile, chain, fetch, options, reason, refused};

const INFO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\nStoreDir: /nix/store\n";

/// Serves every request for something else than `nix-cache-info` with `answer`; lives as long as
/// the test's process.
fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (answer, mut stream) = (Arc::clone(&answer), stream.unwrap());
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while let Some(Ok(request)) = lines.next() {
                    let path = request.split(' ').nth(1).unwrap().to_owned();
                    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {
                    }
                    if path == "/nix-cache-info" {
                        let _ = stream.write_all(INFO.as_bytes());
                    } else {
                        answer(&path, &mut stream);
                    }
                }
            });
        }
    });
    url
}

fn says(text: &'static str) -> impl Fn(&str, &mut TcpStream) {
    move |_, stream| {
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
}

fn impatient() -> CacheOptions {
    let (connect_timeout, stall_timeout) = (Duration::from_secs(2), Duration::from_millis(400));
    CacheOptions { connect_timeout, stall_timeout, ..options() }
}

fn path() -> StorePath {
    StorePath::parse("a3q32d61r4q7czlx68ng3845pny0lq8l-libz-1.3").unwrap()
}

/// What becomes of a question for a narinfo; never waits long.
fn ask(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Result<bool, String> {
    let cache = BinaryCache::open(&serve(answer), impatient()).unwrap();
    let started = Instant::now();
    let answer = cache.info(&path()).map(|info| info.is_some()).map_err(|error| chain(&error));
    assert!(started.elapsed() < Duration::from_secs(20));
    answer
}

#[track_caller]
fn assert_refused(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static, why: &str) {
    let refusal = ask(answer).unwrap_err();
    assert!(refusal.contains(why), "{refusal}");
}

#[test]
fn what_is_not_there_is_no_error() {
    for status in ["404 Not Found", "403 Forbidden", "410 Gone"] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").leak();
        assert_eq!(ask(says(answer)), Ok(false));
    }
}

#[test]
fn other_answers_are_errors() {
    assert_refused(
        says("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"),
        "answers with status 500, wanted 200",
    );
    assert_refused(says("HTTP/1.1 204 Nothing\r\n\r\n"), "answers with status 204, wanted 200");
    assert_refused(says("this is no http\r\n\r\n"), "cannot fetch");
}

#[test]
fn redirects_that_go_round_come_to_an_end() {
    let round = |_: &str, stream: &mut TcpStream| {
        let answer = "HTTP/1.1 302 Found\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n";
        let _ = stream.write_all(answer.as_bytes());
    };
    assert_refused(round, "too many redirects");
}

#[test]
fn redirects_lead_to_servers_only() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n";
    assert!(ask(says(answer)).is_err());
}

#[test]
fn headers_without_end_are_refused() {
    let endless = |_: &str, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(format!("X-Long: {}\r\n", "x".repeat(1000)).as_bytes()).is_ok() {}
    };
    assert_refused(endless, "header");
}

#[test]
fn a_narinfo_of_a_gigabyte_is_refused() {
    assert_refused(
        says("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\nStorePath: "),
        "is longer than 1048576 bytes",
    );
    let endless = |_: &str, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while stream.write_all(chunk.as_bytes()).is_ok() {}
    };
    assert_refused(endless, "is longer than 1048576 bytes");
}

#[test]
fn silence_is_not_waited_for() {
    let mute = |_: &str, _: &mut TcpStream| thread::sleep(Duration::from_mins(1));
    assert_refused(mute, "timeout");
    let half = |_: &str, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nStorePath: ");
        thread::sleep(Duration::from_mins(1));
    };
    assert_refused(half, "timeout");
}

#[test]
fn a_body_that_is_cut_off_is_an_error() {
    assert_refused(
        says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nStorePath: "),
        "cannot read",
    );
}

#[test]
fn bytes_that_were_compressed_on_the_way_are_refused() {
    assert_refused(
        says("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
        "comes in encoding `gzip`, which was not asked for",
    );
}

#[test]
fn a_server_without_a_cache_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert!(refused(BinaryCache::open(&closed, impatient())).starts_with("cannot fetch"));

    let url = serve(says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
    let refusal = refused(BinaryCache::open(&format!("{url}/elsewhere/"), impatient()));
    assert!(refusal.ends_with("is not a binary cache: it has no nix-cache-info"), "{refusal}");
}

/// A server that gives out one NAR.
fn nar_server(info: &NarInfo, answer: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> String {
    let (key, mut info) =
        (hoist_nix::SecretKey::from_seed("test-1", &[1; 32]).unwrap(), info.clone());
    info.sign(&StoreDir::default(), &key);
    let text = info.print(&StoreDir::default());
    serve(move |path, stream| {
        if path.ends_with(".narinfo") {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
            let _ = stream.write_all((head + &text).as_bytes());
        } else {
            answer(stream);
        }
    })
}

fn trusting() -> CacheOptions {
    let key = hoist_nix::SecretKey::from_seed("test-1", &[1; 32]).unwrap();
    CacheOptions { trusted_keys: vec![key.to_public()], ..impatient() }
}

#[test]
fn a_nar_comes_in_chunks_or_whole() {
    let nar = vec![7; 50_000];
    let info = Hostile::new(Compression::None, b"", &nar).info;
    let wanted = nar.clone();
    let url = nar_server(&info, move |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in nar.chunks(1000) {
            let _ = stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes());
            let _ = stream.write_all(piece);
            let _ = stream.write_all(b"\r\n");
        }
        let _ = stream.write_all(b"0\r\n\r\n");
    });
    let cache = BinaryCache::open(&url, trusting()).unwrap();
    assert!(fetch(&cache, &info.store_path).unwrap() == wanted);
}

#[test]
fn a_nar_without_end_is_left() {
    let info = Hostile::new(Compression::None, b"", &vec![7; 50_000]).info;
    let url = nar_server(&info, |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[7; 1000]).is_ok() {}
    });
    let cache = BinaryCache::open(&url, trusting()).unwrap();
    let refusal = fetch(&cache, &info.store_path).unwrap_err();
    assert!(refusal.ends_with("the NAR has more than 50000 bytes"), "{refusal}");
}

#[test]
fn a_nar_whose_server_goes_away_is_told_from_a_damaged_one() {
    let nar = vec![7; 50_000];
    let info = Hostile::new(Compression::None, b"", &nar).info;
    let url = nar_server(&info, move |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n");
        let _ = stream.write_all(&nar[..20_000]);
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    let cache = BinaryCache::open(&url, trusting()).unwrap();
    let mut nar = cache.nar(&cache.info(&info.store_path).unwrap().unwrap()).unwrap();
    let error = std::io::copy(&mut nar, &mut std::io::sink()).unwrap_err();
    assert!(matches!(reason(&error), FetchError::Read { .. }), "{error:?}");
}
