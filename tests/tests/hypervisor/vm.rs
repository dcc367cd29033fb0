//! A VM as libvirt starts and ends it: its hook calls, its file in libvirt's runtime folder, and its tap.

use anyhow::{Result, ensure};
use slash32_tests::{Agent, Host, MacAddr, RawClient, Tap, binary, guest_mac};
use std::{
    fs,
    io::{Seek, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A VM with one NIC, number N, on the bridge `virbrN` of the libvirt network `netN`.
pub(crate) struct Vm {
    pub(crate) name: String,
    pub(crate) number: u16,
    /// Attributes of its `<slash32:vm>`.
    pub(crate) metadata: String,
    /// The same of the network's.
    pub(crate) network_metadata: String,
    /// What stands in the network's `<ip>`.
    pub(crate) dhcp: &'static str,
}

/// libvirt's hook calls come here.
pub(crate) struct Hooks {
    runtime: PathBuf,
}

impl Hooks {
    pub(crate) fn of(agent: &Agent<'_>) -> Self {
        let runtime = agent.socket().parent().unwrap_or(Path::new("/")).to_owned();
        Self { runtime }
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.runtime.join("hooks")
    }

    /// The agent's memory of what libvirt told.
    pub(crate) fn memory(&self) -> PathBuf {
        self.runtime.join("libvirt.json")
    }

    /// Calls a hook as libvirt does.
    pub(crate) fn call(&self, hook: &str, arguments: [&str; 4], xml: &str) -> Result<()> {
        // All there at once: a hook does not wait long for a writer, and this one may not be scheduled for a while.
        let mut stdin = tempfile::tempfile()?;
        stdin.write_all(xml.as_bytes())?;
        stdin.rewind()?;
        let status = Command::new(binary("slash32")?)
            .args(["hook", "--runtime-dir"])
            .arg(&self.runtime)
            .arg(hook)
            .args(arguments)
            .stdin(Stdio::from(stdin))
            .status()?;
        ensure!(status.success(), "a hook failed");
        Ok(())
    }
}

impl Vm {
    pub(crate) fn new(name: &str, number: u16) -> Self {
        Self {
            name: name.to_owned(),
            number,
            metadata: String::new(),
            network_metadata: String::new(),
            dhcp: "",
        }
    }

    pub(crate) fn asking(self, metadata: &str) -> Self {
        Self {
            metadata: metadata.to_owned(),
            ..self
        }
    }

    pub(crate) fn uuid(&self) -> String {
        format!("22222222-0000-4000-8000-{:012}", self.number)
    }

    pub(crate) fn mac(&self) -> MacAddr {
        guest_mac(self.number)
    }

    pub(crate) fn bridge(&self) -> String {
        format!("virbr{}", self.number)
    }

    fn tap(&self) -> String {
        format!("vnet{}", self.number)
    }

    fn interface(&self, runs: bool) -> String {
        let (number, mac) = (self.number, self.mac());
        let place = if runs {
            format!(
                "<source network='net{number}' portid='{}' bridge='virbr{number}'/><target dev='vnet{number}'/>",
                self.port()
            )
        } else {
            format!("<source network='net{number}'/>")
        };
        format!(
            "<interface type='network'><mac address='{mac}'/>{place}<model type='virtio'/></interface>"
        )
    }

    fn domain(&self, runs: bool) -> String {
        self.domain_with(&self.interface(runs))
    }

    fn domain_with(&self, interfaces: &str) -> String {
        format!(
            "<domain type='qemu'><name>{}</name><uuid>{}</uuid>{}<devices>{interfaces}</devices></domain>",
            escaped(&self.name),
            self.uuid(),
            metadata(&self.metadata),
        )
    }

    fn port(&self) -> String {
        format!("83e7e09c-0000-4000-8000-{:012}", self.number)
    }

    pub(crate) fn network(&self) -> String {
        let number = self.number;
        format!(
            "<network><name>net{number}</name><uuid>11111111-0000-4000-8000-{number:012}</uuid>{}\
             <forward mode='open'/><bridge name='virbr{number}' stp='off' delay='0'/><dns enable='no'/>\
             <ip address='169.254.0.1' prefix='32'>{}</ip></network>",
            metadata(&self.network_metadata),
            self.dhcp,
        )
    }

    fn networkport(&self) -> String {
        format!(
            "<networkport><uuid>{}</uuid><owner><name>{}</name><uuid>{}</uuid></owner>\
             <mac address='{}'/><plug type='network' bridge='virbr{}'/></networkport>",
            self.port(),
            escaped(&self.name),
            self.uuid(),
            self.mac(),
            self.number
        )
    }

    fn network_call(&self, hooks: &Hooks, operation: &str, port: &str) -> Result<()> {
        let xml = format!("<hookData>{}{port}</hookData>", self.network());
        let name = format!("net{}", self.number);
        hooks.call("network", [&name, operation, "begin", "-"], &xml)
    }

    pub(crate) fn network_started(&self, hooks: &Hooks) -> Result<()> {
        self.network_call(hooks, "started", "")
    }

    /// The calls before there is a tap.
    pub(crate) fn prepare(&self, hooks: &Hooks) -> Result<()> {
        let xml = self.domain(false);
        hooks.call("qemu", [&self.name, "prepare", "begin", "-"], &xml)?;
        self.network_call(hooks, "port-created", &self.networkport())
    }

    /// All calls of the start of a VM whose first NIC is `first`, and whose second one is this one.
    pub(crate) fn prepare_with(&self, first: &Vm, hooks: &Hooks) -> Result<()> {
        let xml = |runs| {
            let interfaces = format!("{}{}", first.interface(runs), self.interface(runs));
            first.domain_with(&interfaces)
        };
        hooks.call("qemu", [&first.name, "prepare", "begin", "-"], &xml(false))?;
        hooks.call("qemu", [&first.name, "started", "begin", "-"], &xml(true))
    }

    /// The calls before there is a tap at the host that a VM migrates to.
    pub(crate) fn migrates(&self, hooks: &Hooks) -> Result<()> {
        let xml = self.domain(false);
        hooks.call("qemu", [&self.name, "migrate", "begin", "-"], &xml)?;
        self.prepare(hooks)
    }

    /// A call with the XML of a VM that runs: `start`, `started` or `reconnect`.
    pub(crate) fn running(&self, hooks: &Hooks, operation: &str) -> Result<()> {
        let xml = self.domain(true);
        hooks.call("qemu", [&self.name, operation, "begin", "-"], &xml)
    }

    /// The VM's tap comes to its bridge, which is made when it is not there.
    pub(crate) fn plug(&self, host: &Host) -> Result<RawClient> {
        let (bridge, tap) = (self.bridge(), self.tap());
        let link = host.namespace().path(format!("/sys/class/net/{bridge}"));
        if !link.exists() {
            host.bridge(&bridge)?;
        }
        let wire = Tap::open(host.namespace(), &tap)?;
        let MacAddr([_, tail @ ..]) = self.mac();
        let [a, b, c, d, e] = tail;
        let mac = MacAddr([0xfe, a, b, c, d, e]);
        host.namespace().ip_batch(&format!(
            "link set {tap} address {mac}\nlink set {tap} master {bridge}\nlink set {tap} up\n"
        ))?;
        host.wait_forwarding(&tap)?;
        Ok(RawClient::new(wire, self.mac()))
    }

    /// The VM starts as libvirt starts it. It is there until the client is dropped.
    pub(crate) fn start(&self, host: &Host, hooks: &Hooks) -> Result<RawClient> {
        self.prepare(hooks)?;
        let client = self.plug(host)?;
        self.running(hooks, "start")?;
        self.running(hooks, "started")?;
        Ok(client)
    }

    /// libvirt has ended the VM.
    pub(crate) fn stopped(&self, hooks: &Hooks) -> Result<()> {
        let xml = self.domain(false);
        hooks.call("qemu", [&self.name, "stopped", "end", "-"], &xml)?;
        self.network_call(hooks, "port-deleted", &self.networkport())?;
        hooks.call("qemu", [&self.name, "release", "end", "-"], &xml)
    }

    /// libvirt's own files of the VM and of its network.
    pub(crate) fn write_files(&self, host: &Host) -> Result<()> {
        let folder = host.namespace().path("/run/libvirt");
        let number = self.number;
        put(
            &folder.join("network"),
            &format!("net{number}"),
            &format!("<networkstatus>{}</networkstatus>", self.network()),
        )?;
        put(
            &folder.join("qemu"),
            &self.name,
            &format!(
                "<domstatus state='running' reason='booted' pid='1'>{}</domstatus>",
                self.domain(true)
            ),
        )
    }

    pub(crate) fn remove_file(&self, host: &Host) -> Result<()> {
        let file = format!("/run/libvirt/qemu/{}.xml", self.name);
        Ok(fs::remove_file(host.namespace().path(file))?)
    }
}

/// libvirt's runtime folder, as its package or its daemon makes it.
pub(crate) fn libvirt_folder(host: &Host) -> Result<()> {
    for folder in ["qemu", "network"] {
        fs::create_dir_all(host.namespace().path(format!("/run/libvirt/{folder}")))?;
    }
    Ok(())
}

/// As libvirt replaces its files: whole, by a rename.
fn put(folder: &Path, name: &str, xml: &str) -> Result<()> {
    let new = folder.join(format!("{name}.xml.new"));
    fs::write(&new, xml)?;
    Ok(fs::rename(&new, folder.join(format!("{name}.xml")))?)
}

fn metadata(attributes: &str) -> String {
    if attributes.is_empty() {
        return String::new();
    }
    format!("<metadata><slash32:vm xmlns:slash32='urn:slash32:1' {attributes}/></metadata>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
