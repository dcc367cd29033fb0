use super::Found;
use super::facts::Facts;

/// Each VM takes an entry of the machine's neighbour table (arp(7)): above `gc_thresh2` entries are thrown out early, at
/// `gc_thresh3` no new one is made.
pub(super) fn judge(facts: &Facts, found: &mut Found) {
    let vms = facts.vm_links().count() as u64;
    let object = "net.ipv4.neigh.default.gc_thresh3";
    let [_, soft, hard] = match &facts.neighbour_limits {
        Ok(limits) => *limits,
        Err(why) => {
            found.unknown(
                object,
                format!("The limits are not known: {why}."),
                "ip ntable show name arp_cache",
            );
            return;
        }
    };
    // What is to be had: room for twice as many, in powers of two.
    let wanted = (vms * 2).next_power_of_two().max(4096);
    let lines: String = [(1, wanted / 4), (2, wanted / 2), (3, wanted)]
        .map(|(threshold, value)| format!(" net.ipv4.neigh.default.gc_thresh{threshold}={value}"))
        .concat();
    let mend = format!("sysctl -w{lines}, and the same lines in /etc/sysctl.d/90-slash32.conf");
    if vms >= hard {
        found.error(
            object,
            format!("The neighbour table takes {hard} entries and there are {vms} VM links: VMs are not reached."),
            mend,
        );
    } else if vms > soft {
        found.warning(
            object,
            format!(
                "There are {vms} VM links, and above {soft} entries the kernel throws neighbours out early: VMs are reached \
                 late, again and again."
            ),
            mend,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;
    use crate::doctor::facts::Known;

    #[test]
    fn the_limits_are_held_against_the_number_of_vm_links() {
        let table: &[(Known<[u64; 3]>, &[Severity])] = &[
            (Ok([128, 512, 1024]), &[]),
            (Ok([0, 1, 2]), &[]),
            (Ok([0, 0, 2]), &[Severity::Warning]),
            (Ok([0, 0, 1]), &[Severity::Error]),
            (Err("ip is not installed".into()), &[Severity::Unknown]),
        ];
        for (limits, expected) in table {
            let mut facts = Facts::healthy();
            facts.neighbour_limits = limits.clone();
            let mut found = Found::by("neighbours");
            judge(&facts, &mut found);
            let severities: Vec<Severity> = found
                .into_findings()
                .iter()
                .map(|finding| finding.severity)
                .collect();
            assert_eq!(severities, *expected, "{limits:?}");
        }
    }
}
