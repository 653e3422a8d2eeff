//! What the loader refuses, and what cannot be loaded here at all.

use std::fs;

use hoist_testkit::{Hoist, Run, not_checked, tool};

use crate::{ADD, Case, compile, is_without_sandbox};

#[test]
fn an_undefined_symbol_is_named() {
    let Some(case) = Case::c("int gone(void);\nint twice(void) { return 2 * gone(); }", &[]) else {
        return;
    };
    let Some(probed) = case.probe() else { return };
    let finding = probed.is("load.fail", &["`gone` is found in no library"]);
    assert_eq!(finding["symbol"], "gone");
}

#[test]
fn a_missing_library_is_named() {
    let Some(case) = Case::c("int other(void);\nint twice(void) { return other(); }", &[]) else {
        return;
    };
    let other = case.hoist.write("other.c", "int other(void) { return 1; }");
    let library = case.hoist.project().join("libother.so.1");
    compile("gcc", &other, &library, &["-Wl,-soname,libother.so.1"]).unwrap();
    let source = case.hoist.project().join("x.c");
    compile("gcc", &source, &case.library, &[library.to_str().unwrap()]).unwrap();
    let Some(probed) = case.probe() else { return };
    let finding = probed.is("load.fail", &["`libother.so.1` is needed and was not found"]);
    assert_eq!(finding["object"], "libother.so.1");

    // It is found where `$ORIGIN` leads, above the library's own folder too.
    fs::create_dir(case.hoist.project().join("lib")).unwrap();
    let inner = Case { library: case.hoist.project().join("lib/libx.so"), ..case };
    let search = [library.to_str().unwrap(), "-Wl,-rpath,$ORIGIN/.."];
    compile("gcc", &source, &inner.library, &search).unwrap();
    inner.is_clean();
}

#[test]
fn a_promise_that_is_not_kept_is_named() {
    let Some(case) = Case::c("", &[]) else { return };
    let Some(probed) = case.probe_with(&["--export", "add", "--export", "sub"]) else { return };
    let finding = probed.is("load.fail", &["`sub` is promised", "undefined symbol: sub"]);
    assert_eq!(finding["symbol"], "sub");
}

#[test]
fn what_another_library_has_is_not_this_ones() {
    let Some(case) = Case::c("", &["-Wl,--no-as-needed", "-lm"]) else { return };
    let Some(probed) = case.probe_with(&["--export", "cos"]) else { return };
    // `cos` is chosen by a resolver of libm, so its code is found there.
    let finding = probed.is("load.fail", &["`cos` is promised", "libm.so.6"]);
    assert_eq!(finding["symbol"], "cos");
}

#[test]
fn symbols_of_the_host_process_are_no_failure() {
    let source = "extern long PyLong_FromLong(long);\nlong f(void) { return PyLong_FromLong(1); }";
    let Some(case) = Case::c(source, &[]) else { return };
    let Some(probed) = case.probe() else { return };
    let finding = probed.is("load.unverified", &["`PyLong_FromLong` is provided by the process"]);
    assert_eq!(finding["severity"], "warning");
}

#[test]
fn a_search_path_to_a_home_shows_nothing_of_it() {
    // What lies there is read and printed, as a library would to get it into a public log.
    let source = "#include <stdio.h>\n__attribute__((constructor)) static void tell(void) {\n\
        char line[64] = \"nothing\"; FILE *f = fopen(\"/artifact/secret\", \"r\");\n\
        if (f && !fgets(line, sizeof line, f)) return; puts(line); }";
    let Some(case) = Case::c(source, &[]) else { return };
    let home = case.hoist.dir().join("home");
    fs::write(home.join("secret"), "the key").unwrap();
    fs::create_dir(home.join("downloads")).unwrap();
    let library = home.join("downloads/libx.so");
    let source = case.hoist.project().join("x.c");
    compile("gcc", &source, &library, &["-Wl,-rpath,$ORIGIN/../x"]).unwrap();
    let case = Case { library, ..case };
    let Some(probed) = case.probe() else { return };
    probed.is("load.side_effect", &["`nothing`"]);
}

