//! Derivations that Nix made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use hoist_nix::{
    ContentAddress, Derivation, DerivationError, DerivationJson, DerivationOutput, NarWriter,
    OutputMethod, OutputName, OutputPaths, Sha256Hash, StoreDir, StorePath, StorePathName,
};

use crate::{fixture, json, list, text};

/// The name of the derivation at `path`.
fn name(path: &StorePath) -> StorePathName {
    StorePathName::parse(path.name().strip_suffix(".drv").expect("a derivation")).unwrap()
}

fn parse(path: &StorePath, aterm: &[u8]) -> Result<Derivation, DerivationError> {
    Derivation::parse(&StoreDir::default(), &name(path), aterm)
}

/// All derivations of the vectors, by path.
fn closure() -> BTreeMap<StorePath, Vec<u8>> {
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.unwrap();
        let path = StorePath::parse(entry.file_name().to_str().unwrap()).unwrap();
        (path, fs::read(entry.path()).unwrap())
    };
    fs::read_dir(fixture("drv")).unwrap().map(entry).collect()
}

fn lookup(
    closure: &BTreeMap<StorePath, Vec<u8>>,
) -> impl FnMut(&StorePath) -> Result<Derivation, DerivationError> {
    |path| parse(path, &closure[path])
}

#[test]
fn texts_are_read_and_written_again_the_same() {
    let closure = closure();
    let dir = StoreDir::default();
    assert!(!closure.is_empty());
    for (path, aterm) in &closure {
        let derivation = parse(path, aterm).unwrap();
        assert!(derivation.to_aterm(&dir) == *aterm, "{path}");
        assert_eq!(derivation.store_path(&dir).as_ref(), Ok(path));
    }
    println!("derivations: {} texts", closure.len());
}

#[test]
fn output_paths_follow_from_the_closure() {
    let closure = closure();
    let dir = StoreDir::default();
    let mut paths = OutputPaths::new(dir.clone());
    for (path, aterm) in &closure {
        let derivation = parse(path, aterm).unwrap();
        assert_eq!(paths.check(&derivation, lookup(&closure)), Ok(()), "{path}");

        // The same from a derivation that does not know its outputs' paths yet.
        let mut blank = derivation.clone();
        for (name, output) in &mut blank.outputs {
            if matches!(output, DerivationOutput::InputAddressed(_)) {
                *output = DerivationOutput::Deferred;
            }
            blank.env.remove(name.as_str().as_bytes());
        }
        OutputPaths::new(dir.clone()).fill(&mut blank, lookup(&closure)).unwrap();
        assert_eq!(blank, derivation);
    }
    println!("derivations: {} with output paths", closure.len());
}

#[test]
fn derivations_are_those_that_nix_describes() {
    let vectors = json("derivations.json");
    let closure = closure();
    let dir = StoreDir::default();
    let cases = list(&vectors, "cases");
    for case in cases {
        let path = dir.parse_path(text(case, "drv_path")).unwrap();
        let aterm = &closure[&path];
        let derivation = parse(&path, aterm).unwrap();

        let outputs = OutputPaths::new(dir.clone()).of(&derivation, lookup(&closure)).unwrap();
        let outputs: BTreeSet<String> =
            outputs.into_values().map(|path| dir.print(&path.expect("known"))).collect();
        assert!(list(case, "output_paths").iter().eq(&outputs), "{path}");

        let references: Vec<String> =
            derivation.references().iter().map(|path| dir.print(path)).collect();
        let info = &case["info"];
        assert!(list(case, "references").iter().eq(&references), "{path}");
        assert!(list(info, "references").iter().eq(&references), "{path}");
        let address = ContentAddress::Text(Sha256Hash::of(aterm));
        assert_eq!(address.to_string(), text(info, "ca"), "{path}");

        let mut nar = NarWriter::new(Vec::new()).unwrap();
        nar.file(false, aterm.len() as u64, &mut aterm.as_slice()).unwrap();
        let nar = nar.finish();
        assert_eq!(Sha256Hash::of(&nar).sri(), text(info, "narHash"), "{path}");
        assert_eq!(info["narSize"], nar.len(), "{path}");

        let shown = &case["show_derivation_json"];
        for (version, form) in
            [("2.8.0", DerivationJson::Nix2_8), ("2.26.3", DerivationJson::Nix2_26)]
        {
            let ours = derivation.to_json(&dir, form).unwrap();
            let theirs = &shown[version][dir.print(&path)];
            assert_eq!(ours.to_string(), theirs.to_string(), "{path} by {version}");
        }
    }
    assert!(!cases.is_empty());
    println!("derivations: {} vectors, each as JSON of both versions", cases.len());
}

