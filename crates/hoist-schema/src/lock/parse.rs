//! From the text of `hoist.lock` to a [`Lock`] whose values agree with each other.

use std::fmt;

use hoist_nix::{Sha256Hash, StoreDir, StorePathName};
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{LOCK_VERSION, Lock, LockError, LockedPath, LockedSystem, MAX_LOCK_BYTES};
use crate::manifest::{is_inside, nearest_key};

/// Longest text of a single value, in bytes.
const MAX_TEXT_BYTES: usize = 4096;

/// Most caches of one system.
const MAX_CACHES: usize = 64;

/// The JSON schema (draft 2020-12) of `hoist.lock`.
#[must_use]
pub fn lock_json_schema() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Lock>().to_value()
}

impl Lock {
    /// Reads a `hoist.lock`.
    ///
    /// Each store path must be the one that follows from its name and NAR hash, so that a lock
    /// that was edited or merged by hand names nothing that is not there.
    ///
    /// # Errors
    ///
    /// [`LockError`], naming the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        if text.len() > MAX_LOCK_BYTES {
            return Err(LockError::TooLong { found: text.len(), limit: MAX_LOCK_BYTES });
        }
        let malformed =
            |error: serde_json::Error| LockError::Malformed { message: error.to_string() };
        let Tree(tree) = serde_json::from_str(text).map_err(malformed)?;
        match tree.get("version").and_then(Value::as_u64) {
            Some(0) => return Err(LockError::NoVersion),
            Some(found) if found > u64::from(LOCK_VERSION) => {
                return Err(LockError::TooNew { found, newest: LOCK_VERSION });
            }
            _ => {}
        }
        let lock: Self = serde_json::from_str(text).map_err(|error| {
            unknown_key(&tree, &lock_json_schema(), "").unwrap_or_else(|| malformed(error))
        })?;
        for (name, system) in &lock.systems {
            judge(name, system)?;
        }
        Ok(lock)
    }
}

/// Reads the URL of a binary cache, without a slash at its end.
///
/// # Errors
///
/// [`LockError::Value`] when it is none that Nix can fetch a NAR from by adding to its path, or
/// when it has a password in it: the lock is for everyone to read.
pub fn cache_url(text: &str) -> Result<String, LockError> {
    let refuse = |wanted: &str| LockError::Value {
        place: "a cache".to_owned(),
        found: text.to_owned(),
        wanted: wanted.to_owned(),
    };
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let plain = |c: char| c.is_ascii_graphic() && !"?#\"\\`$<>{}^|".contains(c);
    let host = rest.split('/').next().unwrap_or_default();
    if !matches!(scheme, "http" | "https" | "file" | "s3") {
        Err(refuse("a URL with https://, http://, s3:// or file://"))
    } else if !rest.chars().all(plain) || text.len() > MAX_TEXT_BYTES {
        Err(refuse("a URL without spaces, `?` and `#`"))
    } else if host.contains('@') {
        Err(refuse("a URL without a user or password, which belong into ~/.netrc"))
    } else if (scheme == "file") != host.is_empty() || rest.trim_end_matches('/').is_empty() {
        Err(refuse("a host after https://, or an absolute path after file://"))
    } else {
        Ok(text.trim_end_matches('/').to_owned())
    }
}

/// Reads the path of a folder inside the project, without a slash at its end.
///
/// # Errors
///
/// [`LockError::Value`] when it leaves the project, or is the project itself.
pub fn vendor_path(text: &str) -> Result<String, LockError> {
    let path = text.trim_end_matches('/');
    let path = path.strip_prefix("./").unwrap_or(path);
    if is_inside(path) && path.len() <= MAX_TEXT_BYTES && !path.contains(char::is_control) {
        return Ok(path.to_owned());
    }
    Err(LockError::Value {
        place: "a folder".to_owned(),
        found: text.to_owned(),
        wanted: "a path below the project, without `..`".to_owned(),
    })
}

