//! The diagram of the crates that ship, in Mermaid.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::layers::{Crate, Layer};

const BEGIN: &str = "<!-- layers: begin -->\n";
const END: &str = "<!-- layers: end -->\n";

/// Draws the crates by layer, with the dependencies that do not follow from others.
pub(crate) fn draw(crates: &[Crate]) -> String {
    let mut text = "```mermaid\nflowchart TD\n".to_owned();
    for layer in Layer::SHIPPED {
        let members: Vec<&Crate> = crates.iter().filter(|it| it.layer == layer).collect();
        if members.is_empty() {
            continue;
        }
        let _ = writeln!(text, "    subgraph {layer}");
        for member in members {
            let _ = writeln!(text, "        {}", member.name);
        }
        text.push_str("    end\n");
    }
    for member in crates.iter().filter(|it| it.layer != Layer::Dev) {
        let direct = direct(member);
        let implied: BTreeSet<&str> =
            direct.iter().flat_map(|name| reached(name, crates)).collect();
        for name in direct.difference(&implied) {
            let _ = writeln!(text, "    {} --> {name}", member.name);
        }
    }
    text.push_str("```\n");
    text
}

/// Puts the drawing between the page's markers.
///
/// # Errors
///
/// When the page has no markers.
pub(crate) fn insert(page: &str, drawing: &str) -> Result<String, String> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| {
        format!("the page has no `{}` and `{}` on lines of their own", BEGIN.trim(), END.trim())
    })?;
    Ok(format!("{before}{BEGIN}{drawing}{END}{after}"))
}

fn direct(member: &Crate) -> BTreeSet<&str> {
    member.edges.iter().filter(|edge| !edge.is_dev).map(|edge| edge.to.as_str()).collect()
}

/// All that `name` depends on, whichever way.
fn reached<'a>(name: &str, crates: &'a [Crate]) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<&str> = vec![name];
    while let Some(name) = waiting.pop() {
        let member = crates.iter().find(|it| it.name == name);
        for next in member.map(direct).unwrap_or_default() {
            if found.insert(next) {
                waiting.push(next);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Edge;

    fn member(name: &str, layer: Layer, edges: &[&str]) -> Crate {
        let edges = edges.iter().map(|&to| Edge { to: to.to_owned(), is_dev: false });
        Crate { name: name.to_owned(), layer, edges: edges.collect() }
    }

    #[test]
    fn draws_layers_from_the_top_and_no_dependency_that_follows_from_others() {
        let crates = [
            member("app", Layer::App, &["nar", "store"]),
            member("kit", Layer::Dev, &["app"]),
            member("nar", Layer::Format, &[]),
            member("store", Layer::Domain, &["nar"]),
        ];
        let wanted = "\
```mermaid
flowchart TD
    subgraph app
        app
    end
    subgraph domain
        store
    end
    subgraph format
        nar
    end
    app --> store
    store --> nar
```
";
        assert_eq!(draw(&crates), wanted);
    }

    #[test]
    fn replaces_what_stands_between_the_markers_only() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        assert_eq!(insert(&page, "new\n"), Ok(format!("before\n{BEGIN}new\n{END}after\n")));
        assert!(insert("no markers", "new\n").is_err());
    }
}
