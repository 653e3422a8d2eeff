//! Users without privileges, and machines that forbid namespaces.

use std::process::Command;

use hoist_testkit::{Hoist, Namespace, not_checked, tool};

use crate::{adder, generations, stage};

const FORBID_USER_NAMESPACES: &str = "echo 0 > /proc/sys/user/max_user_namespaces";

/// A machine without user namespaces, and there `hoist` as root or as root without its powers.
fn without_user_namespaces(powerful: bool) -> Option<(Hoist, Namespace)> {
    let hoist = adder();
    let namespace = Namespace::new(&hoist.project(), FORBID_USER_NAMESPACES)?;
    let setpriv = tool("setpriv", "util-linux")?.path().display().to_string();
    let without_powers = [&setpriv, "--bounding-set=-all", "--inh-caps=-all"].map(str::to_owned);
    let mut words = namespace.launcher();
    words.extend(without_powers.into_iter().filter(|_| !powerful));
    Some((hoist.launched_by(words), namespace))
}

/// A user without privileges: the one who runs the tests, or nobody when that is root.
fn without_privileges() -> Option<Hoist> {
    if !rustix::process::geteuid().is_root() {
        return Some(adder());
    }
    let setpriv = tool("setpriv", "util-linux")?.path().display().to_string();
    let hoist = adder().with_own_program();
    let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(hoist.dir()).output();
    if !owned.is_ok_and(|output| output.status.success()) {
        not_checked("a ship as nobody: root of this user namespace can become nobody else");
        return None;
    }
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"].map(str::to_owned);
    Some(hoist.launched_by([vec![setpriv], nobody.into()].concat()))
}

#[test]
fn a_user_without_privileges_ships() {
    let Some(hoist) = without_privileges() else { return };
    let records = hoist.run(["ship", "--json"]).ended(0).records();
    println!("level {}", stage(&records, "build")["level"]);
    assert_eq!(hoist.stdout(["store", "verify"]), "1 store path, all as registered");
    let records = hoist.run(["ship", "--json"]).ended(0).records();
    assert_eq!(stage(&records, "build")["cached"], true);
    assert_eq!(generations(&hoist), (vec![1], 1));
}

#[test]
fn without_namespaces_it_is_said_what_is_missing_and_how_to_go_on() {
    let Some((hoist, _namespace)) = without_user_namespaces(false) else { return };
    let run = hoist.run(["ship"]).ended(3);
    insta::assert_snapshot!(run.stderr, @r"
    error: the build could not be started
      caused by: this machine gives a sandbox of level `none`, wanted `shared-proc`: the kernel refused a user namespace: No space left on device (os error 28)
    hint: allow user namespaces: `sysctl -w user.max_user_namespaces=15000`; or build on the host as it is: --no-sandbox
    ");
    let records = hoist.run(["doctor", "--json"]).ended(0).records();
    let sandbox = records.iter().find(|record| record["part"] == "sandbox").unwrap();
    assert_eq!(sandbox["state"], "limited");
    assert!(sandbox["hint"].as_str().unwrap().contains("max_user_namespaces"), "{sandbox}");

    let records = hoist.run(["ship", "--no-sandbox", "--json"]).ended(0).records();
    assert_eq!(stage(&records, "build")["level"], "none");
    assert_eq!(generations(&hoist), (vec![1], 1));
}

#[test]
fn root_without_user_namespaces_ships_and_says_how_isolated_it_was() {
    let Some((hoist, _namespace)) = without_user_namespaces(true) else { return };
    let records = hoist.run(["ship", "--json"]).ended(0).records();
    assert_eq!(stage(&records, "build")["level"], "no-user-namespace");
    let run = hoist.run(["ship", "--cold"]).ended(0);
    assert!(run.stdout.contains("sandboxed (no-user-namespace)"), "{}", run.stdout);
}
