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

/// Reports that the library was made for another C library; returns whether it is the right one.
///
/// musl's is `libc.musl-MACHINE.so.1` or `libc.so`, which is a linker script where glibc is, and
/// Android's is `libc.so` with versions.
pub(crate) fn is_for_libc(judge: &mut Judge<'_>, facts: &ElfFacts) -> bool {
    let needed = || facts.dynamic.needed.iter().map(String::as_str);
    let mut versions = facts.version_needs.iter().map(|need| (&*need.library, &*need.version));
    let (libc, evidence, wanted, fix) = match judge.contract.target.libc {
        Libc::Glibc => {
            let is_musl = |name: &str| {
                name.starts_with("libc.musl-") || name.starts_with("ld-musl-") || name == "libc.so"
            };
            let Some(evidence) = needed().find(|name| is_musl(name)) else { return true };
            let is_bionic = versions
                .any(|(library, version)| library == evidence && version.starts_with("LIBC"));
            let libc = if is_bionic { "Android's C library" } else { "musl" };
            (libc, evidence, "glibc", "build in a system with glibc, or for `ARCH-linux-gnu`")
        }
        Libc::Musl => {
            let by_version = versions
                .find(|(_, version)| version.starts_with("GLIBC_"))
                .map(|(library, _)| library);
            let by_name =
                needed().find(|&name| name == "libc.so.6" || name.starts_with("ld-linux"));
            let Some(evidence) = by_name.or(by_version) else { return true };
            ("glibc", evidence, "musl", "build in a system with musl, or for `ARCH-linux-musl`")
        }
    };
    judge
        .report(
            &TARGET_LIBC,
            format_args!("made for {libc} (it needs `{evidence}`), the target has {wanted}"),
            fix,
        )
        .object(evidence);
    false
}

/// Checks that every segment can be mapped with the target's largest pages: it is aligned to them,
/// and has none in common with one of other rights, whatever it says of its alignment.
pub(crate) fn check_pages(judge: &mut Judge<'_>, facts: &ElfFacts) {
    let page = judge.contract.target.page_size_bytes;
    let misfit = facts
        .loads()
        .enumerate()
        .find(|(_, load)| load.align < page || load.address.wrapping_sub(load.offset) % page != 0);
    let message = if let Some((index, load)) = misfit {
        format!(
            "loadable segment {index} is aligned to {} bytes, the target's pages have up to {page}",
            load.align.max(1)
        )
    } else if let Some((index, address)) = page_of_two(facts, page) {
        format!(
            "loadable segments {} and {index} have other rights and lie in one page, that at \
             {address:#x}: the target's pages have up to {page} bytes",
            index - 1
        )
    } else {
        return;
    };
    let fix = format_args!("link with `-Wl,-z,max-page-size={page}`");
    judge.report(&TARGET_PAGE_ALIGN, message, fix);
}

/// The first page that segments of different rights have in common, and the number of the second.
fn page_of_two(facts: &ElfFacts, page: u64) -> Option<(usize, u64)> {
    let loads: Vec<_> = facts.loads().collect();
    loads.windows(2).enumerate().find_map(|(index, pair)| {
        let last = pair[0].address.checked_add(pair[0].memory_size_bytes.checked_sub(1)?)?;
        let is_shared = last / page == pair[1].address / page && pair[1].memory_size_bytes > 0;
        (is_shared && pair[0].flags != pair[1].flags).then_some((index + 1, last / page * page))
    })
}
