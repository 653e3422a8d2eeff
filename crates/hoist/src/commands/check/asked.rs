//! From flags, a project and a policy file to what is asked of libraries.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use hoist_check::{POLICY_NAMES, Policy, Promise};
use hoist_elf::header::{Header, MAX_HEADER_BYTES, parse_header};
use hoist_schema::Exit;
use hoist_schema::manifest::IsaLevel;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as TextError, StrDeserializer};

use super::{CheckArgs, neutral};
use crate::checking::{Amendments, Request, project_policy};
use crate::error::CliError;
use crate::probing::Probing;
use crate::project::Project;

/// What `args` ask, over the policy of `project` where there is one.
pub(super) fn request(args: &CheckArgs, project: Option<&Project>) -> Result<Request, CliError> {
    let mut request = match (&args.policy, project) {
        (Some(policy), _) => by_policy(policy)?,
        (None, Some(project)) => Request::new(project_policy(project)?),
        (None, None) => Request::new(Policy::default()),
    };
    let header = args
        .header
        .as_ref()
        .map(|file| read_header(file).map(|header| (file.display().to_string(), header)));
    request.amendments = Amendments {
        exports: args.export.iter().map(Promise::function).collect(),
        header: header.transpose()?,
        glibc: args.glibc.clone(),
        isa: args.isa,
    };
    // What is in the store was loaded before it came there, or belongs to somebody else's lock.
    let of_project = || Probing::of_manifest(&project?.manifest.check).filter(Probing::is_asked);
    request.probe = args.probe.probing().or(request.probe).or_else(of_project);
    request.threads = args.jobs.unwrap_or(request.threads);
    Ok(request)
}

/// The policy called so, or the one in the file that lies there.
fn by_policy(policy: &Path) -> Result<Request, CliError> {
    let name = policy.to_string_lossy();
    if let Some(named) = Policy::named(&name) {
        return Ok(Request::new(named));
    }
    if policy.is_file() {
        return neutral::read_policy(policy);
    }
    let hint = match Policy::nearest(&name) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("policies are {}; or name a file", POLICY_NAMES.join(", ")),
    };
    let message = format!("there is neither a policy nor a file `{name}`");
    Err(CliError::new(Exit::Usage, message).hint(hint))
}

/// Reads a C header; what is wrong with it is shown with its line and column.
pub(super) fn read_header(file: &Path) -> Result<Header, CliError> {
    let text = read_text(file, MAX_HEADER_BYTES as u64)?;
    let header = parse_header(&text).map_err(|error| {
        let message = format!("{}:{error}", file.display());
        CliError::new(Exit::Usage, message).hint(error.hint())
    })?;
    if header.functions.is_empty() {
        let message = format!("{} declares no function", file.display());
        return Err(CliError::new(Exit::Usage, message));
    }
    Ok(header)
}

/// A text file of at most `limit` bytes that the user named.
pub(super) fn read_text(file: &Path, limit: u64) -> Result<String, CliError> {
    let usage = |why: String| CliError::new(Exit::Usage, format!("{} {why}", file.display()));
    let metadata = file.metadata().map_err(CliError::io("read", file))?;
    if !metadata.is_file() {
        return Err(usage("is no regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|opened| opened.take(limit + 1).read_to_end(&mut bytes));
    opened.map_err(CliError::io("read", file))?;
    if bytes.len() as u64 > limit {
        return Err(usage(format!("has more than {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        usage(format!("is no text: byte {} is not UTF-8", error.utf8_error().valid_up_to()))
    })
}

/// A level by its name in the psABI, as in `hoist.toml`.
pub(super) fn isa_level(text: &str) -> Result<IsaLevel, String> {
    let text: StrDeserializer<'_, TextError> = text.into_deserializer();
    IsaLevel::deserialize(text).map_err(|error| error.to_string())
}
