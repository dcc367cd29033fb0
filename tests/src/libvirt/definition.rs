use crate::{BootFiles, GATEWAY, MacAddr, bridge_mac, linux::Linux};
use anyhow::{Context, Result};

/// What an operator defines as a VM. It runs nothing but its firmware unless it [boots Linux](Domain::boots_linux).
#[derive(Clone, Debug)]
pub struct Domain {
    name: String,
    uuid: String,
    metadata: String,
    nics: Vec<Nic>,
    kernel: String,
}

/// A virtio network card of a VM.
#[derive(Clone, Debug)]
pub struct Nic {
    /// The guest's hardware address.
    pub mac: MacAddr,
    /// What it is tied to.
    pub source: Source,
}

/// What a NIC is tied to.
#[derive(Clone, Debug)]
pub enum Source {
    /// A libvirt network, by its name.
    Network(String),
    /// A bridge of the host, which libvirt knows nothing of.
    Bridge(String),
    /// A tap with this name in no bridge, which libvirt makes.
    Ethernet(String),
}

impl Domain {
    /// A VM of this name whose UUID ends with `number`.
    pub fn new(name: &str, number: u16) -> Self {
        Self {
            name: name.to_owned(),
            uuid: format!("22222222-0000-4000-8000-{number:012}"),
            metadata: String::new(),
            nics: Vec::new(),
            kernel: String::new(),
        }
    }

    /// It boots the Linux guest of [`linux`](crate::linux), whose serial console must be [there](super::Libvirtd::serial)
    /// when it starts. Errors: its files are missing.
    pub fn boots_linux(mut self, files: &BootFiles) -> Result<Self> {
        let (kernel, initrd) = (files.path("vmlinux")?, files.path("initramfs")?);
        let text = |path: std::path::PathBuf| {
            let path = path.canonicalize()?;
            let text = path.to_str().context("a path that is no UTF-8")?;
            anyhow::Ok(escape(text))
        };
        self.kernel = format!(
            "<kernel>{}</kernel><initrd>{}</initrd><cmdline>{}</cmdline>",
            text(kernel)?,
            text(initrd)?,
            escape(Linux::COMMAND_LINE)
        );
        Ok(self)
    }

    /// It has one more NIC.
    pub fn nic(mut self, mac: MacAddr, source: Source) -> Self {
        self.nics.push(Nic { mac, source });
        self
    }

    /// The content of `<metadata>`.
    pub fn metadata(mut self, xml: &str) -> Self {
        xml.clone_into(&mut self.metadata);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its UUID.
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// The path of the FIFOs of its console, without `.in` and `.out`.
    pub(super) fn serial(&self) -> String {
        format!("/run/serial/{}", self.uuid)
    }

    /// Its definition.
    pub fn xml(&self) -> String {
        let (name, uuid) = (escape(&self.name), &self.uuid);
        let metadata = &self.metadata;
        let (kernel, memory, serial) = if self.kernel.is_empty() {
            ("", 16, String::new())
        } else {
            let serial = format!(
                "<serial type='pipe'><source path='{}'/></serial>",
                self.serial()
            );
            (self.kernel.as_str(), 192, serial)
        };
        let nics: String = self.nics.iter().map(Nic::xml).collect();
        format!(
            "<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <metadata>{metadata}</metadata>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type>{kernel}</os>
  <features><acpi/></features>
  <cpu mode='custom' match='exact'><model>qemu64</model></cpu>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    {nics}
    {serial}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"
        )
    }
}

impl Nic {
    /// The element `<interface>`. Without a boot ROM: nobody needs it, and it takes its time.
    pub fn xml(&self) -> String {
        let mac = self.mac;
        let (kind, source) = match &self.source {
            Source::Network(name) => ("network", format!("<source network='{}'/>", escape(name))),
            Source::Bridge(name) => ("bridge", format!("<source bridge='{}'/>", escape(name))),
            Source::Ethernet(tap) => ("ethernet", format!("<target dev='{}'/>", escape(tap))),
        };
        format!(
            "<interface type='{kind}'><mac address='{mac}'/>{source}<model type='virtio'/><rom enabled='no'/></interface>"
        )
    }
}

/// The recommended network, one for each VM: libvirt makes `bridge`, gives it the gateway address, and runs no DNS server
/// and no firewall rules on it. `metadata` is the content of `<metadata>`.
pub fn open_network(name: &str, bridge: &str, metadata: &str) -> String {
    let (mac, name) = (bridge_mac(bridge), escape(name));
    format!(
        "<network>
  <name>{name}</name>
  <metadata>{metadata}</metadata>
  <forward mode='open'/>
  <bridge name='{bridge}' stp='off' delay='0'/>
  <mac address='{mac}'/>
  <dns enable='no'/>
  <ip address='{GATEWAY}' prefix='32'/>
</network>
"
    )
}

/// A network that hands its VMs to `bridge`, which is the host's.
pub fn bridge_network(name: &str, bridge: &str, metadata: &str) -> String {
    let name = escape(name);
    format!(
        "<network>
  <name>{name}</name>
  <metadata>{metadata}</metadata>
  <forward mode='bridge'/>
  <bridge name='{bridge}'/>
</network>
"
    )
}

/// A text as XML writes it, in an element or an attribute.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&apos;",
            other => escaped.push(other),
        }
    }
    escaped
}
