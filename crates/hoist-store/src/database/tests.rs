//! Rows, held against those of real Nix.

use hoist_nix::{Sha256Hash, StoreDir, StorePath};
use serde_json::{Value, json};

use super::{Database, OutputOf, PathInfo};

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/database.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    vectors["both"].clone()
}

fn path(text: &Value) -> StorePath {
    StoreDir::default().parse_path(text.as_str().unwrap()).unwrap()
}

fn info(row: &Value, references: &Value) -> PathInfo {
    let text = |key: &str| row[key].as_str().map(str::to_owned);
    let referring = |pair: &&Value| pair[0] == row["path"];
    let references = references.as_array().unwrap().iter().filter(referring);
    PathInfo {
        path: path(&row["path"]),
        nar_hash: Sha256Hash::parse(&text("hash").unwrap()).unwrap(),
        nar_size: row["narSize"].as_u64(),
        registered_unix: 1,
        deriver: row["deriver"].as_str().map(|_| path(&row["deriver"])),
        references: references.map(|pair| path(&pair[1])).collect(),
        ultimate: row["ultimate"] == 1,
        signatures: text("sigs").into_iter().collect(),
        content_address: text("ca"),
    }
}

/// All rows of a table, as JSON.
fn rows(database: &Database, sql: &str) -> Value {
    let mut query = database.connection.prepare(sql).unwrap();
    let names: Vec<String> = query.column_names().map(str::to_owned).collect();
    let rows = query.query_map([], |row| {
        let value = |name: &String| {
            let value = row.get::<_, rusqlite::types::Value>(name.as_str())?;
            Ok((
                name.clone(),
                match value {
                    rusqlite::types::Value::Text(text) => json!(text),
                    rusqlite::types::Value::Integer(number) => json!(number),
                    _ => Value::Null,
                },
            ))
        };
        names.iter().map(value).collect::<rusqlite::Result<serde_json::Map<_, _>>>()
    });
    rows.unwrap().map(|row| Value::Object(row.unwrap())).collect()
}

/// The same as a list of lists.
fn pairs(rows: &Value) -> Value {
    let values = |row: &Value| row.as_object().unwrap().values().cloned().collect::<Value>();
    rows.as_array().unwrap().iter().map(values).collect()
}

#[test]
fn rows_are_those_of_nix() {
    let vectors = vectors();
    let mut held = 0;
    for name in ["rows_built", "rows_imported_two_paths", "load_db_result"] {
        let wanted = &vectors[name];
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("db.sqlite");
        Database::create(&file).unwrap();
        let database = Database::open(&file, &StoreDir::default()).unwrap();
        let infos: Vec<PathInfo> = wanted["ValidPaths"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| info(row, &wanted["Refs"]))
            .collect();
        let outputs = wanted["DerivationOutputs"].as_array().unwrap().iter().map(|row| OutputOf {
            derivation: path(&row[0]),
            name: row[1].as_str().unwrap().to_owned(),
            path: path(&row[2]),
        });
        database.register(&infos, &outputs.collect::<Vec<_>>()).unwrap();

        let sql = "select path, hash, deriver, narSize, ultimate, sigs, ca \
                   from ValidPaths order by path";
        assert_eq!(rows(&database, sql), wanted["ValidPaths"], "{name}");
        let sql = "select a.path as referrer, b.path as reference from Refs \
                   join ValidPaths a on referrer = a.id join ValidPaths b on reference = b.id \
                   order by 1, 2";
        assert_eq!(pairs(&rows(&database, sql)), wanted["Refs"], "{name}");
        let sql = "select a.path as drv, o.id, o.path as output from DerivationOutputs o \
                   join ValidPaths a on drv = a.id order by 1, 2";
        assert_eq!(pairs(&rows(&database, sql)), wanted["DerivationOutputs"], "{name}");
        held += infos.len();
        for wanted in infos {
            assert_eq!(database.path_info(&wanted.path).unwrap(), Some(wanted));
        }
    }
    println!("database rows: {held} vectors");
    assert_eq!(held, 14);
}

#[test]
fn a_reference_that_is_not_there_undoes_all_of_it() {
    let vectors = vectors();
    let built = &vectors["rows_built"];
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("db.sqlite");
    Database::create(&file).unwrap();
    let database = Database::open(&file, &StoreDir::default()).unwrap();
    let mut infos: Vec<PathInfo> = built["ValidPaths"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| info(row, &built["Refs"]))
        .collect();
    infos.retain(|info| info.path.name() != "libz-1.3");
    let refusal = database.register(&infos, &[]).unwrap_err();
    assert!(refusal.to_string().contains("libz-1.3"), "{refusal}");
    assert!(database.paths().unwrap().is_empty());
}
