//! Which processors have an instruction.
//!
//! Source: the x86-64 psABI, section 3.1.1, "Processor Architecture", table of the
//! micro-architecture levels.

use std::fmt;
use std::sync::LazyLock;

use hoist_schema::manifest::IsaLevel;
use iced_x86::{Code, CpuidFeature, Instruction, Mnemonic};

/// What a processor must have to run some code, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// All that this level promises.
    Level(IsaLevel),
    /// An extension that no level promises, such as AES-NI or AMX.
    Extension,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Level(IsaLevel::V1) => "x86-64",
            Self::Level(IsaLevel::V2) => "x86-64-v2",
            Self::Level(IsaLevel::V3) => "x86-64-v3",
            Self::Level(IsaLevel::V4) => "x86-64-v4",
            Self::Extension => "an extension of no level",
        })
    }
}

/// The need of every instruction form, by its number.
static NEEDS: LazyLock<Vec<Need>> = LazyLock::new(|| Code::values().map(of_code).collect());

/// What `instruction` needs.
pub(super) fn need(instruction: &Instruction) -> Need {
    NEEDS[instruction.code() as usize]
}

/// The feature for which a processor may not have `code`, as CPUID calls it.
pub(super) fn feature(code: Code) -> String {
    let features = code.cpuid_features().iter();
    features
        .max_by_key(|feature| of_feature(**feature))
        .map_or_else(String::new, |feature| format!("{feature:?}").replace('_', "-"))
}

fn of_code(code: Code) -> Need {
    match code.mnemonic() {
        // `rep bsf`: compilers write it for every processor where both give the same.
        Mnemonic::Tzcnt
        // Asks what the processor has.
        | Mnemonic::Xgetbv => Need::Level(IsaLevel::V1),
        _ => {
            let features = code.cpuid_features().iter().map(|feature| of_feature(*feature));
            features.max().unwrap_or(Need::Level(IsaLevel::V1))
        }
    }
}

fn of_feature(feature: CpuidFeature) -> Need {
    use CpuidFeature as F;
    Need::Level(match feature {
        F::INTEL8086
        | F::INTEL8086_ONLY
        | F::INTEL186
        | F::INTEL286
        | F::INTEL286_ONLY
        | F::INTEL386
        | F::INTEL386_ONLY
        | F::INTEL386_A0_ONLY
        | F::INTEL486
        | F::INTEL486_A_ONLY
        | F::X64
        | F::FPU
        | F::FPU287
        | F::FPU287XL_ONLY
        | F::FPU387
        | F::FPU387SL_ONLY
        | F::CMOV
        | F::CX8
        | F::FXSR
        | F::MMX
        | F::SSE
        | F::SSE2
        | F::CLFSH
        | F::CPUID
        | F::TSC
        | F::SEP
        | F::SYSCALL
        // For the kernel alone: a library does not run them.
        | F::MSR
        | F::RDPMC
        | F::MOV_TR
        | F::SMM
        // They do nothing where they are not known.
        | F::MULTIBYTENOP
        | F::PAUSE
        | F::PREFETCHW
        | F::PREFETCHWT1
        | F::PREFETCHITI
        | F::CLDEMOTE
        | F::CET_IBT
        | F::CET_SS
        | F::HLE
        | F::MPX => IsaLevel::V1,
        F::CMPXCHG16B | F::POPCNT | F::SSE3 | F::SSSE3 | F::SSE4_1 | F::SSE4_2 => IsaLevel::V2,
        F::AVX
        | F::AVX2
        | F::BMI1
        | F::BMI2
        | F::F16C
        | F::FMA
        | F::LZCNT
        | F::MOVBE
        | F::XSAVE => IsaLevel::V3,
        F::AVX512F | F::AVX512BW | F::AVX512CD | F::AVX512DQ | F::AVX512VL => IsaLevel::V4,
        _ => return Need::Extension,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::{Decoder, DecoderOptions};

    fn of_bytes(bytes: &[u8]) -> (Need, String) {
        let instruction = Decoder::new(64, bytes, DecoderOptions::NONE).decode();
        assert_eq!(instruction.len(), bytes.len(), "{instruction:?}");
        (need(&instruction), feature(instruction.code()))
    }

    #[test]
    fn every_level_has_its_instructions() {
        for (bytes, level) in [
            (&[0xc3][..], IsaLevel::V1),
            (&[0x0f, 0x58, 0xc1], IsaLevel::V1),       // addps
            (&[0xf3, 0x0f, 0xb8, 0xc1], IsaLevel::V2), // popcnt
            (&[0x66, 0x0f, 0x38, 0x17, 0xc1], IsaLevel::V2), // ptest
            (&[0xc5, 0xf8, 0x77], IsaLevel::V3),       // vzeroupper
            (&[0xc4, 0xe2, 0x75, 0xb8, 0xc2], IsaLevel::V3), // vfmadd231ps ymm
            (&[0xf3, 0x0f, 0xbd, 0xc1], IsaLevel::V3), // lzcnt
            (&[0x62, 0xf1, 0x74, 0x48, 0x59, 0xc2], IsaLevel::V4), // vmulps zmm
        ] {
            assert_eq!(of_bytes(bytes).0, Need::Level(level), "{bytes:x?}");
        }
    }

    #[test]
    fn what_no_level_promises_is_an_extension() {
        for (bytes, name) in [
            (&[0x66, 0x0f, 0x38, 0xdc, 0xc1][..], "AES"),
            (&[0x66, 0x0f, 0x3a, 0x44, 0xc1, 0x00], "PCLMULQDQ"),
            (&[0x0f, 0x38, 0xc8, 0xc1], "SHA"),
            (&[0x66, 0x0f, 0x38, 0xcf, 0xc1], "GFNI"),
            (&[0x0f, 0xc7, 0xf0], "RDRAND"),
            (&[0x66, 0x0f, 0x38, 0xf6, 0xc1], "ADX"),
            (&[0x62, 0xf2, 0x75, 0x48, 0x50, 0xc2], "AVX512-VNNI"), // vpdpbusd zmm
            (&[0xc4, 0xe2, 0x73, 0x5e, 0xc2], "AMX-INT8"),          // tdpbssd
        ] {
            assert_eq!(of_bytes(bytes), (Need::Extension, name.to_owned()));
        }
    }

    #[test]
    fn what_older_processors_run_as_something_harmless_is_of_the_baseline() {
        for bytes in [
            &[0xf3, 0x0f, 0xbc, 0xc1][..],   // rep bsf, decoded as tzcnt
            &[0xf3, 0x0f, 0x1e, 0xfa],       // endbr64
            &[0xf3, 0x48, 0x0f, 0x1e, 0xc8], // rdsspq rax
            &[0xf3, 0x90],                   // pause
            &[0x0f, 0x0d, 0x08],             // prefetchw
            &[0x0f, 0x01, 0xd0],             // xgetbv
            &[0x0f, 0xa2],                   // cpuid
            &[0xf2, 0xf0, 0x0f, 0xb1, 0x0f], // xacquire lock cmpxchg
        ] {
            assert_eq!(of_bytes(bytes).0, Need::Level(IsaLevel::V1), "{bytes:x?}");
        }
    }
}
