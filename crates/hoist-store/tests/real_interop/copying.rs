//! Closures from one store to the other.

use std::process::Stdio;

use hoist_store::Trust;

use crate::closure::{Item, add, check, closure, key, print};
use crate::{World, with_each_nix};

/// Lets Nix copy all that is in one store to another, with or without trust in our key.
fn copy(world: &World, from: &str, to: &str, keys: &str) -> std::process::Output {
    let (from, to) = (world.uri(from), world.uri(to));
    let mut command = world.nix.command("nix");
    command.env("HOME", world.path("home"));
    command.args(["copy", "--all", "--from", &from, "--to", &to]);
    command.args(["--option", "trusted-public-keys", keys]).output().unwrap()
}

fn copied(world: &World, from: &str, to: &str) {
    let output = copy(world, from, to, &key().to_public().to_string());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", world.nix);
}

#[test]
fn nix_copies_out_of_our_store_and_into_another_of_ours() {
    with_each_nix(|world| {
        let items = closure();
        add(&world.open("ours"), &items);
        copied(world, "ours", "theirs");
        check(&world.open("theirs"), &items);
        // A store that was empty, made by hoist, is as good.
        drop(world.open("another"));
        copied(world, "theirs", "another");
        check(&world.open("another"), &items);
        world.verify("another");
    });
}

#[test]
fn nix_holds_our_signatures_against_our_key() {
    with_each_nix(|world| {
        let items = closure();
        add(&world.open("ours"), &items);
        let output = copy(world, "ours", "theirs", "");
        assert!(!output.status.success(), "{}: nobody trusted signed it", world.nix);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("signature"), "{said}");
        copied(world, "ours", "theirs");
    });
}

#[test]
fn we_sign_what_nix_registered() {
    with_each_nix(|world| {
        let mut items = closure();
        let unsigned = |item: &mut Item| std::mem::take(&mut item.new.signatures);
        let signatures: Vec<_> = items.iter_mut().map(unsigned).collect();
        let store = world.open("ours");
        for Item { new, nar } in &items {
            let mut nar = nar.as_slice();
            hoist_store::Backend::add_nar(&store, new, &mut nar, Trust::Caller).unwrap();
        }
        assert!(!copy(world, "ours", "theirs", &key().to_public().to_string()).status.success());
        for (item, signatures) in items.iter_mut().zip(signatures) {
            hoist_store::Backend::add_signatures(&store, &item.new.path, &signatures).unwrap();
            item.new.signatures = signatures;
        }
        drop(store);
        copied(world, "ours", "theirs");
        check(&world.open("theirs"), &items);
    });
}

#[test]
fn exports_are_the_same_bytes_and_go_both_ways() {
    with_each_nix(|world| {
        let items = closure();
        let store = world.open("ours");
        add(&store, &items);
        let paths: Vec<_> = items.iter().map(|item| item.new.path.clone()).collect();
        let mut ours = Vec::new();
        store.export(&paths, &mut ours).unwrap();
        drop(store);

        let mut export = world.command("ours", "nix-store");
        let theirs = export.arg("--export").args(paths.iter().map(print)).output().unwrap();
        assert!(theirs.stdout == ours, "{}: the exports differ", world.nix);

        let mut import = world.command("theirs", "nix-store");
        import.arg("--import").stdin(Stdio::piped()).stdout(Stdio::null());
        let mut import = import.spawn().unwrap();
        std::io::Write::write_all(&mut import.stdin.take().unwrap(), &ours).unwrap();
        assert!(import.wait().unwrap().success(), "{}", world.nix);
        let imported = world.open("theirs");
        for item in &items {
            let info = imported.path_info(&item.new.path).unwrap().unwrap();
            assert_eq!(info.nar_hash, item.new.nar_hash);
            assert_eq!(info.references, item.new.references);
        }
        drop(imported);

        let back = world.open("back");
        assert_eq!(back.import(theirs.stdout.as_slice(), Trust::Caller).unwrap().len(), 5);
        for item in &items {
            let info = back.path_info(&item.new.path).unwrap().unwrap();
            let refers = item.new.path.name() != "flat"; // by SHA-1, which is not looked for
            let address = item.new.content_address.as_ref().filter(|_| refers);
            assert_eq!(info.content_address, address.map(ToString::to_string));
        }
        drop(back);
        world.verify("back");
        world.verify("theirs");
    });
}

/// What Nix builds from, with its outputs, which Nix looks up in the database.
#[test]
fn derivations_come_over_with_their_outputs() {
    with_each_nix(|world| {
        let expression = r#"let dep = derivation { name = "dep"; system = "x86_64-linux";
            builder = "/bin/sh"; outputs = [ "out" "dev" ]; }; in
            derivation { name = "top"; system = "x86_64-linux"; builder = "/bin/sh"; inherit dep; }"#;
        let (top, _) = world.run("theirs", "nix-instantiate", &["--expr", expression]);
        let top = top.lines().next().unwrap().to_owned();
        let (requisites, _) = world.run("theirs", "nix-store", &["--query", "--requisites", &top]);
        let requisites: Vec<&str> = requisites.lines().collect();
        assert_eq!(requisites.len(), 2);
        let mut export = world.command("theirs", "nix-store");
        let stream = export.arg("--export").args(&requisites).output().unwrap().stdout;

        // A derivation is a text: nobody needs to vouch for it.
        world.open("ours").import(stream.as_slice(), Trust::Keys(&[])).unwrap();
        for derivation in requisites {
            let outputs =
                |root| world.run(root, "nix-store", &["--query", "--outputs", derivation]).0;
            assert_eq!(outputs("ours"), outputs("theirs"), "{}", world.nix);
        }
        world.verify("ours");
    });
}
