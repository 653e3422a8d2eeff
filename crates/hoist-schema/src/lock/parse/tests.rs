use proptest::prelude::*;

use super::*;
use crate::lock::{LockedPackage, LockedToolchain};

/// A lock with all there can be in one.
fn full() -> Lock {
    let path = |name: &str, folder: &str| {
        let name = StorePathName::parse(name).unwrap();
        let path = LockedPath::new(&name, &Sha256Hash::of(name.as_str().as_bytes()), 17_320);
        LockedPath { path: Some(format!("artifacts/x86_64-linux/{folder}")), ..path }
    };
    let digest = |text: &str| Sha256Hash::of(text.as_bytes()).base16();
    let system = LockedSystem {
        artifact: path("adder-1.0", "package"),
        caches: vec!["https://cache.example.org".to_owned(), "file:///srv/cache".to_owned()],
        hoist: Some(path("hoist", "hoist")),
        inputs: digest("inputs"),
        toolchain: LockedToolchain { digest: digest("cc"), name: "cc 12.2.0".to_owned() },
    };
    let package = LockedPackage { name: "adder".to_owned(), version: "1.0".to_owned() };
    let mut lock = Lock::new(package);
    lock.systems.insert("x86_64-linux".to_owned(), system);
    lock
}

/// Why the full lock is refused with `from` as `to`.
#[track_caller]
fn refusal(from: &str, to: &str) -> LockError {
    let text = full().to_string();
    assert!(text.contains(from), "{text}");
    Lock::parse(&text.replacen(from, to, 1)).unwrap_err()
}

