use hoist_check::Contract;
use hoist_elf::testing::Library;

use crate::{check, contract};

const GLIBC: &str = "a3q32d61r4q7czlx68ng3845pny0lq8l-glibc-2.38";

fn found(text: &str, contract: &Contract) -> Vec<String> {
    let library = Library { data: text.as_bytes().to_vec(), ..Library::new() };
    let findings = check(&library, contract).findings.into_iter();
    findings
        .filter(|found| found.rule == "store.reference_lost")
        .map(|found| found.message)
        .collect()
}

#[test]
fn a_store_path_that_nothing_keeps_is_named_once() {
    let text = format!("\0/nix/store/{GLIBC}/lib:/nix/store/{GLIBC}/lib64\0");
    let messages = found(&text, &contract());
    assert_eq!(messages.len(), 1);
    assert!(messages[0].starts_with(&format!("`/nix/store/{GLIBC}` is in the file at offset 0x")));
}

#[test]
fn a_reference_that_is_kept_is_in_order() {
    let kept = Contract { references: Some(vec![GLIBC[..32].to_owned()]), ..contract() };
    assert_eq!(found(&format!("\0/nix/store/{GLIBC}/lib\0"), &kept), [""; 0]);
}

#[test]
fn what_only_resembles_a_store_path_is_none() {
    for text in [
        "/nix/store/",
        "/nix/store/%s-%s",
        "/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-e-is-no-digit",
        "/nix/store/a3q32d61r4q7czlx68ng3845pny0lq8l",
    ] {
        assert_eq!(found(&format!("\0{text}\0"), &contract()), [""; 0], "{text}");
    }
}
