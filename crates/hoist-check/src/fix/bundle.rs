//! Libraries that are drawn in from this machine, with all that they need.
//!
//! As auditwheel does, each is called by a hash of what it is, so that it never takes the place of
//! another library of that name in the process, nor another its.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hoist_elf::edit::{Edit, rewrite};
use hoist_elf::{ElfFacts, FileKind, Identity};
use hoist_nix::Sha256Hash;

use crate::contract::Contract;
use crate::fix::error::FixError;
use crate::fix::search_path::entries;
use crate::fix::site::{name_of, read_library};
use crate::search::on_this_machine;

/// Most libraries that one artifact draws in.
pub(crate) const MOST_LIBRARIES: usize = 256;

/// Digits of the hash in a name, as many as auditwheel's.
const HASH_DIGITS: usize = 8;

/// A library that is drawn in.
#[derive(Debug)]
pub(crate) struct Bundled {
    /// Where it was found.
    pub(crate) source: PathBuf,
    /// How it is called now.
    pub(crate) name: String,
    bytes: Vec<u8>,
    facts: ElfFacts,
    /// Where each library that it needs was found, by the name it is needed by.
    needs: BTreeMap<String, PathBuf>,
    /// Needed libraries that are nowhere.
    pub(crate) missing: Vec<String>,
}

/// The libraries that are drawn in, by where they were found.
#[derive(Debug)]
pub(crate) struct Bundle<'a> {
    contract: &'a Contract,
    identity: Identity,
    /// Folders that are searched for everything, after those a library names itself.
    folders: Vec<PathBuf>,
    pub(crate) libraries: BTreeMap<PathBuf, Bundled>,
}

impl<'a> Bundle<'a> {
    /// A bundle for libraries like `identity`, on whose targets lies what `contract` says.
    pub(crate) fn new(contract: &'a Contract, identity: Identity, folders: Vec<PathBuf>) -> Self {
        Self { contract, identity, folders, libraries: BTreeMap::new() }
    }

    /// Whether it is for libraries like `identity` that are judged by `contract`.
    pub(crate) fn is_for(&self, identity: Identity, contract: &Contract) -> bool {
        self.is_for_machine(identity) && self.contract.system_libraries == contract.system_libraries
    }

    fn is_for_machine(&self, identity: Identity) -> bool {
        let of = |it: Identity| (it.machine, it.class, it.endian);
        of(identity) == of(self.identity)
    }

    /// Finds the library `name` and all that it needs; `folders` come first. Returns where it was
    /// found.
    pub(crate) fn draw_in(
        &mut self,
        name: &str,
        folders: &[PathBuf],
    ) -> Result<Option<PathBuf>, FixError> {
        let Some(source) = self.take(name, folders)? else { return Ok(None) };
        let mut open = vec![source.clone()];
        let mut seen = BTreeSet::from([source.clone()]);
        while let Some(source) = open.pop() {
            let Some(library) = self.libraries.get(&source) else { continue };
            let origin = source.parent().unwrap_or(Path::new("/")).to_owned();
            let own = entries(&library.facts.dynamic);
            let machine = self.identity.machine;
            let own = own.iter().flat_map(|entry| on_this_machine(entry, &origin, machine));
            // RPATH is inherited, and what is found in a folder finds its like there.
            let searched: Vec<PathBuf> =
                own.chain([origin.clone()]).chain(folders.iter().cloned()).collect();
            let needed: Vec<String> = library.facts.dynamic.needed.clone();
            let known = library.needs.clone();
            for name in needed {
                if known.contains_key(&name) || self.is_on_every_target(&name) {
                    continue;
                }
                let found = self.take(&name, &searched)?;
                let library = self.libraries.get_mut(&source).expect("it is never taken out");
                match found {
                    Some(path) => {
                        library.needs.insert(name, path.clone());
                        if seen.insert(path.clone()) {
                            open.push(path);
                        }
                    }
                    None if !library.missing.contains(&name) => library.missing.push(name),
                    None => {}
                }
            }
        }
        Ok(Some(source))
    }

    /// Whether every target has a library, also when it is needed by a path.
    pub(crate) fn is_on_every_target(&self, name: &str) -> bool {
        self.contract.system_libraries.iter().any(|system| system == name_of(name))
    }

