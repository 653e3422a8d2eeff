//! What a build or a project leaves in hoist's way: the host's files outside stay as they are.

use std::fs;
use std::path::PathBuf;

use hoist_testkit::{Hoist, tool};

/// A project of one C file, built by `script`, whose library is taken from `built`.
fn project(script: &str, built: &str) -> Option<Hoist> {
    tool("cc", "gcc")?;
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.write("adder.c", "int add(int a, int b) { return a + b; }\n");
    hoist.write("adder.h", "int add(int a, int b);\n");
    write_manifest(&hoist, script, built);
    Some(hoist)
}

fn write_manifest(hoist: &Hoist, script: &str, built: &str) {
    let built = if built.is_empty() { String::new() } else { format!("built = \"{built}\"\n") };
    let manifest = format!(
        "[package]\nname = \"adder\"\nversion = \"1.0\"\n\
         [build]\ntoolchain = \"custom\"\nsources = [\"adder.c\"]\n\
         command = [\"sh\", \"-ec\", '''{script}''']\n\
         [[library]]\npath = \"lib/libadder.so\"\nheader = \"adder.h\"\n{built}"
    );
    hoist.write("hoist.toml", manifest);
}

const COMPILE: &str = "cc -shared -fPIC -o $HOIST_OUT/lib/libadder.so adder.c";

/// A folder of the host that no build may touch.
fn victim(hoist: &Hoist) -> PathBuf {
    let folder = hoist.dir().join("victim");
    fs::create_dir(&folder).expect("the folder is ours");
    folder
}

fn refused(hoist: &Hoist, args: &[&str], code: i32, said: &str) -> String {
    let run = hoist.run(args).ended(code);
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(all.contains(said), "no `{said}` in: {all}");
    all
}

#[test]
fn a_link_in_the_output_does_not_lead_the_header_out_of_it() {
    for link in ["include", "share"] {
        let Some(hoist) = project("", "") else { return };
        let victim = victim(&hoist);
        let script = format!("{COMPILE}; ln -s {} $HOIST_OUT/{link}", victim.display());
        write_manifest(&hoist, &script, "");
        let said = refused(&hoist, &["ship"], 1, &format!("left a symlink at `{link}`"));
        assert!(said.contains("hint: let the build leave a folder"), "{said}");
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0, "{link}");
    }
}

