//! Disks that are full or read-only: small file systems in a mount namespace of their own (which needs root).

use crate::sample::{allocation, make_store, puts, some};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use slash32_store::{Change, Embedded, Opened, Records, Store, StoreError};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Runs `work` in a thread whose mounts nobody else sees, with an empty file system of `size` bytes at the given folder.
fn on_a_disk_of(size: usize, work: impl FnOnce(&Path) + Send) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let thread = || {
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace needs root; run this with sudo");
        let none = None::<&str>;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(none, "/", none, private, none).unwrap();
        let options = format!("size={size}");
        mount(
            Some("tmpfs"),
            path,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(&*options),
        )
        .unwrap();
        work(path);
    };
    // The mount goes with the last thread of its namespace.
    std::thread::scope(|scope| scope.spawn(thread).join().unwrap());
}

fn remount(path: &Path, flags: MsFlags) {
    let none = None::<&str>;
    mount(none, path, none, MsFlags::MS_REMOUNT | flags, none).unwrap();
}

/// Leaves exactly `left` pages of 4096 bytes free.
fn fill(folder: &Path, left: usize) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("filler"))
        .unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let length = file.metadata().unwrap().len();
    file.set_len(length.saturating_sub(left as u64 * 4096))
        .unwrap();
}

#[test]
fn a_commit_on_a_full_disk_fails_whole_and_works_again_when_there_is_space() {
    on_a_disk_of(2 << 20, |folder| {
        let path = folder.join("store.redb");
        let many: Vec<Change> = (0..500)
            .map(|number| Change::PutAllocation(allocation(&format!("id{number}"), number)))
            .collect();
        let mut failed = 0;
        // Somewhere in between it has enough for the first steps of a commit and not for the last.
        for left in (0..112).step_by(7) {
            let _ = fs::remove_file(&path);
            let _ = fs::remove_file(folder.join("filler"));
            let mut store = Embedded::open(&path).unwrap();
            let first = Change::PutAllocation(allocation("first", 5_000));
            store.commit(&[first]).unwrap();
            let before = store.load().unwrap();
            fill(folder, left);
            let result = store.commit(&many);
            let after = store.load().unwrap();
            if let Err(error) = result {
                failed += 1;
                let text = error.to_string();
                assert!(matches!(error, StoreError::Unusable { .. }), "{text}");
                assert!(text.contains("No space left on device"), "{text}");
                assert!(after == before || after.len() == 501, "{left}: a half");
                // Not only once.
                let again = store.commit(&many);
                assert!(
                    matches!(again, Ok(()) | Err(StoreError::Unusable { .. })),
                    "{again:?}"
                );
            }
            fs::remove_file(folder.join("filler")).unwrap();
            store.commit(&many).unwrap();
            assert_eq!(store.load().unwrap().len(), 501);
            drop(store);
            let store = Embedded::open(&path).unwrap();
            assert_eq!(store.load().unwrap().len(), 501);
        }
        assert!((3..16).contains(&failed), "{failed} of 16 failed");
    });
}

#[test]
fn a_store_that_cannot_be_made_for_lack_of_space_leaves_nothing_behind() {
    on_a_disk_of(8 << 10, |folder| {
        let path = folder.join("store.redb");
        let error = Embedded::open(&path).err().unwrap();
        let text = error.to_string();
        assert!(matches!(error, StoreError::Unusable { .. }), "{text}");
        assert!(text.contains("No space left on device"), "{text}");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    });
}

#[test]
fn a_store_on_a_read_only_disk_is_read_and_says_why_it_cannot_be_written() {
    on_a_disk_of(8 << 20, |folder| {
        let path = folder.join("store.redb");
        make_store(&path);
        let before = fs::read(&path).unwrap();
        remount(folder, MsFlags::MS_RDONLY);
        let error = Embedded::open(&path).err().unwrap();
        assert!(error.to_string().contains("Read-only file system"));
        let Opened::Degraded(mut store) = Embedded::open_or_explain(&path).unwrap() else {
            panic!("opened")
        };
        assert_eq!(store.reason(), &error);
        assert!(store.has_records());
        assert_eq!(store.load().unwrap(), some());
        assert_eq!(store.commit(&puts(some())).unwrap_err(), error);
        assert_eq!(store.commit(&[]), Ok(()));
        remount(folder, MsFlags::empty());
        assert!(fs::read(&path).unwrap() == before);
        let mut store = Embedded::open(&path).unwrap();
        store.commit(&puts(some())).unwrap();
    });
}

#[test]
fn a_store_that_a_crash_left_is_read_on_a_read_only_disk_too() {
    on_a_disk_of(8 << 20, |folder| {
        let path = folder.join("store.redb");
        let crashed = folder.join("crashed.redb");
        let mut store = Embedded::open(&path).unwrap();
        store.commit(&puts(some())).unwrap();
        // What is in the file while it is open is what a crash leaves.
        fs::copy(&path, &crashed).unwrap();
        drop(store);
        remount(folder, MsFlags::MS_RDONLY);
        assert_eq!(Embedded::read(&crashed).unwrap(), some());
    });
}

#[test]
fn a_store_that_cannot_be_made_on_a_read_only_disk_says_so() {
    on_a_disk_of(1 << 20, |folder| {
        remount(folder, MsFlags::MS_RDONLY);
        let opened = Embedded::open_or_explain(&folder.join("store.redb")).unwrap();
        let Opened::Degraded(store) = opened else {
            panic!("opened")
        };
        assert_eq!(store.load().unwrap(), Records::default());
        assert!(store.reason().to_string().contains("Read-only file system"));
    });
}
