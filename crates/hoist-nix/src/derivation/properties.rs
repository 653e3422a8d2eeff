//! What holds of every derivation and of all bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Derivation, DerivationError, DerivationOutput, OutputMethod, OutputName, OutputPaths};
use crate::{Hash, HashAlgorithm, Sha256Hash, StoreDir, StorePath, StorePathName};

fn name() -> StorePathName {
    StorePathName::parse("made-up").expect("a name")
}

fn path(suffix: &'static str) -> impl Strategy<Value = StorePath> {
    (any::<[u8; 20]>(), "[a-z]{1,9}").prop_map(move |(digest, name)| {
        let name = StorePathName::parse(&format!("{name}{suffix}")).expect("letters only");
        StorePath::new(&digest, &name)
    })
}

fn output_name() -> impl Strategy<Value = OutputName> {
    "[a-c]{1,2}|out".prop_map(|name| OutputName::parse(&name).expect("letters only"))
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => 1_u8.., 1 => prop::sample::select(b"\n\r\t\"\\[]()".to_vec())];
    prop::collection::vec(byte, 0..12)
}

fn method() -> impl Strategy<Value = OutputMethod> {
    prop::sample::select(vec![OutputMethod::Flat, OutputMethod::Recursive])
}

fn outputs() -> impl Strategy<Value = BTreeMap<OutputName, DerivationOutput>> {
    let out = OutputName::parse("out").expect("a name");
    let addressed = path("").prop_map(DerivationOutput::InputAddressed);
    let floating = method()
        .prop_map(|method| DerivationOutput::Floating { method, algorithm: HashAlgorithm::Sha512 });
    prop_oneof![
        prop::collection::btree_map(output_name(), addressed, 1..4),
        prop::collection::btree_map(output_name(), floating, 1..4),
        prop::collection::btree_map(output_name(), Just(DerivationOutput::Deferred), 1..4),
        (method(), any::<[u8; 32]>()).prop_map(move |(method, hash)| {
            let hash = Hash::from(Sha256Hash(hash));
            BTreeMap::from([(out.clone(), DerivationOutput::Fixed { method, hash })])
        }),
    ]
}

prop_compose! {
    fn derivation()(
        outputs in outputs(),
        input_derivations in prop::collection::btree_map(
            path(".drv"),
            prop::collection::btree_set(output_name(), 1..3),
            0..3,
        ),
        input_sources in prop::collection::btree_set(path(""), 0..3),
        platform in bytes(),
        builder in bytes(),
        args in prop::collection::vec(bytes(), 0..3),
        env in prop::collection::btree_map(bytes(), bytes(), 0..4),
    ) -> Derivation {
        let name = name();
        Derivation {
            name, outputs, input_derivations, input_sources, platform, builder, args, env
        }
    }
}

proptest! {
    #[test]
    fn parsing_undoes_printing(derivation in derivation()) {
        let text = derivation.to_aterm(&StoreDir::default());
        prop_assert_eq!(Derivation::parse(&StoreDir::default(), &name(), &text)?, derivation);
    }

    /// What is not refused is the only text of its derivation.
    #[test]
    fn a_changed_text_is_refused_or_another_derivation(
        derivation in derivation(),
        position: prop::sample::Index,
        byte: u8,
    ) {
        let mut text = derivation.to_aterm(&StoreDir::default());
        let position = position.index(text.len());
        text[position] = byte;
        if let Ok(changed) = Derivation::parse(&StoreDir::default(), &name(), &text) {
            prop_assert_eq!(changed.to_aterm(&StoreDir::default()), text);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let text = [b"Derive([", bytes.as_slice()].concat();
        let _ = Derivation::parse(&StoreDir::default(), &name(), &text);
    }

    /// Nix refuses a derivation whose paths are not those that `fill` writes.
    #[test]
    fn filled_paths_are_those_that_are_checked(derivation in derivation()) {
        let mut derivation = Derivation { input_derivations: BTreeMap::new(), ..derivation };
        let unknown = |path: &StorePath| -> Result<_, DerivationError> {
            Err(DerivationError::Cycle { path: path.to_string() })
        };
        let mut paths = OutputPaths::new(StoreDir::default());
        paths.fill(&mut derivation, unknown)?;
        prop_assert_eq!(paths.check(&derivation, unknown), Ok(()));
        let filled = derivation.clone();
        paths.fill(&mut derivation, unknown)?;
        prop_assert_eq!(derivation, filled);
    }
}
