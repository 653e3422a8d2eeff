//! The paths of a derivation's outputs.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Derivation, DerivationError, DerivationOutput, OutputName};
use crate::content_address::make_path;
use crate::hash::base16;
use crate::{Sha256Hash, StoreDir, StorePath};

/// Works out the paths of outputs, and remembers what it learnt of each input.
///
/// The path of an output follows from the derivation and, through the identities of its inputs,
/// from all derivations before it. How a fixed output comes about is not part of its identity, so
/// that two ways to fetch a file are one input. Source: `hashDerivationModulo` of Nix.
///
/// Derivations are asked of a `lookup`, each at most once, and needed derivations first; only
/// those of one chain are held at a time.
#[derive(Debug, Clone)]
pub struct OutputPaths {
    dir: StoreDir,
    known: HashMap<StorePath, Input>,
}

/// What those that need a derivation must know of it.
#[derive(Debug, Clone)]
struct Input {
    /// None where its outputs' paths are not known before it is built.
    identity: Option<Sha256Hash>,
    outputs: BTreeSet<OutputName>,
}

/// A derivation whose inputs are looked at.
struct Open {
    path: StorePath,
    derivation: Derivation,
    inputs_left: Vec<StorePath>,
}

impl OutputPaths {
    /// Knows no derivation yet; all are in a store with paths below `dir`.
    #[must_use]
    pub fn new(dir: StoreDir) -> Self {
        Self { dir, known: HashMap::new() }
    }

    /// Returns the path of each output; `None` where it is known only after a build.
    ///
    /// What `derivation` itself says of the paths of outputs that are not fixed has no influence.
    ///
    /// # Errors
    ///
    /// [`DerivationError`] when an input lacks a needed output, derivations need each other or a
    /// name is too long; or the error of `lookup`, which is given the path of a derivation.
    pub fn of<E: From<DerivationError>>(
        &mut self,
        derivation: &Derivation,
        mut lookup: impl FnMut(&StorePath) -> Result<Derivation, E>,
    ) -> Result<BTreeMap<OutputName, Option<StorePath>>, E> {
        derivation.check()?;
        let is_input_addressed = |output: &DerivationOutput| {
            matches!(output, DerivationOutput::InputAddressed(_) | DerivationOutput::Deferred)
        };
        let identity = if derivation.outputs.values().any(is_input_addressed) {
            for input in derivation.input_derivations.keys() {
                self.learn(input, &mut lookup)?;
            }
            self.hash(derivation, true)?
        } else {
            None
        };
        let mut paths = BTreeMap::new();
        for (name, output) in &derivation.outputs {
            let path = match output {
                DerivationOutput::Fixed { .. } => output.path(&self.dir, &derivation.name),
                DerivationOutput::Floating { .. } => None,
                DerivationOutput::InputAddressed(_) | DerivationOutput::Deferred => {
                    let identity = identity.as_ref();
                    identity.map(|hash| self.path(derivation, name, hash)).transpose()?
                }
            };
            paths.insert(name.clone(), path);
        }
        Ok(paths)
    }

