//! The flake that hoist writes, held against every real Nix: what it builds is what hoist shipped.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the runner shows which releases were asked")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use hoist_testkit::{Hoist, NixRelease, Run, nix_releases, not_checked, tool};
use serde_json::Value;

/// A git repository with `adder`, shipped and with a flake, and one release of Nix.
struct Flake {
    hoist: Hoist,
    nix: NixRelease,
    /// The `/nix` of this test alone.
    store: PathBuf,
    /// What hoist shipped.
    shipped: String,
}

/// Runs `check` with every release of Nix that can be given a `/nix` of its own; `words` are those
/// of `hoist flake`.
fn with_every_nix(words: &[&str], check: impl Fn(&Flake)) {
    if tool("git", "git").is_none() {
        return;
    }
    for release in nix_releases() {
        let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
        hoist.adder();
        let records = hoist.run(["ship", "--json"]).ended(0).records();
        let shipped = records.last().unwrap()["store_path"].as_str().unwrap().to_owned();
        let store = hoist.dir().join("nix");
        fs::create_dir(&store).unwrap();
        let Some(nix) = release.with_nix(&store) else { return };
        let flake = Flake { hoist, nix, store, shipped };
        flake.git(&["init", "--quiet"]);
        flake.write(words);
        check(&flake);
        println!("checked with {release}");
    }
}

impl Flake {
    fn git(&self, words: &[&str]) {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=test", "-c", "user.email=test@localhost"]).args(words);
        command.current_dir(self.hoist.project()).env("HOME", self.hoist.dir().join("home"));
        let _ = Run::of(&mut command).ended(0);
    }

    /// Writes the flake and lets git know of all that is there.
    fn write(&self, words: &[&str]) {
        let _ = self.hoist.run([&["flake", "--force"], words].concat()).ended(0);
        self.git(&["add", "--force", "--all", "."]);
    }

    /// `nix WORDS` in the project, offline but for loopback.
    fn nix(&self, words: &[&str]) -> Run {
        let mut command = self.nix.command("nix");
        let proxies = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"];
        for variable in proxies.into_iter().chain(["LD_LIBRARY_PATH"]) {
            command.env_remove(variable);
        }
        command.args(words).current_dir(self.hoist.project());
        Run::of(command.env("HOME", self.hoist.dir().join("home")))
    }

    /// Builds the flake's package and returns the store path that it gives.
    #[track_caller]
    fn build(&self, options: &[&str]) -> String {
        let link = self.hoist.dir().join("result");
        let words = ["build", ".", "--out-link", link.to_str().unwrap()];
        let _ = self.nix(&[&words, options].concat()).ended(0);
        fs::read_link(&link).unwrap().to_str().unwrap().to_owned()
    }

    /// The bytes of the library in the store that Nix wrote to.
    fn built_library(&self) -> Vec<u8> {
        let path = self.shipped.strip_prefix("/nix/").unwrap();
        fs::read(self.store.join(path).join("lib/libadder.so")).unwrap()
    }

    /// The bytes of the library in hoist's own store.
    fn shipped_library(&self) -> Vec<u8> {
        fs::read(format!("{}{}/lib/libadder.so", self.hoist.root().display(), self.shipped))
            .unwrap()
    }

    /// A cache that `nix copy` filled from hoist's store.
    fn cache(&self, compression: &str) -> PathBuf {
        let cache = self.hoist.dir().join(format!("cache-{compression}"));
        let from = format!("local?root={}", self.hoist.root().display());
        let to = format!("file://{}?compression={compression}", cache.display());
        let _ = self.nix(&["copy", "--from", &from, "--to", &to, &self.shipped]).ended(0);
        cache
    }

    fn lock(&self) -> Value {
        serde_json::from_slice(&fs::read(self.hoist.project().join("hoist.lock")).unwrap()).unwrap()
    }

    /// Takes what was built out of the store again.
    fn forget(&self) {
        let _ = fs::remove_file(self.hoist.dir().join("result"));
        let mut collect = self.nix.command("nix-store");
        let _ = Run::of(collect.arg("--gc")).ended(0);
        assert!(!self.store.join(self.shipped.strip_prefix("/nix/").unwrap()).exists());
    }
}

#[test]
fn nix_builds_the_path_that_hoist_shipped_from_the_copy_in_the_repository() {
    with_every_nix(&["--vendor"], |flake| {
        assert_eq!(flake.build(&[]), flake.shipped);
        assert_eq!(flake.built_library(), flake.shipped_library());
        assert!(!flake.hoist.project().join("flake.lock").exists(), "there is nothing to lock");
        // The second time it is answered from Nix's evaluation cache, also after a collection.
        flake.git(&["commit", "--quiet", "--message", "x"]);
        assert_eq!(flake.build(&[]), flake.shipped);
        flake.forget();
        assert_eq!(flake.build(&[]), flake.shipped);
    });
}

