//! The `manylinux_2_N` policies of PEP 600: wheels that run wherever glibc is 2.N or newer.

/// A policy of PEP 600.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manylinux {
    /// The 28 of `manylinux_2_28`.
    pub(super) glibc_minor: u32,
}

/// Last part of the newest `GLIBCXX_3.4.x` that every mainstream distribution with this release of
/// glibc has, oldest first.
///
/// Source: the profiles of the `manylinux` images, as auditwheel 6.8 applies them.
const LIBSTDCXX: [(u32, u32); 11] = [
    (5, 8),
    (12, 13),
    (17, 19),
    (24, 22),
    (27, 24),
    (31, 28),
    (34, 29),
    (35, 30),
    (38, 30),
    (39, 33),
    (41, 33),
];

/// Libraries that PEP 600 expects on every distribution, beside the loader.
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

impl Manylinux {
    /// The policy called `manylinux_2_N`; PEP 600 starts with 2.5, as `manylinux1`.
    pub(super) fn named(name: &str) -> Option<Self> {
        let digits = name.strip_prefix("manylinux_2_")?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() <= 3;
        let glibc_minor = digits.parse().ok().filter(|_| is_number)?;
        (glibc_minor >= LIBSTDCXX[0].0).then_some(Self { glibc_minor })
    }

    /// The 24 of `GLIBCXX_3.4.24`.
    pub(super) fn libstdcxx_patch(self) -> u32 {
        let known = LIBSTDCXX.iter().rev().find(|(glibc, _)| *glibc <= self.glibc_minor);
        known.unwrap_or(&LIBSTDCXX[0]).1
    }

    pub(super) fn libraries() -> impl Iterator<Item = &'static str> {
        LIBRARIES.into_iter()
    }
}