#[test]
fn a_full_lock_reads_back_and_keeps_its_text() {
    let text = full().to_string();
    let lock = Lock::parse(&text).unwrap();
    assert_eq!(lock, full());
    assert_eq!(lock.to_string(), text);
    insta::assert_snapshot!(text);
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_right_one() {
    let error = refusal("\"narSize\"", "\"narsize\"");
    assert_eq!(error.to_string(), "unknown key `narsize` in systems.x86_64-linux.artifact");
    assert!(error.hint().starts_with("did you mean `narSize`? "), "{}", error.hint());
    let error = refusal("\"caches\"", "\"cache\"");
    assert_eq!(error.to_string(), "unknown key `cache` in systems.x86_64-linux");
    let error = refusal("\"package\": {", "\"packages\": {");
    assert_eq!(error.to_string(), "unknown key `packages` in the top level");
    let text = full().to_string();
    let (hoist, rest) = text.split_at(text.find("\"hoist\"").unwrap());
    let error = Lock::parse(&format!("{hoist}{}", rest.replacen("nar\"", "nra\"", 1))).unwrap_err();
    assert_eq!(error.to_string(), "unknown key `nra` in systems.x86_64-linux.hoist");
}

#[test]
fn a_key_that_is_there_twice_is_refused_at_its_place() {
    for key in ["\"package\":", "\"x86_64-linux\":", "\"nar\":"] {
        let error = refusal(key, &format!("{key} {{}},\n{key}"));
        assert!(error.to_string().contains("is there twice at line "), "{error}");
    }
}

#[test]
fn a_newer_version_is_refused_before_its_unknown_keys() {
    let text = full().to_string().replace("\"version\": 1\n", "\"version\": 2, \"new\": []\n");
    let error = Lock::parse(&text).unwrap_err();
    assert_eq!(error.to_string(), "it has version 2, and this hoist reads versions up to 1");
    assert_eq!(error.hint(), "use the hoist that wrote it, or a newer one");
    assert_eq!(refusal("\"version\": 1\n", "\"version\": 0\n"), LockError::NoVersion);
}

#[test]
fn a_missing_key_and_a_wrong_type_are_refused() {
    let error = refusal("\"narSize\": 17320", "\"narSize\": \"17320\"").to_string();
    assert!(error.contains("invalid type: string"), "{error}");
    let error =
        refusal("      \"inputs\":", "      \"caches\": [],\n      \"inputs\":").to_string();
    assert!(error.contains("`caches` is there twice"), "{error}");
    let error = Lock::parse("{\"version\": 1, \"systems\": {}}").unwrap_err().to_string();
    assert!(error.starts_with("missing field `package`"), "{error}");
}

#[test]
fn a_hash_and_a_path_that_do_not_agree_are_refused() {
    let lock = full();
    let artifact = &lock.systems["x86_64-linux"].artifact;
    let other = Sha256Hash::of(b"another");
    for (key, found, other) in [
        ("storePath", &artifact.nar_hash, other.sri()),
        ("storePath", &artifact.store_path, artifact.store_path.replace("1.0", "1.1")),
        ("nar", &artifact.nar, format!("nar/{}.nar", other.nix32())),
        ("narHash", &artifact.nar_hash, artifact.nar_hash.replace('=', "")),
        ("narHash", &artifact.nar_hash, "sha512-AAAA".to_owned()),
        ("storePath", &artifact.store_path, artifact.store_path.replace("/nix/", "/gnu/")),
    ] {
        let error = refusal(found, &other).to_string();
        assert!(error.starts_with(&format!("systems.x86_64-linux.artifact.{key} is ")), "{error}");
    }
}

#[test]
fn values_that_lead_elsewhere_are_refused() {
    let folder = "\"artifacts/x86_64-linux/package\"";
    for path in ["\"../x\"", "\"/etc\"", "\"a/../b\"", "\"\"", "\"a/\"", "\".\"", "\"a\\nb\""] {
        let error = refusal(folder, path).to_string();
        assert!(error.starts_with("systems.x86_64-linux.artifact.path is "), "{path}: {error}");
    }
    for system in ["\"linux\"", "\"x86_64-\"", "\"../..\""] {
        let error = refusal("\"x86_64-linux\"", system).to_string();
        assert!(error.starts_with("a key of systems is "), "{error}");
    }
    let digest = Sha256Hash::of(b"inputs").base16();
    let error = refusal(&digest, &digest.to_uppercase()).to_string();
    assert!(error.starts_with("systems.x86_64-linux.inputs is "), "{error}");
    let error = refusal("17320", "9223372036854775808").to_string();
    assert!(error.contains("fits in 63 bits"), "{error}");
}

#[test]
fn caches_are_urls_without_secrets_and_queries() {
    for good in [
        "https://cache.example.org",
        "http://[::1]:8080/a/b",
        "file:///srv/cache",
        "s3://bucket/prefix",
    ] {
        assert_eq!(cache_url(&format!("{good}/")).as_deref(), Ok(good));
    }
    for bad in [
        "",
        "/srv/cache",
        "file://srv/cache",
        "file:///",
        "https://",
        "https:///x",
        "https://user:secret@example.org",
        "s3://bucket?region=x",
        "https://x/#y",
        "https://x y",
        "ssh://host",
        "https://x/${y}",
    ] {
        assert!(cache_url(bad).is_err(), "{bad}");
    }
    let error = refusal("\"file:///srv/cache\"", "\"file:///srv/cache/\"").to_string();
    assert!(error.starts_with("systems.x86_64-linux.caches.1 is "), "{error}");
}

#[test]
fn a_lock_that_is_too_long_or_too_deep_is_refused() {
    let error = Lock::parse(&" ".repeat(MAX_LOCK_BYTES + 1)).unwrap_err();
    assert!(matches!(error, LockError::TooLong { .. }));
    assert!(Lock::parse(&"[".repeat(MAX_LOCK_BYTES)).is_err());
}

#[test]
fn the_schema_of_the_lock_is_stable() {
    insta::assert_json_snapshot!(lock_json_schema());
}

proptest! {
    /// Any change of one byte is refused, or gives a lock that is written and read as itself.
    #[test]
    fn a_damaged_lock_is_read_or_refused(at in 0_usize..1200, byte in 32_u8..127) {
        let mut text = full().to_string().into_bytes();
        let at = at % text.len();
        text[at] = byte;
        if let Ok(text) = String::from_utf8(text) && let Ok(lock) = Lock::parse(&text) {
            prop_assert_eq!(Lock::parse(&lock.to_string()), Ok(lock));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}") {
        let _ = Lock::parse(&text);
        let _ = cache_url(&text);
        let _ = vendor_path(&text);
    }
}
