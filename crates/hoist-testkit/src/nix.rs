//! Every release of Nix that is installed here: this machine's own, and a newer one in a folder
//! that holds a Debian of its own.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tool::{for_nix, printed};
use crate::{not_checked, tool};

/// One installed release of Nix.
///
/// Each has its own `/nix`, and its own home: a test gives its store by `--store`, by the variables
/// `NIX_STORE_DIR`, `NIX_STATE_DIR` and `NIX_DAEMON_SOCKET_PATH`, or by [`NixRelease::with_nix`].
#[derive(Debug, Clone)]
pub struct NixRelease {
    version: String,
    place: Place,
    /// What is mounted as `/nix`, when it is not the place's own.
    nix: Option<PathBuf>,
}

#[derive(Debug, Clone)]
enum Place {
    /// The folder of its programs, on this machine.
    Host(PathBuf),
    /// The root of another system, and the `unshare` that leads there.
    Debian { root: PathBuf, unshare: PathBuf },
}

/// Enters the system at `$1` in a mount namespace that nobody else sees and that ends with it.
/// What tests write to is visible there under the same names: the folders of `$3`, and the one
/// where it starts. `$2`, if not empty, is its `/nix`.
///
/// Its root becomes the root: in a mere `chroot` the kernel allows no user namespaces, and without
/// them Nix has no sandbox.
const ENTER: &str = r#"
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
root=$1 nix=$2 visible=$3 here=$(pwd -P)
shift 3
mount --rbind "$root" "$root"
if [ -n "$nix" ]; then
    mkdir -p "$root/nix"
    mount --bind "$nix" "$root/nix"
fi
old_ifs=$IFS IFS=:
set -f
for folder in /proc /dev $visible "$here"; do
    if ! [ "$folder" -ef "$root$folder" ]; then
        mkdir -p "$root$folder"
        mount --rbind "$folder" "$root$folder"
    fi
done
IFS=$old_ifs
cd "$root"
pivot_root . .
umount -l .
cd "$here"
exec "$@"
"#;

/// Gives this machine another `/nix`, `$1`, in a mount namespace that nobody else sees and that
/// ends with it.
const OWN_NIX: &str = r#"
mkdir -p /nix
mount --bind "$1" /nix
shift
exec "$@"
"#;

/// All releases that are here, oldest place first: the one on `PATH` (Debian's `nix-bin`), and the
/// one in [`trixie_folder`].
///
/// An absent one is said aloud.
///
/// # Panics
///
/// When one is absent and `HOIST_REQUIRE_TOOLS` is set, or when one cannot tell its version.
#[must_use]
pub fn nix_releases() -> Vec<NixRelease> {
    [host(), trixie()].into_iter().flatten().map(NixRelease::at).collect()
}

/// Where the tests look for a Debian trixie with `nix-bin` in it, and `cargo xtask test` makes one:
/// `HOIST_TRIXIE`, else `hoist-tests/trixie` in the user's cache folder.
///
/// `None` for a user without a home.
#[must_use]
pub fn trixie_folder() -> Option<PathBuf> {
    let named = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty());
    if let Some(folder) = named("HOIST_TRIXIE") {
        return Some(PathBuf::from(folder));
    }
    let cache = named("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(env::home_dir()?.join(".cache")))?;
    Some(cache.join("hoist-tests/trixie"))
}

fn host() -> Option<Place> {
    let nix_store = tool("nix-store", "nix-bin")?;
    Some(Place::Host(nix_store.path().parent().expect("it lies in a folder").to_owned()))
}

fn trixie() -> Option<Place> {
    let folder = trixie_folder();
    let Some(root) = folder.filter(|root| root.join("usr/bin/nix-store").is_file()) else {
        not_checked("no Debian trixie with Nix in it (HOIST_TRIXIE; `cargo xtask test` makes it)");
        return None;
    };
    if !is_root() {
        not_checked("only root can enter the Debian trixie with Nix in it");
        return None;
    }
    let unshare = tool("unshare", "util-linux")?.path().to_owned();
    Some(Place::Debian { root: root.canonicalize().unwrap_or(root), unshare })
}

impl NixRelease {
    fn at(place: Place) -> Self {
        let mut release = Self { version: String::new(), place, nix: None };
        let told = release.stdout("nix-store", ["--version"]);
        let version = told.rsplit(' ').next().expect("splitting gives at least one part");
        version.clone_into(&mut release.version);
        release
    }

    /// Its version, as `2.8.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The same release with `folder`, which must be there, as its `/nix`.
    ///
    /// Unlike a store with a root, this one has its files where its paths say: the store of most
    /// machines.
    ///
    /// `None`, said aloud, for a user who may not mount.
    ///
    /// # Panics
    ///
    /// When `HOIST_REQUIRE_TOOLS` is set and the user may not mount.
    #[must_use]
    pub fn with_nix(&self, folder: &Path) -> Option<Self> {
        if !is_root() {
            not_checked("only root can give Nix a /nix of its own");
            return None;
        }
        tool("unshare", "util-linux")?;
        Some(Self { nix: Some(folder.to_owned()), ..self.clone() })
    }

    /// A command that runs one of its programs, kept from the configuration of its machine as
    /// [`crate::Tool::command`] tells.
    ///
    /// The temporary folder, this repository and the folder where the command starts are visible
    /// to every release under the same names.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = match &self.place {
            Place::Host(folder) => match &self.nix {
                None => Command::new(folder.join(program)),
                Some(nix) => {
                    let mut command = Command::new("unshare");
                    command
                        .args(["--mount", "--propagation", "private", "sh", "-ec", OWN_NIX, "own"])
                        .args([nix.as_os_str(), folder.join(program).as_os_str()]);
                    command
                }
            },
            Place::Debian { root, unshare } => {
                let mut command = Command::new(unshare);
                command
                    .args(["--mount", "--propagation", "private", "sh", "-ec", ENTER, "enter"])
                    .args([
                        root.as_os_str(),
                        self.nix.as_deref().unwrap_or(Path::new("")).as_os_str(),
                    ])
                    .arg(visible())
                    .arg(program);
                command
            }
        };
        for_nix(&mut command);
        command
    }

    /// Runs one of its programs and returns its standard output without trailing white space.
    ///
    /// # Panics
    ///
    /// When it cannot be started, fails, or prints bytes that are not UTF-8.
    #[track_caller]
    pub fn stdout<I, S>(&self, program: &str, args: I) -> String
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        printed(self.command(program).args(args))
    }
}

impl fmt::Display for NixRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nix {}", self.version)
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The folders that tests write to, with colons between them.
fn visible() -> std::ffi::OsString {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let repository = repository.expect("the crate lies two folders deep").to_owned();
    let folders = [PathBuf::from("/tmp"), env::temp_dir(), repository];
    let there = folders.into_iter().filter_map(|folder| folder.canonicalize().ok());
    env::join_paths(there).expect("no folder of the tests has a colon in its name")
}
