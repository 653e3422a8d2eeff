//! Users that a daemon does not trust.

use hoist_nix::wire::worker::DaemonTrust;
use hoist_nix::{SecretKey, StoreDir, StorePathName, fingerprint};
use hoist_store::{Backend, DaemonError, DaemonStore, StoreError, Trust};
use rustix::process::Uid;

use crate::archives::{add, file, offer, offer_by_content, path};
use crate::sockets::Listener;
use crate::with_each;
use crate::world::added;

/// Runs `work` as `nobody`, in a thread that ends with it.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let nobody = Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

fn root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        hoist_testkit::not_checked("only root can become another user");
    }
    is_root
}

fn is_not_trusted(error: &StoreError) -> bool {
    matches!(error, StoreError::Daemon(DaemonError::NotTrusted { .. }))
}

/// Whatever a test does as another user, with a daemon that runs as root.
fn nobody_with_daemon(config: &str, work: impl Fn(&DaemonStore) + Sync) {
    if !root() {
        return;
    }
    with_each(|world| {
        let listener = Listener::start(world, config);
        as_nobody(|| work(&listener.connect().unwrap()));
    });
}

#[test]
fn a_user_who_is_not_trusted_adds_what_vouches_for_itself() {
    nobody_with_daemon("", |store| {
        let told = store.trust();
        assert!(matches!(told, DaemonTrust::NotTrusted | DaemonTrust::Unknown), "{told:?}");
        let nar = file(b"contents");
        let new = offer_by_content("by-content-1", &nar);
        assert!(!add(store, &new, &nar).unwrap());

        let refusal = added(store, "on-my-word", &nar).unwrap_err();
        assert!(is_not_trusted(&refusal), "{refusal:?}");
        assert!(!store.is_valid(&path("on-my-word")).unwrap());
        let key = SecretKey::from_seed("nobody-1", &[1; 32]).unwrap();
        // Anybody may add signatures to a path since: they are worth what their keys are.
        let added = store.add_signatures(&new.path, &[key.sign(b"x")]);
        match store.trust() {
            DaemonTrust::Unknown => assert!(is_not_trusted(&added.unwrap_err())),
            _ => added.unwrap(),
        }
        assert!(store.is_valid(&new.path).unwrap(), "the connection goes on");
    });
}

#[test]
fn a_user_who_is_not_trusted_adds_what_a_trusted_key_vouches_for() {
    let key = SecretKey::from_seed("trusted-1", &[2; 32]).unwrap();
    let keys = [key.to_public()];
    nobody_with_daemon(&format!("trusted-public-keys = {}", keys[0]), |store| {
        let nar = file(b"contents");
        let mut new = offer(path("signed"), &nar);
        let dir = StoreDir::default();
        let said = fingerprint(&dir, &new.path, &new.nar_hash, new.nar_size, &new.references);
        new.signatures = vec![key.sign(said.as_bytes())];
        assert!(!store.add_nar(&new, &mut nar.as_slice(), Trust::Keys(&keys)).unwrap());
    });
}

#[test]
fn a_user_who_is_not_trusted_adds_trees() {
    if !root() {
        return;
    }
    with_each(|world| {
        let listener = Listener::start(world, "");
        let tree = world.tree(b"contents");
        as_nobody(|| {
            let store = listener.connect().unwrap();
            let name = StorePathName::parse("tree").unwrap();
            assert!(!store.add_tree(&name, &tree).unwrap().already_there);
            assert!(store.add_tree(&name, &tree).unwrap().already_there);
        });
    });
}

#[test]
fn a_user_who_is_not_let_in_is_told() {
    if !root() {
        return;
    }
    with_each(|world| {
        let listener = Listener::start(world, "allowed-users = root");
        listener.connect().unwrap();
        let refusal = as_nobody(|| listener.connect().unwrap_err());
        assert!(matches!(refusal, DaemonError::Refused { .. }), "{refusal:?}");
    });
}
