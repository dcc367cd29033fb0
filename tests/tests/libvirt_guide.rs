//! The guide's page on libvirt, run as it is written on a host with slash32 and a real libvirtd.
#![allow(missing_docs, clippy::unwrap_used)]

use anyhow::{Context, Result, bail, ensure};
use slash32_tests::{
    BootFiles, Host, Installed, MacAddr,
    guide::{Block, blocks, in_language, is_shown, section},
    libvirt::{Domain, Libvirtd, Nic, Source, escape, open_network},
    linux::Linux,
    until,
};
use std::{cell::RefCell, fs, time::Duration};

const PAGE: &str = include_str!("../../docs/libvirt.md");
/// How long the agent may take to hear of a change on a machine that is busy with other cases.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn the_way_from_virsh_define_to_ping_goes_as_it_is_written() -> Result<()> {
    let host = Host::new()?;
    let stage = Stage::on(&host)?;
    let way = section(PAGE, "From virsh define to ping")?;
    stage.follow(&blocks(way), &another_disk()?)
}

#[test]
fn a_vm_in_a_bridge_of_the_host_is_reached() -> Result<()> {
    let [bridge, _, _, _] = in_language(kinds()?, "xml")?;
    reaches("vmbr14", bridge, |stage| {
        stage.follow(&blocks(kinds()?), &[])
    })
}

#[test]
fn a_vm_in_a_network_that_names_a_bridge_of_the_host_is_reached() -> Result<()> {
    let [_, network, interface, _] = in_language(kinds()?, "xml")?;
    reaches("vmbr14", interface, |stage| {
        stage.follow(&blocks(kinds()?), &[])?;
        stage.libvirtd.borrow().start_network("web2", network)
    })
}

#[test]
fn a_vm_behind_a_bare_tap_is_reached() -> Result<()> {
    let [_, _, _, tap] = in_language(kinds()?, "xml")?;
    reaches("vm-web3", tap, |_| Ok(()))
}

#[test]
fn each_of_several_nics_has_what_the_metadata_says_of_it() -> Result<()> {
    let host = Host::new()?;
    let stage = Stage::on(&host)?;
    stage.configure()?;
    let metadata = section(PAGE, "Metadata")?;
    let [one, two] = in_language(metadata, "xml")?;
    let libvirtd = stage.libvirtd.borrow();
    for number in [13, 14] {
        let (name, bridge) = (format!("web{number}"), format!("virbr{number}"));
        libvirtd.start_network(&name, &open_network(&name, &bridge, ""))?;
    }
    let [first, second] = [(0, "web13"), (1, "web14")].map(|(number, network)| Nic {
        mac: MacAddr([0x52, 0x54, 0, 0, number, 0x13]),
        source: Source::Network(network.to_owned()),
    });
    let domain = |metadata, nic: &Nic| {
        let domain = Domain::new("web1", 1).metadata(metadata);
        domain.nic(nic.mac, nic.source.clone())
    };
    libvirtd.start_paused(&domain(two, &first).nic(second.mac, second.source))?;
    for (link, address) in [("virbr13", "203.0.113.7"), ("virbr14", "203.0.113.8")] {
        until(&format!("{link} to have {address}"), SOON, || {
            let list = stage.installed.shell("slash32 list --json")?;
            let rows: Vec<serde_json::Value> = serde_json::from_str(&list)?;
            let wanted = |row: &&serde_json::Value| {
                row["link"] == link && row["vm"] == "web1" && row["address"] == address
            };
            Ok(rows.iter().find(wanted).map(drop))
        })?;
    }
    libvirtd.virsh(&["destroy", "web1"])?;
    libvirtd.start_paused(&domain(one, &first))?;
    until("the options of the metadata", SOON, || {
        let why = stage.installed.shell("slash32 explain web1")?;
        let says = |key: &str, value: &str| {
            let mut lines = why.lines();
            lines.any(|line| line.contains(key) && line.contains(value) && line.contains("libvirt"))
        };
        Ok((says("hostname", "web1") && says("mtu", "1400")).then_some(()))
    })
}

/// A VM with this `<interface>` of the page comes to an address on `link`, and the host pings it there.
fn reaches(
    link: &str,
    interface: &str,
    prepare: impl FnOnce(&Stage<'_>) -> Result<()>,
) -> Result<()> {
    let host = Host::new()?;
    let stage = Stage::on(&host)?;
    stage.configure()?;
    prepare(&stage)?;
    let way = section(PAGE, "From virsh define to ping")?;
    let definition = blocks(way)
        .into_iter()
        .find(|block| block.text.contains("<domain"))
        .context("the page defines no VM")?;
    let own = between(definition.text, "<interface", "</interface>")?;
    let metadata = between(definition.text, "<metadata", "</metadata>")?;
    let mut other = another_disk()?;
    other.extend([
        (own, interface.trim().to_owned()),
        (metadata, String::new()),
    ]);
    stage.follow(&[definition], &other)?;
    stage
        .installed
        .shell(&format!("slash32 wait {link} --timeout 90s"))?;
    stage.installed.shell("ping -c 3 203.0.113.10").map(drop)
}

fn kinds() -> Result<&'static str> {
    section(PAGE, "The kinds of link")
}

