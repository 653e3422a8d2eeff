//! Texts of derivations.

use hoist_nix::{
    Derivation, DerivationError, DerivationJson, OutputPaths, StoreDir, StorePath, StorePathName,
};

/// Any bytes are refused, or are the only text of a derivation; its paths and its JSON follow
/// without harm.
///
/// # Panics
///
/// Where that does not hold.
pub fn aterm(bytes: &[u8]) {
    let dir = StoreDir::default();
    let name = StorePathName::parse("fuzzed-1.0").expect("it is a name");
    let Ok(derivation) = Derivation::parse(&dir, &name, bytes) else { return };
    assert_eq!(derivation.to_aterm(&dir), bytes, "accepted, and another text of the same");
    for form in [DerivationJson::Nix2_8, DerivationJson::Nix2_26] {
        let _ = derivation.to_json(&dir, form);
    }
    // Every input is this derivation again, which is refused where it asks too deep.
    let input = |_: &StorePath| Ok::<_, DerivationError>(derivation.clone());
    let _ = OutputPaths::new(dir).of(&derivation, input);
}
