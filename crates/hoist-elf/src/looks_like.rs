//! What a file is when it is not ELF, told by its first bytes.

use std::fmt;

/// What bytes look like that are not ELF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say it")]
pub enum LooksLike {
    Archive,
    ThinArchive,
    LinkerScript,
    MachO,
    PortableExecutable,
    LlvmBitcode,
    WebAssembly,
    Html,
    Gzip,
    Xz,
    Zstd,
    Zip,
    Script,
    GitLfsPointer,
    Text,
    Zeros,
    Other,
}

/// How many first bytes decide.
const SNIFFED_BYTES: usize = 4096;

const MAGICS: &[(&[u8], LooksLike)] = &[
    (b"!<arch>\n", LooksLike::Archive),
    (b"!<thin>\n", LooksLike::ThinArchive),
    (b"\xfe\xed\xfa\xce", LooksLike::MachO),
    (b"\xfe\xed\xfa\xcf", LooksLike::MachO),
    (b"\xce\xfa\xed\xfe", LooksLike::MachO),
    (b"\xcf\xfa\xed\xfe", LooksLike::MachO),
    (b"\xca\xfe\xba\xbe", LooksLike::MachO),
    (b"MZ", LooksLike::PortableExecutable),
    (b"BC\xc0\xde", LooksLike::LlvmBitcode),
    (b"\0asm", LooksLike::WebAssembly),
    (b"\x1f\x8b", LooksLike::Gzip),
    (b"\xfd7zXZ\0", LooksLike::Xz),
    (b"\x28\xb5\x2f\xfd", LooksLike::Zstd),
    (b"PK\x03\x04", LooksLike::Zip),
    (b"#!", LooksLike::Script),
    (b"version https://git-lfs", LooksLike::GitLfsPointer),
];

impl LooksLike {
    /// Tells what `bytes`, which do not start with ELF's magic number, look like.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        if let Some((_, kind)) = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return *kind;
        }
        let head = &bytes[..bytes.len().min(SNIFFED_BYTES)];
        if head.iter().all(|&byte| byte == 0) {
            return Self::Zeros;
        }
        if head.iter().any(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace()) {
            return Self::Other;
        }
        let text = String::from_utf8_lossy(head);
        let lower = text.trim_start().to_ascii_lowercase();
        if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
            Self::Html
        } else if ["GROUP", "INPUT", "OUTPUT_FORMAT", "GNU ld script"]
            .iter()
            .any(|word| text.contains(word))
        {
            Self::LinkerScript
        } else {
            Self::Text
        }
    }

    /// What the reader can do about it.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Archive | Self::ThinArchive => {
                "link the archive into a shared library: `cc -shared -Wl,--whole-archive lib.a -o lib.so`"
            }
            Self::LinkerScript => "name the library that the script's GROUP or INPUT points to",
            Self::MachO | Self::PortableExecutable => "build for Linux",
            Self::LlvmBitcode => "compile it to machine code first",
            Self::Html => "a download got a web page in its place; fetch the file again",
            Self::Gzip | Self::Xz | Self::Zstd | Self::Zip => "unpack it first",
            Self::GitLfsPointer => "run `git lfs pull`",
            _ => "name the shared library that the build made",
        }
    }
}

impl fmt::Display for LooksLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Archive => "a static archive (ar)",
            Self::ThinArchive => "a thin static archive (ar)",
            Self::LinkerScript => "a linker script",
            Self::MachO => "a Mach-O file, for macOS",
            Self::PortableExecutable => "a PE file, for Windows",
            Self::LlvmBitcode => "LLVM bitcode",
            Self::WebAssembly => "a WebAssembly module",
            Self::Html => "an HTML page",
            Self::Gzip => "gzip-compressed data",
            Self::Xz => "xz-compressed data",
            Self::Zstd => "zstd-compressed data",
            Self::Zip => "a zip archive",
            Self::Script => "a script",
            Self::GitLfsPointer => "a Git LFS pointer, not the file itself",
            Self::Text => "text",
            Self::Zeros => "zeros",
            Self::Other => "none of the formats known here",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_commonly_mistaken_for_a_library() {
        for (bytes, wanted) in [
            (&b"!<arch>\nadd.o/"[..], LooksLike::Archive),
            (b"/* GNU ld script */\nGROUP ( libc.so.6 )\n", LooksLike::LinkerScript),
            (b"INPUT(-lm)", LooksLike::LinkerScript),
            (b"\xcf\xfa\xed\xfe\x07\0\0\x01", LooksLike::MachO),
            (b"MZ\x90\0", LooksLike::PortableExecutable),
            (b"\n<!DOCTYPE HTML><title>404</title>", LooksLike::Html),
            (b"\x1f\x8b\x08\0", LooksLike::Gzip),
            (b"hello\n", LooksLike::Text),
            (b"\0\0\0\0", LooksLike::Zeros),
            (b"\x01\x02\xff", LooksLike::Other),
        ] {
            assert_eq!(LooksLike::of(bytes), wanted);
        }
    }
}
