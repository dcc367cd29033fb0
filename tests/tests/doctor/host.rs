//! A host on which all is well, and what `slash32 doctor` says of it.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use slash32_tests::{Agent, Fabric, Host, Namespace, RawClient, static_network};
use std::os::unix::process::CommandExt;
use std::time::Duration;

pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// What a package and an operator have set up: accounts, the protocol's name, forwarding at boot. And what a kernel shows
/// in its first namespaces only.
const PREPARE: &str = "
set -e
mkdir -p /run/etc/upper /run/etc/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work /etc
rm -rf /etc/bird /etc/sysctl.d /etc/sysctl.conf
mkdir -p /etc/iproute2/rt_protos.d /etc/sysctl.d
echo '132 slash32' >/etc/iproute2/rt_protos.d/slash32.conf
echo 'net.ipv4.ip_forward = 1' >/etc/sysctl.d/90-slash32.conf
getent passwd slash32-responder >/dev/null ||
    echo 'slash32-responder:x:64321:64321::/:/usr/sbin/nologin' >>/etc/passwd
getent group slash32 >/dev/null || echo 'slash32:x:64322:' >>/etc/group
[ -e /sys/kernel/security/lsm ] || mount -t securityfs securityfs /sys/kernel/security
mount --bind /sys/kernel/security/lsm /sys/kernel/security/lsm
[ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables
";

/// A hypervisor with an uplink, set up as the package and an operator do.
pub(crate) fn site() -> Result<(Host, Fabric)> {
    let host = Host::new()?;
    host.namespace().run("sh", &["-c", PREPARE])?;
    let fabric = host.fabric()?;
    Ok((host, fabric))
}

/// That hypervisor with an agent and one VM, `virbr1`, whose tap is `vnet1`.
pub(crate) struct Site<'h> {
    pub(crate) host: &'h Host,
    pub(crate) agent: Agent<'h>,
    pub(crate) client: RawClient,
}

/// What `slash32 doctor --json` said, and with which exit code.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) code: Option<i32>,
    pub(crate) findings: Vec<Value>,
}

impl<'h> Site<'h> {
    /// The VM has its address.
    pub(crate) fn bound(site: &'h (Host, Fabric)) -> Result<Self> {
        let host = &site.0;
        let agent = Agent::start(host, &static_network(&[("virbr1", 1)], ""))?;
        let mut client = host.raw_vm(1)?;
        agent.wait("virbr1", "ready", BOUND)?;
        client.bind()?;
        agent.wait("virbr1", "bound", BOUND)?;
        Ok(Self {
            host,
            agent,
            client,
        })
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        self.host.namespace()
    }

    pub(crate) fn sh(&self, script: &str) -> Result<String> {
        self.namespace().run("sh", &["-ec", script])
    }

    pub(crate) fn doctor(&self) -> Result<Report> {
        doctor(self.host, &self.agent)
    }

    /// What was found is so: a DISCOVER stays without an answer, and gets one once the rules are gone.
    pub(crate) fn is_cut_off_by_rules(&mut self) -> Result<()> {
        let discover = self.client.discover();
        self.client.send(&discover)?;
        let answer = self
            .client
            .answer(discover.xid, Duration::from_millis(500))?;
        ensure!(answer.is_none(), "it was answered: {answer:?}");
        self.namespace().run("nft", &["flush ruleset"])?;
        self.client.bind().map(drop)
    }

    /// What it says without `--json`.
    pub(crate) fn page(&self) -> Result<String> {
        let config = self.agent.config_file().display().to_string();
        let mut command = self.agent.cli_command(&["doctor", "--config", &config])?;
        let output = self.namespace().output(&mut command)?;
        ensure!(output.stderr.is_empty(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// As another user than root.
    pub(crate) fn doctor_as(&self, user: u32) -> Result<Report> {
        let config = self.agent.config_file().display().to_string();
        let mut command = self
            .agent
            .cli_command(&["doctor", "--json", "--config", &config])?;
        command.uid(user).gid(user);
        report(self.host, &mut command)
    }
}

/// What `slash32 doctor --json` says of this host and this agent.
pub(crate) fn doctor(host: &Host, agent: &Agent<'_>) -> Result<Report> {
    let config = agent.config_file().display().to_string();
    report(
        host,
        &mut agent.cli_command(&["doctor", "--json", "--config", &config])?,
    )
}

fn report(host: &Host, command: &mut std::process::Command) -> Result<Report> {
    let output = host.namespace().output(command)?;
    ensure!(output.stderr.is_empty(), "{output:?}");
    let findings: Vec<Value> =
        serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    for finding in &findings {
        for key in ["check", "severity", "object", "finding", "mend"] {
            let text = finding[key].as_str().unwrap_or_default();
            ensure!(!text.is_empty(), "no {key} in {finding}");
        }
    }
    Ok(Report {
        code: output.status.code(),
        findings,
    })
}

impl Report {
    /// Nothing was found, and every check was made.
    pub(crate) fn is_silent(&self) -> Result<()> {
        ensure!(self.findings.is_empty() && self.code == Some(0), "{self:?}");
        Ok(())
    }

    /// The one finding is this one, and the exit code goes with it.
    pub(crate) fn is_only(&self, check: &str, severity: &str, object: &str) -> Result<&Value> {
        ensure!(self.findings.len() == 1, "{self:?}");
        self.has(check, severity, object)
    }

    /// This finding is there, and the exit code goes with the worst.
    pub(crate) fn has(&self, check: &str, severity: &str, object: &str) -> Result<&Value> {
        let is = |name: &str| {
            self.findings
                .iter()
                .any(|finding| finding["severity"] == name)
        };
        let code = match (is("error"), is("unknown")) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 0,
        };
        ensure!(self.code == Some(code), "{self:?}");
        let found = self.findings.iter().find(|finding| {
            finding["check"] == check
                && finding["severity"] == severity
                && finding["object"] == object
        });
        match found {
            Some(finding) => Ok(finding),
            None => bail!("no {severity} {check} of {object} in {self:?}"),
        }
    }
}

/// `part` stands in what a finding says under `key`.
pub(crate) fn says(finding: &Value, key: &str, part: &str) -> Result<()> {
    let text = finding[key].as_str().unwrap_or_default();
    ensure!(text.contains(part), "no {part:?} in {finding}");
    Ok(())
}
