//! What a project's libraries promise to their callers: the headers, read once, as the ABI file
//! that is packed with the artifact and as the exports that the check asks for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use hoist_elf::header::parse_header;
use hoist_schema::Manifest;
use hoist_schema::abi::{ABI_EDITION, ABI_PATH, AbiFile, AbiFunction, AbiLibrary};
use hoist_schema::manifest::Library;
use rustix::fs::Mode;

use crate::BuildError;
use crate::beneath::create_file;
use crate::bindings::{PYTHON_DIR, PythonBindings, python_bindings};
use crate::digest::sha256_of;

/// Longest header that is read, in bytes.
const MAX_HEADER_BYTES: u64 = 4 << 20;

/// The promises of one project.
#[derive(Debug, Clone)]
pub struct Promise {
    /// The ABI file, one entry for each library of the manifest, in its order.
    pub abi: AbiFile,
    /// The headers by their path in the project.
    headers: BTreeMap<String, Vec<u8>>,
    /// The Python module, by its name, when the manifest asks for one.
    python: Option<(String, PythonBindings)>,
}

impl Promise {
    /// Reads the headers that `manifest` names below `project`.
    ///
    /// - `system`: the Nix system of the libraries, e.g. `x86_64-linux`.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoHeader`] when one is missing, [`BuildError::BadHeader`] when one cannot be
    /// understood or declares no function, [`BuildError::Bindings`] when a Python module is asked
    /// for and cannot be written.
    pub fn read(project: &Path, manifest: &Manifest, system: &str) -> Result<Self, BuildError> {
        let mut headers = BTreeMap::new();
        let mut libraries = Vec::new();
        for library in &manifest.library {
            if let Some(header) = &library.header {
                headers.insert(header.clone(), read_header(project, header)?);
            }
            libraries.push(promised(library, &headers)?);
        }
        let abi = AbiFile {
            edition: ABI_EDITION,
            package: manifest.package.name.clone(),
            version: manifest.package.version.clone(),
            system: system.to_owned(),
            libraries,
        };
        let bound = |module: &String| Ok((module.clone(), python_bindings(&abi)?));
        let python = manifest.package.python.as_ref().map(bound).transpose();
        let python = python.map_err(BuildError::Bindings)?;
        Ok(Self { abi, headers, python })
    }

    /// SHA-256 of a header's content, in base16.
    pub(crate) fn header_digest(&self, header: &str) -> Option<String> {
        self.headers.get(header).map(|content| sha256_of(content))
    }

    /// Writes the ABI file, the headers and the Python module into an output tree, the headers below
    /// `include`.
    ///
    /// # Errors
    ///
    /// [`BuildError::LinkInTheWay`] when the build left a symlink there, [`BuildError::Io`] when the
    /// tree cannot be written.
    pub fn pack_into(&self, out: &Path) -> Result<(), BuildError> {
        let mut json = serde_json::to_vec_pretty(&self.abi).expect("an ABI file is plain data");
        json.push(b'\n');
        write(out, Path::new(ABI_PATH), &json)?;
        for (header, content) in &self.headers {
            let name = header.rsplit('/').next().unwrap_or(header);
            write(out, &Path::new("include").join(name), content)?;
        }
        if let Some((name, bindings)) = &self.python {
            let folder = Path::new(PYTHON_DIR);
            write(out, &folder.join(format!("{name}.py")), bindings.module.as_bytes())?;
            write(out, &folder.join(format!("{name}.pyi")), bindings.stub.as_bytes())?;
        }
        Ok(())
    }
}

fn write(out: &Path, path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let mut file = create_file(out, path, Mode::from_raw_mode(0o644))?;
    file.write_all(bytes).map_err(BuildError::io("write", &out.join(path)))
}

/// Reads a header; a symlink counts as the file it leads to, as long as that lies in the project.
fn read_header(project: &Path, header: &str) -> Result<Vec<u8>, BuildError> {
    let file = project.join(header);
    let no_header = |source| BuildError::NoHeader { path: file.clone(), source };
    let target = file.canonicalize().map_err(no_header)?;
    if !target.starts_with(project.canonicalize().map_err(no_header)?) {
        return Err(no_header(io::Error::other("it is a link that leaves the project")));
    }
    if !target.is_file() {
        return Err(no_header(io::Error::other("it is no regular file"))); // a pipe waits for ever
    }
    let mut content = Vec::new();
    File::open(&target)
        .and_then(|opened| opened.take(MAX_HEADER_BYTES + 1).read_to_end(&mut content))
        .map_err(no_header)?;
    if content.len() as u64 > MAX_HEADER_BYTES {
        let reason = format!("it has more than {MAX_HEADER_BYTES} bytes");
        return Err(BuildError::BadHeader { path: header.to_owned(), reason });
    }
    Ok(content)
}

