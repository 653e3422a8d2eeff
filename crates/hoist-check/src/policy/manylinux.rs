//! The `manylinux` platforms of PEP 600: what may be expected of every Linux of some age.

use crate::contract::Contract;

/// A platform that a wheel can be made for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Platform {
    /// Its name, e.g. `manylinux_2_28`.
    name: &'static str,
    glibc: &'static str,
    /// The newest `GLIBCXX_` that every machine has.
    libstdcxx: &'static str,
}

/// What `DT_NEEDED` may name beside the loader.
///
/// Source: PEP 513, "the manylinux1 policy", and its successors.
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

/// Oldest first.
///
/// Source: the profiles that auditwheel 6.8 applies, on x86-64.
static PLATFORMS: [Platform; 12] = [
    platform("manylinux_2_5", "2.5", "3.4.8"),
    platform("manylinux_2_12", "2.12", "3.4.13"),
    platform("manylinux_2_17", "2.17", "3.4.19"),
    platform("manylinux_2_24", "2.24", "3.4.22"),
    platform("manylinux_2_26", "2.26", "3.4.22"),
    platform("manylinux_2_27", "2.27", "3.4.24"),
    platform("manylinux_2_28", "2.28", "3.4.24"),
    platform("manylinux_2_31", "2.31", "3.4.28"),
    platform("manylinux_2_34", "2.34", "3.4.29"),
    platform("manylinux_2_35", "2.35", "3.4.30"),
    platform("manylinux_2_36", "2.36", "3.4.30"),
    platform("manylinux_2_39", "2.39", "3.4.33"),
];

const fn platform(name: &'static str, glibc: &'static str, libstdcxx: &'static str) -> Platform {
    Platform { name, glibc, libstdcxx }
}

/// The platform of this name.
pub(super) fn manylinux(name: &str) -> Option<&'static Platform> {
    PLATFORMS.iter().find(|platform| platform.name == name)
}

impl Platform {
    /// Asks of a library that it loads on this platform.
    pub(super) fn demand(&self, contract: &mut Contract) {
        contract.glibc = self.glibc.parse().ok();
        contract.libstdcxx = self.libstdcxx.parse().ok();
        let libraries = LIBRARIES.into_iter().chain([contract.target.loader]);
        contract.system_libraries = libraries.map(str::to_owned).collect();
    }
}
