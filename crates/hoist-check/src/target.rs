//! Whether the target's machines can map and run it.

use hoist_elf::{ElfFacts, Identity};

use crate::contract::Libc;
use crate::report::Judge;
use crate::rule::{
    TARGET_CLASS, TARGET_ENDIAN, TARGET_LIBC, TARGET_MACHINE, TARGET_OSABI, TARGET_PAGE_ALIGN,
};

/// `EI_OSABI` values that glibc's loader accepts: System V and GNU.
const LINUX_OS_ABIS: [u8; 2] = [0, 3];

/// Reports what machine it is for, if it is another; returns whether it is the right one.
pub(crate) fn is_for(judge: &mut Judge<'_>, identity: Identity) -> bool {
    const FIX: &str = "name the target when compiling, for example `--target` or a cross compiler";
    let target = judge.contract.target;
    let mut is_right = true;
    if identity.machine != target.machine {
        let message =
            format!("compiled for {}, the target is {}", identity.machine, target.machine);
        judge.report(&TARGET_MACHINE, message, FIX);
        is_right = false;
    }
    if identity.class != target.class {
        let message = format!("{}, the target is {}", identity.class, target.class);
        judge.report(&TARGET_CLASS, message, FIX);
        is_right = false;
    }
    if identity.endian != target.endian {
        let message = format!("{}, the target is {}", identity.endian, target.endian);
        judge.report(&TARGET_ENDIAN, message, FIX);
        is_right = false;
    }
    if !LINUX_OS_ABIS.contains(&identity.os_abi) {
        let message = format!(
            "made for the operating system of EI_OSABI {}, wanted 0 (System V) or 3 (GNU)",
            identity.os_abi
        );
        judge.report(&TARGET_OSABI, message, "build for Linux with glibc");
        is_right = false;
    }
    is_right
}

/// Reports which C library it is linked against, if it is another; returns whether it is the right
/// one. A library that needs none is right everywhere.
pub(crate) fn is_for_libc(judge: &mut Judge<'_>, facts: &ElfFacts) -> bool {
    let Some((linked, name)) = linked_libc(facts) else { return true };
    let (wanted, fix) = match judge.contract.libc {
        Libc::Glibc if linked == GLIBC => return true,
        Libc::Musl if linked == MUSL => return true,
        Libc::Glibc => (GLIBC, "build it where glibc is, or with `-target ARCH-linux-gnu`"),
        Libc::Musl => (MUSL, "build it where musl is, or with `-target ARCH-linux-musl`"),
    };
    let message = format!("`{name}` is needed, the C library of {linked}; the target has {wanted}");
    judge.report(&TARGET_LIBC, message, fix).object(name);
    false
}

const GLIBC: &str = "glibc";
const MUSL: &str = "musl";

/// The C library that a library is linked against, and the needed library that tells; `None` when
/// nothing does.
fn linked_libc(facts: &ElfFacts) -> Option<(&'static str, &str)> {
    let is_of_android = || {
        let is_note = |need: &hoist_elf::VersionNeed| &*need.version == "LIBC";
        facts.version_needs.iter().any(is_note)
    };
    facts.dynamic.needed.iter().find_map(|name| {
        let libc = match name.as_str() {
            "libc.so.6" => GLIBC,
            // Android's symbols have the version `LIBC`, musl's have none.
            "libc.so" if is_of_android() => "Android",
            "libc.so" => MUSL,
            "libc.so.0" | "libc.so.1" => "uClibc",
            name if name.starts_with("libc.musl-") || name.starts_with("ld-musl-") => MUSL,
            _ => return None,
        };
        Some((libc, name.as_str()))
    })
}

/// Checks that every segment can be mapped with the target's largest pages.
pub(crate) fn check_pages(judge: &mut Judge<'_>, facts: &ElfFacts) {
    let page = judge.contract.target.page_size_bytes;
    let misfit = facts
        .loads()
        .enumerate()
        .find(|(_, load)| load.align < page || load.address.wrapping_sub(load.offset) % page != 0);
    if let Some((index, load)) = misfit {
        let message = format!(
            "loadable segment {index} is aligned to {} bytes, the target's pages have up to {page}",
            load.align.max(1)
        );
        judge.report(
            &TARGET_PAGE_ALIGN,
            message,
            format_args!("link with `-Wl,-z,max-page-size={page}`"),
        );
    }
}
