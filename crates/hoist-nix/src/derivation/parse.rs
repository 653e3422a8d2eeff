//! Reading the text of a derivation.

use std::collections::{BTreeMap, BTreeSet};

use super::{Derivation, DerivationError, DerivationOutput, OutputMethod, OutputName};
use crate::hash::base16;
use crate::{Hash, HashAlgorithm, StoreDir, StorePath, StorePathName};

/// Largest text: a builder's arguments and environment are a few MiB at most.
const SIZE_MAX: usize = 16 << 20;

/// Most elements of a list.
const LIST_LEN_MAX: usize = 1 << 17;

impl Derivation {
    /// Reads the text of a `.drv` file; `name` is that of its path without `.drv`.
    ///
    /// It accepts what both Nix 2.8 and 2.26 write and nothing else, so that
    /// [`to_aterm`](Self::to_aterm) gives the same bytes again. That the outputs' paths follow
    /// from the derivation is a question for [`OutputPaths::check`](super::OutputPaths::check).
    ///
    /// # Errors
    ///
    /// [`DerivationError`] naming the place and the rule it breaks.
    pub fn parse(
        dir: &StoreDir,
        name: &StorePathName,
        bytes: &[u8],
    ) -> Result<Self, DerivationError> {
        if bytes.len() > SIZE_MAX {
            return Err(DerivationError::TooLarge { found: bytes.len(), limit: SIZE_MAX });
        }
        let mut parser = Parser { dir, name, bytes, position: 0 };
        let derivation = parser.derivation()?;
        if parser.position < bytes.len() {
            return Err(DerivationError::Trailing { offset: parser.position });
        }
        derivation.check()?;
        Ok(derivation)
    }
}

struct Parser<'a> {
    dir: &'a StoreDir,
    name: &'a StorePathName,
    bytes: &'a [u8],
    position: usize,
}

