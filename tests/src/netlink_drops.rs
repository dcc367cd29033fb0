use crate::Host;
use anyhow::Result;
use std::fs;

/// How many messages the kernel could not give to the netlink sockets of the process with this (inner) pid that listen to
/// groups: the column `Drops` of /proc/net/netlink.
pub fn netlink_drops(host: &Host, pid: u64) -> Result<u64> {
    // A socket's port id is its process's pid for the first one only, so the sockets are told apart by inode.
    let folder = host.namespace().path(format!("/proc/{pid}/fd"));
    let inodes: Vec<String> = fs::read_dir(folder)?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            Some(
                target
                    .to_str()?
                    .strip_prefix("socket:[")?
                    .trim_end_matches(']')
                    .to_owned(),
            )
        })
        .collect();
    let table = fs::read_to_string(format!("/proc/{}/net/netlink", host.namespace().pid()))?;
    let sockets = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    Ok(sockets
        .filter(|fields| {
            fields
                .get(9)
                .is_some_and(|inode| inodes.iter().any(|one| one == inode))
        })
        .filter_map(|fields| fields.get(8)?.parse::<u64>().ok())
        .sum())
}