#[test]
fn a_library_of_another_machine_is_refused_before_it_is_loaded() {
    let Some(case) = Case::c("", &[]) else { return };
    let mut bytes = fs::read(&case.library).unwrap();
    bytes[18] = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    fs::write(&case.library, bytes).unwrap();
    let run = case.hoist.run(["check", "--json", "--probe", case.library.to_str().unwrap()]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("target.machine"), "{}", run.stdout);
    assert!(!run.stdout.contains("load."), "{}", run.stdout);
}

#[test]
fn a_machine_without_a_sandbox_is_an_error_and_no_pass() {
    let Some(case) = Case::c("", &[]) else { return };
    let Some(unshare) = tool("unshare", "util-linux") else { return };
    let script = "echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all \
                  --inh-caps=-all --ambient-caps=-all --no-new-privs \"$@\"";
    let mut command = unshare.command();
    command.args(["-Urmpf", "--mount-proc", "sh", "-c", script, "sh"]);
    command.args(["setpriv", "--reuid=0", env!("CARGO_BIN_EXE_hoist"), "check", "--probe"]);
    let output = command.arg(&case.library).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("setpriv") || said.contains("unshare") || said.contains("sh:") {
        not_checked(&format!("a machine without user namespaces: {said}"));
        return;
    }
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("the load probe found no sandbox to work in"), "{said}");
    assert!(said.contains("hint: allow user namespaces"), "{said}");
}

#[test]
fn any_user_may_probe() {
    if !rustix::process::geteuid().is_root() {
        return; // every other test is that user's
    }
    let Some(setpriv) = tool("setpriv", "util-linux") else { return };
    let launcher =
        [setpriv.path().to_str().unwrap(), "--reuid=65534", "--regid=65534", "--clear-groups"];
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist")).with_own_program().launched_by(launcher);
    open_to_all(&hoist);
    let source = hoist.write("x.c", format!("#include <unistd.h>\n{ADD}__attribute__((constructor)) static void boom(void) {{ for (;;) fork(); }}"));
    let library = hoist.project().join("libx.so");
    if compile("gcc", &source, &library, &[]).is_none() {
        return;
    }
    let run = hoist.run(["check", "--json", "--probe", library.to_str().unwrap()]);
    if run.code == 3 {
        not_checked(&format!("the load probe as nobody: {}", run.stderr));
        return;
    }
    assert!(run.stdout.contains("load.hang"), "{}{}", run.stdout, run.stderr);
}

fn open_to_all(hoist: &Hoist) {
    use std::os::unix::fs::PermissionsExt as _;
    for folder in [hoist.dir().to_owned(), hoist.project(), hoist.dir().join("home")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
}

/// A project whose library ends the process that loads it, with `check` in its manifest.
fn write_project(hoist: &Hoist, check: &str) {
    let source = format!(
        "#include <stdlib.h>\n{ADD}__attribute__((constructor)) static void boom(void) {{ abort(); }}"
    );
    hoist.write("adder.c", source);
    let manifest = format!(
        "[package]\nname = \"adder\"\nversion = \"1\"\n[build]\ntoolchain = \"cc\"\nsources = [\"adder.c\"]\n\
         [[library]]\npath = \"lib/libadder.so\"\nexports = [\"add\"]\n{check}"
    );
    hoist.write("hoist.toml", manifest);
}

#[test]
fn a_project_is_probed_unless_it_says_no() {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    write_project(&hoist, "");
    let run = hoist.run(["build"]);
    if is_without_sandbox(&run) {
        return;
    }
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("load.crash"), "{}{}", run.stdout, run.stderr);
    write_project(&hoist, "[check]\nprobe = false\n");
    let run = hoist.run(["build"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}

#[test]
fn what_a_project_shipped_is_loaded_again_only_if_that_is_asked() {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    write_project(&hoist, "[check]\nprobe = false\n");
    let run = hoist.run(["ship"]);
    if is_without_sandbox(&run) {
        return;
    }
    let _ = run.ended(0);
    let check = |arguments: &[&str]| hoist.run([&["check", "--all"], arguments].concat());
    let told = |run: &Run| run.stdout.contains("load.crash");
    assert!(told(&check(&["--probe"]).ended(1)), "the flag goes before the manifest");
    write_project(&hoist, "");
    let run = check(&[]);
    assert!(!told(&run), "{}", run.stdout);
    write_project(&hoist, "[check]\nprobe = true\n");
    assert!(told(&check(&[]).ended(1)));
}
