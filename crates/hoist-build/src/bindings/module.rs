//! The module: `NAME.py`.

use std::fmt::Write as _;

use hoist_schema::abi::{AbiFunction, AbiStruct};

use super::Plan;
use super::names::{of_fields, quoted};
use super::types::declaration;

/// What every module begins with.
pub(super) const PRELUDE: &str = include_str!("prelude.py");

pub(super) fn write(plan: &Plan<'_>) -> String {
    let mut text = String::new();
    head(&mut text, plan);
    text.push_str(PRELUDE);
    for each in &plan.structs {
        declare_struct(&mut text, plan, each);
    }
    for each in plan.structs.iter().filter(|each| each.size > 0) {
        complete_struct(&mut text, plan, each);
    }
    library(&mut text, plan);
    text
}

fn head(text: &mut String, plan: &Plan<'_>) {
    let abi = plan.abi;
    let about = format!(
        "{} {}: its functions, typed as its C headers declare them. `load()` gives them.",
        abi.package, abi.version
    );
    let libraries: Vec<String> =
        abi.libraries.iter().map(|library| format!("{},", quoted(&library.path))).collect();
    let mut all = vec!["LIBRARIES", "Library", "PACKAGE", "SYSTEM", "VERSION", "load"];
    all.extend(plan.structs.iter().map(|each| plan.names.of_struct(&each.name)));
    all.sort_unstable();
    let all: Vec<String> = all.iter().map(|name| quoted(name)).collect();
    let all = all.join(",\n    ");
    let _ = write!(
        text,
        "{}\n\n# Written by `hoist bindgen python` from the ABI file. Do not edit.\n\n\
         __all__ = [\n    {all},\n]\n\n\
         PACKAGE = {}\nVERSION = {}\nSYSTEM = {}\nLIBRARIES = ({})\n\n",
        quoted(&about),
        quoted(&abi.package),
        quoted(&abi.version),
        quoted(&abi.system),
        libraries.join(" "),
    );
}

fn declare_struct(text: &mut String, plan: &Plan<'_>, each: &AbiStruct) {
    let about = match each.size {
        0 => format!("struct {}, of which only pointers are known.", each.name),
        size => format!("struct {}, {size} bytes.", each.name),
    };
    let class = plan.names.of_struct(&each.name);
    let _ = write!(text, "\n\nclass {class}(_hoist_ctypes.Structure):\n    {}\n", quoted(&about));
}

/// Fields come after all classes: a struct may point to one that is declared later.
fn complete_struct(text: &mut String, plan: &Plan<'_>, each: &AbiStruct) {
    let class = plan.names.of_struct(&each.name);
    let names = of_fields(each);
    let _ = write!(text, "\n\n{class}._fields_ = [\n");
    for (name, field) in names.iter().zip(&each.fields) {
        let _ = writeln!(text, "    ({}, {}),", quoted(name), plan.ctype(&field.kind));
    }
    let _ = write!(
        text,
        "]\n_hoist_check(\n    {class},\n    {},\n    {},\n    [\n",
        each.size, each.align
    );
    for (name, field) in names.iter().zip(&each.fields) {
        let _ = writeln!(text, "        ({}, {}),", quoted(name), field.offset);
    }
    text.push_str("    ],\n)\n");
}

fn library(text: &mut String, plan: &Plan<'_>) {
    text.push_str(
        "\n\nclass Library:\n    \"\"\"The loaded libraries; each function is an attribute.\n\n    \
         `paths`: their files, in the order of LIBRARIES.\n    \"\"\"\n\n    \
         def __init__(self, paths):\n        self.paths = paths\n",
    );
    for (index, (_, functions)) in plan.libraries.iter().enumerate() {
        let _ = writeln!(text, "        library = _hoist_ctypes.CDLL(paths[{index}])");
        for function in functions {
            bind(text, plan, function);
        }
    }
}

fn bind(text: &mut String, plan: &Plan<'_>, function: &AbiFunction) {
    let (result, arguments) = match &function.signature {
        None => ("None".to_owned(), "None".to_owned()),
        Some(signature) => {
            let kinds = signature.parameters.iter().map(|each| plan.parameter(&each.kind));
            let kinds: Vec<String> = kinds.collect();
            (plan.ctype(&signature.result), format!("[{}]", kinds.join(", ")))
        }
    };
    // By its name as a text: two underscores before it would mean another one within a class.
    let _ = write!(
        text,
        "        setattr(\n            self,\n            {},\n            _hoist_bind(\n                \
         library,\n                {},\n                {},\n                {result},\n                \
         {arguments},\n            ),\n        )\n",
        quoted(plan.names.of_function(&function.name)),
        quoted(&function.name),
        quoted(&declaration(function)),
    );
}
