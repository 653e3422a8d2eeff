//! The repair of one library: which edits, and what each is for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hoist_elf::ElfFacts;
use hoist_elf::edit::{Edit, EditError, Layout, rewrite};
use hoist_schema::Finding;

use crate::closure::{below, candidates};
use crate::contract::Contract;
use crate::dependencies::forbidden_prefix;
use crate::fix::FixOptions;
use crate::fix::bundle::Bundle;
use crate::fix::error::FixError;
use crate::fix::search_path::{entries, may_stay};
use crate::fix::site::{Site, name_of, origin_to};
use crate::rule::{DYN_SONAME, HARDEN_BIND_NOW, HARDEN_EXECSTACK};
use crate::search::{folders_of_entry, handed_down, on_this_machine, searched, starts_at_origin};
use crate::siblings::{folder_of, is_in_store, normalize};

/// A library of the artifact that is to be repaired.
#[derive(Debug)]
pub(crate) struct Patient<'a> {
    /// Its path in the artifact.
    pub(crate) path: String,
    /// How messages call it.
    pub(crate) shown: String,
    /// Its folder on this machine, where its `$ORIGIN` led until now.
    pub(crate) origin: PathBuf,
    pub(crate) facts: ElfFacts,
    pub(crate) contract: &'a Contract,
    pub(crate) findings: Vec<Finding>,
}

/// Where a needed library comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Every target has it.
    Target,
    /// The loader finds it in the store, where it stays.
    Store,
    /// It lies in this folder of the artifact.
    Artifact { folder: String },
    /// It is drawn in from this file.
    Bundle { path: PathBuf },
    /// It is nowhere.
    Nowhere,
}

/// A needed library and what becomes of it.
#[derive(Debug)]
pub(crate) struct Need {
    /// As in `DT_NEEDED`.
    pub(crate) name: String,
    pub(crate) source: Source,
}

impl Patient<'_> {
    /// Finds what it needs: in the store, in the artifact, or on this machine.
    pub(crate) fn resolve(
        &self,
        site: &Site,
        bundle: &mut Bundle<'_>,
    ) -> Result<Vec<Need>, FixError> {
        let mut needs = Vec::new();
        for name in &self.facts.dynamic.needed {
            let source = if bundle.is_on_every_target(name) {
                Source::Target
            } else if let Some(found) = self.in_place(name, site) {
                found
            } else {
                let folders = self.machine_folders();
                bundle
                    .draw_in(name, &folders)?
                    .map_or(Source::Nowhere, |path| Source::Bundle { path })
            };
            needs.push(Need { name: name.clone(), source });
        }
        Ok(needs)
    }

    /// Where the store or the artifact has `name`: where the loader looks, else where a relative
    /// entry was meant to lead, else beside it, else anywhere in the artifact.
    fn in_place(&self, name: &str, site: &Site) -> Option<Source> {
        let identity = self.facts.identity;
        if let Some(path) = self.looked_for(name).find(|path| site.serves(path, identity)) {
            return Some(if is_in_store(&path) {
                Source::Store
            } else {
                Source::Artifact { folder: folder_of(&path).to_owned() }
            });
        }
        let name = name_of(name);
        let entries = entries(&self.facts.dynamic);
        // One that is needed by its path is found by its name afterwards.
        let looked = entries.iter().flat_map(|entry| self.in_artifact(entry));
        let told = self.contract.search.iter().filter_map(|folder| normalize(folder));
        let is_relative = |entry: &&&str| !entry.starts_with(['/', '$']) && !entry.is_empty();
        let meant = entries
            .iter()
            .filter(is_relative)
            .filter_map(|entry| normalize(&format!("{}/{entry}", folder_of(&self.path))));
        let beside = [folder_of(&self.path).to_owned()];
        let has = |folder: &String| site.serves(&below(folder, name), identity);
        looked
            .chain(told)
            .chain(meant)
            .chain(beside)
            .find(has)
            .or_else(|| {
                site.find(name, &self.path, identity).map(|path| folder_of(path).to_owned())
            })
            .map(|folder| Source::Artifact { folder })
    }

    /// The paths at which the loader looks for `name`, as the check goes by; none in a store that
    /// it may not need.
    fn looked_for(&self, name: &str) -> impl Iterator<Item = String> {
        let machine = self.facts.identity.machine;
        let dynamic = &self.facts.dynamic;
        let handed = handed_down(dynamic, &self.path, &[], machine);
        let folders = searched(dynamic, &self.path, &handed, self.contract);
        let paths = candidates(name, &self.path, &folders, machine);
        paths.into_iter().filter(|path| {
            !is_in_store(path) || forbidden_prefix(&self.contract.forbidden_paths, path).is_none()
        })
    }

    /// The folders of the artifact that an entry of its RUNPATH leads to.
    fn in_artifact(&self, entry: &str) -> impl Iterator<Item = String> {
        let machine = self.facts.identity.machine;
        folders_of_entry(entry, &self.path, machine).filter(|folder| !folder.starts_with('/'))
    }

    /// The folders of this machine that an entry of its RUNPATH leads to.
    fn on_this_machine(&self, entry: &str) -> Vec<PathBuf> {
        on_this_machine(entry, &self.origin, self.facts.identity.machine)
    }

    /// The folders of this machine that its RUNPATH leads to.
    fn machine_folders(&self) -> Vec<PathBuf> {
        entries(&self.facts.dynamic).iter().flat_map(|entry| self.on_this_machine(entry)).collect()
    }

    /// The edits that make it find `needs`, whose bundled ones lie in the folder `libs`.
    pub(crate) fn dependency_edits(
        &self,
        needs: &[Need],
        bundle: &Bundle<'_>,
        libs: &str,
    ) -> Vec<Edit> {
        let mut edits = Vec::new();
        let mut wanted: Vec<String> = Vec::new();
        for need in needs {
            let bare = name_of(&need.name).to_owned();
            let to = match &need.source {
                Source::Nowhere | Source::Store => continue,
                Source::Target => bare,
                Source::Artifact { folder } => {
                    wanted.push(folder.clone());
                    bare
                }
                Source::Bundle { path } => {
                    wanted.push(libs.to_owned());
                    bundle.libraries[path].name.clone()
                }
            };
            if to != need.name {
                edits.push(Edit::ReplaceNeeded { from: need.name.clone(), to });
            }
        }
        edits.extend(self.runpath_edit(&wanted, needs, bundle));
        edits
    }

    /// The edit that gives it the RUNPATH it shall have; `None` when it may keep the one it has.
    fn runpath_edit(&self, wanted: &[String], needs: &[Need], bundle: &Bundle<'_>) -> Option<Edit> {
        let old = entries(&self.facts.dynamic);
        // A folder that a library was drawn in from is not looked at any more.
        let drawn_from: BTreeSet<&Path> = needs
            .iter()
            .filter_map(|need| match &need.source {
                Source::Bundle { path } => bundle.libraries[path].source.parent(),
                _ => None,
            })
            .collect();
        let is_left = |entry: &str| {
            let mut folders =
                self.on_this_machine(entry).into_iter().filter_map(|it| it.canonicalize().ok());
            starts_at_origin(entry) || !folders.any(|it| drawn_from.contains(it.as_path()))
        };
        let (mut kept, mut rest): (Vec<String>, Vec<String>) = old
            .iter()
            .filter(|entry| may_stay(entry, self.contract) && is_left(entry))
            .map(|entry| (*entry).to_owned())
            .partition(|entry| starts_at_origin(entry));
        let told: Vec<String> =
            self.contract.search.iter().filter_map(|folder| normalize(folder)).collect();
        for folder in wanted {
            let leads = kept.iter().any(|entry| self.in_artifact(entry).any(|led| led == *folder));
            if !leads && !told.contains(folder) {
                kept.push(origin_to(&self.path, folder));
            }
        }
        kept.append(&mut rest);
        let has_rpath = self.facts.dynamic.rpath.is_some();
        let is_same = kept.iter().map(String::as_str).eq(old.iter().copied());
        if is_same && !has_rpath {
            return None;
        }
        Some(Edit::Runpath((!kept.is_empty()).then(|| kept.join(":"))))
    }

    /// The edits that concern no other library.
    pub(crate) fn own_edits(&self, options: &FixOptions) -> Vec<Edit> {
        let found = |rule: &crate::Rule| self.findings.iter().any(|it| it.rule == rule.id);
        let mut edits = Vec::new();
        if let Some(soname) = self.contract.soname.as_ref().filter(|_| found(&DYN_SONAME)) {
            edits.push(Edit::Soname(soname.clone()));
        }
        if found(&HARDEN_BIND_NOW) {
            edits.push(Edit::BindNow);
        }
        if options.clear_execstack && found(&HARDEN_EXECSTACK) {
            edits.push(Edit::NonExecutableStack);
        }
        edits
    }
}

