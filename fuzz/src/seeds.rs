//! What the fuzzer begins with: everything that real Nix wrote or was given, out of the fixtures of
//! `hoist-nix`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

/// Longest text that is a seed for the check of short texts.
const TEXT_MAX_LEN: usize = 300;

/// The operations and commands of the protocols, in the order in which the check counts them.
const OPERATIONS: [u64; 22] =
    [1, 6, 7, 10, 11, 12, 14, 19, 20, 23, 26, 29, 31, 33, 34, 35, 37, 38, 39, 40, 44, 46];
const COMMANDS: [u64; 6] = [1, 2, 3, 4, 7, 9];

/// Declarations as libraries promise them.
const HEADERS: [&str; 14] = [
    "int add(int a, int b);",
    "#include <stdint.h>\nextern double dot(const float *restrict a, const float *b, int64_t n);",
    "typedef struct { float x, y; } point;\npoint middle(point a, point b);",
    "struct opts { char tag[4][2]; const char *name; struct opts *next; };\nint use(struct opts *o);",
    "enum mode { FAST = 1, EXACT = FAST << 2, LAST = -3 };\nenum mode pick(enum mode m);",
    "typedef int (*callback)(void *, const char *);\nvoid each(callback call, void (*done)(int));",
    "#define N (1 << 2)\n#if defined(N) && N > 3\nvoid f(char (*rows)[N]);\n#else\nint f();\n#endif",
    "#ifdef __cplusplus\nextern \"C\" {\n#endif\nPS_API void g(void);\n#ifdef __cplusplus\n}\n#endif",
    "#include <stdbool.h>\n#include <stddef.h>\nbool is_on(unsigned long long a, size_t n, ...);",
    "struct hidden;\nstruct hidden *open_it(const void *any);\nvoid close_it(struct hidden *);",
    "static inline int twice(int a) { return a * 2; }\nlong h(long double_, signed char c[]);",
    "/* a */ // b\nint __attribute__((visibility(\"default\"))) k(void) __attribute__((nonnull));",
    "typedef unsigned char u8; typedef u8 digest[32]; struct s { digest d; };\nstruct s sum(u8 *);",
    "[[nodiscard]] const char *const *names(short *const p), last(float);",
];

/// The end of what a daemon says before it answers.
const LAST: [u8; 8] = *b"stla\0\0\0\0";

/// Returns the seeds of a fuzz target, sorted, each once; none for a target that has no fixtures.
///
/// - `fixtures`: the folder `tests/fixtures` of `hoist-nix`.
///
/// # Errors
///
/// When a fixture is missing, or is not what it was.
pub fn seeds(fixtures: &Path, target: &str) -> io::Result<Vec<Vec<u8>>> {
    let mut seeds = BTreeSet::new();
    match target {
        "nar" => seeds.extend(archives(fixtures)?),
        "restore" => {
            seeds.extend(archives(fixtures)?.into_iter().map(|nar| [&[0][..], &nar].concat()));
            seeds.extend((0..=255).map(|seed: u8| decisions(seed)));
        }
        "narinfo" => {
            let texts = texts(fixtures, &["narinfo.json", "narinfo-tampered.json"])?;
            let narinfos = texts.into_iter().filter(|text| text.contains("StorePath: "));
            seeds.extend(narinfos.map(String::into_bytes));
        }
        "aterm" => {
            seeds.extend(files(&fixtures.join("drv"))?);
            let texts = texts(fixtures, &["derivations.json"])?;
            let derivations = texts.into_iter().filter(|text| text.starts_with("Derive("));
            seeds.extend(derivations.map(String::into_bytes));
        }
        "export" => {
            seeds.extend(files(&fixtures.join("export"))?);
            let streams = values(&json(fixtures, "export.json")?, "stream_b64");
            seeds.extend(streams.iter().map(|digits| base64(digits)));
        }
        "text" => {
            let from = ["base32.json", "store-paths.json", "narinfo.json", "narinfo-tampered.json"];
            let texts = texts(fixtures, &from)?.into_iter();
            seeds.extend(texts.filter(|it| it.len() <= TEXT_MAX_LEN).map(String::into_bytes));
        }
        "dwarf" => {
            let debug = fixtures.join("../../../hoist-elf/tests/fixtures/debug");
            let files = files(&debug)?.into_iter();
            seeds.extend(files.filter(|file| file.starts_with(b"\x7fELF")));
        }
        "header" => seeds.extend(HEADERS.map(|header| header.as_bytes().to_vec())),
        "wire" => {
            for (file, is_worker) in
                [("protocol-daemon.json", true), ("protocol-serve.json", false)]
            {
                sessions(&json(fixtures, file)?, is_worker, &mut seeds)?;
            }
        }
        // Up to ten changed bytes.
        "dependencies" => seeds.extend((0..=63).map(|seed: u8| decisions(seed)[..40].to_vec())),
        "rewrite" => {
            for library in libraries(fixtures)? {
                for name in ["$ORIGIN", "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-library/lib"] {
                    let length = u8::try_from(name.len()).expect("it is short");
                    let edit = |kind| [&[kind, length], name.as_bytes(), &library].concat();
                    seeds.extend((0..8).map(edit));
                }
            }
        }
        _ => {}
    }
    Ok(seeds.into_iter().collect())
}

