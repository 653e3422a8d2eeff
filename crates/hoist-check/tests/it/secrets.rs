use hoist_elf::testing::Library;

use crate::{check, contract};

/// Messages of the rule about a library that holds `text`.
fn found(text: &str) -> Vec<String> {
    let library = Library { data: text.as_bytes().to_vec(), ..Library::new() };
    let findings = check(&library, &contract()).findings.into_iter();
    findings.filter(|found| found.rule == "leak.secret").map(|found| found.message).collect()
}

/// A body that no issuer gave out, written so that scanners of this repository pass it over.
fn body(length: usize) -> String {
    "q7Rt2Xw9Zk4Lm8Np1Vb3Cd5Fg6Hj0Ty".chars().cycle().take(length).collect()
}

#[test]
fn a_token_is_told_by_its_prefix_and_length() {
    for (what, prefix, length) in [
        ("a GitHub token", "ghp_", 36),
        ("a GitLab token", "glpat-", 20),
        ("an npm token", "npm_", 36),
        ("a Google API key", "AIza", 35),
    ] {
        let messages = found(&format!("\0{prefix}{}\0", body(length)));
        assert_eq!(messages.len(), 1, "{what}");
        assert!(messages[0].starts_with(&format!("{what} is in the file")), "{}", messages[0]);
        assert!(!messages[0].contains(&body(length)), "it must not be told whole");
        assert_eq!(found(&format!("\0{prefix}{}\0", body(length - 8))), [""; 0], "{what}: short");
    }
    assert_eq!(found(&format!("\0AKIA{}\0", "QW3RTY5UI7OPAS9D")).len(), 1);
}

#[test]
fn names_and_placeholders_are_no_tokens() {
    assert_eq!(found("\0AKIAIOSFODNN7EXAMPLE\0"), [""; 0], "of the issuer's documentation");
    assert_eq!(found(&format!("\0ghp_{}\0", "x".repeat(36))), [""; 0]);
    assert_eq!(found("\0hf_compute_the_score_of_every_row_in_place\0"), [""; 0]);
    assert_eq!(found(&format!("\0my_ghp_{}\0", body(36))), [""; 0], "inside a longer word");
}

#[test]
fn a_private_key_is_one_only_with_its_body() {
    let key = |line_end: &str| {
        let first = "-----BEGIN RSA PRIVATE KEY-----";
        format!("\0{first}{line_end}{}{line_end}{}\0", body(64), body(30))
    };
    assert_eq!(found(&key("\n")).len(), 1);
    assert_eq!(found(&key("\\n")).len(), 1, "with its line ends written out");
    assert_eq!(found("\0-----BEGIN RSA PRIVATE KEY-----\0-----END"), [""; 0], "as parsers have it");
}

#[test]
fn a_password_in_a_url_is_told_without_the_password() {
    let messages = found("\0https://ci:tr0ub4dor3@cache.example.org/x\0");
    assert_eq!(messages.len(), 1);
    assert!(messages[0].ends_with("`ci…`"), "{}", messages[0]);
    for harmless in [
        "http://user:password@host/",
        "http://%s:%s@host/",
        "https://example.org:8080/@x",
        "git://host/a:b1@c",
        "http://[::1]:8080/",
    ] {
        assert_eq!(found(&format!("\0{harmless}\0")), [""; 0], "{harmless}");
    }
}