fn judge(system: &str, locked: &LockedSystem) -> Result<(), LockError> {
    let place = |key: &str| format!("systems.{system}.{key}");
    let refuse = |key: &str, found: &str, wanted: &str| LockError::Value {
        place: place(key),
        found: found.to_owned(),
        wanted: wanted.to_owned(),
    };
    let is_system = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !system.split_once('-').is_some_and(|(cpu, os)| is_system(cpu) && is_system(os)) {
        return Err(LockError::Value {
            place: "a key of systems".to_owned(),
            found: system.to_owned(),
            wanted: "a Nix system, as x86_64-linux".to_owned(),
        });
    }
    for (key, digest) in
        [("inputs", &locked.inputs), ("toolchain.digest", &locked.toolchain.digest)]
    {
        if digest.len() != 64 || !digest.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
            return Err(refuse(key, digest, "64 lower-case hexadecimal digits"));
        }
    }
    if locked.caches.len() > MAX_CACHES {
        let found = locked.caches.len().to_string();
        return Err(refuse("caches", &found, &format!("at most {MAX_CACHES} caches")));
    }
    for (index, cache) in locked.caches.iter().enumerate() {
        if cache_url(cache)? != *cache {
            return Err(refuse(&format!("caches.{index}"), cache, "no `/` at its end"));
        }
    }
    judge_path(&locked.artifact, &place("artifact"))?;
    locked.hoist.as_ref().map_or(Ok(()), |hoist| judge_path(hoist, &place("hoist")))
}

fn judge_path(locked: &LockedPath, place: &str) -> Result<(), LockError> {
    let refuse = |key: &str, found: &str, wanted: String| LockError::Value {
        place: format!("{place}.{key}"),
        found: found.to_owned(),
        wanted,
    };
    let hash = locked.nar_hash.strip_prefix("sha256-").ok_or(());
    let hash = hash.and_then(|_| Sha256Hash::parse(&locked.nar_hash).map_err(|_| ()));
    let hash = hash.map_err(|()| {
        refuse("narHash", &locked.nar_hash, "`sha256-` and 44 digits of base64".to_owned())
    })?;
    let store_path = StoreDir::default().parse_path(&locked.store_path);
    let name = store_path.and_then(|path| StorePathName::parse(path.name()));
    let name =
        name.map_err(|error| refuse("storePath", &locked.store_path, format!("another: {error}")))?;
    let right = LockedPath::new(&name, &hash, locked.nar_size);
    if i64::try_from(locked.nar_size).is_err() {
        let found = locked.nar_size.to_string();
        return Err(refuse("narSize", &found, "what fits in 63 bits".to_owned()));
    }
    for (key, found, right) in [
        ("narHash", &locked.nar_hash, right.nar_hash),
        ("storePath", &locked.store_path, right.store_path),
        ("nar", &locked.nar, right.nar),
    ] {
        if *found != right {
            return Err(refuse(key, found, format!("`{right}`, which follows from narHash")));
        }
    }
    match &locked.path {
        Some(path) if vendor_path(path).as_ref() != Ok(path) => {
            Err(refuse("path", path, "a path below the project, without `..`".to_owned()))
        }
        _ => Ok(()),
    }
}

/// The first key that the schema does not know.
fn unknown_key(tree: &Value, schema: &Value, place: &str) -> Option<LockError> {
    // An optional table is `anyOf: [the table, null]` in the schema.
    let alternatives = schema.get("anyOf").and_then(Value::as_array);
    let schema = alternatives.and_then(|any| any.first()).unwrap_or(schema);
    let known = schema.get("properties").and_then(Value::as_object);
    for (key, value) in tree.as_object()? {
        let inner = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
        let schema = match known {
            None => Some(schema.get("additionalProperties")?), // a map with free keys
            Some(known) => known.get(key),
        };
        let error = match schema {
            Some(schema) => unknown_key(value, schema, &inner),
            None => Some(refuse_key(key, place, known)),
        };
        if error.is_some() {
            return error;
        }
    }
    None
}

fn refuse_key(key: &str, place: &str, known: Option<&Map<String, Value>>) -> LockError {
    let known: Vec<&str> = known.into_iter().flat_map(Map::keys).map(String::as_str).collect();
    let place = if place.is_empty() { "the top level" } else { place };
    LockError::UnknownKey {
        key: key.to_owned(),
        place: place.to_owned(),
        hint: nearest_key(key, place, &known),
    }
}

/// JSON in which no key is there twice: readers differ in which of the two they take.
struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor).map(Tree)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Tree(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(de::Error::custom(format_args!("the key `{key}` is there twice")));
            }
            let Tree(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests;