/// Floating outputs are an experiment that both versions share; what needs them waits, too.
#[test]
fn floating_outputs_defer_what_needs_them() {
    let vectors = json("derivations.json");
    let dir = StoreDir::default();
    let mut count = 0;
    for case in list(&vectors, "content_addressed_floating") {
        let aterms = case["result"]["aterm"].as_object().unwrap();
        let closure: BTreeMap<StorePath, Vec<u8>> = aterms
            .iter()
            .map(|(path, aterm)| {
                (dir.parse_path(path).unwrap(), aterm.as_str().unwrap().as_bytes().to_vec())
            })
            .collect();
        for (path, aterm) in &closure {
            let mut derivation = parse(path, aterm).unwrap();
            assert!(derivation.to_aterm(&dir) == *aterm, "{path}");
            assert_eq!(derivation.store_path(&dir).as_ref(), Ok(path));
            let mut paths = OutputPaths::new(dir.clone());
            assert_eq!(paths.check(&derivation, lookup(&closure)), Ok(()), "{path}");
            let unfilled = derivation.clone();
            paths.fill(&mut derivation, lookup(&closure)).unwrap();
            assert_eq!(derivation, unfilled);
            count += 1;
        }
    }
    assert!(count > 0);
    println!("derivations: {count} with floating outputs");
}

/// What of the evaluator's refusals can be asked of a derivation: its name, the names of its
/// outputs, and fixed outputs. hoist refuses what either version does.
#[test]
fn names_are_refused_as_the_evaluator_refuses_them() {
    let vectors = json("derivations.json");
    let mut held = 0;
    for case in list(&vectors, "eval_errors") {
        let exit = |version: &str| {
            let result = case.get("result").unwrap_or_else(|| &case["by_version"][version]);
            result["exit"] == 0
        };
        let accepted = exit("2.8.0") && exit("2.26.3");
        let expression = text(case, "expr");
        let Some(answer) = build(expression) else { continue };
        assert_eq!(answer.is_ok(), accepted, "{expression}: {answer:?}");
        if let Ok(path) = answer {
            let printed = text(&case["result"], "stdout").split('!').next();
            assert_eq!(printed, Some(StoreDir::default().print(&path).as_str()), "{expression}");
        }
        held += 1;
    }
    assert!(held > 0);
    println!("derivations: {held} of {} refusals", list(&vectors, "eval_errors").len());
}

/// Puts together what the expression says, as far as it is a matter of a derivation: attributes
/// that only the evaluator knows give `None`.
fn build(expression: &str) -> Option<Result<StorePath, String>> {
    let attributes = expression.strip_prefix("derivation { ")?.strip_suffix(" }")?;
    let attribute = |text: &str| {
        let (name, value) = text.split_once(" = ").expect("an attribute");
        (name.trim().to_owned(), value.trim().trim_matches(['"', '[', ']', ' ']).replace('"', ""))
    };
    let env: BTreeMap<String, String> = attributes
        .split_terminator(';')
        .filter(|text| !text.trim().is_empty())
        .map(attribute)
        .collect();
    let hash = env.get("outputHash");
    if env.contains_key("outputHashMode")
        || hash.is_some_and(|hash| !matches!(hash.len(), 0 | 64))
        || hash.is_some() && !env.contains_key("outputHashAlgo")
    {
        return None; // no derivation can say what is wrong with them
    }
    // The evaluator joins the names with spaces and splits them there again.
    let outputs: Vec<&str> = match env.get("outputs") {
        Some(names) => names.split_whitespace().collect(),
        None => vec!["out"],
    };
    if outputs.iter().collect::<BTreeSet<_>>().len() < outputs.len() {
        return None; // an output is there once, or the text is refused
    }
    Some(put_together(&env, &outputs, hash.is_some()))
}

