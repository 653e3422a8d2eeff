//! Nix's formats as pure code: hashes and their texts, store paths, NAR.
