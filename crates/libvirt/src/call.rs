/// Which of libvirt's hook scripts was called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    /// `/etc/libvirt/hooks/network`
    Network,
    /// `/etc/libvirt/hooks/qemu`
    Qemu,
}

impl Hook {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Network, Self::Qemu];

    /// libvirt's name of it: that of its script.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Qemu => "qemu",
        }
    }

    /// The hook of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }
}

/// One hook call as libvirt made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Which script.
    pub hook: Hook,
    /// Its arguments: object, operation, sub-operation, extra; any number of any text.
    pub arguments: Vec<String>,
    /// Its standard input.
    pub xml: String,
}