    /// Writes the paths of outputs into `derivation`, and into the variables that tell its builder;
    /// where a path is not known before the build, the output is deferred and its variable empty.
    /// Floating outputs stay as they are.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub fn fill<E: From<DerivationError>>(
        &mut self,
        derivation: &mut Derivation,
        lookup: impl FnMut(&StorePath) -> Result<Derivation, E>,
    ) -> Result<(), E> {
        // The variables are there while the identity is hashed, but empty.
        for name in derivation.outputs.keys() {
            derivation.env.entry(name.as_str().into()).or_default();
        }
        for (name, path) in self.of(derivation, lookup)? {
            let output = derivation.outputs.get_mut(&name).expect("its own output");
            if matches!(output, DerivationOutput::Floating { .. }) {
                continue;
            }
            let printed = path.as_ref().map(|path| self.dir.print(path)).unwrap_or_default();
            derivation.env.insert(name.as_str().into(), printed.into());
            if !matches!(output, DerivationOutput::Fixed { .. }) {
                *output = path.map_or(DerivationOutput::Deferred, DerivationOutput::InputAddressed);
            }
        }
        Ok(())
    }

    /// Checks that the outputs have the paths that follow from the derivation, and that the
    /// builder is told the same ones. Nix does so before it takes a derivation.
    ///
    /// # Errors
    ///
    /// [`DerivationError::OutputPath`], [`DerivationError::OutputVariable`], and as
    /// [`of`](Self::of).
    pub fn check<E: From<DerivationError>>(
        &mut self,
        derivation: &Derivation,
        lookup: impl FnMut(&StorePath) -> Result<Derivation, E>,
    ) -> Result<(), E> {
        for (name, wanted) in self.of(derivation, lookup)? {
            let found = derivation.outputs[&name].path(&self.dir, &derivation.name);
            if found != wanted {
                let print = |path: Option<StorePath>| match path {
                    Some(path) => format!("`{}`", self.dir.print(&path)),
                    None => "no path".to_owned(),
                };
                let (output, found, wanted) = (name.to_string(), print(found), print(wanted));
                return Err(DerivationError::OutputPath { output, found, wanted }.into());
            }
            let Some(wanted) = wanted.map(|path| self.dir.print(&path)) else { continue };
            if derivation.env.get(name.as_str().as_bytes()).map(Vec::as_slice)
                != Some(wanted.as_bytes())
            {
                let output = name.to_string();
                return Err(DerivationError::OutputVariable { output, wanted }.into());
            }
        }
        Ok(())
    }

    /// Learns the identity of the derivation at `path`, those of its inputs first. Derivations can
    /// stand in longer chains than a stack is deep.
    fn learn<E: From<DerivationError>>(
        &mut self,
        path: &StorePath,
        lookup: &mut impl FnMut(&StorePath) -> Result<Derivation, E>,
    ) -> Result<(), E> {
        if self.known.contains_key(path) {
            return Ok(());
        }
        let mut chain = vec![Open::new(path, lookup(path)?)];
        let mut on_chain = HashSet::from([path.clone()]);
        while let Some(open) = chain.last_mut() {
            if let Some(input) = open.inputs_left.pop() {
                if self.known.contains_key(&input) {
                    continue;
                }
                if !on_chain.insert(input.clone()) {
                    return Err(DerivationError::Cycle { path: self.dir.print(&input) }.into());
                }
                let derivation = lookup(&input)?;
                chain.push(Open::new(&input, derivation));
                continue;
            }
            let Open { path, derivation, .. } = chain.pop().expect("it is the last one");
            on_chain.remove(&path);
            let identity = self.hash(&derivation, false)?;
            let outputs = derivation.outputs.into_keys().collect();
            self.known.insert(path, Input { identity, outputs });
        }
        Ok(())
    }

    /// The identity of a derivation whose inputs are known; none where it is deferred. With
    /// `blank_outputs`, as long as its own outputs have no paths.
    fn hash(
        &self,
        derivation: &Derivation,
        blank_outputs: bool,
    ) -> Result<Option<Sha256Hash>, DerivationError> {
        if let Some(text) = self.fixed_text(derivation) {
            return Ok(Some(Sha256Hash::of(text.as_bytes())));
        }
        if !blank_outputs && derivation.is_deferred() {
            return Ok(None);
        }
        let mut inputs: BTreeMap<String, BTreeSet<OutputName>> = BTreeMap::new();
        for (path, needed) in &derivation.input_derivations {
            let input = &self.known[path];
            if let Some(output) = needed.difference(&input.outputs).next() {
                let (path, output) = (self.dir.print(path), output.to_string());
                return Err(DerivationError::NoSuchOutput { path, output });
            }
            let Some(identity) = &input.identity else { return Ok(None) };
            inputs.entry(identity.base16()).or_default().extend(needed.iter().cloned());
        }
        let text = derivation.to_modulo_aterm(&self.dir, &inputs, blank_outputs);
        Ok(Some(Sha256Hash::of(&text)))
    }

    /// What identifies a derivation with a fixed output: its contents and its path.
    fn fixed_text(&self, derivation: &Derivation) -> Option<String> {
        let output = derivation.outputs.values().next()?;
        let DerivationOutput::Fixed { hash, .. } = output else { return None };
        let path = self.dir.print(&output.path(&self.dir, &derivation.name)?);
        let (method, digits) = (output.method_and_algorithm(), base16(hash.as_bytes()));
        Some(format!("fixed:out:{method}:{digits}:{path}"))
    }

    fn path(
        &self,
        derivation: &Derivation,
        output: &OutputName,
        identity: &Sha256Hash,
    ) -> Result<StorePath, DerivationError> {
        let refused =
            |source| DerivationError::OutputPathName { output: output.to_string(), source };
        let name = output.path_name(&derivation.name).map_err(refused)?;
        Ok(make_path(&self.dir, &name, &format!("output:{output}"), &identity.0))
    }
}

