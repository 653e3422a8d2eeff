//! What running processes use.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use hoist_nix::StorePath;

use super::mentions::mentions;
use super::{Root, RootKind, Roots};
use crate::FileError;

/// Adds what the processes that this one may look into use.
pub(super) fn find(found: &mut Roots) -> Result<(), FileError> {
    let proc = Path::new("/proc");
    let listed = || FileError::at("list", proc);
    for entry in fs::read_dir(proc).map_err(listed())? {
        let entry = entry.map_err(listed())?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let process = Process::look_into(&entry.path());
        if process.is_closed && has_command_line(&entry.path()) {
            found.unreadable_processes += 1;
        }
        if process.uses.is_empty() {
            continue;
        }
        let name = fs::read(entry.path().join("comm")).unwrap_or_default();
        let name = String::from_utf8_lossy(name.trim_ascii_end()).into_owned();
        found.roots.extend(process.uses.into_iter().map(|(path, file)| Root {
            path,
            kind: RootKind::Process { pid, name: name.clone(), file },
        }));
    }
    Ok(())
}

/// What one process uses, each with the file that says so.
#[derive(Default)]
struct Process {
    uses: BTreeMap<StorePath, &'static str>,
    /// Whether a part of it may not be looked into.
    is_closed: bool,
}

impl Process {
    fn look_into(dir: &Path) -> Self {
        let mut process = Self::default();
        for link in ["exe", "cwd", "root"] {
            process.note(link, target(&dir.join(link)));
        }
        for entry in process.open_files(&dir.join("fd")) {
            process.note("fd", target(&entry.path()));
        }
        for file in ["maps", "environ"] {
            process.note(file, fs::read(dir.join(file)));
        }
        process
    }

    fn open_files(&mut self, dir: &Path) -> Vec<DirEntry> {
        match fs::read_dir(dir) {
            Ok(entries) => entries.flatten().collect(),
            Err(error) => {
                self.note_failure(&error);
                Vec::new()
            }
        }
    }

    fn note(&mut self, file: &'static str, text: io::Result<Vec<u8>>) {
        match text {
            Ok(text) => {
                for path in mentions(&text) {
                    self.uses.entry(path).or_insert(file);
                }
            }
            Err(error) => self.note_failure(&error),
        }
    }

    /// Everything but a refusal says that the process has ended, or is the kernel's.
    fn note_failure(&mut self, error: &io::Error) {
        self.is_closed |= error.kind() == ErrorKind::PermissionDenied;
    }
}

fn target(link: &Path) -> io::Result<Vec<u8>> {
    Ok(fs::read_link(link)?.as_os_str().as_bytes().to_owned())
}

/// Threads of the kernel and processes that have ended have none, and use nothing.
fn has_command_line(dir: &Path) -> bool {
    fs::read(dir.join("cmdline")).is_ok_and(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    const PATH: &str = "z45ailnkm27lnvhimqkhy08f6sh5m17d-a-test-of-processes";

    fn files_of(pid: u32) -> Vec<&'static str> {
        let mut found = Roots::default();
        find(&mut found).unwrap();
        let of = |root: &Root| match root.kind {
            RootKind::Process { pid: of, ref name, file } if of == pid => {
                assert_eq!(name, "sleep");
                (root.path.as_str() == PATH).then_some(file)
            }
            _ => None,
        };
        found.roots.iter().filter_map(of).collect()
    }

    /// Starts a process with `prepare`d surroundings and says which file gives it away.
    fn given_away_by(prepare: impl FnOnce(&mut Command, &Path)) -> Vec<&'static str> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anywhere/nix/store").join(PATH);
        fs::create_dir_all(&path).unwrap();
        let mut command = Command::new("sleep");
        command.arg("60").stdin(Stdio::null());
        prepare(&mut command, &path);
        let mut child = command.spawn().unwrap();
        let files = files_of(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        files
    }

    #[test]
    fn a_process_uses_its_environment_folder_and_open_files() {
        let environ = |command: &mut Command, path: &Path| {
            command.env("LD_LIBRARY_PATH", path.join("lib"));
        };
        assert_eq!(given_away_by(environ), ["environ"]);
        let folder = |command: &mut Command, path: &Path| {
            command.current_dir(path);
        };
        assert_eq!(given_away_by(folder), ["cwd"]);
        let input = |command: &mut Command, path: &Path| {
            fs::write(path.join("input"), "").unwrap();
            command.stdin(fs::File::open(path.join("input")).unwrap());
        };
        assert_eq!(given_away_by(input), ["fd"]);
        assert_eq!(given_away_by(|_, _| ()), [""; 0]);
    }

    #[test]
    fn a_process_uses_its_program() {
        let program = |command: &mut Command, path: &Path| {
            let sleep = path.join("sleep");
            fs::copy("/bin/sleep", &sleep).unwrap();
            *command = Command::new(sleep);
            command.arg("60");
        };
        assert_eq!(given_away_by(program), ["exe"]);
    }
}
