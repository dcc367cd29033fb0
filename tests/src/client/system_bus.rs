use crate::Guest;
use anyhow::Result;
use std::time::Duration;

/// A D-Bus system bus, and a /sys that cannot be written: a daemon that would otherwise wait for udev takes that as the
/// sign of a container, which has none.
const START: &str = "
set -e
[ ! -S /run/dbus/system_bus_socket ] || exit 0
mount -o remount,ro,bind /sys
mkdir -p /run/dbus /var/lib/dbus
[ -s /etc/machine-id ] || dbus-uuidgen >/etc/machine-id
dbus-daemon --system --fork --nopidfile >/dev/null 2>&1
";

/// Starts the bus in the guest, when it does not run yet.
pub(super) fn start(guest: &Guest) -> Result<()> {
    guest.namespace().run("sh", &["-c", START]).map(drop)
}

/// Waits until a daemon owns the bus name `name`.
pub(super) fn wait_for(guest: &Guest, name: &str) -> Result<()> {
    let argument = format!("string:{name}");
    let arguments = [
        "--system",
        "--dest=org.freedesktop.DBus",
        "--print-reply",
        "/",
        "org.freedesktop.DBus.NameHasOwner",
        &argument,
    ];
    crate::until(name, Duration::from_secs(20), || {
        let answer = guest.namespace().run("dbus-send", &arguments)?;
        Ok(answer.contains("boolean true").then_some(()))
    })
}
