//! The store below a root: alone, as another user, and beside another process.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use hoist_store::{Backend, Store};

use crate::run;
use crate::site::Kind;
use crate::vectors::{CRATES, fixtures};

/// Tells a test that it is the process that another one started, and in which folder.
const DIR: &str = "HOIST_BACKEND_TEST_DIR";

struct Embedded {
    name: &'static str,
}

impl Kind for Embedded {
    fn name(&self) -> String {
        format!("embedded, {}", self.name)
    }

    fn open(&self, root: &Path) -> Box<dyn Backend> {
        Box::new(Store::open_or_create(root).unwrap())
    }
}

#[test]
fn embedded() {
    run(&Embedded { name: "as the user of the tests" });
}

fn child_of(test: &str, program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", "--nocapture", test]).env(DIR, dir).env("TMPDIR", dir);
    command
}

#[test]
fn embedded_as_another_user() {
    if env::var_os(DIR).is_some() {
        return run(&Embedded { name: "as another user" });
    }
    if !rustix::process::geteuid().is_root() {
        return hoist_testkit::not_checked("only root can become another user");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    // The folder that cargo builds in may be closed to other users, as may be the fixtures.
    let program = dir.path().join("program");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    for of_crate in ["hoist-nix", "hoist-store"] {
        let copy = dir.path().join("crates").join(of_crate).join("tests");
        fs::create_dir_all(&copy).unwrap();
        let copied = Command::new("cp").arg("-R").arg(fixtures(of_crate)).arg(&copy).status();
        assert!(copied.unwrap().success());
    }
    let mut child = child_of("embedded::embedded_as_another_user", &program, dir.path());
    child.env(CRATES, dir.path().join("crates"));
    let output = child.uid(65534).gid(65534).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    println!("{printed}");
}

/// Every store was made by another process, which has it open.
#[derive(Default)]
struct BesideAnother {
    others: Mutex<Vec<Child>>,
}

impl Kind for BesideAnother {
    fn name(&self) -> String {
        "embedded, beside another process".to_owned()
    }

    fn open(&self, root: &Path) -> Box<dyn Backend> {
        if !root.exists() {
            let program = env::current_exe().unwrap();
            let test = "embedded::embedded_beside_another_process";
            let mut command = child_of(test, &program, root);
            let mut other = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut said = other.stdout.take().unwrap();
            let mut heard = String::new();
            while !heard.contains(READY) {
                let mut byte = [0];
                said.read_exact(&mut byte).unwrap();
                heard.push(char::from(byte[0]));
            }
            other.stdout = Some(said);
            self.others.lock().unwrap().push(other);
        }
        Box::new(Store::open(root).unwrap())
    }
}

const READY: &str = "the store is open";

#[test]
fn embedded_beside_another_process() {
    if let Some(root) = env::var_os(DIR) {
        let store = Store::open_or_create(Path::new(&root)).unwrap();
        assert_eq!(store.list().unwrap(), []);
        println!("{READY}");
        std::io::stdout().flush().unwrap();
        let _ = std::io::stdin().read(&mut [0]); // ends with the other process
        return drop(store);
    }
    let kind = BesideAnother::default();
    run(&kind);
    for other in kind.others.into_inner().unwrap() {
        assert!(other.wait_with_output().unwrap().status.success());
    }
}
