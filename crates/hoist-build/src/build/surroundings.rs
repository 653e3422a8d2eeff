//! What a build sees: its environment, its mounts, the sandbox or the host around it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use hoist_sandbox::{Access, File, HostSpec, Level, Limits, Mount, Outcome, Spec, System};
use hoist_schema::manifest::Manifest;

use super::Request;
use crate::BuildError;
use crate::toolchain::{self, Places, Prepared};

/// 1980-01-01, the earliest time that every archive format can tell.
const SOURCE_DATE_EPOCH: &str = "315532800";

/// One run: what is asked, and where things lie on the host and for the build.
pub(super) struct Surroundings<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) host: &'a Places,
    pub(super) seen: &'a Places,
    pub(super) prepared: &'a Prepared,
}

impl Surroundings<'_> {
    /// Runs the action's command, in the sandbox or on the host.
    pub(super) fn run(
        &self,
        on_host: bool,
        on_output: &mut dyn FnMut(&[u8]),
    ) -> Result<Outcome, BuildError> {
        let manifest = self.request.manifest;
        let command =
            self.request.action.command().iter().map(|word| resolve(word, self.seen).into());
        let limits = Limits { wall: Some(manifest.build.timeout.0), ..Limits::default() };
        let outcome = if on_host {
            let spec = HostSpec {
                command: command.collect(),
                env: self.env(|(host, _)| host),
                cwd: self.seen.source.clone(),
                limits,
            };
            hoist_sandbox::run_on_host(&spec, on_output)
        } else {
            let system = System::of_this_host();
            let spec = Spec {
                command: command.collect(),
                env: self.env(|(_, inside)| inside),
                cwd: self.seen.source.clone(),
                mounts: self.mounts(system.mounts),
                symlinks: system.symlinks,
                files: account_files(),
                hostname: "hoist".to_owned(),
                network: manifest.build.network,
                limits,
                slate: Vec::new(),
                require: Level::SharedProc,
            };
            hoist_sandbox::run(&spec, on_output)
        };
        outcome.map_err(BuildError::Sandbox)
    }

    fn env(&self, side: impl Fn(&(PathBuf, PathBuf)) -> &PathBuf) -> BTreeMap<OsString, OsString> {
        let Request { manifest, toolchain, .. } = *self.request;
        let own = toolchain.path.iter().map(side).cloned();
        let path: Vec<PathBuf> = own.chain(System::PATH.map(PathBuf::from)).collect();
        let path = std::env::join_paths(path).unwrap_or_else(|_| System::PATH.join(":").into());
        let temp =
            if self.seen.on_host { self.host.home.clone().into_os_string() } else { "/tmp".into() };
        let mut env: BTreeMap<OsString, OsString> = BTreeMap::from([
            ("HOIST_OUT".into(), self.seen.out.clone().into_os_string()),
            ("HOME".into(), self.seen.home.clone().into_os_string()),
            ("LC_ALL".into(), "C.UTF-8".into()),
            ("PATH".into(), path),
            ("SOURCE_DATE_EPOCH".into(), SOURCE_DATE_EPOCH.into()),
            ("TMPDIR".into(), temp),
            ("TZ".into(), "UTC".into()),
        ]);
        for (name, value) in toolchain::env(manifest, toolchain, self.seen) {
            env.insert(name.into(), value.into());
        }
        for (name, value) in &manifest.build.env {
            env.insert(name.into(), resolve(value, self.seen).into());
        }
        env
    }

    fn mounts(&self, mut mounts: Vec<Mount>) -> Vec<Mount> {
        let mount = |source: &Path, target: &Path, access| Mount {
            source: source.to_owned(),
            target: target.to_owned(),
            access,
        };
        mounts.extend(
            self.request
                .toolchain
                .mounts
                .iter()
                .map(|(host, inside)| mount(host, inside, Access::ReadOnly)),
        );
        mounts.extend([
            mount(&self.host.source, &self.seen.source, Access::ReadOnly),
            mount(&self.host.out, &self.seen.out, Access::ReadWrite),
            mount(&self.host.cache, &self.seen.cache, Access::ReadWrite),
            mount(&self.host.home, &self.seen.home, Access::ReadWrite),
        ]);
        if let Some(vendor) = &self.prepared.vendor {
            mounts.push(mount(vendor, &self.seen.vendor, Access::ReadOnly));
        }
        mounts
    }
}

/// Where everything lies in the sandbox, on every machine.
pub(super) fn places_inside(manifest: &Manifest) -> Places {
    Places {
        source: Path::new("/build").join(&manifest.package.name),
        out: "/out".into(),
        cache: "/cache".into(),
        home: "/home/build".into(),
        vendor: "/vendor".into(),
        on_host: false,
    }
}

/// Fills in the placeholders of a command's word.
pub(super) fn resolve(word: &str, places: &Places) -> String {
    word.replace("{out}", &places.out.display().to_string())
        .replace("{cache}", &places.cache.display().to_string())
}

fn account_files() -> Vec<File> {
    [
        ("/etc/passwd", "build:x:1000:1000::/home/build:/bin/sh\n"),
        ("/etc/group", "build:x:1000:\n"),
        ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ]
    .map(|(path, contents)| File {
        path: path.into(),
        contents: contents.into(),
        executable: false,
    })
    .into()
}

/// Writes the preset's files into the home folder, which is empty otherwise.
pub(super) fn write_home(
    prepared: &Prepared,
    host: &Places,
    seen: &Places,
) -> Result<(), BuildError> {
    for (path, content) in &prepared.home_files {
        let file = host.home.join(path);
        let parent = file.parent().unwrap_or(&host.home);
        fs::create_dir_all(parent).map_err(BuildError::io("make the folder", parent))?;
        let content = content.replace("{vendor}", &seen.vendor.display().to_string());
        fs::write(&file, content).map_err(BuildError::io("write", &file))?;
    }
    Ok(())
}
