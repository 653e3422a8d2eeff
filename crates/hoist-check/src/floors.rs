//! The oldest system libraries that can load a library, and the symbols that decide it.
//!
//! Sources: the loader refuses a library when one that it needs does not define a version that is
//! wanted of it (`_dl_check_map_versions`); GCC's manual of libstdc++, "ABI Policy and Guidelines",
//! for its releases; glibc's `Versions` files for the versions that are no numbers.

use std::fmt;
use std::sync::Arc;

use hoist_elf::{DottedVersion, ElfFacts, VersionNeed};

use crate::contract::Contract;

/// The version that stands for a loader that applies packed relocations (`DT_RELR`).
pub(crate) const PACKED_RELOCATIONS: &str = "GLIBC_ABI_DT_RELR";

/// Versions of glibc that are no numbers: each says that its loader can do something, and is first
/// defined by the release beside it. Distributions carry some of them back to older releases.
const MARKERS: [(&str, &str); 4] = [
    (PACKED_RELOCATIONS, "2.36"),
    ("GLIBC_ABI_GNU_TLS", "2.42"),
    ("GLIBC_ABI_GNU2_TLS", "2.42"),
    ("GLIBC_ABI_DT_X86_64_PLT", "2.43"),
];

/// By release of GCC, the newest versions of its libstdc++: `GLIBCXX_` and `CXXABI_`.
const LIBSTDCXX: [(&str, &str, &str); 21] = [
    ("4.1", "3.4.8", "1.3.1"),
    ("4.2", "3.4.9", "1.3.1"),
    ("4.3", "3.4.10", "1.3.2"),
    ("4.4", "3.4.13", "1.3.3"),
    ("4.5", "3.4.14", "1.3.4"),
    ("4.6", "3.4.16", "1.3.5"),
    ("4.7", "3.4.17", "1.3.6"),
    ("4.8", "3.4.19", "1.3.7"),
    ("4.9", "3.4.20", "1.3.8"),
    ("5", "3.4.21", "1.3.9"),
    ("6", "3.4.22", "1.3.10"),
    ("7", "3.4.24", "1.3.11"),
    ("8", "3.4.25", "1.3.11"),
    ("9", "3.4.28", "1.3.12"),
    ("10", "3.4.28", "1.3.12"),
    ("11", "3.4.29", "1.3.13"),
    ("12", "3.4.30", "1.3.13"),
    ("13", "3.4.32", "1.3.14"),
    ("14", "3.4.33", "1.3.15"),
    ("15", "3.4.34", "1.3.16"),
    ("16", "3.4.36", "1.3.17"),
];

/// A series of versions that one system library defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `GLIBC_`, of all of glibc's libraries.
    Glibc,
    /// `GLIBCXX_`, of `libstdc++.so.6`.
    Libstdcxx,
    /// `CXXABI_`, of `libstdc++.so.6`.
    CxxAbi,
    /// `GCC_`, of `libgcc_s.so.1`.
    Libgcc,
}

impl Family {
    /// All of them, the C library first.
    pub const ALL: [Self; 4] = [Self::Glibc, Self::Libstdcxx, Self::CxxAbi, Self::Libgcc];

    /// What its versions start with.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Glibc => "GLIBC_",
            Self::Libstdcxx => "GLIBCXX_",
            Self::CxxAbi => "CXXABI_",
            Self::Libgcc => "GCC_",
        }
    }

    /// The release that first defines the version that `need` names; `None` for versions of other
    /// families, for `GLIBC_PRIVATE`, and for those of a copy under another SONAME, as wheels have.
    #[must_use]
    pub fn release(self, need: &VersionNeed) -> Option<DottedVersion> {
        let is_of_library = match self {
            Self::Glibc => true,
            Self::Libstdcxx | Self::CxxAbi => &*need.library == "libstdc++.so.6",
            Self::Libgcc => &*need.library == "libgcc_s.so.1",
        };
        if !is_of_library {
            return None;
        }
        let marker = MARKERS.iter().find(|(marker, _)| *marker == &*need.version);
        match marker {
            Some((_, release)) if self == Self::Glibc => release.parse().ok(),
            _ => DottedVersion::after(self.prefix(), &need.version),
        }
    }
}

/// The oldest system libraries that can load a library; a family of which it wants nothing is
/// absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Floors(Vec<Floor>);

/// The oldest release of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// Whose it is.
    pub family: Family,
    /// The release, as in `2.34`.
    pub release: DottedVersion,
    /// The version as it is wanted, e.g. `GLIBC_2.34` or `GLIBC_ABI_DT_RELR`.
    pub version: Arc<str>,
    /// The symbols that are wanted in it, in table order; none when only the version itself is.
    pub symbols: Vec<Arc<str>>,
}