/// What the page's VM is changed to here: it boots a kernel instead of a disk, on an emulated CPU.
fn another_disk() -> Result<Vec<(&'static str, String)>> {
    let files = BootFiles::prepared()?;
    let path =
        |name: &str| anyhow::Ok(escape(&files.path(name)?.canonicalize()?.to_string_lossy()));
    let kernel = format!(
        "<kernel>{}</kernel><initrd>{}</initrd><cmdline>{}</cmdline></os>",
        path("vmlinux")?,
        path("initramfs")?,
        Linux::COMMAND_LINE
    );
    Ok(vec![
        ("type='kvm'", "type='qemu'".to_owned()),
        ("</os>", kernel),
        (between(PAGE, "<disk", "</disk>")?, String::new()),
    ])
}

/// The part of `text` from `start` to `end`, both included.
fn between<'t>(text: &'t str, start: &str, end: &str) -> Result<&'t str> {
    let from = text.find(start).with_context(|| format!("no {start}"))?;
    let length = text[from..]
        .find(end)
        .with_context(|| format!("no {end}"))?;
    Ok(&text[from..from + length + end.len()])
}

/// A host with slash32 and libvirt, without systemd.
struct Stage<'h> {
    installed: Installed<'h>,
    libvirtd: RefCell<Libvirtd<'h>>,
}

impl<'h> Stage<'h> {
    fn on(host: &'h Host) -> Result<Self> {
        Ok(Self {
            installed: Installed::on(host)?,
            libvirtd: RefCell::new(Libvirtd::start(host)?),
        })
    }

    /// Gives it the config of the page's kinds of link, and hooks.
    fn configure(&self) -> Result<()> {
        let [config] = in_language(kinds()?, "toml")?;
        let file = "/etc/slash32/conf.d/public.toml";
        fs::write(self.installed.host().namespace().path(file), config)?;
        self.run("slash32 check\nslash32 reload\nslash32 hook install\nsystemctl restart libvirtd")
    }

    /// Runs each block of shell, changed by `changes`, and compares what its last line prints with the block of text behind it.
    ///
    /// Errors: a line fails, a change fits nothing, or something else is printed.
    fn follow(&self, blocks: &[Block<'_>], changes: &[(&str, String)]) -> Result<()> {
        let mut unused: Vec<&str> = changes.iter().map(|(from, _)| *from).collect();
        for (place, block) in blocks.iter().enumerate() {
            if block.language != "sh" {
                continue;
            }
            let mut script = block.text.to_owned();
            for (from, to) in changes {
                unused.retain(|unused| !script.contains(unused));
                script = script.replace(from, to);
            }
            let shown = blocks.get(place + 1);
            match shown.filter(|shown| shown.language == "text") {
                Some(shown) => {
                    let (before, last) =
                        script.trim_end().rsplit_once('\n').unwrap_or(("", &script));
                    self.run(before)?;
                    self.prints(last, shown.text)?;
                }
                None => self.run(&script)?,
            }
        }
        ensure!(unused.is_empty(), "these are not on the page: {unused:?}");
        Ok(())
    }

    /// Runs lines of shell. Where the page says `systemctl`, the case does what systemd would.
    fn run(&self, script: &str) -> Result<()> {
        let mut lines = String::new();
        for line in script.lines() {
            match line.strip_prefix("systemctl ") {
                None => lines += &format!("{line}\n"),
                Some("restart libvirtd") => {
                    self.installed.shell(&std::mem::take(&mut lines))?;
                    self.libvirtd.borrow_mut().restart()?;
                }
                Some(other) => bail!("what would systemctl {other} do?"),
            }
        }
        self.installed.shell(&lines).map(drop)
    }

    /// `line`, which changes nothing, comes to print what is `shown`: the agent hears of a change a moment after it was made.
    fn prints(&self, line: &str, shown: &str) -> Result<()> {
        let mut last = String::new();
        until(line, SOON, || {
            let compared = is_shown(&self.installed.shell(line)?, shown);
            last = compared
                .as_ref()
                .map_or_else(ToString::to_string, |()| String::new());
            Ok(compared.ok())
        })
        .with_context(|| last)
    }
}
