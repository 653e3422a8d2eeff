//! What was done about each finding, in words.

use std::collections::BTreeMap;

use hoist_elf::ElfFacts;
use hoist_elf::edit::{Edit, Layout};
use hoist_schema::{Finding, Repair, Severity};

use crate::fix::bundle::Bundle;
use crate::fix::library::{Need, Patient, Source};
use crate::rule::{
    DYN_NEEDED_MISSING, DYN_NEEDED_PATH, DYN_RPATH_DEPRECATED, DYN_RUNPATH_LEAK,
    DYN_RUNPATH_RELATIVE, DYN_SONAME, HARDEN_BIND_NOW, HARDEN_EXECSTACK,
};
use crate::tree::Checked;

/// A library and what was done to it.
#[derive(Debug)]
pub(crate) struct Treatment<'a> {
    pub(crate) patient: Patient<'a>,
    needs: Vec<Need>,
    /// How each bundled library is called now, and where it lies, by the name it was needed by.
    bundled: BTreeMap<String, (String, String)>,
    pub(crate) refused: Vec<(Edit, String)>,
    pub(crate) layout: Layout,
    /// Where the debug information went, or why it did not.
    pub(crate) debug: Option<Result<String, String>>,
}

impl<'a> Treatment<'a> {
    pub(crate) fn new(
        patient: Patient<'a>,
        needs: Vec<Need>,
        bundle: &Bundle<'_>,
        libs: &str,
    ) -> Self {
        let mut bundled = BTreeMap::new();
        for need in &needs {
            if let Source::Bundle { path } = &need.source {
                let name = bundle.libraries[path].name.clone();
                bundled.insert(need.name.clone(), (name, libs.to_owned()));
            }
        }
        let layout = Layout::InPlace;
        Self { patient, needs, bundled, refused: Vec::new(), layout, debug: None }
    }
}

/// One answer for each finding that is more than worth knowing, and for what was done besides.
pub(crate) fn tell(treatment: &Treatment<'_>, now: Option<&Checked>) -> Vec<Repair> {
    let Treatment { patient, .. } = treatment;
    let left = |finding: &Finding| {
        now.is_none_or(|now| {
            now.report.findings.iter().any(|it| {
                it.rule == finding.rule
                    && it.symbol == finding.symbol
                    && it.object == finding.object
            })
        })
    };
    let facts = now.and_then(|now| now.report.facts.as_ref());
    let mut repairs: Vec<Repair> = patient
        .findings
        .iter()
        .filter(|finding| finding.severity >= Severity::Warning)
        .map(|finding| {
            let answer = if left(finding) { None } else { treatment.repaired(finding, facts) };
            let made = !left(finding);
            let (before, after, message) =
                answer.unwrap_or_else(|| (None, None, treatment.why_not(finding, made)));
            Repair {
                rule: finding.rule.clone(),
                file: finding.file.clone(),
                made,
                before,
                after,
                message,
            }
        })
        .collect();
    repairs.extend(treatment.debug.as_ref().map(|debug| Repair {
        rule: "debug.present".to_owned(),
        file: patient.shown.clone(),
        made: debug.is_ok(),
        before: None,
        after: debug.as_ref().ok().cloned(),
        message: match debug {
            Ok(path) => format!("debug information moved to `{path}`"),
            Err(refusal) => format!("debug information stays: {refusal}"),
        },
    }));
    repairs
}

type Answer = (Option<String>, Option<String>, String);

impl Treatment<'_> {
    /// What was there before and is now, where a repair did it.
    fn repaired(&self, finding: &Finding, facts: Option<&ElfFacts>) -> Option<Answer> {
        let was = &self.patient.facts.dynamic;
        let is = &facts?.dynamic;
        let rule = finding.rule.as_str();
        let grew = match self.layout {
            Layout::InPlace => "in place",
            Layout::GrownSegment => "its last segment grew",
            Layout::NewSegment => "in a new segment",
        };
        if [&DYN_RUNPATH_LEAK, &DYN_RUNPATH_RELATIVE, &DYN_RPATH_DEPRECATED]
            .iter()
            .any(|it| it.id == rule)
        {
            let before = was.runpath.clone().or_else(|| was.rpath.clone());
            let message = match &is.runpath {
                None => format!("removed, since it needs nothing that is found by it ({grew})"),
                Some(_) => format!("rewritten ({grew})"),
            };
            return Some((before, is.runpath.clone(), message));
        }
        if [&DYN_NEEDED_MISSING, &DYN_NEEDED_PATH].iter().any(|it| it.id == rule) {
            return self.told_of_need(finding, is.runpath.as_deref());
        }
        if rule == DYN_SONAME.id {
            return Some((was.soname.clone(), is.soname.clone(), format!("set ({grew})")));
        }
        if rule == HARDEN_BIND_NOW.id {
            return Some((None, None, "the loader binds every function at once now".to_owned()));
        }
        if rule == HARDEN_EXECSTACK.id {
            let message =
                "the stack may not run any more; the library crashes if it runs code there";
            return Some((None, None, message.to_owned()));
        }
        None
    }

    fn told_of_need(&self, finding: &Finding, runpath: Option<&str>) -> Option<Answer> {
        let name = finding.object.as_ref()?;
        let need = self.needs.iter().find(|need| need.name == *name)?;
        let bare = name.rsplit('/').next().unwrap_or(name);
        let through =
            runpath.map_or(String::new(), |runpath| format!(", found through `{runpath}`"));
        let (after, message) = match &need.source {
            Source::Bundle { path } => {
                let (new, libs) = self.bundled.get(name)?;
                (new.clone(), format!("bundled from `{}` to `{libs}`{through}", path.display()))
            }
            Source::Artifact { .. } => (bare.to_owned(), format!("the artifact has it{through}")),
            Source::Target => (bare.to_owned(), "every target has it".to_owned()),
            Source::Store | Source::Nowhere => return None,
        };
        Some((Some(name.clone()), Some(after), message))
    }

    /// Why a finding is left, or how it went away of itself.
    fn why_not(&self, finding: &Finding, is_gone: bool) -> String {
        if is_gone {
            return "gone with the other repairs".to_owned();
        }
        let rule = finding.rule.as_str();
        let edits_for = |edit: &Edit| match edit {
            Edit::Runpath(_) | Edit::ReplaceNeeded { .. } => rule.starts_with("dyn."),
            Edit::Soname(_) => rule == DYN_SONAME.id,
            Edit::BindNow => rule == HARDEN_BIND_NOW.id,
            Edit::NonExecutableStack => rule == HARDEN_EXECSTACK.id,
            _ => false,
        };
        if let Some((_, refusal)) = self.refused.iter().find(|(edit, _)| edits_for(edit)) {
            return format!("not edited: {refusal}");
        }
        if rule == DYN_NEEDED_MISSING.id {
            return "found nowhere on this machine: name its folder with --bundle-from".to_owned();
        }
        if rule == HARDEN_EXECSTACK.id {
            return format!(
                "it may truly run code there: {}; or give --clear-execstack",
                finding.fix
            );
        }
        if rule == "target.isa" {
            return "only a new build can: compile for the oldest target's processor, as \
                    `-march=x86-64-v2`, `-C target-cpu=x86-64-v2` or `mojo build --target-cpu \
                    x86-64-v2`"
                .to_owned();
        }
        if finding.fix.is_empty() {
            return "only a new build can".to_owned();
        }
        format!("only a new build can: {}", finding.fix)
    }
}