impl Parser<'_> {
    fn derivation(&mut self) -> Result<Derivation, DerivationError> {
        self.expect("Derive(")?;
        let outputs = self.map("output", Self::output, OutputName::as_str)?;
        self.expect(",")?;
        let input_derivations = self.map("input derivation", Self::input, StorePath::as_str)?;
        self.expect(",")?;
        let source = |parser: &mut Self| Ok((parser.path("input source")?, ()));
        let input_sources = self.map("input source", source, StorePath::as_str)?;
        self.expect(",")?;
        let platform = self.string()?;
        self.expect(",")?;
        let builder = self.string()?;
        self.expect(",")?;
        let args = self.list(Self::string)?;
        self.expect(",")?;
        let env = self.map("variable", Self::variable, |name| name)?;
        self.expect(")")?;
        Ok(Derivation {
            name: self.name.clone(),
            outputs,
            input_derivations,
            input_sources: input_sources.into_keys().collect(),
            platform,
            builder,
            args,
            env,
        })
    }

    fn output(&mut self) -> Result<(OutputName, DerivationOutput), DerivationError> {
        self.expect("(")?;
        let name = self.output_name()?;
        self.expect(",")?;
        let path = self.text("path of an output")?;
        let path_end = self.position;
        self.expect(",")?;
        let method = self.text("kind of hash")?;
        self.expect(",")?;
        let hash = self.text("hash")?;
        self.expect(")")?;
        let output = match (path.as_str(), method.as_str(), hash.as_str()) {
            ("", "", "") => DerivationOutput::Deferred,
            (path, "", "") => DerivationOutput::InputAddressed(self.parse_path(
                "path of an output",
                path,
                path_end,
            )?),
            (_, "", _) => return Err(self.wrong_output(&name, "a hash of no kind")),
            ("", method, "") => {
                let (method, algorithm) = self.method(method)?;
                DerivationOutput::Floating { method, algorithm }
            }
            (_, _, "") => return Err(self.wrong_output(&name, "a path and no hash")),
            ("", _, _) => return Err(self.wrong_output(&name, "a hash and no path")),
            _ if name.as_str() != "out" => {
                return Err(DerivationError::FixedOutputs { outputs: vec![name.to_string()] });
            }
            (path, method, hash) => self.fixed(path, method, hash)?,
        };
        Ok((name, output))
    }

    /// Its path is only repeated in the text: it follows from the hash.
    fn fixed(
        &self,
        path: &str,
        method: &str,
        digits: &str,
    ) -> Result<DerivationOutput, DerivationError> {
        let (method, algorithm) = self.method(method)?;
        let refused = |source| {
            let (offset, found) = (self.position, digits.to_owned());
            DerivationError::Hash { offset, found, source }
        };
        let hash = Hash::parse_as(algorithm, digits).map_err(|source| refused(Some(source)))?;
        if base16(hash.as_bytes()) != digits {
            return Err(refused(None));
        }
        let output = DerivationOutput::Fixed { method, hash };
        let wanted = output.path(self.dir, self.name).expect("the path of a fixed output is known");
        let wanted = self.dir.print(&wanted);
        if path == wanted {
            Ok(output)
        } else {
            Err(DerivationError::FixedPath { found: path.to_owned(), wanted })
        }
    }

    fn method(&self, text: &str) -> Result<(OutputMethod, HashAlgorithm), DerivationError> {
        let (method, name) = match text.strip_prefix("r:") {
            Some(name) => (OutputMethod::Recursive, name),
            None => (OutputMethod::Flat, text),
        };
        let algorithm = HashAlgorithm::from_name(name);
        let found = || text.to_owned();
        let refused = || DerivationError::Method { offset: self.position, found: found() };
        Ok((method, algorithm.ok_or_else(refused)?))
    }

    fn input(&mut self) -> Result<(StorePath, BTreeSet<OutputName>), DerivationError> {
        self.expect("(")?;
        let path = self.path("input derivation")?;
        let offset = self.position;
        if path.name().strip_suffix(".drv").is_none() {
            return Err(DerivationError::NotADerivation { offset, path: path.to_string() });
        }
        self.expect(",")?;
        let output = |parser: &mut Self| Ok((parser.output_name()?, ()));
        let outputs = self.map("output", output, OutputName::as_str)?;
        self.expect(")")?;
        if outputs.is_empty() {
            return Err(DerivationError::NoOutputsNeeded { offset, path: path.to_string() });
        }
        Ok((path, outputs.into_keys().collect()))
    }

    fn variable(&mut self) -> Result<(Vec<u8>, Vec<u8>), DerivationError> {
        self.expect("(")?;
        let name = self.string()?;
        self.expect(",")?;
        let value = self.string()?;
        self.expect(")")?;
        Ok((name, value))
    }

    /// Reads a list whose elements are sorted by their keys, each of which is there once.
    fn map<K: Ord, V, T: AsRef<[u8]> + ?Sized>(
        &mut self,
        what: &'static str,
        element: impl Fn(&mut Self) -> Result<(K, V), DerivationError>,
        print: impl Fn(&K) -> &T,
    ) -> Result<BTreeMap<K, V>, DerivationError> {
        let mut map = BTreeMap::new();
        self.list(|parser| {
            let (key, value) = element(parser)?;
            if let Some((previous, _)) = map.last_key_value()
                && key <= *previous
            {
                let [found, previous] = [&key, previous].map(|key| lossy(print(key).as_ref()));
                return Err(DerivationError::Order {
                    offset: parser.position,
                    what,
                    found,
                    previous,
                });
            }
            map.insert(key, value);
            Ok(())
        })?;
        Ok(map)
    }

    fn list<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, DerivationError>,
    ) -> Result<Vec<T>, DerivationError> {
        self.expect("[")?;
        let mut elements = Vec::new();
        if self.peek() != Some(b']') {
            elements.push(element(self)?);
        }
        while self.peek() == Some(b',') {
            self.position += 1;
            if elements.len() == LIST_LEN_MAX {
                return Err(DerivationError::TooMany {
                    offset: self.position,
                    limit: LIST_LEN_MAX,
                });
            }
            elements.push(element(self)?);
        }
        self.expect("]")?;
        Ok(elements)
    }

    fn output_name(&mut self) -> Result<OutputName, DerivationError> {
        OutputName::parse(&self.text("name of an output")?)
    }

    fn path(&mut self, what: &'static str) -> Result<StorePath, DerivationError> {
        let text = self.text(what)?;
        self.parse_path(what, &text, self.position)
    }

    fn parse_path(
        &self,
        what: &'static str,
        text: &str,
        offset: usize,
    ) -> Result<StorePath, DerivationError> {
        let refused = |source| DerivationError::StorePath { offset, what, source };
        self.dir.parse_path(text).map_err(refused)
    }

    fn text(&mut self, what: &'static str) -> Result<String, DerivationError> {
        let bytes = self.string()?;
        let offset = self.position;
        String::from_utf8(bytes).map_err(|_| DerivationError::NotUtf8 { offset, what })
    }

    /// Reads a string, piece by piece between what is escaped.
    fn string(&mut self) -> Result<Vec<u8>, DerivationError> {
        self.expect("\"")?;
        let mut string = Vec::new();
        loop {
            let rest = &self.bytes[self.position..];
            let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0);
            let plain = rest.iter().take_while(|byte| is_plain(byte)).count();
            string.extend_from_slice(&rest[..plain]);
            self.position += plain;
            match rest.get(plain) {
                None => return Err(DerivationError::Truncated { offset: self.position }),
                Some(b'"') => {
                    self.position += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escaped()?),
                Some(&byte) => {
                    return Err(DerivationError::RawByte { offset: self.position, byte });
                }
            }
        }
    }

    fn escaped(&mut self) -> Result<u8, DerivationError> {
        let offset = self.position;
        let byte = match self.bytes.get(offset + 1) {
            None => return Err(DerivationError::Truncated { offset: offset + 1 }),
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(&byte @ (b'"' | b'\\')) => byte,
            Some(&byte) => {
                return Err(DerivationError::Escape { offset, found: lossy(&[byte]) });
            }
        };
        self.position += 2;
        Ok(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn expect(&mut self, wanted: &'static str) -> Result<(), DerivationError> {
        let rest = &self.bytes[self.position..];
        if rest.starts_with(wanted.as_bytes()) {
            self.position += wanted.len();
            return Ok(());
        }
        let found = &rest[..rest.len().min(wanted.len())];
        Err(if wanted.as_bytes().starts_with(found) {
            DerivationError::Truncated { offset: self.bytes.len() }
        } else {
            DerivationError::Syntax { offset: self.position, found: lossy(found), wanted }
        })
    }

    fn wrong_output(&self, name: &OutputName, found: &'static str) -> DerivationError {
        DerivationError::Output { offset: self.position, output: name.to_string(), found }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
