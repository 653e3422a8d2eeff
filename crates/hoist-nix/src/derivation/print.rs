//! Writing the text of a derivation.

use std::collections::{BTreeMap, BTreeSet};

use super::{Derivation, DerivationOutput, OutputName};
use crate::StoreDir;
use crate::hash::base16;

impl Derivation {
    /// Returns the text as Nix writes it to a `.drv` file.
    #[must_use]
    pub fn to_aterm(&self, dir: &StoreDir) -> Vec<u8> {
        let inputs =
            self.input_derivations.iter().map(|(path, outputs)| (dir.print(path), outputs));
        self.print(dir, inputs, false)
    }

    /// Returns the text from which the derivation's identity is hashed: inputs are named by their
    /// own identities. With `blank_outputs` the paths of the outputs are left out, too, as they
    /// are to follow from it.
    pub(super) fn to_modulo_aterm(
        &self,
        dir: &StoreDir,
        inputs: &BTreeMap<String, BTreeSet<OutputName>>,
        blank_outputs: bool,
    ) -> Vec<u8> {
        let inputs = inputs.iter().map(|(hash, outputs)| (hash.clone(), outputs));
        self.print(dir, inputs, blank_outputs)
    }

    fn print<'a>(
        &self,
        dir: &StoreDir,
        inputs: impl Iterator<Item = (String, &'a BTreeSet<OutputName>)>,
        blank_outputs: bool,
    ) -> Vec<u8> {
        let mut out = b"Derive(".to_vec();
        list(&mut out, &self.outputs, |out, (name, output)| {
            let path = output.path(dir, &self.name).filter(|_| !blank_outputs);
            let path = path.map(|path| dir.print(&path)).unwrap_or_default();
            let hash = match output {
                DerivationOutput::Fixed { hash, .. } => base16(hash.as_bytes()),
                _ => String::new(),
            };
            tuple(out, &[name.as_str(), &path, &output.method_and_algorithm(), &hash]);
        });
        out.push(b',');
        list(&mut out, inputs, |out, (input, outputs)| {
            out.push(b'(');
            string(out, input.as_bytes());
            out.push(b',');
            list(out, outputs, |out, name| string(out, name.as_str().as_bytes()));
            out.push(b')');
        });
        out.push(b',');
        list(&mut out, &self.input_sources, |out, path| string(out, dir.print(path).as_bytes()));
        for word in [&self.platform, &self.builder] {
            out.push(b',');
            string(&mut out, word);
        }
        out.push(b',');
        list(&mut out, &self.args, |out, arg| string(out, arg));
        out.push(b',');
        list(&mut out, &self.env, |out, (name, value)| {
            let is_output =
                || str::from_utf8(name).is_ok_and(|name| self.outputs.contains_key(name));
            let value: &[u8] = if blank_outputs && is_output() { b"" } else { value };
            tuple(out, &[name.as_slice(), value]);
        });
        out.push(b')');
        out
    }
}

fn list<T>(
    out: &mut Vec<u8>,
    elements: impl IntoIterator<Item = T>,
    print: impl Fn(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        print(out, element);
    }
    out.push(b']');
}

fn tuple(out: &mut Vec<u8>, strings: &[impl AsRef<[u8]>]) {
    for (index, text) in strings.iter().enumerate() {
        out.push(if index == 0 { b'(' } else { b',' });
        string(out, text.as_ref());
    }
    out.push(b')');
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
