//! What happens where the kernel forbids a part of the sandbox.

use hoist_sandbox::{End, Level, Spec};

use crate::support::{Probe, shell};

const FORBID_USER_NAMESPACES: &str = "echo 0 > /proc/sys/user/max_user_namespaces";

/// As a container does that hides parts of `/proc`.
const MASK_PROC: &str = "mount -t tmpfs none /proc/fs";

const WITHOUT_PRIVILEGES: &str = "set -- setpriv --bounding-set=-all --inh-caps=-all \"$@\"";

#[test]
fn a_masked_proc_is_shared_when_that_is_enough() {
    let Some(probe) = Probe::nested(MASK_PROC) else { return };
    assert_eq!(probe.available().0, Level::SharedProc);

    let script = "echo $$; cat /proc/self/comm; ! (: > /proc/self/comm) 2>/dev/null";
    let ran = probe.run(&Spec { require: Level::SharedProc, ..shell(script) });
    assert_eq!(ran.outcome().level, Level::SharedProc);
    assert_eq!(ran.said(), "2\ncat\n");

    let refused = probe.run(&Spec { require: Level::Hermetic, ..shell("true") });
    assert!(
        refused.error("message").starts_with(
            "this machine gives a sandbox of level `shared-proc`, wanted `hermetic`: the kernel \
             refused a /proc of its own"
        ),
        "{}",
        refused.error("message")
    );
    assert!(refused.error("hint").contains("/proc unmasked"));
}

#[test]
fn root_does_without_user_namespaces_when_that_is_enough() {
    let Some(probe) = Probe::nested(FORBID_USER_NAMESPACES) else { return };
    assert_eq!(probe.available().0, Level::NoUserNamespace);

    let script = "echo $$ $(id -u); grep -E 'Cap(Eff|Bnd)' /proc/self/status; ! (: > /proc/x)
                  ! mount -t tmpfs none /tmp 2>/dev/null";
    let ran = probe.run(&Spec { require: Level::NoUserNamespace, ..shell(script) });
    assert_eq!(ran.outcome().level, Level::NoUserNamespace);
    let said = ran.said();
    assert!(said.starts_with("2 0\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"));

    let refused = probe.run(&Spec { require: Level::Hermetic, ..shell("true") });
    assert!(refused.error("message").contains("wanted `hermetic`: the kernel refused a user"));
    assert!(refused.error("hint").contains("sysctl -w user.max_user_namespaces="));
}

#[test]
fn without_namespaces_at_all_the_caller_is_told_to_decide() {
    let script = format!("{FORBID_USER_NAMESPACES}; {WITHOUT_PRIVILEGES}");
    let Some(probe) = Probe::nested(&script) else { return };
    let (level, obstacles) = probe.available();
    assert_eq!(level, Level::None);
    assert_eq!(obstacles[0]["barrier"], "UserNamespace");
    let refused = probe.run(&Spec { require: Level::None, ..shell("true") });
    assert!(refused.error("message").contains("level `none`, wanted `shared-proc`"));
}

#[test]
fn a_seccomp_filter_against_namespaces_is_suspected_by_name() {
    let probe = Probe::unchecked().denied(&["unshare"]);
    assert_eq!(probe.available().0, Level::None);
    let refused = probe.run(&shell("true"));
    assert!(refused.error("message").contains("refused a user namespace: Operation not permitted"));
    assert!(!refused.error("hint").is_empty());
}

#[test]
fn a_security_module_that_lets_namespaces_pass_and_refuses_mounts_is_met() {
    let Some(_) = Probe::hermetic() else { return };
    let probe = Probe::unchecked().denied(&["mount"]);
    let (level, obstacles) = probe.available();
    assert_eq!(level, Level::None);
    assert_eq!(obstacles[0]["barrier"], "Mount");
}

#[test]
fn a_filter_on_new_file_systems_costs_only_the_own_proc() {
    let Some(probe) = Probe::hermetic() else { return };
    let ran = probe.denied(&["fsopen"]).run(&shell("true"));
    assert_eq!(ran.end(), End::Code(0));
    assert_eq!(ran.outcome().level, Level::SharedProc);
}
