//! Policies: what is asked of a library beside its own promises, and how bad each finding is.

mod waiver;

use hoist_schema::{Finding, Severity};

use crate::contract::{Contract, Target};
use crate::manylinux::{Platform, manylinux};
use crate::rule::Rule;

pub use waiver::apply_waivers;

/// The policies by name; `manylinux_2_28` stands for its siblings, of other releases of glibc.
pub const POLICY_NAMES: [&str; 4] = ["default", "nix", "manylinux_2_28", "strict"];

/// Folders that no NixOS host has, so that nothing is found there.
const FHS_FOLDERS: [&str; 5] = ["/usr", "/lib", "/lib64", "/opt", "/bin"];

/// What libraries on NixOS find without a RUNPATH: what the process that loads them has loaded
/// itself, which is its C library. libstdc++ and libgcc come from the store.
const NIX_SYSTEM_LIBRARIES: [&str; 7] = [
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
];

/// A policy: start a [`Contract`] from it, and hold the findings against it afterwards.
///
/// ```
/// use hoist_check::{Policy, Target};
/// let policy = Policy::named("manylinux_2_28").expect("it is one of the policies");
/// let contract = policy.contract(Target::X86_64_LINUX);
/// assert_eq!(contract.glibc.map(|floor| floor.to_string()).as_deref(), Some("2.28"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Default,
    /// Of a policy file; what makes an attack easier is an error where it is `strict`.
    Foreign {
        strict: bool,
    },
    Nix,
    Manylinux(&'static Platform),
    Strict,
}

impl Default for Policy {
    fn default() -> Self {
        Self { name: POLICY_NAMES[0].to_owned(), kind: Kind::Default }
    }
}

impl Policy {
    /// The policy with this name; `None` when there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let kind = match name {
            "default" => Kind::Default,
            "nix" => Kind::Nix,
            "strict" => Kind::Strict,
            _ => Kind::Manylinux(manylinux(name)?),
        };
        Some(Self { name: name.to_owned(), kind })
    }

    /// The name that is most like `name`, for a word that is none; `None` when nothing is close.
    #[must_use]
    pub fn nearest(name: &str) -> Option<&'static str> {
        /// Below it, names share little more than a letter.
        const LEAST_LIKENESS: f64 = 0.5;
        let likeness = |known: &str| strsim::normalized_damerau_levenshtein(name, known);
        POLICY_NAMES
            .into_iter()
            .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
            .filter(|nearest| likeness(nearest) >= LEAST_LIKENESS)
    }

    /// The severities of an `elf-policy/1` file, which asks of one library what its loader will:
    /// what only a second generation or a collected store path would meet is worth knowing. Where
    /// it is `strict`, what makes an attack easier is an error.
    #[must_use]
    pub fn foreign(strict: bool) -> Self {
        Self { kind: Kind::Foreign { strict }, ..Self::default() }
    }

    /// Its name, as in `hoist.toml`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it asks of any library for `target`, without promises of its own.
    #[must_use]
    pub fn contract(&self, target: Target) -> Contract {
        let mut contract = Contract::new(target);
        match self.kind {
            Kind::Default | Kind::Foreign { .. } | Kind::Strict => {}
            Kind::Nix => {
                contract.forbidden_paths.extend(FHS_FOLDERS.map(str::to_owned));
                contract.system_libraries = NIX_SYSTEM_LIBRARIES
                    .into_iter()
                    .chain([target.loader])
                    .map(str::to_owned)
                    .collect();
            }
            Kind::Manylinux(platform) => platform.demand(&mut contract),
        }
        contract
    }

    /// Whether exports that were not promised are an error wherever something is promised.
    #[must_use]
    pub fn exports_exact(&self) -> bool {
        self.kind == Kind::Strict
    }

    /// How bad a finding of the rule `id` is that the rule itself judged `found`.
    #[must_use]
    pub fn severity(&self, id: &str, found: Severity) -> Severity {
        if found != Severity::Warning {
            return found;
        }
        match self.kind {
            Kind::Foreign { strict: true } if id.starts_with("harden.") => Severity::Error,
            Kind::Foreign { .. } if id.starts_with("swap.") || id.starts_with("store.") => {
                Severity::Info
            }
            // Nobody asks for debug information, and what waivers are worth is their author's to say.
            Kind::Strict if !id.starts_with("debug.") && !id.starts_with("waiver.") => {
                Severity::Error
            }
            // PEP 600 asks nothing of how a wheel finds its own libraries, and tools that repair
            // wheels write either.
            Kind::Manylinux(_) if id == "dyn.rpath_deprecated" => Severity::Info,
            _ => found,
        }
    }

    /// How bad a finding of `rule` usually is.
    #[must_use]
    pub fn usual_severity(&self, rule: &Rule) -> Severity {
        self.severity(rule.id, rule.severity)
    }

    /// Judges `findings` by it.
    pub fn judge(&self, findings: &mut [Finding]) {
        for finding in findings {
            finding.severity = self.severity(&finding.rule, finding.severity);
        }
    }
}

