//! The layers of the crates: declared by each, checked on every dependency, drawn in
//! `ARCHITECTURE.md`.

use std::fmt;
use std::fs;
use std::process::ExitCode;

use crate::metadata::Metadata;
use crate::{Result, diagram, root};

/// The page with the diagram.
const PAGE: &str = "ARCHITECTURE.md";

/// Check that dependencies keep to the layers and that their diagram is current
#[derive(Debug, clap::Args)]
pub(crate) struct LayersArgs {
    /// Write the diagram into ARCHITECTURE.md instead of comparing
    #[arg(long)]
    write: bool,
}

/// Where a crate stands. A crate may depend on its own layer and those below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    Format,
    Domain,
    Service,
    App,
    /// Beside the others: tests may use it, and it may use everything.
    Dev,
}

/// A member of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) layer: Layer,
    pub(crate) edges: Vec<Edge>,
}

/// A dependency on another member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) to: String,
    /// Whether only tests need it.
    pub(crate) is_dev: bool,
}

pub(crate) fn run(args: &LayersArgs) -> Result<ExitCode> {
    if args.write {
        let (crates, problems) = read(&Metadata::read()?);
        fail_on(&problems)?;
        let page = fs::read_to_string(root().join(PAGE))?;
        fs::write(root().join(PAGE), diagram::insert(&page, &diagram::draw(&crates))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let problems = check()?;
    for problem in &problems {
        println!("{problem}");
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that is wrong with the layers of this workspace.
pub(crate) fn check() -> Result<Vec<String>> {
    let (crates, mut problems) = read(&Metadata::read()?);
    problems.extend(wrong_edges(&crates));
    let page = fs::read_to_string(root().join(PAGE))?;
    if diagram::insert(&page, &diagram::draw(&crates))? != page {
        problems.push(format!(
            "{PAGE}: the diagram of the crates is not current; run `cargo xtask layers --write`"
        ));
    }
    Ok(problems)
}

fn fail_on(problems: &[String]) -> Result<()> {
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}

/// The members by name, and those whose layer is not declared.
fn read(metadata: &Metadata) -> (Vec<Crate>, Vec<String>) {
    let mut crates = Vec::new();
    let mut problems = Vec::new();
    for package in &metadata.packages {
        let name = package.name.clone();
        let declared = package.metadata["hoist"]["layer"].as_str().unwrap_or("");
        let Some(layer) = Layer::parse(declared) else {
            problems.push(format!(
                "{name} declares the layer `{declared}`, wanted format, domain, service, app or \
                 dev in [package.metadata.hoist] of its Cargo.toml"
            ));
            continue;
        };
        let mut edges: Vec<Edge> = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.path.is_some() && dependency.name != name)
            .map(|dependency| Edge {
                to: dependency.name.clone(),
                is_dev: dependency.kind.as_deref() == Some("dev"),
            })
            .collect();
        edges.sort_by(|a, b| a.to.cmp(&b.to));
        crates.push(Crate { name, layer, edges });
    }
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    (crates, problems)
}

/// The dependencies that point upwards.
fn wrong_edges(crates: &[Crate]) -> Vec<String> {
    let layer_of = |name: &str| crates.iter().find(|it| it.name == name).map(|it| it.layer);
    let mut problems = Vec::new();
    for Crate { name, layer, edges } in crates {
        for Edge { to, is_dev } in edges {
            let Some(target) = layer_of(to) else {
                problems.push(format!("{name} depends on {to}, which is outside the workspace"));
                continue;
            };
            let is_allowed = match (*layer, target) {
                (Layer::Dev, _) => true,
                (_, Layer::Dev) => *is_dev,
                (own, target) => target <= own,
            };
            if !is_allowed {
                let wanted =
                    if target == Layer::Dev { "in [dev-dependencies] only" } else { "not" };
                problems.push(format!(
                    "{name} ({layer}) depends on {to} ({target}), which it may {wanted}"
                ));
            }
        }
    }
    problems
}

impl Layer {
    /// All that ship, from the top.
    pub(crate) const SHIPPED: [Self; 4] = [Self::App, Self::Service, Self::Domain, Self::Format];

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::Format, Self::Domain, Self::Service, Self::App, Self::Dev];
        all.into_iter().find(|layer| layer.to_string() == text)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "format",
            Self::Domain => "domain",
            Self::Service => "service",
            Self::App => "app",
            Self::Dev => "dev",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, layer: Layer, edges: &[(&str, bool)]) -> Crate {
        let edges = edges.iter().map(|&(to, is_dev)| Edge { to: to.to_owned(), is_dev });
        Crate { name: name.to_owned(), layer, edges: edges.collect() }
    }

    #[test]
    fn this_workspace_keeps_to_its_layers_and_their_diagram() {
        assert_eq!(check().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_upwards_is_refused() {
        let crates = [
            member("nar", Layer::Format, &[("store", false)]),
            member("store", Layer::Domain, &[]),
        ];
        assert_eq!(
            wrong_edges(&crates),
            ["nar (format) depends on store (domain), which it may not"]
        );
    }

    #[test]
    fn a_dependency_upwards_for_tests_is_refused_too() {
        let crates =
            [member("nar", Layer::Format, &[("store", true)]), member("store", Layer::Domain, &[])];
        assert_eq!(wrong_edges(&crates).len(), 1);
    }

    #[test]
    fn test_helpers_are_for_tests_only() {
        let kit = member("kit", Layer::Dev, &[("app", false)]);
        let app = |is_dev| member("app", Layer::App, &[("kit", is_dev)]);
        assert_eq!(wrong_edges(&[app(true), kit.clone()]), Vec::<String>::new());
        assert_eq!(
            wrong_edges(&[app(false), kit]),
            ["app (app) depends on kit (dev), which it may in [dev-dependencies] only"]
        );
    }

    #[test]
    fn a_crate_without_a_layer_is_named() {
        let metadata = serde_json::from_str(
            r#"{"target_directory": "/t", "packages": [{"name": "lost", "dependencies": [],
                "metadata": null}]}"#,
        );
        let (crates, problems) = read(&metadata.unwrap());
        assert!(crates.is_empty());
        assert!(problems[0].starts_with("lost declares the layer ``"), "{problems:?}");
    }
}