#[test]
fn evaluation_is_pure_and_the_same_wherever_the_repository_lies() {
    with_every_nix(&["--vendor"], |flake| {
        flake.git(&["commit", "--quiet", "--message", "x"]);
        let elsewhere = flake.hoist.dir().join("elsewhere");
        flake.git(&["clone", "--quiet", ".", elsewhere.to_str().unwrap()]);
        let derivation = |place: &str| {
            let of_package = format!("{place}#packages.{}.adder.drvPath", system());
            flake.nix(&["eval", "--raw", &of_package]).ended(0).stdout
        };
        assert_eq!(derivation("."), derivation(elsewhere.to_str().unwrap()));
        let show = flake.nix(&["flake", "show", "--json"]).ended(0).stdout;
        let show: Value = serde_json::from_str(&show).unwrap();
        let system = system();
        assert_eq!(show["packages"][&system]["default"]["name"], "adder-1.0");
        assert_eq!(show["packages"][&system]["adder"]["name"], "adder-1.0");
        assert_eq!(show["devShells"][&system]["default"]["type"], "derivation");
        assert_eq!(show["overlays"]["default"]["type"], "nixpkgs-overlay");
        let _ = flake.nix(&["flake", "check"]).ended(0);
    });
}

#[test]
fn nix_builds_the_path_that_hoist_shipped_from_a_cache_in_a_folder() {
    with_every_nix(&[], |flake| {
        let cache = flake.cache("none");
        let nar = cache.join(locked_artifact(flake)["nar"].as_str().unwrap());
        assert!(nar.is_file(), "the lock names the NAR as Nix does");
        flake.write(&["--cache", &format!("file://{}", cache.display())]);
        assert_eq!(flake.build(&[]), flake.shipped);
        assert_eq!(flake.built_library(), flake.shipped_library());

        flake.forget();
        let mut bytes = fs::read(&nar).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::set_permissions(&nar, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&nar, bytes).unwrap();
        let run = flake.nix(&["build", "--no-link", "."]);
        assert_ne!(run.code, 0);
        assert!(run.stderr.contains("hash mismatch in fixed-output derivation"), "{}", run.stderr);
    });
}

#[test]
fn nix_fetches_over_http_from_within_its_sandbox() {
    with_every_nix(&[], |flake| {
        let url = serve(flake.cache("none"));
        flake.write(&["--cache", &url]);
        let sandboxed = ["--option", "sandbox", "true", "--option", "sandbox-fallback", "false"];
        let words = ["build", "--no-link", "."];
        let run = flake.nix(&[&words[..], &sandboxed].concat());
        if run.stderr.contains("does not support the kernel namespaces") {
            not_checked("the kernel lets Nix make no sandbox");
            return;
        }
        let _ = run.ended(0);
        assert_eq!(flake.built_library(), flake.shipped_library());
    });
}

#[test]
fn a_substituter_is_asked_first_and_needs_no_key() {
    with_every_nix(&[], |flake| {
        let cache = format!("file://{}", flake.cache("xz").display());
        let without = flake.nix(&["build", "--no-link", "."]);
        assert!(without.stderr.contains("hoist.lock-names-no-cache"), "{}", without.stderr);
        let from = ["--option", "substitute", "true", "--option", "substituters", &cache];
        assert_eq!(flake.build(&from), flake.shipped);
        assert_eq!(flake.built_library(), flake.shipped_library());
    });
}

#[test]
fn a_copy_that_was_changed_is_refused() {
    with_every_nix(&["--vendor=dist"], |flake| {
        flake.hoist.write("dist/package/include/adder.h", "changed");
        let run = flake.nix(&["build", "--no-link", "."]);
        assert_ne!(run.code, 0);
        assert!(run.stderr.contains("store path mismatch"), "{}", run.stderr);
    });
}

#[test]
fn nix_develop_has_the_library_at_hand() {
    with_every_nix(&["--vendor"], |flake| {
        let shown = r#"echo "$HOIST_LIB_PATH $LD_LIBRARY_PATH""#;
        let words = ["--offline", "develop", ".", "--command", "bash", "-c", shown];
        let run = flake.nix(&words).ended(0);
        let lib = format!("{}/lib", flake.shipped);
        assert_eq!(run.stdout.trim_end(), format!("{lib} {lib}"), "{}", run.stderr);
    });
}