fn promised(
    library: &Library,
    headers: &BTreeMap<String, Vec<u8>>,
) -> Result<AbiLibrary, BuildError> {
    let mut functions = Vec::new();
    let mut structs = Vec::new();
    if let Some((path, content)) =
        library.header.as_ref().and_then(|header| headers.get_key_value(header))
    {
        let refuse = |reason: String| BuildError::BadHeader { path: path.clone(), reason };
        let text = std::str::from_utf8(content)
            .map_err(|error| refuse(format!("byte {} is not UTF-8", error.valid_up_to())))?;
        let header = parse_header(text).map_err(|error| refuse(error.to_string()))?;
        if header.functions.is_empty() && library.exports.is_empty() {
            return Err(refuse("it declares no function".to_owned()));
        }
        (functions, structs) = (header.functions, header.structs);
    }
    for name in &library.exports {
        if !functions.iter().any(|function| function.name == *name) {
            functions.push(AbiFunction { name: name.clone(), signature: None });
        }
    }
    let promise = serde_json::to_vec(&(&structs, &functions)).expect("promises are plain data");
    Ok(AbiLibrary { path: library.path.clone(), hash: sha256_of(&promise), structs, functions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;
    use std::fs;
    use std::os::unix::fs::symlink;

    const MANIFEST: &str = r#"
[package]
name = "adder"
version = "1.0"
[build]
toolchain = "cc"
sources = ["adder.c"]
[[library]]
path = "lib/libadder.so"
header = "adder.h"
exports = ["adder_version", "add"]
"#;

    fn read(header: &str) -> Result<Promise, BuildError> {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("adder.h"), header).unwrap();
        Promise::read(home.path(), &Manifest::parse(MANIFEST).unwrap(), "x86_64-linux")
    }

    #[test]
    fn a_header_and_names_beside_it_make_one_promise() {
        let promise = read("#include <stdint.h>\nint32_t add(int32_t a, int32_t b);\n").unwrap();
        let library = &promise.abi.libraries[0];
        let names: Vec<_> = library.functions.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["add", "adder_version"]);
        assert!(library.functions[0].signature.is_some());
        assert!(library.functions[1].signature.is_none());
    }

    #[test]
    fn another_signature_is_another_promise() {
        let narrow = read("int add(int a, int b);").unwrap();
        let wide = read("int add(long a, int b);").unwrap();
        assert_ne!(narrow.abi.libraries[0].hash, wide.abi.libraries[0].hash);
    }

    #[test]
    fn a_header_that_cannot_be_understood_is_named() {
        let refusal = read("int add(int a, ;").unwrap_err();
        assert!(refusal.to_string().contains("adder.h"), "{refusal}");
    }

    #[test]
    fn a_header_may_be_a_link_inside_the_project_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let project = home.path().join("project");
        fs::create_dir_all(project.join("inc")).unwrap();
        fs::write(home.path().join("adder.h"), "int add(int a, int b);").unwrap();
        fs::write(project.join("inc/adder.h"), "int add(int a, int b);").unwrap();
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let read = |target: &str| {
            let _ = fs::remove_file(project.join("adder.h"));
            symlink(target, project.join("adder.h")).unwrap();
            Promise::read(&project, &manifest, "x86_64-linux")
        };
        assert!(read("inc/adder.h").is_ok());
        for (target, why) in [
            ("../adder.h", "it is a link that leaves the project"),
            ("/dev/zero", "it is a link that leaves the project"),
            ("inc", "it is no regular file"),
        ] {
            let refusal = read(target).unwrap_err();
            assert_eq!(refusal.source().unwrap().to_string(), why, "{target}");
        }
    }

    #[test]
    fn a_header_that_is_too_long_is_refused() {
        let refusal = read(&" ".repeat((4 << 20) + 1)).unwrap_err();
        assert!(refusal.to_string().contains("more than 4194304 bytes"), "{refusal}");
    }

    #[test]
    fn the_packed_tree_holds_the_abi_file_and_the_header() {
        let out = tempfile::tempdir().unwrap();
        let promise = read("int add(int a, int b);").unwrap();
        promise.pack_into(out.path()).unwrap();
        let packed = fs::read(out.path().join(ABI_PATH)).unwrap();
        assert_eq!(serde_json::from_slice::<AbiFile>(&packed).unwrap(), promise.abi);
        assert!(out.path().join("include/adder.h").is_file());
    }
}
