use super::Found;
use super::facts::Facts;

/// One of the walls around a responder.
pub(super) fn landlock(facts: &Facts, found: &mut Found) {
    match &facts.security_modules {
        Ok(modules) if modules.split(',').any(|module| module.trim() == "landlock") => {}
        Ok(_) => found.hint(
            "landlock",
            "The kernel has it not switched on: responders run without that one of their walls.",
            "add lsm=landlock,... to the kernel's command line, with what /sys/kernel/security/lsm shows; Linux 5.13 or later",
        ),
        Err(why) => found.unknown("landlock", format!("{why}."), "mount -t securityfs securityfs /sys/kernel/security"),
    }
}
