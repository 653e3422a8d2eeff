//! What is asked of one library.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use hoist_elf::header::Header;
use hoist_elf::{Class, DottedVersion, Endian, Machine};
use hoist_schema::manifest::IsaLevel;

/// The machines that must be able to load the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Processor.
    pub machine: Machine,
    /// Width of addresses.
    pub class: Class,
    /// Order of bytes.
    pub endian: Endian,
    /// Largest page size, in bytes, that the kernels of these machines use.
    pub page_size_bytes: u64,
    /// File name of the dynamic loader, which libraries may need by name.
    pub loader: &'static str,
    /// Their C library.
    pub libc: Libc,
}

/// A C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are called so")]
pub enum Libc {
    Glibc,
    Musl,
}

impl Target {
    /// 64-bit x86 with glibc.
    pub const X86_64_LINUX: Self = Self {
        machine: Machine::X86_64,
        class: Class::Elf64,
        endian: Endian::Little,
        page_size_bytes: 4096,
        loader: "ld-linux-x86-64.so.2",
        libc: Libc::Glibc,
    };

    /// 64-bit Arm with glibc, kernels with 64 KiB pages included.
    pub const AARCH64_LINUX: Self = Self {
        machine: Machine::AARCH64,
        class: Class::Elf64,
        endian: Endian::Little,
        page_size_bytes: 65536,
        loader: "ld-linux-aarch64.so.1",
        libc: Libc::Glibc,
    };

    /// The machine that hoist itself was compiled for.
    pub const HOST: Self =
        if cfg!(target_arch = "aarch64") { Self::AARCH64_LINUX } else { Self::X86_64_LINUX };

    /// The target of a Nix system such as `x86_64-linux`.
    #[must_use]
    pub fn of_system(system: &str) -> Option<Self> {
        match system {
            "x86_64-linux" => Some(Self::X86_64_LINUX),
            "aarch64-linux" => Some(Self::AARCH64_LINUX),
            _ => None,
        }
    }
}

/// A symbol that a library must export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// Its exact name.
    pub name: String,
    /// What it must be.
    pub kind: PromisedKind,
    /// The version it must be defined with; any, or none, will do when absent.
    pub version: Option<String>,
}

/// What a promised symbol must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromisedKind {
    /// Something to call.
    Function,
    /// A variable.
    Data,
}

impl Promise {
    /// A function of any version.
    #[must_use]
    pub fn function(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: PromisedKind::Function, version: None }
    }
}

/// What is asked of one library. Start from [`Contract::new`] and set what is promised.
#[derive(Debug, Clone)]
pub struct Contract {
    /// The machines that must be able to load it.
    pub target: Target,
    /// Symbols it must export.
    pub exports: Vec<Promise>,
    /// Where they are promised, for messages: a header's path or `hoist.toml`.
    pub promised_by: String,
    /// What its C header declares, to hold its debug information against; absent without one.
    pub header: Option<Header>,
    /// Whether every other export is an error.
    pub exports_exact: bool,
    /// The name it must call itself; not asked when absent.
    pub soname: Option<String>,
    /// Oldest glibc that must load it; not asked when absent.
    pub glibc: Option<DottedVersion>,
    /// Oldest libstdc++ that must load it, as in `GLIBCXX_3.4.30`; not asked when absent.
    pub libstdcxx: Option<DottedVersion>,
    /// Oldest libgcc that must load it, as in `GCC_7.0.0`; not asked when absent.
    pub libgcc: Option<DottedVersion>,
    /// The instructions that every target's processor has; not asked when absent.
    pub isa: Option<IsaLevel>,
    /// Its size in bytes; not asked when absent.
    pub size_bytes: Option<RangeInclusive<u64>>,
    /// Folders of build machines: RUNPATH must not lead under them, and no text in the file should.
    pub forbidden_paths: Vec<String>,
    /// Folders of this build and of this user, whose names should not be anywhere in the file.
    pub leaked_paths: Vec<String>,
    /// Hash parts of the store paths that its own store path keeps as references; none for an
    /// artifact that stands alone, and not asked when absent.
    pub references: Option<Vec<String>>,
    /// Names of this machine, which should not be anywhere in the file.
    pub leaked_names: Vec<String>,
    /// Libraries that every target has, by the name in `DT_NEEDED`.
    pub system_libraries: Vec<String>,
    /// Folders of the artifact, relative to its root (or absolute, for a library that is checked by
    /// itself), that the host adds to the search as `LD_LIBRARY_PATH` does: behind RPATH, before RUNPATH.
    pub search: Vec<String>,
    /// Folders below which a path under `/nix/store` lies; the first that has it is taken.
    pub store_roots: Vec<PathBuf>,
    /// Starts of symbol names that the host process provides, e.g. `Py`.
    pub host_symbols: Vec<String>,
}

impl Contract {
    /// What is asked of any library for `target`, without promises of its own.
    ///
    /// The system libraries are those that the `manylinux` policies (PEP 600) expect everywhere;
    /// the host symbols are the Python interpreter's, which extension modules do not link.
    #[must_use]
    pub fn new(target: Target) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self {
            target,
            exports: Vec::new(),
            promised_by: "hoist.toml".to_owned(),
            header: None,
            exports_exact: false,
            soname: None,
            glibc: None,
            libstdcxx: None,
            libgcc: None,
            isa: None,
            size_bytes: None,
            forbidden_paths: owned(&[
                "/home",
                "/root",
                "/Users",
                "/build",
                "/tmp",
                "/var/tmp",
                "/var/folders",
                "/private",
                "/project",
                "/opt/_internal",
                "/__w",
            ]),
            leaked_paths: Vec::new(),
            references: Some(Vec::new()),
            leaked_names: Vec::new(),
            system_libraries: owned(&[
                "libc.so.6",
                "libm.so.6",
                "libpthread.so.0",
                "libdl.so.2",
                "librt.so.1",
                "libutil.so.1",
                "libresolv.so.2",
                "libgcc_s.so.1",
                "libstdc++.so.6",
                target.loader,
            ]),
            search: Vec::new(),
            store_roots: vec![PathBuf::from("/")],
            host_symbols: owned(&["Py", "_Py"]),
        }
    }
}