#[cfg(test)]
mod tests {
    use Severity::{Error, Info, Warning};

    use super::*;
    use crate::rule::{HARDEN_BIND_NOW, LEAK_BUILD_PATH, explain};

    fn policy(name: &str) -> Policy {
        Policy::named(name).unwrap()
    }

    #[test]
    fn every_name_is_a_policy_and_others_find_the_nearest() {
        for name in POLICY_NAMES {
            assert_eq!(policy(name).name(), name);
        }
        assert_eq!(Policy::named("manylinux_2"), None);
        assert_eq!(Policy::named("manylinux_2_29"), None, "no image has it");
        assert_eq!(Policy::named("manylinux_3_1"), None);
        assert_eq!(Policy::nearest("strickt"), Some("strict"));
        assert_eq!(Policy::nearest("manylinux"), Some("manylinux_2_28"));
        assert_eq!(Policy::nearest("weather"), None);
    }

    #[test]
    fn strict_makes_errors_of_warnings_and_the_neutral_kind_only_of_hardening() {
        let severities = |policy: &Policy| {
            [&HARDEN_BIND_NOW, &LEAK_BUILD_PATH, explain("load.constructor").unwrap()]
                .map(|rule| policy.usual_severity(rule))
        };
        assert_eq!(severities(&Policy::default()), [Warning, Warning, Info]);
        assert_eq!(severities(&Policy::foreign(true)), [Error, Warning, Info]);
        assert_eq!(severities(&Policy::foreign(false)), [Warning, Warning, Info]);
        let unique = explain("swap.unique_symbol").unwrap();
        assert_eq!(Policy::foreign(false).usual_severity(unique), Info);
        assert_eq!(Policy::default().usual_severity(unique), Warning);
        assert_eq!(severities(&policy("strict")), [Error, Error, Info]);
        assert!(policy("strict").exports_exact());
    }

    #[test]
    fn manylinux_sets_floors_and_libraries() {
        let contract = policy("manylinux_2_28").contract(Target::X86_64_LINUX);
        assert_eq!(contract.glibc.unwrap().to_string(), "2.28");
        assert_eq!(contract.libstdcxx.unwrap().to_string(), "3.4.24");
        assert!(contract.system_libraries.iter().any(|library| library == "libX11.so.6"));
        let old = policy("manylinux_2_17").contract(Target::X86_64_LINUX);
        assert_eq!(old.libstdcxx.unwrap().to_string(), "3.4.19");
    }

    #[test]
    fn nix_knows_no_fhs_folder_and_no_libstdcxx_of_the_system() {
        let contract = policy("nix").contract(Target::X86_64_LINUX);
        assert!(contract.forbidden_paths.iter().any(|path| path == "/usr"));
        assert!(!contract.system_libraries.iter().any(|library| library == "libstdc++.so.6"));
        assert!(contract.system_libraries.iter().any(|library| library == "ld-linux-x86-64.so.2"));
    }
}
