//! Several at once on one project, one store, one cache.

use std::process::Stdio;

use crate::{adder, generations, hoist};

#[test]
fn ships_of_one_project_at_the_same_time_agree() {
    let hoist = adder();
    let start = || {
        let mut command = hoist.command(["ship", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let ships: Vec<_> = (0..4).map(|_| start()).collect();
    for ship in ships {
        let output = ship.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(generations(&hoist), (vec![1], 1));
    assert_eq!(hoist.stdout(["store", "verify"]), "1 store path, all as registered");
    assert_eq!(std::fs::read_dir(hoist.dir().join("cache/work")).unwrap().count(), 0);
}

#[test]
fn ships_of_several_projects_at_the_same_time_do_not_meet() {
    let hoist = hoist();
    hoist.adder();
    let projects: Vec<_> = (0..4)
        .map(|number| {
            hoist.adder_edition(number);
            let folder = hoist.dir().join(format!("project-{number}"));
            let copied = std::process::Command::new("cp")
                .arg("-r")
                .args([hoist.project(), folder.clone()])
                .status();
            assert!(copied.unwrap().success());
            folder
        })
        .collect();
    let start = |folder| {
        let mut command = hoist.command(["ship"]);
        command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let ships: Vec<_> = projects.iter().map(start).collect();
    for ship in ships {
        let output = ship.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(generations(&hoist).0, [1, 2, 3, 4]);
    assert_eq!(hoist.stdout(["store", "verify"]), "4 store paths, all as registered");
}