    /// Reads the library called `name` from the first folder that has one for this machine.
    fn take(&mut self, name: &str, folders: &[PathBuf]) -> Result<Option<PathBuf>, FixError> {
        let named = name.starts_with('/').then(|| PathBuf::from(name));
        let candidates = named
            .into_iter()
            .chain(folders.iter().chain(&self.folders).map(|folder| folder.join(name_of(name))));
        for candidate in candidates {
            let Ok(source) = candidate.canonicalize() else { continue };
            if self.libraries.contains_key(&source) {
                return Ok(Some(source));
            }
            let Some(bytes) = read_library(&source) else { continue };
            let Ok(facts) = ElfFacts::read(&bytes) else { continue };
            if !self.is_for_machine(facts.identity) || facts.kind != FileKind::SharedLibrary {
                continue;
            }
            if self.libraries.len() == MOST_LIBRARIES {
                return Err(FixError::TooManyLibraries { limit: MOST_LIBRARIES });
            }
            let library = Bundled {
                source: source.clone(),
                name: name_of(name).to_owned(),
                bytes,
                facts,
                needs: BTreeMap::new(),
                missing: Vec::new(),
            };
            self.libraries.insert(source.clone(), library);
            return Ok(Some(source));
        }
        Ok(None)
    }

    /// Gives every library its hashed name; `call` says how each is called then.
    pub(crate) fn settle_names(&mut self) {
        let digests: BTreeMap<PathBuf, String> = self
            .libraries
            .iter()
            .map(|(source, library)| (source.clone(), Sha256Hash::of(&library.bytes).base16()))
            .collect();
        let hashes: BTreeMap<PathBuf, String> = self
            .libraries
            .keys()
            .map(|source| (source.clone(), self.hash(source, &digests)))
            .collect();
        for (source, library) in &mut self.libraries {
            library.name = hashed_name(&library.name, &hashes[source]);
        }
    }

    /// The hash of a library and of all that it draws in: when one of these changes, what the
    /// library is changes too.
    fn hash(&self, source: &Path, digests: &BTreeMap<PathBuf, String>) -> String {
        let mut reached = BTreeSet::from([source]);
        let mut open = vec![source];
        while let Some(path) = open.pop() {
            let needs =
                self.libraries.get(path).into_iter().flat_map(|library| library.needs.values());
            open.extend(needs.map(PathBuf::as_path).filter(|path| reached.insert(path)));
        }
        let own = &digests[source];
        let others: BTreeSet<&String> =
            reached.iter().filter(|path| **path != source).map(|path| &digests[*path]).collect();
        let mut hash = if others.is_empty() {
            own.clone()
        } else {
            let all: Vec<&str> = [own].into_iter().chain(others).map(String::as_str).collect();
            Sha256Hash::of(all.join("\n").as_bytes()).base16()
        };
        hash.truncate(HASH_DIGITS);
        hash
    }

    /// The library found at `source`, as it goes into the artifact: with its new name, needing the
    /// others by theirs, and looking for them beside itself.
    pub(crate) fn repaired(&self, source: &Path) -> Result<Vec<u8>, FixError> {
        let library = &self.libraries[source];
        let mut edits = vec![Edit::Soname(library.name.clone())];
        for (from, source) in &library.needs {
            let to = self.libraries[source].name.clone();
            edits.push(Edit::ReplaceNeeded { from: from.clone(), to });
        }
        for name in library.facts.dynamic.needed.iter().filter(|name| name.contains('/')) {
            if self.is_on_every_target(name) {
                let (from, to) = (name.clone(), name_of(name).to_owned());
                edits.push(Edit::ReplaceNeeded { from, to });
            }
        }
        let runpath = (!library.needs.is_empty()).then(|| "$ORIGIN".to_owned());
        edits.push(Edit::Runpath(runpath));
        let refused = |error| FixError::Bundle { path: source.to_owned(), source: error };
        let rewritten = rewrite(&library.bytes, &edits).map_err(refused)?;
        if library.facts.dynamic.has_plt && !library.facts.dynamic.binds_now() {
            // As for the artifact's own: where it costs nothing.
            edits.push(Edit::BindNow);
            if let Ok(bound) = rewrite(&library.bytes, &edits)
                && bound.layout == rewritten.layout
            {
                return Ok(bound.bytes);
            }
        }
        Ok(rewritten.bytes)
    }
}

/// `libfoo.so.1` with `1a2b3c4d` is `libfoo-1a2b3c4d.so.1`.
fn hashed_name(name: &str, hash: &str) -> String {
    let marked = format!("-{hash}");
    if name.contains(&marked) {
        return name.to_owned();
    }
    match name.rfind(".so").or_else(|| name.rfind('.')) {
        Some(at) if at > 0 => format!("{}{marked}{}", &name[..at], &name[at..]),
        _ => format!("{name}{marked}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_ends() {
        let named = |name| hashed_name(name, "1a2b3c4d");
        assert_eq!(named("libfoo.so.1"), "libfoo-1a2b3c4d.so.1");
        assert_eq!(named("libfoo-1.2.so"), "libfoo-1.2-1a2b3c4d.so");
        assert_eq!(named("libstdc++.so.6.0.30"), "libstdc++-1a2b3c4d.so.6.0.30");
        assert_eq!(named("plugin"), "plugin-1a2b3c4d");
        assert_eq!(named("libfoo-1a2b3c4d.so"), "libfoo-1a2b3c4d.so");
    }
}
