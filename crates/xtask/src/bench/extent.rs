//! How much is measured: `--quick`, as it stands, or `--full`.

/// How much of the bench is run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Extent {
    /// About two minutes: one run, small numbers.
    Quick,
    /// About fifteen minutes.
    Standard,
    /// Everything, with every peer at every number of links that it can serve.
    Full,
}

impl Extent {
    /// As it is said in what is printed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Standard => "standard",
            Self::Full => "full",
        }
    }

    /// How often everything is measured, in turns.
    pub(crate) fn runs(self) -> usize {
        match self {
            Self::Quick => 1,
            Self::Standard | Self::Full => 3,
        }
    }

    /// The numbers of links that are served at once.
    pub(crate) fn links(self) -> &'static [u32] {
        match self {
            Self::Quick => &[10, 100],
            Self::Standard | Self::Full => &[10, 100, 500, 1000],
        }
    }
}
