//! The `manylinux` platforms: what may be expected of every Linux of some age.
//!
//! Sources: PEP 513, 571, 599 and 600, which name the libraries and the policy of each platform by
//! its glibc; the versions of the others are those that every distribution of that age has, as the
//! profiles of PEP 600 list them.

use std::collections::BTreeSet;

use hoist_elf::{DottedVersion, ElfFacts, Machine};

use crate::contract::{Contract, Target};
use crate::floors::{Family, Floors, cxxabi_beside, floors};

/// A platform that a wheel can be made for.
#[derive(Debug, PartialEq, Eq)]
pub struct Platform {
    /// Its name, e.g. `manylinux_2_28`.
    pub name: &'static str,
    /// Its name before PEP 600, e.g. `manylinux2014`.
    pub old_name: Option<&'static str>,
    glibc: &'static str,
    /// The newest `GLIBCXX_` that every machine has, on x86-64 and on aarch64. The newest `CXXABI_`
    /// follows from it.
    libstdcxx: [&'static str; 2],
    /// The newest `GCC_` of libgcc.
    libgcc: [&'static str; 2],
}

/// What `DT_NEEDED` may name beside the loader.
const LIBRARIES: [&str; 24] = [
    "libatomic.so.1",
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libm.so.6",
    "libmvec.so.1",
    "libanl.so.1",
    "libdl.so.2",
    "librt.so.1",
    "libc.so.6",
    "libnsl.so.1",
    "libutil.so.1",
    "libpthread.so.0",
    "libresolv.so.2",
    "libX11.so.6",
    "libXext.so.6",
    "libXrender.so.1",
    "libICE.so.6",
    "libSM.so.6",
    "libGL.so.1",
    "libgobject-2.0.so.0",
    "libgthread-2.0.so.0",
    "libglib-2.0.so.0",
    "libexpat.so.1",
    "libz.so.1",
];

/// Libraries that the oldest platforms lack, and the glibc of the first one that has them.
const LATER: [(&str, &str); 2] = [("libexpat.so.1", "2.12"), ("libmvec.so.1", "2.24")];

/// Oldest first.
static PLATFORMS: [Platform; 16] = [
    platform("manylinux_2_5", "2.5", ["3.4.8"; 2], ["4.2.0"; 2]).once("manylinux1"),
    platform("manylinux_2_12", "2.12", ["3.4.13"; 2], ["4.3.0"; 2]).once("manylinux2010"),
    platform("manylinux_2_17", "2.17", ["3.4.19"; 2], ["4.8.0", "4.7.0"]).once("manylinux2014"),
    platform("manylinux_2_24", "2.24", ["3.4.22"; 2], ["4.8.0", "4.7.0"]),
    platform("manylinux_2_26", "2.26", ["3.4.22", "3.4.24"], ["4.8.0", "7.0.0"]),
    platform("manylinux_2_27", "2.27", ["3.4.24"; 2], ["7.0.0"; 2]),
    platform("manylinux_2_28", "2.28", ["3.4.24"; 2], ["7.0.0"; 2]),
    platform("manylinux_2_31", "2.31", ["3.4.28"; 2], ["7.0.0"; 2]),
    platform("manylinux_2_34", "2.34", ["3.4.29"; 2], ["7.0.0", "11.0"]),
    platform("manylinux_2_35", "2.35", ["3.4.30"; 2], ["12.0.0", "11.0"]),
    platform("manylinux_2_36", "2.36", ["3.4.30"; 2], ["12.0.0", "11.0"]),
    platform("manylinux_2_37", "2.37", ["3.4.30"; 2], ["12.0.0", "11.0"]),
    platform("manylinux_2_38", "2.38", ["3.4.30"; 2], ["12.0.0", "11.0"]),
    platform("manylinux_2_39", "2.39", ["3.4.33"; 2], ["14.0.0"; 2]),
    platform("manylinux_2_40", "2.40", ["3.4.33"; 2], ["14.0.0"; 2]),
    platform("manylinux_2_41", "2.41", ["3.4.33"; 2], ["14.0.0"; 2]),
];

const fn platform(
    name: &'static str,
    glibc: &'static str,
    libstdcxx: [&'static str; 2],
    libgcc: [&'static str; 2],
) -> Platform {
    Platform { name, old_name: None, glibc, libstdcxx, libgcc }
}

/// The platform of this name, old or new, with or without a processor behind it:
/// `manylinux_2_28`, `manylinux2014`, `manylinux_2_17_aarch64`.
#[must_use]
pub fn manylinux(name: &str) -> Option<&'static Platform> {
    let processors = ["_x86_64", "_aarch64"];
    let name = processors.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    PLATFORMS.iter().find(|platform| platform.name == name || platform.old_name == Some(name))
}

/// Every platform, oldest first.
#[must_use]
pub fn platforms() -> &'static [Platform] {
    &PLATFORMS
}

/// The oldest platform on which all of `libraries`, those of one wheel, can be loaded; `None` when
/// there is none, because of a version or of a library that neither the platform nor the wheel has.
#[must_use]
pub fn best_manylinux<'f>(
    libraries: impl IntoIterator<Item = &'f ElfFacts>,
    target: &Target,
) -> Option<&'static Platform> {
    let mut all = Floors::default();
    let (mut needed, mut brought) = (BTreeSet::new(), BTreeSet::new());
    for facts in libraries {
        all = all.and(&floors(facts));
        needed.extend(facts.dynamic.needed.iter().map(String::as_str));
        brought.extend(facts.dynamic.soname.as_deref());
    }
    let is_there = |platform: &&Platform| {
        let libraries = platform.libraries(target);
        platform.loads(&all, target)
            && needed.difference(&brought).all(|name| libraries.contains(name))
    };
    PLATFORMS.iter().find(is_there)
}

impl Platform {
    const fn once(self, old_name: &'static str) -> Self {
        Self { old_name: Some(old_name), ..self }
    }

    /// The newest version of a family that every machine of the platform has.
    #[must_use]
    pub fn newest(&self, family: Family, target: &Target) -> Option<DottedVersion> {
        let machine = usize::from(target.machine == Machine::AARCH64);
        let text = match family {
            Family::Glibc => self.glibc,
            Family::Libstdcxx => self.libstdcxx[machine],
            Family::CxxAbi => return cxxabi_beside(&self.libstdcxx[machine].parse().ok()?),
            Family::Libgcc => self.libgcc[machine],
        };
        text.parse().ok()
    }

    /// What `DT_NEEDED` may name.
    #[must_use]
    pub fn libraries(&self, target: &Target) -> BTreeSet<&'static str> {
        let glibc: Option<DottedVersion> = self.glibc.parse().ok();
        let is_later = |name: &str| {
            LATER
                .iter()
                .any(|(later, first)| *later == name && glibc < first.parse::<DottedVersion>().ok())
        };
        LIBRARIES.into_iter().filter(|name| !is_later(name)).chain([target.loader]).collect()
    }

    /// Asks of a library that it loads on this platform.
    pub fn demand(&self, contract: &mut Contract) {
        let target = contract.target;
        contract.glibc = self.newest(Family::Glibc, &target);
        contract.libstdcxx = self.newest(Family::Libstdcxx, &target);
        contract.libgcc = self.newest(Family::Libgcc, &target);
        contract.system_libraries =
            self.libraries(&target).into_iter().map(str::to_owned).collect();
    }

    fn loads(&self, floors: &Floors, target: &Target) -> bool {
        floors.iter().all(|floor| {
            self.newest(floor.family, target).is_some_and(|newest| floor.release <= newest)
        })
    }
}
