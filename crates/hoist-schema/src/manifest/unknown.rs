//! Unknown keys, found by walking the document beside the JSON schema, so that each is reported
//! with its place and the nearest right key.

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// Farthest Damerau-Levenshtein distance at which another key is still suggested.
const NEAR: usize = 3;

/// Reports every key of `table` that `schema` does not know, in `text`'s order.
pub(super) fn unknown_keys(text: &str, table: &DeTable<'_>, schema: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    walk_table(text, table, schema, "", &mut problems);
    problems.sort_by_key(|problem| (problem.line, problem.column)); // a table iterates by name
    problems
}

fn walk_table(
    text: &str,
    table: &DeTable<'_>,
    schema: &Value,
    place: &str,
    problems: &mut Vec<Problem>,
) {
    let Some(known) = schema.get("properties").and_then(Value::as_object) else {
        return; // a map with free keys
    };
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        if let Some(schema) = known.get(name) {
            let inner = if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
            walk_value(text, value, schema, &inner, problems);
        } else {
            let known: Vec<&str> = known.keys().map(String::as_str).collect();
            problems.push(unknown_key(text, key, place, &known));
        }
    }
}

fn walk_value(
    text: &str,
    value: &Spanned<DeValue<'_>>,
    schema: &Value,
    place: &str,
    problems: &mut Vec<Problem>,
) {
    // An optional table is `anyOf: [the table, null]` in the schema.
    let alternatives = schema.get("anyOf").and_then(Value::as_array);
    let schema = alternatives.and_then(|any| any.first()).unwrap_or(schema);
    match value.get_ref() {
        DeValue::Table(table) => walk_table(text, table, schema, place, problems),
        DeValue::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    walk_value(text, item, schema, place, problems);
                }
            }
        }
        _ => {}
    }
}

fn unknown_key(
    text: &str,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    place: &str,
    known: &[&str],
) -> Problem {
    let name = key.get_ref().as_ref();
    let section = if place.is_empty() { "the top level".to_owned() } else { format!("[{place}]") };
    let hint = nearest_key(name, &section, known);
    Problem::new(text, key.span(), format!("unknown key `{name}` in {section}"), hint)
}

/// What to write instead of the unknown key `name`: the nearest of the keys that `section` takes,
/// and all of them.
pub(crate) fn nearest_key(name: &str, section: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= NEAR && *distance < known.chars().count())
        .min();
    let list = known.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
    match nearest {
        Some((_, nearest)) => format!("did you mean `{nearest}`? {section} takes {list}"),
        None => format!("{section} takes {list}"),
    }
}
