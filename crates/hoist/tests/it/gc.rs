//! `hoist store gc`, `roots`, `pin` and `unpin`.

use std::fs;

use hoist_testkit::Hoist;
use serde_json::Value;

use crate::{adder, generations, hoist, tidy};

/// Packs a file that no other test packs, and returns its store path: a process that uses it there
/// would keep it here.
fn packed(hoist: &Hoist, name: &str) -> String {
    let home = hoist.dir().file_name().unwrap().display(); // as long as any other
    hoist.write(name, format!("{name} of {home}"));
    hoist.stdout(["pack", name])
}

/// A home with three generations of a profile, and one path that nothing needs.
fn three_generations() -> (Hoist, Vec<String>) {
    let hoist = hoist();
    let paths: Vec<String> =
        ["one", "two", "three", "loose"].map(|name| packed(&hoist, name)).into();
    for path in &paths[..3] {
        let _ = hoist.run(["switch", "app", path]).ended(0);
    }
    (hoist, paths)
}

fn listed(hoist: &Hoist) -> Vec<String> {
    hoist.stdout(["store", "ls"]).lines().map(str::to_owned).collect()
}

/// What was printed, without what differs from run to run.
fn told(hoist: &Hoist, printed: &str, paths: &[String]) -> String {
    let mut text = tidy(hoist, printed);
    for path in paths {
        let name = path.split_once('-').unwrap().1;
        text = text.replace(path, &format!("/nix/store/…-{name}"));
    }
    let lines = text.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["gc", _, _, rest @ ..] => format!("gc TIME {}", rest.join(" ")),
            // Of the machine, not of the test.
            [.., "looked", "into"] => String::new(),
            [_, _, "of", "disk", rest @ ..] => format!("SIZE of disk {}", rest.join(" ")),
            words => words.join(" "),
        }
    });
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_nothing_needs_goes() {
    let (hoist, paths) = three_generations();
    let dry = hoist.run(["store", "gc", "--dry-run"]).ended(0);
    insta::assert_snapshot!(told(&hoist, &dry.stdout, &paths), @r"
    would remove /nix/store/…-loose 144 B
    gc TIME 1 store path would be removed
    SIZE of disk would become free, NARs of 144 B
    3 store paths kept, by 3 roots
    ");
    assert_eq!(listed(&hoist).len(), 4);

    let run = hoist.run(["store", "gc"]).ended(0);
    insta::assert_snapshot!(told(&hoist, &run.stdout, &paths), @r"
    gc TIME 1 store path removed
    SIZE of disk became free, NARs of 144 B
    3 store paths kept, by 3 roots
    ");
    assert_eq!(run.stderr, "");
    let mut left = paths[..3].to_vec();
    left.sort();
    assert_eq!(listed(&hoist), left);
    assert_eq!(hoist.stdout(["store", "verify"]), "3 store paths, all as registered");

    let again = hoist.run(["store", "gc"]).ended(0);
    insta::assert_snapshot!(told(&hoist, &again.stdout, &paths), @r"
    gc TIME nothing removed
    SIZE of disk became free, NARs of 0 B
    3 store paths kept, by 3 roots
    ");
    assert_eq!(hoist.stdout(["store", "gc", "--quiet"]), "");
}

#[test]
fn generations_go_only_when_that_is_asked_for() {
    let (hoist, paths) = three_generations();
    let records = hoist.run(["store", "gc", "--keep", "2", "--dry-run", "--json"]).ended(0);
    let dry = records.records();
    let kinds: Vec<_> = dry.iter().map(|record| record["collected"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["generation", "path", "path", "total"]);
    assert_eq!((&dry[0]["profile"], &dry[0]["generation"]), (&"app".into(), &1.into()));
    assert_eq!(dry[0]["store_path"], *paths[0]);
    assert_eq!((&dry[3]["dry_run"], &dry[3]["kept"]), (&true.into(), &2.into()));
    assert_eq!(listed(&hoist).len(), 4);

    let done = hoist.run(["store", "gc", "--keep", "2", "--json"]).ended(0).records();
    assert_eq!(done[..3], dry[..3]);
    assert_eq!(done[3]["freed_bytes"], dry[3]["freed_bytes"]);
    let left = hoist.run(["generations", "app", "--json"]).ended(0).records();
    let numbers: Vec<_> = left.iter().map(|record| record["generation"].clone()).collect();
    assert_eq!(numbers, [2, 3]);
    let run = hoist.run(["rollback", "app", "--to", "1"]).ended(1);
    assert!(run.stderr.contains("has no generation 1"), "{}", run.stderr);
    let _ = hoist.run(["rollback", "app"]).ended(0);

    // All are young.
    let _ = hoist.run(["store", "gc", "--older-than", "1h"]).ended(0);
    assert_eq!(listed(&hoist).len(), 2);
}

#[test]
fn pins_keep_what_they_name() {
    let (hoist, paths) = three_generations();
    let loose = &paths[3];
    let pinned = hoist.run(["store", "pin", loose, "--name", "fair"]).ended(0);
    assert_eq!(pinned.stdout, format!("pin fair keeps {loose}\n"));
    let records = hoist.run(["store", "pin", loose, "--json"]).ended(0).records();
    let last_part = loose.strip_prefix("/nix/store/").unwrap();
    assert_eq!(
        (&records[0]["pin"], &records[0]["changed"]),
        (&Value::from(last_part), &true.into())
    );
    let again = hoist.stdout(["store", "pin", loose, "--name", "fair"]);
    assert_eq!(again, format!("pin fair keeps already {loose}"));

    let taken = hoist.run(["store", "pin", &paths[0], "--name", "fair"]).ended(1);
    let said = told(&hoist, &taken.stderr, &paths);
    let said = said.replace(paths[0].strip_prefix("/nix/store/").unwrap(), "…-one");
    insta::assert_snapshot!(said, @r"
    error: pin `fair` keeps `/nix/store/…-loose`, not `…-one`
    hint: choose another name (`--name`), or unpin that first
    ");
    let run = hoist.run(["store", "pin", loose, "--name", "../fair"]).ended(2);
    assert!(run.stderr.contains("`../fair` cannot name a pin"), "{}", run.stderr);
    let unknown = "/nix/store/00000000000000000000000000000000-x";
    let run = hoist.run(["store", "pin", unknown]).ended(1);
    assert!(run.stderr.contains("is not in the store"), "{}", run.stderr);

    let _ = hoist.run(["store", "gc"]).ended(0);
    assert_eq!(listed(&hoist).len(), 4);
    assert_eq!(
        hoist.stdout(["store", "unpin", "fair"]),
        format!("pin fair no longer keeps {loose}")
    );
    let _ = hoist.run(["store", "unpin", "fair"]).ended(1);
    let by_path = hoist.run(["store", "unpin", loose, "--json"]).ended(0).records();
    assert_eq!((&by_path[0]["pinned"], by_path.len()), (&false.into(), 1));
    let _ = hoist.run(["store", "gc"]).ended(0);
    assert_eq!(listed(&hoist).len(), 3);
}

#[test]
fn roots_say_what_keeps_a_path() {
    let (hoist, paths) = three_generations();
    let _ = hoist.run(["store", "pin", &paths[3], "--name", "fair"]).ended(0);
    let mut user = std::process::Command::new("sleep")
        .arg("60")
        .env("LD_LIBRARY_PATH", &paths[3])
        .spawn()
        .unwrap();
    let lines = hoist.stdout(["store", "roots"]);
    let records = hoist.run(["store", "roots", "--json"]).ended(0).records();
    user.kill().unwrap();
    user.wait().unwrap();

    let of = |kind: &str| records.iter().filter(|root| root["kind"] == kind).collect::<Vec<_>>();
    assert_eq!((of("profile").len(), of("pin").len()), (3, 1));
    assert_eq!(
        (&of("pin")[0]["pin"], &of("pin")[0]["store_path"]),
        (&"fair".into(), &(*paths[3]).into())
    );
    let link = of("profile")[0]["link"].as_str().unwrap();
    assert!(link.starts_with(hoist.root().join("nix/var/nix/profiles/app-").to_str().unwrap()));
    let process = of("process")[0];
    assert_eq!((&process["pid"], &process["program"]), (&user.id().into(), &"sleep".into()));
    assert_eq!(process["link"], format!("/proc/{}/environ", user.id()));
    assert_eq!(lines.lines().count(), records.len());
    assert!(lines.contains(&format!("sleep, process {} (environ)", user.id())), "{lines}");
    assert!(lines.contains(&format!("pin        {}  fair", paths[3])), "{lines}");
}

#[test]
fn a_library_in_use_stays_with_its_generation() {
    let (hoist, _) = three_generations();
    let script = "echo started; exec sleep 60";
    let mut command = hoist.command(["run", "--", "sh", "-c", script]);
    let mut running = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut started = [0; 8];
    std::io::Read::read_exact(running.stdout.as_mut().unwrap(), &mut started).unwrap();
    // It runs with generation 3 on its paths.
    let _ = hoist.run(["rollback", "app", "--to", "1"]).ended(0);
    let _ = hoist.run(["switch", "app", &packed(&hoist, "four")]).ended(0);
    let _ = hoist.run(["store", "gc", "--keep", "1"]).ended(0);
    running.kill().unwrap();
    running.wait().unwrap();
    let left = hoist.run(["generations", "app", "--json"]).ended(0).records();
    let numbers: Vec<_> = left.iter().map(|record| record["generation"].clone()).collect();
    assert_eq!(numbers, [3, 4]);
}

#[test]
fn what_an_action_made_is_forgotten_when_it_is_gone() {
    let hoist = adder();
    hoist.adder_edition(7_001);
    let _ = hoist.run(["ship"]).ended(0);
    hoist.adder_edition(7_002);
    let loose = hoist.stdout(["build", "--quiet"]);
    let actions = || fs::read_dir(hoist.root().join("nix/var/hoist/actions")).unwrap().count();
    assert_eq!(actions(), 2);
    let total = hoist.run(["store", "gc", "--json"]).ended(0).records().pop().unwrap();
    assert_eq!((&total["actions"], actions()), (&1.into(), 1));
    assert!(!listed(&hoist).contains(&loose));

    let ship = hoist.run(["ship", "--json"]).ended(0).records();
    assert_eq!(ship[0]["cached"], false, "it was built again");
    assert_eq!(generations(&hoist), (vec![1, 2], 2));
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let (hoist, _) = three_generations();
    for words in
        [["--keep", "0"], ["--older-than", "30"], ["--older-than", "0d"], ["--max-freed", "2GB"]]
    {
        let run = hoist.run([&["store", "gc"][..], &words].concat()).ended(2);
        assert!(run.stderr.contains(words[0]), "{}", run.stderr);
    }
    assert_eq!(listed(&hoist).len(), 4);
    let elsewhere = hoist.dir().join("nowhere");
    let run =
        hoist.run(["store".as_ref(), "gc".as_ref(), "--store".as_ref(), elsewhere.as_os_str()]);
    assert!(run.ended(3).stderr.contains("holds no store"));
}

#[test]
fn a_limit_stops_early() {
    let (hoist, _) = three_generations();
    packed(&hoist, "looser");
    let records = hoist.run(["store", "gc", "--max-freed", "1", "--json"]).ended(0).records();
    assert_eq!(records.len(), 2, "{records:?}");
    assert_eq!(listed(&hoist).len(), 4);
}
