//! The neutral formats that test suites of validators speak: `elf-policy/1` in, `elf-findings/1` out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hoist_check::{Contract, Libc, Policy, Promise, PromisedKind, Target};
use hoist_elf::header::{MAX_HEADER_BYTES, parse_header};
use hoist_elf::{Class, DottedVersion, Endian, Machine};
use hoist_schema::manifest::{IsaLevel, Timeout};
use hoist_schema::{Exit, Finding, Severity};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::asked::read_text;
use crate::checking::{Findings, Request};
use crate::error::CliError;
use crate::output::Output;
use crate::probing::Probing;

const POLICY_FORMAT: &str = "elf-policy/1";
const FINDINGS_FORMAT: &str = "elf-findings/1";

/// Longest policy file that is read, in bytes.
const MAX_POLICY_BYTES: u64 = 4 << 20;

/// Longest time that a library may take to load, in seconds, unless the policy says otherwise; and
/// the longest that it can say.
const PROBE_SECONDS: f64 = 3.0;
const MAX_PROBE_SECONDS: f64 = 3600.0;

/// An `elf-policy/1` file. What is absent or null is not asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PolicyFile {
    format: Option<String>,
    arch: Option<String>,
    libc: Option<String>,
    glibc_max: Option<String>,
    glibcxx_max: Option<String>,
    isa: Option<IsaLevel>,
    page_size: Option<u64>,
    exports: Option<Vec<Export>>,
    exports_exact: Option<bool>,
    /// Relative to the policy file, as the next two.
    header: Option<PathBuf>,
    previous: Option<PathBuf>,
    search: Option<Vec<PathBuf>>,
    soname: Option<String>,
    system_libs: Option<Vec<String>>,
    forbid_paths: Option<Vec<String>>,
    probe: Option<bool>,
    probe_timeout_s: Option<f64>,
    strict: Option<bool>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Export {
    name: String,
    kind: Option<String>,
    version: Option<String>,
}

/// Reads a policy file. Keys that are not known are warned of and passed over.
pub(super) fn read_policy(file: &Path) -> Result<Request, CliError> {
    let text = read_text(file, MAX_POLICY_BYTES)?;
    let usage = |why: &str| CliError::new(Exit::Usage, format!("{}: {why}", file.display()));
    let policy: PolicyFile =
        serde_json::from_str(&text).map_err(|error| usage(&error.to_string()))?;
    match policy.format.as_deref() {
        Some(POLICY_FORMAT) => {}
        Some(other) => {
            return Err(usage(&format!("its format is `{other}`, wanted `{POLICY_FORMAT}`")));
        }
        None => {
            return Err(usage(&format!("it has no `format`, wanted `{POLICY_FORMAT}`"))
                .hint("in a project, write `[check]` of hoist.toml instead"));
        }
    }
    for key in policy.unknown.keys() {
        Output::warn(format!("{}: the key `{key}` is not known and passed over", file.display()));
    }
    let folder = std::path::absolute(file).map_err(CliError::io("find", file))?;
    let folder = folder.parent().unwrap_or(Path::new("/"));
    request(policy, folder).map_err(|why| match why {
        Refused::Because(why) => usage(&why),
        Refused::Header(error) => error,
    })
}

/// Why a policy cannot be used.
enum Refused {
    Because(String),
    Header(CliError),
}

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self::Because(why)
    }
}

fn request(policy: PolicyFile, folder: &Path) -> Result<Request, Refused> {
    let mut target = target(policy.arch.as_deref())?;
    target.libc = libc(policy.libc.as_deref())?;
    if let Some(bytes) = policy.page_size {
        if !bytes.is_power_of_two() {
            return Err(format!("`page_size` is {bytes}, wanted a power of two").into());
        }
        target.page_size_bytes = bytes;
    }
    let asked = Policy::foreign(policy.strict == Some(true));
    let mut contract = Contract {
        promised_by: "the policy".to_owned(),
        glibc: version("glibc_max", policy.glibc_max)?,
        libstdcxx: version("glibcxx_max", policy.glibcxx_max)?,
        isa: policy.isa,
        soname: policy.soname,
        exports_exact: policy.exports_exact.unwrap_or(false),
        ..asked.contract(target)
    };
    if let Some(exports) = policy.exports {
        contract.exports = exports.into_iter().map(promise).collect::<Result<_, _>>()?;
    }
    if let Some(libraries) = policy.system_libs {
        contract.system_libraries = libraries;
    }
    if let Some(paths) = policy.forbid_paths {
        contract.forbidden_paths.clone_from(&paths);
        contract.leaked_paths = paths;
    }
    let below_root = |path: &PathBuf| {
        let path = folder.join(path);
        path.to_string_lossy().trim_start_matches('/').to_owned()
    };
    contract.search = policy.search.iter().flatten().map(below_root).collect();
    let mut unread_header = None;
    if let Some(header) = policy.header {
        let text = read_text(&folder.join(&header), MAX_HEADER_BYTES as u64);
        match parse_header(&text.map_err(Refused::Header)?) {
            Ok(read) => contract.header = Some(read),
            Err(error) => unread_header = Some(format!("{}:{error}", header.display())),
        }
    }
    let seconds = policy.probe_timeout_s.unwrap_or(PROBE_SECONDS);
    if !(seconds > 0.0 && seconds <= MAX_PROBE_SECONDS) {
        return Err(
            format!("`probe_timeout_s` is {seconds}, wanted up to {MAX_PROBE_SECONDS}").into()
        );
    }
    let is_probed = policy.probe == Some(true);
    Ok(Request {
        previous: policy.previous.map(|previous| folder.join(previous)),
        probe: is_probed.then(|| Probing::asked(Some(Timeout(Duration::from_secs_f64(seconds))))),
        contract,
        unread_header,
        ..Request::new(asked)
    })
}