/// A library after its edits, and those that were not made.
#[derive(Debug)]
pub(crate) struct Edited {
    pub(crate) bytes: Vec<u8>,
    /// Where the edits that were made put what did not fit.
    pub(crate) layout: Layout,
    /// Why some were not made, by the edit.
    pub(crate) refused: Vec<(Edit, String)>,
}

/// Makes the edits, all at once where that works. What binding at load time would cost is not paid:
/// that edit is made only where a flag is there or a free entry is.
pub(crate) fn make_edits(bytes: Vec<u8>, dependencies: &[Edit], own: &[Edit]) -> Edited {
    let all: Vec<Edit> = dependencies.iter().chain(own).cloned().collect();
    let mut edited = Edited { bytes, layout: Layout::InPlace, refused: Vec::new() };
    let free: Vec<Edit> = all.iter().filter(|edit| **edit != Edit::BindNow).cloned().collect();
    if let Ok(done) = rewrite(&edited.bytes, &all)
        && (all.len() == free.len()
            || done.layout == Layout::InPlace
            || rewrite(&edited.bytes, &free).is_ok_and(|it| it.layout != Layout::InPlace))
    {
        edited.take(done.bytes, done.layout);
        return edited;
    }
    // Those of the dependencies go together: one without the others finds nothing.
    let groups = [dependencies].into_iter().chain(own.iter().map(std::slice::from_ref));
    for group in groups.filter(|group| !group.is_empty()) {
        let refusal = match rewrite(&edited.bytes, group) {
            Ok(done) if group == [Edit::BindNow] && done.layout != Layout::InPlace => {
                "its dynamic section has no free entry, and a new one is not worth moving it for"
                    .to_owned()
            }
            Ok(done) => {
                edited.take(done.bytes, done.layout);
                continue;
            }
            Err(refusal) => with_cause(&refusal),
        };
        edited.refused.extend(group.iter().map(|edit| (edit.clone(), refusal.clone())));
    }
    edited
}

fn with_cause(error: &EditError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Edited {
    fn take(&mut self, bytes: Vec<u8>, layout: Layout) {
        self.bytes = bytes;
        if layout != Layout::InPlace {
            self.layout = layout;
        }
    }
}
