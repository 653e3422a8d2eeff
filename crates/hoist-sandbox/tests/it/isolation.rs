//! What a command can see and change.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use hoist_sandbox::{Access, End, Level, Spec, Symlink};
use hoist_testkit::tool;

use crate::support::{Probe, command, file, mount, open_dir, shell};

/// Everything that would make two machines' builds differ, one fact per line.
const FACTS: &str = r"
    echo pid $$
    echo user $(id -u):$(id -g)
    echo host $(uname -n)
    echo cwd $PWD
    echo umask $(umask)
    echo stdin $(readlink /proc/self/fd/0)
    files=; for fd in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && files=$files$fd; done
    echo files $files
    echo root $(echo /*)
    echo devices $(echo /dev/*)
    echo processes $(echo /proc/[0-9]*)
    echo session $(cut -d' ' -f6 /proc/$$/stat)
    grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|SigIgn|SigBlk|ShdPnd):' \
        /proc/self/status | tr '\t' ' '
    echo interfaces $(sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/net/dev)
";

fn assert_facts(probe: &Probe) {
    let ran = probe.run(&shell(FACTS));
    assert_eq!(ran.outcome().level, Level::Hermetic);
    let said = ran.said();
    let fact = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {said}")).trim().to_owned()
    };
    assert_eq!(fact("pid "), "2");
    assert_eq!(fact("user "), "1000:1000");
    assert_eq!(fact("host "), "hoist");
    assert_eq!(fact("cwd "), "/tmp");
    assert_eq!(fact("umask "), "0022");
    assert_eq!(fact("stdin "), "/dev/null");
    assert_eq!(fact("files "), "012");
    assert_eq!(fact("session "), "2");
    assert_eq!(fact("interfaces "), "lo");
    assert_eq!(
        fact("devices "),
        "/dev/fd /dev/full /dev/null /dev/random /dev/shm /dev/stderr /dev/stdin /dev/stdout \
         /dev/urandom /dev/zero"
    );
    let processes = fact("processes ");
    let processes: Vec<_> = processes.split(' ').collect();
    assert!(processes.contains(&"/proc/1") && processes.contains(&"/proc/2"), "{said}");
    assert!(processes.len() <= 3, "more than init, shell and the subshell that looks: {said}");
    for capabilities in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(fact(capabilities), "0000000000000000");
    }
    assert_eq!(fact("NoNewPrivs:"), "1");
    for signals in ["SigIgn:", "SigBlk:", "ShdPnd:"] {
        assert_eq!(fact(signals), "0000000000000000");
    }
    for entry in fact("root ").split(' ') {
        assert!(["/bin", "/dev", "/lib", "/lib64", "/proc", "/tmp", "/usr"].contains(&entry));
    }
}

#[test]
fn a_command_finds_the_same_surroundings_whoever_runs_it() {
    if let Some(probe) = Probe::hermetic() {
        assert_facts(&probe);
    }
    if let Some(probe) = Probe::unprivileged() {
        assert_facts(&probe);
    }
    if let Some(probe) = Probe::nested("") {
        assert_facts(&probe);
    }
}

#[test]
fn the_environment_is_exactly_what_was_declared() {
    let Some(probe) = Probe::hermetic() else { return };
    let mut spec = command(&["env"]);
    spec.env.insert("GREETING".into(), "hello = world".into());
    assert_eq!(probe.run(&spec).said(), "GREETING=hello = world\nPATH=/usr/bin:/bin\n");
}

#[test]
fn an_undeclared_file_is_absent() {
    let Some(probe) = Probe::hermetic() else { return };
    let dir = open_dir();
    fs::write(dir.path().join("secret"), "x").unwrap();
    let path = dir.path().join("secret");
    let ran = probe.run(&command(&["cat", path.to_str().unwrap()]));
    assert_eq!(ran.end(), End::Code(1));
    assert!(ran.text().contains("No such file"), "{}", ran.text());
}

#[test]
fn only_writable_mounts_and_tmp_take_writes() {
    let Some(probe) = Probe::hermetic() else { return };
    let (sources, output) = (open_dir(), open_dir());
    let mut spec = shell(
        "for dir in / /usr /src /out /tmp /dev /dev/shm /proc /etc; do \
         if (: > $dir/new) 2>/dev/null; then echo $dir; fi; done",
    );
    spec.mounts.push(mount(sources.path(), "/src", Access::ReadOnly));
    spec.mounts.push(mount(output.path(), "/out", Access::ReadWrite));
    spec.files.push(file("/etc/passwd", "build:x:1000:1000::/:/bin/sh\n"));
    assert_eq!(probe.run(&spec).said(), "/out\n/tmp\n/dev/shm\n");
    assert!(output.path().join("new").exists());
    assert!(!sources.path().join("new").exists());
}

#[test]
fn a_read_only_mount_is_read_only_below_other_mounts_too() {
    let dir = open_dir();
    fs::create_dir(dir.path().join("below")).unwrap();
    let script = format!("mount -t tmpfs none {}/below", dir.path().display());
    let Some(probe) = Probe::nested(&script) else { return };
    let mut spec = shell("mountpoint -q /src/below && ! touch /src/below/new");
    spec.mounts.push(mount(dir.path(), "/src", Access::ReadOnly));
    assert!(probe.run(&spec).said().contains("Read-only file system"));
}

#[test]
fn a_mount_stays_as_it_is_in_namespaces_of_the_command() {
    let Some(probe) = Probe::unprivileged() else { return };
    let dir = open_dir();
    let mut spec = shell(
        "unshare -Urm sh -c 'echo inside
         mount -o remount,bind,rw /src; umount /src; touch /src/new'",
    );
    spec.mounts.push(mount(dir.path(), "/src", Access::ReadOnly));
    let ran = probe.run(&spec);
    assert_eq!(ran.end(), End::Code(1));
    assert!(ran.text().starts_with("inside\n"), "{}", ran.text());
    assert!(ran.text().contains("touch: "), "{}", ran.text());
    assert!(!dir.path().join("new").exists());
}

#[test]
fn mounts_nest_in_any_order_and_symlinks_lead_into_them() {
    let Some(probe) = Probe::hermetic() else { return };
    let (outer, inner) = (open_dir(), open_dir());
    fs::create_dir(outer.path().join("inner")).unwrap();
    fs::write(inner.path().join("file"), "deep\n").unwrap();
    let mut spec = command(&["cat", "/link/inner/file"]);
    spec.mounts.push(mount(inner.path(), "/a/b/inner", Access::ReadWrite));
    spec.mounts.push(mount(outer.path(), "/a/b", Access::ReadOnly));
    spec.symlinks.push(Symlink { target: "a/b".into(), link: "/link".into() });
    assert_eq!(probe.run(&spec).said(), "deep\n");
}

#[test]
fn a_single_file_can_be_mounted_and_a_file_generated() {
    let Some(probe) = Probe::hermetic() else { return };
    let dir = open_dir();
    fs::write(dir.path().join("one"), "1").unwrap();
    fs::write(dir.path().join("other"), "2").unwrap();
    let mut spec = shell("echo $(cat /in/one) $(cat /etc/passwd) $(ls /in); ls -l /etc/passwd");
    spec.mounts.push(mount(&dir.path().join("one"), "/in/one", Access::ReadOnly));
    spec.files.push(file("/etc/passwd", "build"));
    let said = probe.run(&spec).said();
    assert!(said.starts_with("1 build one\n-rw-r--r--"), "{said}");
}

#[test]
fn a_link_in_a_writable_mount_cannot_lead_the_set_up_to_the_host() {
    let Some(probe) = Probe::hermetic() else { return };
    let (writable, host) = (open_dir(), open_dir());
    symlink(host.path(), writable.path().join("trap")).unwrap();
    let mut spec = command(&["true"]);
    spec.mounts.push(mount(writable.path(), "/job", Access::ReadWrite));
    spec.files.push(file("/job/trap/escaped", "x"));
    let _ = probe.run(&spec);
    assert_eq!(fs::read_dir(host.path()).unwrap().count(), 0);
}

#[test]
fn a_command_cannot_reach_the_network_unless_it_is_declared() {
    let Some(probe) = Probe::hermetic() else { return };
    let Some(_) = tool("bash", "bash") else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
    let spec = command(&["bash", "-c", &connect]);

    let ran = probe.run(&spec);
    assert_eq!(ran.end(), End::Code(1));
    assert!(ran.text().contains("unreachable"), "{}", ran.text());

    assert_eq!(probe.run(&Spec { network: true, ..spec }).end(), End::Code(0));
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_ok());
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_command_cannot_steer_the_kernel_or_its_init() {
    let attempts = shell(
        "p=/proc/sys/kernel/core_pattern; cat $p > $p && echo sysctl
         mount -t tmpfs none /tmp && echo mount
         mknod /tmp/disk b 8 0 && echo mknod
         hostname elsewhere && echo hostname
         readlink /proc/1/fd/0 && echo init; cat /proc/1/environ && echo init
         kill -9 1 && kill -0 1 || echo killed
         /usr/sbin/chroot / true && echo chroot
         exit 0",
    );
    for probe in [Probe::hermetic(), Probe::unprivileged()].into_iter().flatten() {
        let ran = probe.run(&attempts);
        let said = ran.said();
        for success in ["sysctl", "mount", "mknod", "hostname", "init", "killed", "chroot"] {
            assert!(!said.lines().any(|line| line == success), "{success}: {said}");
        }
    }
}

#[test]
fn devices_work() {
    let Some(probe) = Probe::hermetic() else { return };
    let script = "head -c 4 /dev/zero | od -An -tx1; head -c 9 /dev/urandom | wc -c
                  echo x > /dev/null; echo out > /dev/stdout; echo err > /dev/stderr
                  echo x > /dev/full || echo full";
    let said = probe.run(&shell(script)).said();
    assert!(said.starts_with(" 00 00 00 00\n9\nout\nerr\n"), "{said}");
    assert!(said.ends_with("full\n"), "{said}");
}
