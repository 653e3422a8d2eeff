//! Narinfos, keys and listings that Nix wrote, and narinfos that Nix was offered.

use std::collections::BTreeSet;
use std::fs;

use hoist_nix::{
    CacheInfo, NarInfo, NarInfoError, NarLimits, OfferError, PublicKey, SecretKey, Signature,
    StoreDir, StorePath, StorePathError, Voucher, write_listing,
};
use serde_json::Value;

use crate::{each_of, fixture, json, list, text};

fn secret_key(vectors: &Value, name: &str) -> SecretKey {
    SecretKey::parse(text(&vectors["test_only_keys"][name], "secret")).unwrap()
}

fn public_keys(texts: &str) -> Vec<PublicKey> {
    texts.split(' ').map(|text| PublicKey::parse(text).unwrap()).collect()
}

/// Every narinfo of the vectors, with what else is said of it.
fn narinfos(vectors: &Value) -> Vec<&Value> {
    let of_caches = list(vectors, "caches").iter().flat_map(|cache| list(cache, "narinfos"));
    let more = list(vectors, "more").iter().flat_map(|more| {
        ["two_signatures", "content_addressed_unsigned", "flat_fixed_signed"]
            .into_iter()
            .flat_map(|kind| more[kind].as_object().expect("an object").values())
    });
    of_caches.chain(more).collect()
}

#[test]
fn narinfos_are_printed_as_nix_wrote_them() {
    let (dir, vectors) = (StoreDir::default(), json("narinfo.json"));
    let narinfos = narinfos(&vectors);
    for case in &narinfos {
        let text = text(case, "text");
        let info = NarInfo::parse(&dir, text.as_bytes()).unwrap();
        assert_eq!(info.print(&dir), text);
        assert_eq!(info.fingerprint(&dir), crate::text(case, "fingerprint"));
    }
    assert!(narinfos.len() >= 66);
    println!("narinfo: {} vectors", narinfos.len());
}

#[test]
fn signatures_are_those_of_nix_byte_for_byte() {
    let (dir, vectors) = (StoreDir::default(), json("narinfo.json"));
    let keys = ["hoist-test-1", "second-key-1"].map(|name| secret_key(&vectors, name));
    let mut count = 0;
    for case in narinfos(&vectors) {
        let mut info = NarInfo::parse(&dir, text(case, "text").as_bytes()).unwrap();
        for theirs in std::mem::take(&mut info.signatures) {
            let key = keys.iter().find(|key| key.name() == theirs.key_name()).unwrap();
            assert_eq!(key.sign(info.fingerprint(&dir).as_bytes()), theirs);
            info.sign(&dir, key);
            assert_eq!(info.signer(&dir, &[key.to_public()]), Some(&key.to_public()));
            count += 1;
        }
        assert_eq!(info.print(&dir), text(case, "text"));
    }
    assert!(count > 0);
    println!("narinfo: {count} signatures");
}

#[test]
fn keys_are_read_and_refused_as_nix_does() {
    let vectors = json("narinfo.json");
    for (name, key) in vectors["test_only_keys"].as_object().unwrap() {
        let secret = secret_key(&vectors, name);
        assert_eq!(secret.to_text().as_str(), text(key, "secret"));
        assert_eq!(secret.to_public().to_string(), text(key, "public"));
    }
    for case in each_of(&vectors, "key_parsing") {
        let result = case.get("result").unwrap_or(&case["by_version"]["2.26.3"]);
        let key = SecretKey::parse(text(case, "secret"));
        if text(case, "case") == "leading space" {
            assert!(key.is_err(), "Nix's list of trusted keys could not name it");
            continue;
        }
        assert_eq!(key.is_ok(), result["exit"] == 0, "{}", text(case, "case"));
        if let Ok(key) = key {
            assert_eq!(key.to_public().to_string(), text(result, "stdout"));
        }
    }
    println!("keys: {} vectors", list(&vectors, "key_parsing").len());
}

