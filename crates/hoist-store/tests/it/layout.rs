//! A new store, held against one that Nix made.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use hoist_store::{Store, StoreError};
use rusqlite::Connection;

use crate::{World, json, text};

#[test]
fn a_new_store_has_the_files_and_modes_of_nix() {
    let world = World::new();
    let root = world.store.root();
    let vectors = json("database.json");
    let layout = vectors["2.26.3"]["fresh_store_layout"].as_array().unwrap();
    // SQLite removes its log when it closes the database, which Nix had open here.
    let at_rest = layout.iter().filter(|file| !text(file, "path").contains("sqlite-"));
    for file in at_rest {
        let path = root.join(&text(file, "path")[1..]);
        let metadata = fs::symlink_metadata(&path).unwrap();
        let mode = format!("{:04o}", metadata.permissions().mode() & 0o7777);
        assert_eq!(mode, text(file, "mode"), "{}", path.display());
        match text(file, "type") {
            "directory" => assert!(metadata.is_dir()),
            "regular" => assert!(metadata.is_file()),
            _ => assert_eq!(fs::read_link(&path).unwrap(), root.join(&text(file, "target")[1..])),
        }
    }
    let schema = fs::read_to_string(root.join("nix/var/nix/db/schema")).unwrap();
    assert_eq!(schema, text(&vectors["2.26.3"], "schema_file"));
}

#[test]
fn the_database_has_the_schema_of_nix() {
    let world = World::new();
    let database = Connection::open(world.store.root().join("nix/var/nix/db/db.sqlite")).unwrap();
    let mut query =
        database.prepare("select sql from sqlite_schema where sql is not null").unwrap();
    let ours: Vec<String> =
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let vectors = &json("database.json")["2.8.0"];
    assert_eq!(serde_json::json!(ours), vectors["sqlite_schema"]);
    for (pragma, wanted) in vectors["pragmas"].as_object().unwrap() {
        let found: rusqlite::types::Value =
            database.pragma_query_value(None, pragma, |row| row.get(0)).unwrap();
        let found = match found {
            rusqlite::types::Value::Text(text) => serde_json::Value::from(text),
            rusqlite::types::Value::Integer(number) => serde_json::Value::from(number),
            other => panic!("{pragma} is {other:?}"),
        };
        assert_eq!(found, *wanted, "{pragma}");
    }
}

/// But for the comment that one of them has, and a table that is empty.
#[test]
fn both_releases_of_nix_have_the_same_schema() {
    let vectors = json("database.json");
    let schema = |release: &str| -> Vec<String> {
        let statements = vectors[release]["sqlite_schema"].as_array().unwrap().iter();
        let without_comments = |statement: &serde_json::Value| {
            let lines = statement.as_str().unwrap().lines();
            let code =
                lines.map(|line| line.split_once("--").map_or(line, |(code, _)| code).trim());
            code.collect::<Vec<_>>().join(" ")
        };
        statements.map(without_comments).collect()
    };
    let mut newer = schema("2.26.3");
    newer.retain(|statement| !statement.contains("SchemaMigrations"));
    assert_eq!(newer, schema("2.8.0"));
}

#[test]
fn modes_and_times_are_those_that_nix_gives() {
    let world = World::new();
    let tree = world.path("tree");
    fs::create_dir(&tree).unwrap();
    let vectors = json("database.json");
    let files = vectors["both"]["canonicalisation"].as_array().unwrap();
    for file in files {
        let path = tree.join(text(file, "path"));
        match text(file, "type") {
            "directory" => fs::create_dir_all(&path).unwrap(),
            "symlink" => std::os::unix::fs::symlink(text(file, "target"), &path).unwrap(),
            _ => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, "x").unwrap();
            }
        }
    }
    let mode = |file: &serde_json::Value, key: &str| u32::from_str_radix(text(file, key), 8);
    // A folder that cannot be written comes after what is in it; only root reads all of them.
    let readable = |mode: u32| rustix::process::geteuid().is_root() || mode & 0o400 != 0;
    for file in files.iter().rev().filter(|file| text(file, "type") != "symlink") {
        let path = tree.join(text(file, "path"));
        let wanted = mode(file, "mode").unwrap();
        if readable(wanted) {
            fs::set_permissions(&path, fs::Permissions::from_mode(wanted)).unwrap();
        } else {
            fs::set_permissions(&path, fs::Permissions::from_mode(wanted | 0o400)).unwrap();
        }
    }
    let added = world.store.physical(&crate::add(&world.store, &tree).path);
    for file in files {
        let path = added.join(text(file, "path"));
        let metadata = fs::symlink_metadata(&path).unwrap();
        let found = metadata.permissions().mode() & 0o7777;
        assert_eq!(found, mode(file, "mode_after").unwrap(), "{file}");
        assert_eq!(Some(metadata.mtime()), file["mtime_after"].as_i64(), "{file}");
    }
    println!("canonical files: {} vectors", files.len());
    assert_eq!(files.len(), 36);
}

#[test]
fn a_folder_without_a_store_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let refusal = Store::open(dir.path()).unwrap_err();
    assert!(matches!(refusal, StoreError::NotAStore { .. }), "{refusal}");
    assert!(refusal.hint().unwrap().contains("hoist ship"));
}

#[test]
fn a_store_of_another_schema_is_left_alone() {
    let world = World::new();
    fs::write(world.store.root().join("nix/var/nix/db/schema"), "11").unwrap();
    let refusal = Store::open_or_create(world.store.root()).unwrap_err().to_string();
    assert!(refusal.ends_with("has schema `11`, wanted 10"), "{refusal}");
}

#[test]
fn stores_that_are_made_at_the_same_time_are_one() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    crate::library(&tree, "contents");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = Store::open_or_create(&dir.path().join("root")).unwrap();
                crate::add(&store, &tree);
            });
        }
    });
    assert_eq!(Store::open(&dir.path().join("root")).unwrap().list().unwrap().len(), 1);
}
