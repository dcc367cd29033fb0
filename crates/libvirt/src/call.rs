/// Which of libvirt's hook scripts was called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    /// `/etc/libvirt/hooks/network`
    Network,
    /// `/etc/libvirt/hooks/qemu`
    Qemu,
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