#[test]
fn a_link_in_the_headers_place_is_not_written_through() {
    let Some(hoist) = project("", "") else { return };
    let file = victim(&hoist).join("file");
    fs::write(&file, "mine").unwrap();
    let link = format!("ln -s {} $HOIST_OUT/include/adder.h", file.display());
    write_manifest(&hoist, &format!("{COMPILE}; mkdir $HOIST_OUT/include; {link}"), "");
    refused(&hoist, &["ship"], 1, "left a symlink at `include/adder.h`");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn a_header_that_the_build_wrote_itself_is_replaced() {
    let script =
        format!("{COMPILE}; mkdir $HOIST_OUT/include; echo x > $HOIST_OUT/include/adder.h");
    let Some(hoist) = project(&script, "") else { return };
    hoist.stdout(["ship"]);
}

#[test]
fn a_library_is_not_collected_through_a_link_in_the_cache() {
    let Some(hoist) = project("", "") else { return };
    let library = victim(&hoist).join("libadder.so");
    fs::copy(std::env::current_exe().unwrap(), &library).unwrap();
    for (script, built, link) in [
        ("ln -sfn VICTIM /cache/t", "{cache}/t/libadder.so", "t"),
        ("ln -sf VICTIM/libadder.so /cache/libadder.so", "{cache}/libadder.so", "libadder.so"),
    ] {
        let victim = library.parent().unwrap().display().to_string();
        write_manifest(&hoist, &script.replace("VICTIM", &victim), built);
        refused(&hoist, &["ship"], 1, &format!("left a symlink at `{link}`"));
        // The second build meets the link that the first one left.
        refused(&hoist, &["ship"], 1, "error: ");
        assert!(library.is_file(), "{built}");
    }
}

#[test]
fn a_library_is_not_collected_through_a_link_in_the_output() {
    let Some(hoist) = project("", "") else { return };
    let victim = victim(&hoist);
    let link = format!("rmdir $HOIST_OUT/lib; ln -s {} $HOIST_OUT/lib", victim.display());
    let compile = COMPILE.replace("$HOIST_OUT/lib", "/cache");
    write_manifest(&hoist, &format!("{compile}; {link}"), "{cache}/libadder.so");
    refused(&hoist, &["ship"], 1, "left a symlink at `lib`");
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
}

#[test]
fn a_hard_link_in_the_cache_is_a_file_like_any_other() {
    let compile = COMPILE.replace("$HOIST_OUT/lib/libadder.so", "/cache/one.so");
    let script = format!("{compile}; ln -f /cache/one.so /cache/libadder.so");
    let Some(hoist) = project(&script, "{cache}/libadder.so") else { return };
    hoist.stdout(["ship"]);
}

#[test]
fn a_declared_source_may_be_the_library_itself() {
    let Some(hoist) = project("true", "adder.c") else { return };
    hoist.write("adder.c", "no library");
    refused(&hoist, &["ship"], 1, "file.not_elf");
}

#[test]
fn a_library_that_is_not_there_is_called_as_the_manifest_does() {
    let Some(hoist) = project("true", "build/libadder.so") else { return };
    let said = refused(&hoist, &["ship"], 1, "left no `build/libadder.so`");
    assert!(!said.contains("/work/build-"), "{said}");
}

#[test]
fn a_link_out_of_the_artifact_never_lands() {
    let to_library = COMPILE.replace("adder.c", "adder.c; mv $HOIST_OUT/lib/libadder.so /cache/x");
    for (link, file) in [
        ("ln -s /usr/share/doc $HOIST_OUT/doc", "doc"),
        ("ln -s ../../secret $HOIST_OUT/lib/secret", "lib/secret"),
        ("ln -s /cache/x $HOIST_OUT/lib/libadder.so", "lib/libadder.so"),
    ] {
        let compile = if file == "lib/libadder.so" { &*to_library } else { COMPILE };
        let Some(hoist) = project(&format!("{compile}; {link}"), "") else { return };
        let said = refused(&hoist, &["ship"], 1, &format!("error[file.link_escapes] {file}: "));
        assert_eq!(said.matches("error[").count(), 1, "{said}");
        assert!(said.contains("nothing was stored"), "{said}");
    }
}

#[test]
fn a_promised_library_may_be_a_link_to_another_of_the_artifact() {
    let script = COMPILE.replace("libadder.so", "libadder.so.1")
        + "; ln -s libadder.so.1 $HOIST_OUT/lib/libadder.so";
    let Some(hoist) = project(&script, "") else { return };
    hoist.stdout(["ship"]);
}

/// The artifact of the project, which `change` makes into another.
fn shipped() -> Option<(Hoist, PathBuf)> {
    let hoist = project(COMPILE, "")?;
    hoist.stdout(["ship"]);
    let store_path = hoist.stdout(["store", "ls", "--json"]);
    let start = store_path.find("/nix/store/").expect("a store path is listed");
    let end = store_path[start..].find('"').expect("it is a JSON text") + start;
    let artifact = hoist.root().join(&store_path[start + 1..end]);
    let copy = hoist.dir().join("artifact");
    let copied = std::process::Command::new("cp").arg("-r").arg(&artifact).arg(&copy).status();
    assert!(copied.expect("cp starts").success());
    let made_writable = std::process::Command::new("chmod").args(["-R", "u+w"]).arg(&copy).status();
    assert!(made_writable.expect("chmod starts").success());
    Some((hoist, copy))
}

#[test]
fn an_exported_name_is_asked_of_every_library_of_a_folder() {
    let Some((hoist, artifact)) = shipped() else { return };
    let artifact = artifact.to_str().unwrap();
    hoist.stdout(["check", "--export", "add", artifact]);
    refused(&hoist, &["check", "--export", "other", artifact], 1, "`other` is promised by");
    fs::remove_file(format!("{artifact}/share/hoist/abi.json")).unwrap();
    hoist.stdout(["check", "--export", "add", artifact]);
    refused(&hoist, &["check", "--export", "other", artifact], 1, "promised by --export");
}

#[test]
fn an_abi_file_that_cannot_be_believed_is_no_folder_without_promises() {
    let Some((hoist, artifact)) = shipped() else { return };
    let file = artifact.join("share/hoist/abi.json");
    let good = fs::read_to_string(&file).unwrap();
    let check = |content: &str, said: &str| {
        fs::write(&file, content).unwrap();
        refused(&hoist, &["check", artifact.to_str().unwrap()], 1, said);
    };
    check(&good.replace("\"edition\": 1", "\"edition\": 2"), "is of edition 2");
    for path in ["../../etc/passwd", "/etc/passwd", ""] {
        let said = format!("its library `{path}` lies outside the artifact");
        check(&good.replace("lib/libadder.so", path), &said);
    }
    check(&" ".repeat((16 << 20) + 1), "it has more than 16777216 bytes");
    check("{", "is not an ABI file");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
    refused(&hoist, &["check", artifact.to_str().unwrap()], 1, "no regular file of this folder");
}