#[test]
fn listings_are_those_of_the_newest_nix_byte_for_byte() {
    let (dir, vectors) = (StoreDir::default(), json("narinfo.json"));
    let caches = list(&vectors, "caches");
    let newest = caches.iter().find(|cache| cache["dir"] == "cache/2.26.3-none").unwrap();
    let mut count = 0;
    for case in list(newest, "narinfos") {
        let info = NarInfo::parse(&dir, text(case, "text").as_bytes()).unwrap();
        let nar = fs::read(fixture("listing").join(info.url.as_str())).unwrap();
        let mut ours = Vec::new();
        write_listing(nar.as_slice(), NarLimits::default(), &mut ours).unwrap();

        let file = format!("{}.ls", info.store_path.hash_part());
        let theirs = fs::read(fixture("listing").join(&file)).unwrap();
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
        let ours: Value = serde_json::from_slice(&ours).unwrap();
        assert_eq!(ours, vectors["listings"][&file]["2.8.0"], "the order of keys aside");
        count += 1;
    }
    assert!(count > 0);
    println!("listings: {count} vectors");
}

#[test]
fn cache_infos_are_accepted_and_refused_as_nix_does() {
    let dir = StoreDir::default();
    let cases = &json("narinfo-tampered.json")["nix_cache_info_cases"];
    let cases = cases.as_array().expect("a list");
    for case in cases {
        let ours = match case["nix_cache_info"].as_str() {
            Some(text) => CacheInfo::parse(text.as_bytes()).is_ok_and(|info| info.is_for(&dir)),
            None => CacheInfo::default().is_for(&dir),
        };
        assert_eq!(Value::Bool(ours), case["result"]["accepted"], "{}", text(case, "name"));
    }
    for cache in list(&json("narinfo.json"), "caches") {
        let theirs = text(cache, "nix_cache_info");
        assert_eq!(CacheInfo::parse(theirs.as_bytes()).unwrap().to_string(), theirs);
    }
    println!("nix-cache-info: {} vectors", cases.len());
}

#[derive(Debug)]
enum Refusal {
    Text(NarInfoError),
    Offer(OfferError),
}

fn offer(case: &Value, keys: &[PublicKey]) -> Result<(NarInfo, Voucher), Refusal> {
    let dir = StoreDir::default();
    let wanted = dir.parse_path(text(case, "for_path")).unwrap();
    let info = NarInfo::parse(&dir, text(case, "narinfo_text").as_bytes());
    let info = info.map_err(Refusal::Text)?;
    let voucher = info.accept(&dir, &wanted, keys).map_err(Refusal::Offer)?;
    Ok((info, voucher))
}

/// What both releases refuse is refused before a byte of the NAR is read, but for what only the
/// NAR can show. What both accept is accepted, but for what they should not.
#[test]
fn tampered_narinfos_are_refused() {
    let vectors = json("narinfo-tampered.json");
    let keys = public_keys(text(&vectors, "trusted_public_keys"));
    let only_the_nar_shows = [
        "url-nonexistent",
        "compression-mismatch",
        "compression-missing",
        "nar-corrupt",
        "nar-contents-corrupt",
        "nar-truncated",
        "nar-empty",
        "xz-truncated",
        "xz-corrupt",
        "resigned-reference-to-missing-path", // which the store must ask about
    ];
    let nix_is_lax = [
        "filehash-wrong",
        "filesize-wrong",
        "url-traversal",
        "url-traversal-inside",
        "duplicate-storepath",
        "duplicate-references",
        "tab-separator",
        "references-double-space",
    ];
    let (mut left_to_nar, mut stricter) = (BTreeSet::new(), BTreeSet::new());
    for case in each_of(&vectors, "cases") {
        let (name, answer) = (text(case, "name"), offer(case, &keys));
        match (accepted_by_both(case), answer) {
            (Some(true), Err(_)) => drop(stricter.insert(name)),
            (Some(false), Ok(_)) => drop(left_to_nar.insert(name)),
            (Some(_), _) => {}
            (None, answer) => panic!("{name}: the releases differ; {answer:?}"),
        }
    }
    assert_eq!(left_to_nar, BTreeSet::from(only_the_nar_shows));
    assert_eq!(stricter, BTreeSet::from(nix_is_lax));
    println!("tampered narinfos: {} vectors", list(&vectors, "cases").len());
}