fn archives(fixtures: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut archives = Vec::new();
    for folder in ["nar", "nar-malformed", "ca"] {
        archives.extend(files(&fixtures.join(folder))?);
    }
    Ok(archives)
}

/// The libraries among the fixtures of `hoist-elf`, which lies beside `hoist-nix`.
fn libraries(fixtures: &Path) -> io::Result<Vec<Vec<u8>>> {
    let folder = fixtures.join("../../../hoist-elf/tests/fixtures");
    ["small.so", "nearest.so"].iter().map(|name| fs::read(folder.join(name))).collect()
}

/// Decisions that make some archive; any bytes do.
fn decisions(seed: u8) -> Vec<u8> {
    let mut state = u32::from(seed) << 8 | 1;
    let next = |_| {
        state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        (state >> 24).to_le_bytes()[0]
    };
    std::iter::once(1).chain((0..200).map(next)).collect()
}

fn files(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    fs::read_dir(folder)?.map(|entry| fs::read(entry?.path())).collect()
}

fn json(fixtures: &Path, file: &str) -> io::Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(fixtures.join(file))?)?)
}

/// Every text in some files, keys too.
fn texts(fixtures: &Path, from: &[&str]) -> io::Result<Vec<String>> {
    let mut texts = Vec::new();
    for file in from {
        collect(&json(fixtures, file)?, &mut |key, text| {
            texts.extend([key.to_owned(), text.to_owned()]);
        });
    }
    Ok(texts)
}

/// Every text that stands behind `wanted`.
fn values(json: &Value, wanted: &str) -> Vec<String> {
    let mut values = Vec::new();
    collect(json, &mut |key, text| {
        if key == wanted {
            values.push(text.to_owned());
        }
    });
    values
}

/// Calls `take` with each text and the key before it, or with each key and nothing.
fn collect(json: &Value, take: &mut impl FnMut(&str, &str)) {
    match json {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) => take(key, text),
                    value => {
                        take(key, "");
                        collect(value, take);
                    }
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| match value {
            Value::String(text) => take("", text),
            value => collect(value, take),
        }),
        _ => {}
    }
}

/// What went over the wire, message by message, for each side that could have read it.
fn sessions(json: &Value, is_worker: bool, seeds: &mut BTreeSet<Vec<u8>>) -> io::Result<()> {
    let numbers: &[u64] = if is_worker { &OPERATIONS } else { &COMMANDS };
    let [asks, says, answers] = if is_worker { [0, 1, 2] } else { [3, 4, 4] };
    for session in list(&json["sessions"]) {
        let minor =
            session["client_version"].as_str().and_then(|version| version.split('.').nth(1));
        let version = match minor.unwrap_or_default() {
            "5" | "6" => 1,
            "34" | "35" => 3,
            "37" => 4,
            "7" | "38" => 5, // the newest of both
            _ => 0,
        };
        for step in list(&session["steps"]) {
            let (sent, received) = (base16(&step["sent_hex"])?, base16(&step["received_hex"])?);
            let mut seed = |side: u8, asked: usize, bytes: &[u8]| {
                let asked = u8::try_from(asked).unwrap_or(0);
                seeds.insert([&[side, version, asked][..], bytes].concat());
            };
            if step["op"] == "handshake" {
                seed(5, 0, &sent);
                seed(5, 0, &received);
                continue;
            }
            seed(asks, 0, &sent);
            seed(says, 0, &received);
            let number = sent.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            let last = received.windows(8).position(|window| window == LAST);
            let answer = if is_worker { last.map(|at| at + 8) } else { Some(0) };
            let asked = numbers.iter().position(|known| *known == number);
            if let (Some(asked), Some(at)) = (asked, answer) {
                seed(answers, asked, &received[at..]);
            }
            // Frames stand somewhere behind the words of a request.
            (0..sent.len().min(600)).step_by(64).for_each(|at| seed(6, 0, &sent[at..]));
        }
    }
    for bad in list(&json["bad_input"]) {
        let sent = base16(&bad["sent_hex"])?;
        seeds.extend([5, asks].map(|side| [&[side, 3, 0][..], &sent].concat()));
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn base16(digits: &Value) -> io::Result<Vec<u8>> {
    let digits = digits.as_str().unwrap_or_default().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes.ok_or_else(|| io::Error::other("a message is no base16"))
}

/// Padded base64; what is no digit counts as the first.
fn base64(digits: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = digits.trim_end_matches('=');
    let mut bits = digits.chars().flat_map(|digit| {
        let value = DIGITS.find(digit).unwrap_or(0);
        (0..6).rev().map(move |bit| u8::from(value >> bit & 1 == 1))
    });
    let mut byte = || bits.by_ref().take(8).fold(0, |byte, bit| byte << 1 | bit);
    (0..digits.len() * 6 / 8).map(|_| byte()).collect()
}
