//! A folder with a newer Debian in it, for the release of Nix that this machine's own lacks.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::run::{command, quiet};

/// The release of Debian, and the package wanted in it.
const SUITE: &str = "trixie";
const PACKAGE: &str = "nix-bin";

/// The users that the packages' scripts would have made, had they run.
const USERS: &str = "root:x:0:0:root:/root:/bin/sh\n\
                     nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUPS: &str = "root:x:0:\nnixbld:x:30000:\nnogroup:x:65534:\n";

/// Whether `folder` holds all of it.
pub(crate) fn is_there(folder: &Path) -> bool {
    folder.join("usr/bin/nix-store").is_file()
}

/// Makes it in `folder`; takes root, debootstrap, and half a minute.
///
/// Nothing in it is run: the packages, which debootstrap chose and held against the archive's
/// signature, are unpacked and that is all. Setting them up takes five times as long, and Nix runs
/// without. It is made beside `folder` and renamed, so that it is whole or not there.
///
/// - `path`: the `PATH` of the programs that do it.
///
/// # Errors
///
/// What the program that failed printed.
pub(crate) fn make(folder: &Path, path: &OsStr) -> Result<()> {
    let part = folder.with_extension("part");
    fs::create_dir_all(folder.parent().unwrap_or(folder))?;
    if part.exists() {
        fs::remove_dir_all(&part)?; // of a run that was interrupted
    }
    let include = format!("--include={PACKAGE}");
    let mut download = command("debootstrap", &["--variant=minbase", "--download-only"]);
    download.args([&include, SUITE]).arg(&part).args(mirror());
    quiet(download.env("PATH", path).env("LC_ALL", "C"))?;
    let archives = part.join("var/cache/apt/archives");
    for package in packages(&archives)? {
        quiet(command("dpkg-deb", &["--extract"]).arg(package).arg(&part).env("PATH", path))?;
    }
    fs::write(part.join("etc/passwd"), USERS)?;
    fs::write(part.join("etc/group"), GROUPS)?;
    fs::remove_dir_all(&archives)?;
    fs::remove_dir_all(part.join("debootstrap"))?;
    fs::rename(&part, folder)?;
    Ok(())
}

/// The packages in a folder, the one with the links `/bin` and `/lib` first.
fn packages(archives: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(archives)?.map(|entry| Ok(entry?.path()));
    let mut packages = entries.collect::<Result<Vec<PathBuf>>>()?;
    packages.retain(|file| file.extension().is_some_and(|ending| ending == "deb"));
    let name = |file: &PathBuf| file.file_name().unwrap_or_default().to_owned();
    packages.sort_by_key(|file| {
        (!name(file).as_encoded_bytes().starts_with(b"base-files_"), name(file))
    });
    Ok(packages)
}

/// The archive of Debian that apt is configured for; none leaves it to debootstrap.
fn mirror() -> Option<String> {
    let of_debian = ["Created-By: Packages", "Origin: Debian", "Label: Debian"];
    let mut targets = command("apt-get", &["indextargets", "--format", "$(SITE)"]);
    let sites = quiet(targets.args(of_debian)).ok()?;
    sites.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_that_links_the_folders_comes_first() {
        let dir = std::env::temp_dir().join(format!("hoist-xtask-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        for name in ["apt_3.deb", "base-files_13.deb", "base-passwd_3.deb", "lock"] {
            fs::write(dir.join(name), "").unwrap();
        }
        let found = packages(&dir);
        fs::remove_dir_all(&dir).unwrap();
        let found: Vec<_> =
            found.unwrap().iter().map(|file| file.file_name().unwrap().to_owned()).collect();
        assert_eq!(found, ["base-files_13.deb", "apt_3.deb", "base-passwd_3.deb"]);
    }
}