fn accepted_by_both(case: &Value) -> Option<bool> {
    if let Some(result) = case.get("result") {
        return result["accepted"].as_bool();
    }
    let [old, new] = ["2.8.0", "2.26.3"].map(|version| &case["by_version"][version]["accepted"]);
    old.as_bool().filter(|_| old == new)
}

#[test]
fn content_addresses_vouch_only_for_what_they_name() {
    let vectors = json("narinfo-tampered.json");
    let cases = each_of(&vectors, "content_addressed_cases");
    for case in cases {
        let answer = offer(case, &[]);
        let is_control = text(case, "name") == "control-unsigned-ca";
        assert_eq!(answer.is_ok(), is_control, "{}: {answer:?}", text(case, "name"));
        if let Ok((_, voucher)) = answer {
            assert_eq!(voucher, Voucher::Content);
        }
    }
    println!("content-addressed narinfos: {} vectors", cases.len());
}

/// Each release refuses the other's content that refers to itself; without its content address
/// and signed, both take it.
#[test]
fn content_that_refers_to_itself_is_refused_even_when_signed() {
    let (dir, vectors) = (StoreDir::default(), json("narinfo.json"));
    let key = secret_key(&vectors, "hoist-test-1");
    let mut count = 0;
    for more in list(&vectors, "more") {
        for case in more["content_addressed_unsigned"].as_object().unwrap().values() {
            let mut info = NarInfo::parse(&dir, text(case, "text").as_bytes()).unwrap();
            let path = info.store_path.clone();
            info.sign(&dir, &key);
            let answer = info.accept(&dir, &path, &[key.to_public()]);
            if !info.references.contains(&path) {
                assert_eq!(answer, Ok(Voucher::Key("hoist-test-1".to_owned())));
                continue;
            }
            let source = StorePathError::SelfReference { path: dir.print(&path) };
            assert_eq!(answer, Err(OfferError::ContentAddress { path: path.clone(), source }));
            info.content_address = None;
            let answer = info.accept(&dir, &path, &[key.to_public()]);
            assert_eq!(answer, Ok(Voucher::Key("hoist-test-1".to_owned())));
            count += 1;
        }
    }
    assert_eq!(count, 2);
}

/// Closures that one release made, offered to both: hoist takes what both take.
#[test]
fn content_goes_from_release_to_release_where_both_take_it() {
    let (dir, vectors) = (StoreDir::default(), json("narinfo.json"));
    let key = secret_key(&vectors, "hoist-test-1");
    let tampered = json("narinfo-tampered.json");
    let cases = each_of(&tampered, "content_addressed_across_versions");
    for case in cases {
        let top = dir.parse_path(text(case, "for_path")).unwrap();
        let file = format!("{}.narinfo", top.hash_part());
        let closures = list(&vectors, "more").iter();
        let mut closures =
            closures.map(|more| more["content_addressed_unsigned"].as_object().unwrap());
        let closure = closures.find(|closure| closure.contains_key(&file)).unwrap();

        let cache = text(case, "cache");
        let answer = closure.values().try_for_each(|made| {
            let mut info = NarInfo::parse(&dir, text(made, "text").as_bytes()).unwrap();
            if cache.starts_with("signed") {
                info.sign(&dir, &key);
            }
            if cache.contains("CA lines removed") {
                info.content_address = None;
            }
            let path = info.store_path.clone();
            info.accept(&dir, &path, &[key.to_public()]).map(drop)
        });
        let mut answers = case["consumer"].as_object().unwrap().values();
        let both = answers.all(|answer| answer["accepted"] == true);
        assert_eq!(answer.is_ok(), both, "{cache}: {answer:?}");
    }
    println!("content-addressed across releases: {} vectors", cases.len());
}

