//! Texts of hashes.

use hoist_nix::{Hash, HashAlgorithm, Sha256Hash, base32};

use crate::{base16, each_of, json, list, text};

fn algorithm(name: &str) -> HashAlgorithm {
    match name {
        "md5" => HashAlgorithm::Md5,
        "sha1" => HashAlgorithm::Sha1,
        "sha256" => HashAlgorithm::Sha256,
        "sha512" => HashAlgorithm::Sha512,
        other => panic!("`{other}` is no algorithm of the vectors"),
    }
}

#[test]
fn base32_of_every_length_is_that_of_nix() {
    let vectors = json("base32.json");
    for case in each_of(&vectors, "encode_by_length") {
        let bytes = base16(text(case, "hex"));
        assert_eq!(base32::encode(&bytes), text(case, "nix32"));
        let mut decoded = vec![0; bytes.len()];
        base32::decode_into(text(case, "nix32"), &mut decoded).unwrap();
        assert_eq!(decoded, bytes);
    }
    println!("{} texts", list(&vectors, "encode_by_length").len());
}

#[test]
fn every_encoding_of_every_kind_is_read() {
    let vectors = json("base32.json");
    for case in each_of(&vectors, "by_hash_type") {
        let algorithm = algorithm(text(case, "algo"));
        let bytes = base16(text(case, "base16"));
        for key in ["base16", "nix32", "base64", "sri"] {
            let hash = Hash::parse_as(algorithm, text(case, key)).unwrap();
            assert_eq!(hash.as_bytes(), bytes);
        }
        let hash = Hash::parse(text(case, "sri")).unwrap();
        assert_eq!(hash.to_string(), format!("{}:{}", text(case, "algo"), text(case, "nix32")));
        if let Ok(hash) = Sha256Hash::parse(text(case, "sri")) {
            assert_eq!(
                (hash.sri(), hash.base16()),
                (text(case, "sri").into(), text(case, "base16").into())
            );
        }
    }
    println!("{} hashes", list(&vectors, "by_hash_type").len());
}

#[test]
fn texts_are_accepted_and_refused_as_nix_does() {
    let vectors = json("base32.json");
    for case in each_of(&vectors, "parse") {
        let result = case.get("result").unwrap_or(&case["by_version"]["2.26.3"]);
        let parsed = Hash::parse_as(algorithm(text(case, "algo")), text(case, "input"));
        assert_eq!(Some(parsed.is_ok()), result["accepted"].as_bool(), "{}", text(case, "why"));
        if let Ok(hash) = parsed {
            assert_eq!(hash.as_bytes(), base16(text(result, "stdout")), "{}", text(case, "why"));
        }
    }
    println!("{} texts", list(&vectors, "parse").len());
}
