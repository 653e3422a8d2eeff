//! What `nix derivation show` prints.

use serde_json::{Map, Value, json};

use super::{Derivation, DerivationError, DerivationOutput, OutputMethod};
use crate::StoreDir;
use crate::hash::base16;

/// Whose JSON of a derivation is wanted: no form is both versions'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DerivationJson {
    /// That of `nix show-derivation` of Nix 2.8.
    Nix2_8,
    /// That of `nix derivation show` of Nix 2.26.
    Nix2_26,
}

impl Derivation {
    /// Returns what `nix derivation show` prints of this derivation, behind the key that is its
    /// path.
    ///
    /// # Errors
    ///
    /// [`DerivationError::NotJson`] when a string of the builder's is not UTF-8. Nix refuses to
    /// print such a derivation, too, or prints what is no JSON.
    pub fn to_json(&self, dir: &StoreDir, form: DerivationJson) -> Result<Value, DerivationError> {
        let mut outputs = Map::new();
        for (name, output) in &self.outputs {
            outputs.insert(name.to_string(), self.output_json(dir, output, form));
        }
        let mut inputs = Map::new();
        for (path, names) in &self.input_derivations {
            let names: Vec<Value> = names.iter().map(|name| name.as_str().into()).collect();
            let input = match form {
                DerivationJson::Nix2_8 => Value::Array(names),
                DerivationJson::Nix2_26 => json!({"dynamicOutputs": {}, "outputs": names}),
            };
            inputs.insert(dir.print(path), input);
        }
        let sources: Vec<String> = self.input_sources.iter().map(|path| dir.print(path)).collect();
        let args =
            self.args.iter().map(|arg| text("argument", arg)).collect::<Result<Vec<_>, _>>()?;
        let mut env = Map::new();
        for (name, value) in &self.env {
            env.insert(text("variable", name)?, text("value", value)?.into());
        }
        let builder = text("builder", &self.builder)?;
        let system = text("system", &self.platform)?;
        Ok(match form {
            DerivationJson::Nix2_8 => json!({
                "outputs": outputs,
                "inputSrcs": sources,
                "inputDrvs": inputs,
                "system": system,
                "builder": builder,
                "args": args,
                "env": env,
            }),
            DerivationJson::Nix2_26 => json!({
                "args": args,
                "builder": builder,
                "env": env,
                "inputDrvs": inputs,
                "inputSrcs": sources,
                "name": self.name.as_str(),
                "outputs": outputs,
                "system": system,
            }),
        })
    }

    fn output_json(
        &self,
        dir: &StoreDir,
        output: &DerivationOutput,
        form: DerivationJson,
    ) -> Value {
        let path = output.path(dir, &self.name).map(|path| dir.print(&path));
        let (method, algorithm, digits) = match output {
            DerivationOutput::InputAddressed(_) | DerivationOutput::Deferred => (None, None, None),
            DerivationOutput::Floating { method, algorithm } => {
                (Some(*method), Some(algorithm.name().to_owned()), None)
            }
            DerivationOutput::Fixed { method, hash } => {
                let algorithm = hash.algorithm().name().to_owned();
                (Some(*method), Some(algorithm), Some(base16(hash.as_bytes())))
            }
        };
        let fields = match form {
            DerivationJson::Nix2_8 => {
                let algorithm = algorithm.map(|_| output.method_and_algorithm());
                vec![("path", path), ("hashAlgo", algorithm), ("hash", digits)]
            }
            DerivationJson::Nix2_26 => {
                let method = method.map(|method| match method {
                    OutputMethod::Flat => "flat".to_owned(),
                    OutputMethod::Recursive => "nar".to_owned(),
                });
                vec![("hash", digits), ("hashAlgo", algorithm), ("method", method), ("path", path)]
            }
        };
        let known = fields.into_iter().filter_map(|(key, value)| Some((key, Value::from(value?))));
        Value::Object(known.map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

fn text(what: &'static str, bytes: &[u8]) -> Result<String, DerivationError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| DerivationError::NotJson {
        what,
        text: String::from_utf8_lossy(bytes).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HashAlgorithm, StorePathName};

    /// As both versions print `float.drv` and `user-of-float.drv`.
    #[test]
    fn outputs_whose_paths_are_not_known_have_none() {
        let name = StorePathName::parse("float").unwrap();
        let text = br#"Derive([("out","","r:sha256","")],[],[],"x","/b",[],[])"#;
        let derivation = Derivation::parse(&StoreDir::default(), &name, text).unwrap();
        let json = |output: &DerivationOutput, form| {
            derivation.output_json(&StoreDir::default(), output, form).to_string()
        };
        let algorithm = HashAlgorithm::Sha256;
        let floating = DerivationOutput::Floating { method: OutputMethod::Recursive, algorithm };
        assert!(derivation.outputs.values().eq([&floating]));
        assert_eq!(json(&floating, DerivationJson::Nix2_8), r#"{"hashAlgo":"r:sha256"}"#);
        let newer = r#"{"hashAlgo":"sha256","method":"nar"}"#;
        assert_eq!(json(&floating, DerivationJson::Nix2_26), newer);
        for form in [DerivationJson::Nix2_8, DerivationJson::Nix2_26] {
            assert_eq!(json(&DerivationOutput::Deferred, form), "{}");
        }
    }
}