#[test]
fn refusals_name_the_line_and_the_rule() {
    let vectors = json("narinfo-tampered.json");
    let keys = public_keys(text(&vectors, "trusted_public_keys"));
    let refusal = |name: &str| {
        let case = list(&vectors, "cases").iter().find(|case| case["name"] == name).unwrap();
        match offer(case, &keys).unwrap_err() {
            Refusal::Text(error) => error.to_string(),
            Refusal::Offer(error) => error.to_string(),
        }
    };
    let libz = "a3q32d61r4q7czlx68ng3845pny0lq8l-libz-1.3";
    let cases = [
        ("crlf", "line 1 has the control character 0x0d".to_owned()),
        ("no-final-newline", "line 10 does not end with a line break".to_owned()),
        ("blank-line", "line 3 is not `Key: value`".to_owned()),
        ("duplicate-narhash", "line 11 says `NarHash` again, which line 6 says".to_owned()),
        ("narhash-missing", "`NarHash` is missing".to_owned()),
        (
            "narsize-negative",
            "`NarSize` in line 7 is `-1`, wanted a number of bytes up to 2^63 - 1".to_owned(),
        ),
        ("url-traversal", "`URL` in line 2 cannot be used".to_owned()),
        ("bad-signature", format!("the signature of `{libz}` by `hoist-test-1` does not fit it")),
        (
            "unknown-key-name",
            format!("`{libz}` is not signed by a trusted key, only by `unknown-1`"),
        ),
        ("no-signature", format!("`{libz}` has no signature and is not named by its content")),
        ("storepath-renamed", format!("the narinfo is of `{libz}x`, wanted `{libz}`")),
    ];
    for (name, wanted) in cases {
        assert_eq!(refusal(name), wanted, "{name}");
    }
}

#[test]
fn refuses_narinfos_that_nobody_needs() {
    let dir = StoreDir::default();
    let long = vec![b'x'; NarInfo::MAX_LEN + 1];
    let refusal = NarInfo::parse(&dir, &long).unwrap_err();
    assert_eq!(refusal.to_string(), "the narinfo is 1048577 bytes long, limit 1048576");

    let vectors = json("narinfo.json");
    let text = text(narinfos(&vectors)[0], "text");
    let with = |line: &str| NarInfo::parse(&dir, format!("{text}{line}\n").as_bytes());
    assert!(with(&format!("X-Later: {}", "x".repeat(100_000))).is_ok());
    let refusal = with(&format!("Sig: {}", "x".repeat(100_000))).unwrap_err();
    assert_eq!(refusal.to_string(), "`Sig` in line 11 is 100000 bytes long, limit 1100");
    assert!(matches!(with("X: \0"), Err(NarInfoError::ControlCharacter { line: 11, found: 0 })));
}

#[test]
fn a_broken_hash_does_not_vouch() {
    let dir = StoreDir::default();
    let digits = "n9hhqy7rh32yky794m3l9bw711qjc93j"; // of nothing: the hash is not looked at here
    let address = hoist_nix::ContentAddress::parse(&format!("fixed:r:sha1:{digits}")).unwrap();
    let name = hoist_nix::StorePathName::parse("old").unwrap();
    let path: StorePath = address.store_path(&dir, &name, &[]).unwrap();
    let vectors = json("narinfo.json");
    let mut info = NarInfo::parse(&dir, text(narinfos(&vectors)[0], "text").as_bytes()).unwrap();
    info.store_path = path.clone();
    info.references.clear();
    info.content_address = Some(address);
    info.signatures = vec![Signature::new("other-1".to_owned(), [0; 64])];
    let refusal = info.accept(&dir, &path, &[]).unwrap_err();
    assert_eq!(refusal, OfferError::WeakHash { path: path.clone(), kind: "sha1" });
    let key = secret_key(&vectors, "hoist-test-1");
    info.sign(&dir, &key);
    assert!(info.accept(&dir, &path, &[key.to_public()]).is_ok());
}
