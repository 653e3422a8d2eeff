//! Python modules from ABI files: what `hoist bindgen python` writes and a build packs.
//!
//! The module is plain ctypes and stands alone; beside it lies a stub for type checkers. Both are
//! made from the ABI file alone, so the same promise gives the same bytes.
//!
//! An ABI file may come from anywhere, and its words end up in code. So all names are checked to be
//! C identifiers before anything is written, every other text becomes a quoted literal, and layouts
//! are computed again.

mod error;
mod layout;
mod module;
mod names;
mod stub;
mod types;

use hoist_schema::abi::{AbiFile, AbiFunction, AbiLibrary, AbiStruct};

pub use error::BindingsError;

use names::Names;

/// Where the modules of an artifact lie, relative to its root.
pub const PYTHON_DIR: &str = "share/hoist/python";

/// Edition of the generated code: another one gives other bytes for the same ABI file.
pub(crate) const PYTHON_EDITION: u32 = 1;

/// A module and its stub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonBindings {
    /// The text of `NAME.py`.
    pub module: String,
    /// The text of `NAME.pyi`.
    pub stub: String,
}

/// Writes the Python module for all libraries of `abi`.
///
/// # Errors
///
/// [`BindingsError`] when a name is no C identifier, two libraries define the same name otherwise,
/// or a layout is not the one that its fields give.
pub fn python_bindings(abi: &AbiFile) -> Result<PythonBindings, BindingsError> {
    let plan = Plan::new(abi)?;
    Ok(PythonBindings { module: module::write(&plan), stub: stub::write(&plan) })
}

/// An ABI file whose every name and layout was checked.
struct Plan<'a> {
    abi: &'a AbiFile,
    /// Structs of all libraries; one that is contained comes before what contains it.
    structs: Vec<&'a AbiStruct>,
    /// Libraries with their functions.
    libraries: Vec<(&'a AbiLibrary, Vec<&'a AbiFunction>)>,
    names: Names<'a>,
}

impl<'a> Plan<'a> {
    fn new(abi: &'a AbiFile) -> Result<Self, BindingsError> {
        if abi.libraries.is_empty() {
            return Err(BindingsError::NoLibrary);
        }
        let structs = layout::ordered(&abi.libraries)?;
        let mut functions: Vec<&AbiFunction> = Vec::new();
        let mut libraries = Vec::new();
        for library in &abi.libraries {
            let own: Vec<&AbiFunction> = library.functions.iter().collect();
            functions.extend(&own);
            libraries.push((library, own));
        }
        let names = Names::new(&structs, &functions)?;
        for each in &structs {
            for field in &each.fields {
                let place = format!("field `{}` of struct `{}`", field.name, each.name);
                types::check(&field.kind, &structs, &place)?;
            }
        }
        for function in &functions {
            types::check_function(function, &structs)?;
        }
        Ok(Self { abi, structs, libraries, names })
    }
}

#[cfg(test)]
mod tests;