fn target(arch: Option<&str>) -> Result<Target, String> {
    let Some(arch) = arch else { return Ok(Target::HOST) };
    let other = |machine, class, endian, page_size_bytes, loader| Target {
        machine,
        class,
        endian,
        page_size_bytes,
        loader,
        libc: Libc::Glibc,
    };
    Ok(match arch {
        "x86_64" | "x86-64" | "amd64" => Target::X86_64_LINUX,
        "aarch64" | "arm64" => Target::AARCH64_LINUX,
        "i386" | "i486" | "i586" | "i686" | "x86" => {
            other(Machine::I386, Class::Elf32, Endian::Little, 4096, "ld-linux.so.2")
        }
        "arm" | "armv7" | "armv7l" | "armhf" => {
            other(Machine::ARM, Class::Elf32, Endian::Little, 4096, "ld-linux-armhf.so.3")
        }
        "riscv64" => {
            let loader = "ld-linux-riscv64-lp64d.so.1";
            other(Machine::RISCV, Class::Elf64, Endian::Little, 4096, loader)
        }
        "ppc64le" | "powerpc64le" => {
            other(Machine::PPC64, Class::Elf64, Endian::Little, 65536, "ld64.so.2")
        }
        "s390x" => other(Machine::S390, Class::Elf64, Endian::Big, 4096, "ld64.so.1"),
        "loongarch64" => {
            let loader = "ld-linux-loongarch-lp64d.so.1";
            other(Machine::LOONGARCH, Class::Elf64, Endian::Little, 16384, loader)
        }
        _ => return Err(format!("`arch` is `{arch}`, which is not known; wanted as `x86_64`")),
    })
}

fn libc(name: Option<&str>) -> Result<Libc, String> {
    match name {
        None | Some("glibc" | "gnu") => Ok(Libc::Glibc),
        Some("musl") => Ok(Libc::Musl),
        Some(other) => Err(format!("`libc` is `{other}`, wanted `glibc` or `musl`")),
    }
}

fn version(key: &str, text: Option<String>) -> Result<Option<DottedVersion>, String> {
    text.map(|text| text.parse().map_err(|error| format!("`{key}`: {error}"))).transpose()
}

fn promise(export: Export) -> Result<Promise, String> {
    let kind = match export.kind.as_deref() {
        None | Some("func" | "function") => PromisedKind::Function,
        Some("data" | "object" | "variable") => PromisedKind::Data,
        Some(other) => {
            let name = export.name;
            return Err(format!(
                "the export `{name}` is of kind `{other}`, wanted `func` or `data`"
            ));
        }
    };
    Ok(Promise { name: export.name, kind, version: export.version })
}

/// What was found, as `elf-findings/1`.
pub(super) fn findings(findings: &Findings) -> String {
    let verdict = match findings.worst() {
        Some(Severity::Error) => "fail",
        Some(Severity::Warning) => "warn",
        Some(Severity::Info) | None => "pass",
    };
    let found: Vec<Value> = findings.findings.iter().map(neutral).collect();
    let report = json!({ "format": FINDINGS_FORMAT, "verdict": verdict, "findings": found });
    serde_json::to_string_pretty(&report).expect("findings are plain data")
}

fn neutral(finding: &Finding) -> Value {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warn",
        Severity::Info => "info",
    };
    let message = match finding.fix.as_str() {
        "" => finding.message.clone(),
        fix => format!("{}; fix: {fix}", finding.message),
    };
    json!({
        "check": finding.rule,
        "severity": severity,
        "symbol": finding.symbol,
        "object": finding.object,
        "message": message,
    })
}