#[test]
fn nixpkgs_gets_a_shell_and_an_overlay() {
    with_every_nix(&["--vendor"], |flake| {
        let system = system();
        let pkgs = format!(r#"{{ mkShell = x: x; stdenv.hostPlatform.system = "{system}"; }}"#);
        let shell = format!(r#"f: f {pkgs} {{ packages = [ 1 ]; shellHook = "echo mine"; }}"#);
        let shell = flake.nix(&["eval", "--json", ".#lib.devShell", "--apply", &shell]).ended(0);
        let shell: Value = serde_json::from_str(&shell.stdout).unwrap();
        assert_eq!(shell["HOIST_LIB_PATH"], format!("{}/lib", flake.shipped));
        assert_eq!(shell["packages"].to_string(), "[1]");
        let hook = shell["shellHook"].as_str().unwrap();
        assert!(hook.contains("LD_LIBRARY_PATH=") && hook.ends_with("\necho mine"), "{hook}");
        let overlay = format!("f: (f {pkgs} {{ }}).adder.outPath");
        let path = flake.nix(&["eval", "--raw", ".#overlays.default", "--apply", &overlay]);
        assert_eq!(path.ended(0).stdout, flake.shipped);
    });
}

#[test]
fn a_project_with_a_flake_of_its_own_reads_it_from_a_folder() {
    with_every_nix(&["--vendor"], |flake| {
        let own = flake.hoist.dir().join("own");
        fs::create_dir(&own).unwrap();
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(flake.hoist.project()).arg(own.join("adder"));
        let _ = Run::of(&mut copy).ended(0);
        fs::remove_dir_all(own.join("adder/.git")).unwrap();
        let text =
            "{ outputs = _: { inherit ((import ./adder/flake.nix).outputs { }) packages; }; }";
        fs::write(own.join("flake.nix"), text).unwrap();
        let place = format!("path:{}#packages.{}.adder.outPath", own.display(), system());
        assert_eq!(flake.nix(&["eval", "--raw", &place]).ended(0).stdout, flake.shipped);
    });
}

#[test]
fn nix_flake_check_runs_a_static_hoist_in_its_sandbox() {
    let Some(program) = static_hoist() else { return };
    with_every_nix(&["--vendor=dist", "--hoist", program.to_str().unwrap()], |flake| {
        let sandboxed = ["--option", "sandbox", "true", "--option", "sandbox-fallback", "false"];
        let check = |words: &[&str]| flake.nix(&[words, &sandboxed].concat());
        let run = check(&["flake", "check", "--print-build-logs"]);
        if run.stderr.contains("does not support the kernel namespaces") {
            not_checked("the kernel lets Nix make no sandbox");
            return;
        }
        let said = run.ended(0).stderr;
        assert!(said.contains("lib/libadder.so: no findings"), "{said}");
        let link = flake.hoist.dir().join("report");
        let output = format!(".#checks.{}.hoist", system());
        let _ = check(&["build", &output, "--out-link", link.to_str().unwrap()]).ended(0);
        let report = fs::read_link(&link).unwrap();
        let report = flake.store.join(report.strip_prefix("/nix").unwrap());
        let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
        assert_eq!(report["libraries"][0]["path"], "lib/libadder.so");

        // A library that no longer keeps its promise, named by a lock that is right in itself.
        let library = flake.hoist.project().join("dist/package/lib/libadder.so");
        fs::write(&library, "not a library").unwrap();
        let package = flake.hoist.project().join("dist/package");
        let packed = ["pack", package.to_str().unwrap(), "--name", "adder-1.0", "--json"];
        let packed = flake.hoist.run(packed).ended(0).records().remove(0);
        let mut lock = flake.lock();
        let artifact = lock["systems"].as_object_mut().unwrap().values_mut().next().unwrap();
        artifact["artifact"]["narHash"] = packed["nar_hash"].clone();
        artifact["artifact"]["storePath"] = packed["store_path"].clone();
        flake.hoist.write("hoist.lock", lock.to_string());
        let run = check(&["flake", "check", "--print-build-logs"]);
        assert_ne!(run.code, 0);
        assert!(run.stderr.contains("error[file.not_elf]"), "{}", run.stderr);
        assert!(run.stderr.contains("lib/libadder.so: 1 error"), "{}", run.stderr);
    });
}

/// The Nix name of this machine's system.
fn system() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

fn locked_artifact(flake: &Flake) -> Value {
    let lock = flake.lock();
    lock["systems"].as_object().unwrap().values().next().unwrap()["artifact"].clone()
}

/// A hoist that needs no library, compiled from the sources as they are.
fn static_hoist() -> Option<PathBuf> {
    let cargo = tool("cargo", "cargo")?;
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let mut build = Command::new(cargo.path());
    build
        .args(["build", "--offline", "--package", "hoist", "--bin", "hoist", "--target", &target])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(workspace)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_PROFILE_DEV_DEBUG", "false");
    let run = Run::of(&mut build).ended(0);
    let messages = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut programs =
        messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    Some(programs.next_back().unwrap())
}

/// Serves the files of `folder` over HTTP until the test ends, and returns the URL.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> =
                lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or("/");
            let (status, body) = match fs::read(folder.join(path.trim_start_matches('/'))) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    url
}
