use serde::Serialize;

/// How much a finding hurts, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// VMs do not get their address, do not keep it, or are not reached at it.
    Error,
    /// It will hurt, or hurts some of them.
    Warning,
    /// It is better otherwise.
    Hint,
    /// The check was not made, or only in part.
    Unknown,
}

impl Severity {
    /// The name in text and JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Hint => "hint",
            Self::Unknown => "unknown",
        }
    }
}

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Finding {
    /// The name of the check.
    pub(crate) check: &'static str,
    /// How much it hurts.
    pub(crate) severity: Severity,
    /// What it is about: a link, a unit, a file, a setting.
    pub(crate) object: String,
    /// What it does to VMs, in a sentence that does not name the object.
    pub(crate) finding: String,
    /// The command, or the file and what to write there.
    pub(crate) mend: String,
}

/// Collects what one check finds.
pub(crate) struct Found {
    check: &'static str,
    findings: Vec<Finding>,
}

impl Found {
    /// Nothing yet, by this check.
    pub(crate) fn by(check: &'static str) -> Self {
        Self {
            check,
            findings: Vec::new(),
        }
    }

    pub(crate) fn error(
        &mut self,
        object: impl Into<String>,
        finding: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.add(Severity::Error, object, finding, mend);
    }

    pub(crate) fn warning(
        &mut self,
        object: impl Into<String>,
        finding: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.add(Severity::Warning, object, finding, mend);
    }

    pub(crate) fn hint(
        &mut self,
        object: impl Into<String>,
        finding: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.add(Severity::Hint, object, finding, mend);
    }

    /// The check was not made as far as `object` goes.
    pub(crate) fn unknown(
        &mut self,
        object: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.add(Severity::Unknown, object, why, mend);
    }

    pub(crate) fn add(
        &mut self,
        severity: Severity,
        object: impl Into<String>,
        finding: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.findings.push(Finding {
            check: self.check,
            severity,
            object: object.into(),
            finding: finding.into(),
            mend: mend.into(),
        });
    }

    /// All of it, in the order it was found.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}