/// What would load a library: the newest version of each family that is wanted by more than weak
/// references, which the loader can do without.
///
/// ```
/// use hoist_elf::testing::{Library, Wanted};
/// let wanted = vec![
///     Wanted::versioned("malloc", "libc.so.6", "GLIBC_2.2.5"),
///     Wanted::versioned("fcntl64", "libc.so.6", "GLIBC_2.28"),
/// ];
/// let facts = hoist_elf::ElfFacts::read(&Library { wanted, ..Library::new() }.build())?;
/// assert_eq!(hoist_check::floors(&facts).to_string(), "glibc 2.28 (because of `fcntl64`)");
/// # Ok::<(), hoist_elf::ElfError>(())
/// ```
#[must_use]
pub fn floors(facts: &ElfFacts) -> Floors {
    let strong = || facts.version_needs.iter().filter(|need| !need.is_weak);
    let floor = |family: Family| {
        let releases = strong().filter_map(|need| Some((family.release(need)?, need)));
        let (release, need) = releases.max_by(|a, b| a.0.cmp(&b.0))?;
        let same = strong().filter(|other| family.release(other).as_ref() == Some(&release));
        Some(Floor {
            family,
            version: Arc::clone(&need.version),
            symbols: same.flat_map(|need| need.symbols.iter().cloned()).collect(),
            release,
        })
    };
    Floors(Family::ALL.into_iter().filter_map(floor).collect()).and(&of_packed_relocations(facts))
}

/// What applies the packed relocations of a library, whether it says that it has some or not.
fn of_packed_relocations(facts: &ElfFacts) -> Floors {
    let release = facts.dynamic.has_packed_relocations.then(first_with_packed_relocations);
    let floor = release.flatten().map(|release| Floor {
        family: Family::Glibc,
        release,
        version: PACKED_RELOCATIONS.into(),
        symbols: Vec::new(),
    });
    Floors(floor.into_iter().collect())
}

/// The first glibc that applies packed relocations; older ones pass them over without a word.
pub(crate) fn first_with_packed_relocations() -> Option<DottedVersion> {
    let (_, release) = MARKERS.iter().find(|(marker, _)| *marker == PACKED_RELOCATIONS)?;
    release.parse().ok()
}

/// Whether a library has packed relocations and does not say so by [`PACKED_RELOCATIONS`].
pub(crate) fn hides_packed_relocations(facts: &ElfFacts) -> bool {
    facts.dynamic.has_packed_relocations
        && facts.version_needs.iter().all(|need| &*need.version != PACKED_RELOCATIONS)
}

impl Floors {
    /// The floor of a family.
    #[must_use]
    pub fn get(&self, family: Family) -> Option<&Floor> {
        self.0.iter().find(|floor| floor.family == family)
    }

    /// All floors, the C library's first.
    pub fn iter(&self) -> impl Iterator<Item = &Floor> {
        self.0.iter()
    }

    /// Raises each floor to the other's where that is higher: what both need to load.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for theirs in &other.0 {
            match self.0.iter_mut().find(|ours| ours.family == theirs.family) {
                Some(ours) if ours.release < theirs.release => ours.clone_from(theirs),
                Some(_) => {}
                None => self.0.push(theirs.clone()),
            }
        }
        self.0.sort_by_key(|floor| floor.family);
        self
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, release, version, symbols } = self;
        match family {
            Family::Glibc => write!(f, "glibc {release}")?,
            Family::Libstdcxx | Family::CxxAbi => {
                write!(f, "libstdc++ with {version}")?;
                if let Some(gcc) = gcc_release(*family, release) {
                    write!(f, " of gcc {gcc}")?;
                }
            }
            Family::Libgcc => write!(f, "libgcc with {version}")?,
        }
        match symbols.split_first() {
            Some((first, [])) => write!(f, " (because of `{first}`)"),
            Some((first, rest)) => write!(f, " (because of `{first}` and {} more)", rest.len()),
            None => write!(f, " (because of {version})"),
        }
    }
}

impl fmt::Display for Floors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, floor) in self.0.iter().enumerate() {
            write!(f, "{}{floor}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The release of GCC whose libstdc++ first has a version of [`Family::Libstdcxx`] or
/// [`Family::CxxAbi`]; `None` for what is newer than all that hoist knows.
#[must_use]
pub fn gcc_release(family: Family, version: &DottedVersion) -> Option<&'static str> {
    LIBSTDCXX
        .iter()
        .find(|(_, glibcxx, cxxabi)| {
            let newest = if family == Family::CxxAbi { cxxabi } else { glibcxx };
            newest.parse::<DottedVersion>().is_ok_and(|newest| newest >= *version)
        })
        .map(|(gcc, ..)| *gcc)
}

/// The newest `CXXABI_` version of the oldest libstdc++ that has this `GLIBCXX_` version.
pub(crate) fn cxxabi_beside(libstdcxx: &DottedVersion) -> Option<DottedVersion> {
    let (.., cxxabi) = LIBSTDCXX.iter().find(|(_, glibcxx, _)| {
        glibcxx.parse::<DottedVersion>().is_ok_and(|newest| newest >= *libstdcxx)
    })?;
    cxxabi.parse().ok()
}

/// Whether a wanted version is newer than what the contract's oldest target has.
pub(crate) fn is_above(need: &VersionNeed, contract: &Contract) -> bool {
    let cxxabi = contract.libstdcxx.as_ref().and_then(cxxabi_beside);
    [
        (Family::Glibc, &contract.glibc),
        (Family::Libstdcxx, &contract.libstdcxx),
        (Family::CxxAbi, &cxxabi),
        (Family::Libgcc, &contract.libgcc),
    ]
    .into_iter()
    .any(|(family, oldest)| {
        let oldest = oldest.as_ref();
        oldest.is_some_and(|oldest| family.release(need).is_some_and(|release| release > *oldest))
    })
}

/// Whether a version says that glibc's loader can do something which hoist does not know.
pub(crate) fn is_unknown_marker(version: &str) -> bool {
    version.starts_with("GLIBC_ABI_") && MARKERS.iter().all(|(marker, _)| *marker != version)
}