impl Open {
    /// How a fixed output comes about does not matter, nor then what it needs.
    fn new(path: &StorePath, derivation: Derivation) -> Self {
        let inputs_left = if derivation.is_fixed() {
            Vec::new()
        } else {
            derivation.input_derivations.keys().cloned().collect()
        };
        Self { path: path.clone(), derivation, inputs_left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StorePathName;

    fn derivation(inputs: impl IntoIterator<Item = StorePath>) -> Derivation {
        let out = OutputName::parse("out").unwrap();
        let needed = BTreeSet::from([out.clone()]);
        Derivation {
            name: StorePathName::parse("x").unwrap(),
            outputs: BTreeMap::from([(out, DerivationOutput::Deferred)]),
            input_derivations: inputs.into_iter().map(|path| (path, needed.clone())).collect(),
            input_sources: BTreeSet::new(),
            platform: b"x86_64-linux".to_vec(),
            builder: b"/bin/sh".to_vec(),
            args: Vec::new(),
            env: BTreeMap::new(),
        }
    }

    fn numbered(number: u32) -> StorePath {
        let mut digest = [0; 20];
        digest[..4].copy_from_slice(&number.to_le_bytes());
        StorePath::new(&digest, &StorePathName::parse("x.drv").unwrap())
    }

    fn known() -> DerivationOutput {
        DerivationOutput::InputAddressed(numbered(0))
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        const LENGTH: u32 = 20_000;
        let mut asked = 0;
        let lookup = |path: &StorePath| -> Result<_, DerivationError> {
            let number = asked;
            assert_eq!(*path, numbered(number));
            asked += 1;
            let mut derivation = derivation((asked < LENGTH).then(|| numbered(asked)));
            derivation.outputs.values_mut().for_each(|output| *output = known());
            Ok(derivation)
        };
        let paths = OutputPaths::new(StoreDir::default()).of(&derivation([numbered(0)]), lookup);
        assert!(paths.unwrap().values().all(Option::is_some));
        assert_eq!(asked, LENGTH);
    }

    /// Quadratic, this took minutes.
    #[test]
    fn many_outputs_and_variables_take_no_longer_than_their_text() {
        let outputs = (0..40_000).map(|number| format!("o{number}"));
        let outputs = outputs.map(|name| (OutputName::parse(&name).unwrap(), known()));
        let env = (0..40_000).map(|number| (format!("v{number}").into_bytes(), Vec::new()));
        let large = Derivation { outputs: outputs.collect(), env: env.collect(), ..derivation([]) };
        let unknown = |_: &StorePath| -> Result<_, DerivationError> { unreachable!("no inputs") };
        let started = std::time::Instant::now();
        let paths = OutputPaths::new(StoreDir::default()).of(&large, unknown).unwrap();
        assert_eq!(paths.len(), 40_000);
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }

    #[test]
    fn derivations_that_need_each_other_are_refused() {
        let lookup = |path: &StorePath| -> Result<_, DerivationError> {
            Ok(derivation([numbered(u32::from(*path == numbered(0)))]))
        };
        let refusal = OutputPaths::new(StoreDir::default()).of(&derivation([numbered(0)]), lookup);
        let path = StoreDir::default().print(&numbered(0));
        assert_eq!(refusal, Err(DerivationError::Cycle { path }));
    }

    #[test]
    fn an_output_that_an_input_lacks_is_refused() {
        let mut input = derivation([]);
        input.outputs = BTreeMap::from([(OutputName::parse("dev").unwrap(), known())]);
        let lookup = |_: &StorePath| Ok::<_, DerivationError>(input.clone());
        let refusal = OutputPaths::new(StoreDir::default()).of(&derivation([numbered(0)]), lookup);
        let path = StoreDir::default().print(&numbered(0));
        let output = "out".to_owned();
        assert_eq!(refusal, Err(DerivationError::NoSuchOutput { path, output }));
    }

    #[test]
    fn what_the_builder_is_told_must_be_the_path() {
        let unknown = |_: &StorePath| -> Result<_, DerivationError> { unreachable!("no inputs") };
        let mut paths = OutputPaths::new(StoreDir::default());
        let mut filled = derivation([]);
        paths.fill(&mut filled, unknown).unwrap();
        assert_eq!(paths.check(&filled, unknown), Ok(()));

        let mut elsewhere = filled.clone();
        elsewhere.env.insert(b"out".to_vec(), b"/tmp/out".to_vec());
        let refusal = paths.check(&elsewhere, unknown);
        assert!(matches!(refusal, Err(DerivationError::OutputVariable { .. })), "{refusal:?}");

        let mut other = filled;
        other.outputs.values_mut().for_each(|output| *output = known());
        let refusal = paths.check(&other, unknown);
        assert!(matches!(refusal, Err(DerivationError::OutputPath { .. })), "{refusal:?}");
    }
}