fn put_together(
    env: &BTreeMap<String, String>,
    outputs: &[&str],
    is_fixed: bool,
) -> Result<StorePath, String> {
    fn said(error: impl std::fmt::Display) -> String {
        error.to_string()
    }
    let dir = StoreDir::default();
    let hash = Sha256Hash([0; 32]).into();
    let output = if is_fixed {
        DerivationOutput::Fixed { method: OutputMethod::Flat, hash }
    } else {
        DerivationOutput::Deferred
    };
    let named =
        |name: &&str| OutputName::parse(name).map(|name| (name, output.clone())).map_err(said);
    let mut derivation = Derivation {
        name: StorePathName::parse(&env["name"]).map_err(said)?,
        outputs: outputs.iter().map(named).collect::<Result<_, _>>()?,
        input_derivations: BTreeMap::new(),
        input_sources: BTreeSet::new(),
        platform: env["system"].clone().into(),
        builder: env["builder"].clone().into(),
        args: Vec::new(),
        env: env.iter().map(|(name, value)| (name.clone().into(), value.clone().into())).collect(),
    };
    let no_input = |_: &StorePath| -> Result<_, DerivationError> { unreachable!("no inputs") };
    OutputPaths::new(dir.clone()).fill(&mut derivation, no_input).map_err(said)?;
    derivation.store_path(&dir).map_err(said)
}

#[test]
fn what_nix_passes_over_is_refused() {
    let path = "k5wh23s5z9x2sqg0rr6blpfi4msn3cdh-fod-sri.drv";
    let path = StorePath::parse(path).unwrap();
    let aterm = String::from_utf8(closure()[&path].clone()).unwrap();
    let refusal = |from: &str, to: &str| {
        let changed = aterm.replacen(from, to, 1);
        assert_ne!(changed, aterm, "{from}");
        parse(&path, changed.as_bytes()).unwrap_err().to_string()
    };
    let cases = [
        (
            "Derive(",
            "DrvWithVersion(\"xp-dyn-drv\",",
            "found `DrvWith` at byte 0, wanted `Derive(`",
        ),
        (
            "vrpidp6q",
            "0rpidp6q",
            "its hash gives `/nix/store/vrpidp6q40302jhwgmdav6hkn95klgq7-fod-sri`",
        ),
        ("r:sha256", "text:sha256", "found kind of hash `text:sha256` before byte 150"),
        ("\"ed6d", "\"ED6D", "is not one in lower-case base16"),
        (
            "ed6d6fd86e2c0a2a69259df51dcd27c0a9b1c276fa8a31cf4fbf26c9cddd02d6",
            "impure",
            "hash `impure`",
        ),
        (
            "\"builder\"",
            "\"zbuilder\"",
            "variable `name` before byte 225 does not come after `zbuilder`",
        ),
        ("/bin/sh", "/bin\\/sh", "found `\\/` at byte 175, which Nix does not write"),
        ("/bin/sh", "/bin\n/sh", "the string at byte 175 holds the byte 0x0a as it is"),
        ("/bin/sh", "/bin\0/sh", "the string at byte 175 holds the byte 0x00 as it is"),
        ("(\"out\"", "(\"dev\"", "a fixed output must be `out` and the only one, found [\"dev\"]"),
        ("(\"out\"", "(\"drv\"", "`drv` cannot be the name of an output"),
        (",[(\"builder\"", ", [(\"builder\"", "found ` ` at byte 183, wanted `[`"),
    ];
    for (from, to, wanted) in cases {
        let refusal = refusal(from, to);
        assert!(refusal.contains(wanted), "{from}: {refusal}");
    }
    let longer = format!("{aterm}\n");
    let refusal = parse(&path, longer.as_bytes()).unwrap_err();
    assert_eq!(refusal, DerivationError::Trailing { offset: aterm.len() });
    for len in 0..aterm.len() {
        let refusal = parse(&path, &aterm.as_bytes()[..len]).unwrap_err();
        assert!(matches!(refusal, DerivationError::Truncated { .. }), "{len}: {refusal}");
    }
}

#[test]
fn strings_of_a_builder_are_bytes() {
    let path = StorePath::parse("v1x7ylvsiz9y106ac08pngsy82l2igb7-minimal.drv").unwrap();
    let mut derivation = parse(&path, &closure()[&path]).unwrap();
    derivation.env.insert(b"v".to_vec(), b"a\xff".to_vec());
    let aterm = derivation.to_aterm(&StoreDir::default());
    assert_eq!(parse(&path, &aterm).as_ref(), Ok(&derivation));
    let refusal = derivation.to_json(&StoreDir::default(), DerivationJson::Nix2_26).unwrap_err();
    assert_eq!(refusal.to_string(), "value `a\u{fffd}` is not UTF-8, which JSON cannot say");
}
