use super::*;
use slash32_libvirt::{Call, Hook, Metadata, spool};
use std::fs;
use tempfile::TempDir;

const BOOT: &str = "a boot";
const STAY: Stay = Stay {
    port: 2,
    carrier_ups: 1,
};

/// A runtime folder of ours and one of libvirt's.
struct Folders(TempDir);

impl Folders {
    fn new() -> Self {
        let folders = Self(tempfile::tempdir().unwrap());
        for folder in ["run/hooks", "libvirt/qemu", "libvirt/network"] {
            fs::create_dir_all(folders.path(folder)).unwrap();
        }
        folders
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn hypervisor(&self, boot: &str) -> Hypervisor {
        Hypervisor::new(self.path("run"), self.path("libvirt"), boot)
    }

    /// A hook call, the one with this number.
    fn call(&self, number: u64, operation: &str, xml: &str) {
        let call = Call {
            hook: Hook::Qemu,
            arguments: ["web", operation, "begin", "-"].map(Into::into).into(),
            xml: xml.into(),
        };
        let file = self.path("run/hooks").join(spool::name(number, 1));
        fs::write(file, spool::encode(&call)).unwrap();
    }

    fn waiting(&self) -> usize {
        fs::read_dir(self.path("run/hooks")).unwrap().count()
    }
}

fn domain(name: &str, mac: u8) -> String {
    format!(
        "<domain><name>{name}</name><uuid>22222222-0000-4000-8000-0000000000{mac:02}</uuid><devices>\
         <interface type='bridge'><mac address='52:54:00:00:00:{mac:02}'/><source bridge='br0'/>\
         <target dev='vnet0'/></interface></devices></domain>"
    )
}

fn status(name: &str, mac: u8) -> String {
    format!("<domstatus>{}</domstatus>", domain(name, mac))
}

fn vm_at(hypervisor: &Hypervisor, tail: u8) -> Option<&str> {
    let place = Place {
        link: "br0",
        port: "vnet0",
        port_mac: MacAddr([0xfe, 0x54, 0, 0, 0, tail]),
    };
    hypervisor.knowledge.nic(place).map(|nic| nic.vm.as_str())
}

/// As when its time has come.
fn save_now(hypervisor: &mut Hypervisor) {
    hypervisor.save_at = hypervisor.save_at.and(Some(Instant::now()));
    hypervisor.save();
}

fn nic(uuid: &str) -> Nic {
    Nic {
        vm: "web".into(),
        uuid: uuid.into(),
        mac: MacAddr([0x52, 0x54, 0, 0, 0, 1]),
        network: None,
        incoming: false,
        resumed: false,
        metadata: Metadata::default(),
    }
}

#[tokio::test]
async fn calls_are_taken_in_in_their_order_once_and_outlive_the_agent() {
    let folders = Folders::new();
    folders.call(20, "started", &domain("after", 1));
    folders.call(3, "started", &domain("before", 1));
    // Not whole yet, and nobody's.
    fs::write(folders.path("run/hooks/.1-1.hook"), "").unwrap();
    fs::write(folders.path("run/hooks/README"), "").unwrap();
    let mut hypervisor = folders.hypervisor(BOOT);
    let learnt = hypervisor.drain();
    assert!(learnt.news && !learnt.more);
    assert_eq!(vm_at(&hypervisor, 1), Some("after"));
    assert_eq!(folders.waiting(), 2);
    assert!(!hypervisor.drain().news);
    // Of this boot, and of no other.
    assert_eq!(vm_at(&folders.hypervisor(BOOT), 1), Some("after"));
    assert_eq!(vm_at(&folders.hypervisor("another"), 1), None);
    assert_eq!(vm_at(&folders.hypervisor(BOOT), 1), Some("after"));
}

#[tokio::test]
async fn a_call_that_comes_after_its_successors_counts_in_its_place() {
    let folders = Folders::new();
    let mut hypervisor = folders.hypervisor(BOOT);
    let uuid = "22222222-0000-4000-8000-000000000001";
    folders.call(30, "prepare", &domain("web", 1));
    folders.call(40, "started", &domain("web", 1));
    hypervisor.drain();
    hypervisor.keep(1, STAY, &nic(uuid), true);
    // Of the start before.
    folders.call(10, "started", &domain("web", 1));
    folders.call(20, "release", &domain("web", 1));
    hypervisor.drain();
    assert_eq!(vm_at(&hypervisor, 1), Some("web"));
    assert!(!hypervisor.kept[&1].over, "it was no end of this start");
    folders.call(60, "release", &domain("web", 1));
    hypervisor.drain();
    folders.call(50, "started", &domain("web", 1));
    hypervisor.drain();
    assert_eq!(vm_at(&hypervisor, 1), None);
    assert!(hypervisor.kept[&1].over);
}

#[tokio::test]
async fn what_hooks_that_were_killed_have_left_goes_after_a_minute() {
    let folders = Folders::new();
    let now = slash32_sys::clock::boottime();
    let ago = |seconds: u64| {
        let name = spool::name(now.saturating_sub(seconds * 1_000_000_000), 1);
        folders.path("run/hooks").join(spool::temporary(&name))
    };
    let [old, waits] = [ago(61), ago(50)];
    let nobodys = folders.path("run/hooks/.notes");
    for file in [&old, &waits, &nobodys] {
        fs::write(file, "").unwrap();
    }
    folders.hypervisor(BOOT).look_at_all().await;
    assert!(!old.exists());
    assert!(waits.exists() && nobodys.exists());
}

#[tokio::test]
async fn very_many_calls_are_taken_in_by_parts() {
    let folders = Folders::new();
    for number in 0..450 {
        folders.call(number, "started", &domain("web", 1));
    }
    let mut hypervisor = folders.hypervisor(BOOT);
    let more: Vec<_> = (0..3).map(|_| hypervisor.drain().more).collect();
    assert_eq!(more, [true, true, false]);
    assert_eq!(folders.waiting(), 0);
    // Words that come thick and fast are written once in a while, and their files stay until then.
    hypervisor.saved_at = Some(Instant::now() + Duration::from_secs(3600));
    for number in 2..6 {
        folders.call(number, "started", &domain("web", number as u8));
        assert!(hypervisor.drain().news);
    }
    assert!(folders.waiting() == 4 && !hypervisor.drain().news);
    save_now(&mut hypervisor);
    assert_eq!((folders.waiting(), hypervisor.save_at()), (0, None));
}

#[tokio::test]
async fn a_call_that_cannot_be_read_goes_and_the_others_count() {
    let folders = Folders::new();
    let garbage = folders.path("run/hooks").join(spool::name(1, 1));
    fs::write(&garbage, [0xff; 64]).unwrap();
    folders.call(2, "started", "<domain>");
    folders.call(3, "started", &domain("web", 1));
    let mut hypervisor = folders.hypervisor(BOOT);
    assert!(hypervisor.drain().news);
    assert_eq!(vm_at(&hypervisor, 1), Some("web"));
    assert_eq!(folders.waiting(), 0);
}

#[tokio::test]
async fn what_cannot_be_removed_is_taken_in_once() {
    let folders = Folders::new();
    // As far as the agent is concerned it cannot: it is a folder.
    let stuck = folders.path("run/hooks").join(spool::name(1, 1));
    fs::create_dir(&stuck).unwrap();
    let mut hypervisor = folders.hypervisor(BOOT);
    hypervisor.drain();
    folders.call(2, "started", &domain("web", 1));
    let facts = hypervisor.calls.take().facts;
    assert_eq!(facts.len(), 1, "that of the other one");
    assert!(stuck.exists());
}

#[tokio::test]
async fn libvirts_files_are_read_when_they_come_change_and_go() {
    let folders = Folders::new();
    let file = folders.path("libvirt/qemu/web.xml");
    let mut hypervisor = folders.hypervisor(BOOT);
    assert!(!hypervisor.look_at_all().await.news);
    fs::write(&file, status("web", 1)).unwrap();
    fs::write(folders.path("libvirt/qemu/web.pid"), "1").unwrap();
    fs::write(folders.path("libvirt/qemu/broken.xml"), "<domstatus>").unwrap();
    let woken = hypervisor.woken().await;
    assert!(hypervisor.look(woken).await.news);
    assert_eq!(vm_at(&hypervisor, 1), Some("web"));
    // Read again only when it has changed.
    assert!(!hypervisor.look_at_all().await.news);
    fs::write(folders.path("libvirt/new"), status("web", 2)).unwrap();
    fs::rename(folders.path("libvirt/new"), &file).unwrap();
    assert!(hypervisor.look_at_all().await.news);
    assert_eq!(vm_at(&hypervisor, 1), None);
    assert_eq!(vm_at(&hypervisor, 2), Some("web"));
    // An agent that was away sees that one has gone.
    fs::remove_file(&file).unwrap();
    save_now(&mut hypervisor);
    let mut next = folders.hypervisor(BOOT);
    assert_eq!(vm_at(&next, 2), Some("web"));
    assert!(next.look_at_all().await.news);
    assert_eq!(vm_at(&next, 2), None);
}

#[tokio::test]
async fn folders_that_libvirt_makes_later_are_seen() {
    let folders = Folders::new();
    fs::remove_dir_all(folders.path("libvirt")).unwrap();
    let mut hypervisor = folders.hypervisor(BOOT);
    assert!(!hypervisor.look_at_all().await.news);
    fs::create_dir_all(folders.path("libvirt/qemu")).unwrap();
    fs::write(folders.path("libvirt/qemu/web.xml"), status("web", 1)).unwrap();
    let known = async {
        while vm_at(&hypervisor, 1).is_none() {
            let woken = hypervisor.woken().await;
            hypervisor.look(woken).await;
        }
    };
    let bound = Duration::from_secs(10);
    assert!(tokio::time::timeout(bound, known).await.is_ok());
}

#[tokio::test]
async fn a_memory_that_cannot_be_used_is_moved_aside() {
    let folders = Folders::new();
    let (file, aside) = (
        folders.path("run/libvirt.json"),
        folders.path("run/libvirt.json.damaged"),
    );
    for text in [
        "",
        "{",
        "[]",
        r#"{"version":9,"boot":"a boot"}"#,
        "\u{fffd}",
    ] {
        fs::write(&file, text).unwrap();
        let hypervisor = folders.hypervisor(BOOT);
        assert!(hypervisor.kept.is_empty());
        assert!(!file.exists(), "{text}");
        assert_eq!(fs::read_to_string(&aside).unwrap(), text);
    }
}

/// What an agent after this one knows to count for link 1 at a stay, when libvirt says `told`.
fn next_knows(folders: &Folders, stay: Stay, told: Option<&Nic>) -> bool {
    let next = folders.hypervisor(BOOT);
    next.kept(1, stay, told).is_some()
}

#[tokio::test]
async fn what_counts_holds_for_its_stay_and_for_others_of_the_same_start() {
    let folders = Folders::new();
    let uuid = "22222222-0000-4000-8000-000000000001";
    let (vm, other) = (nic(uuid), nic("2"));
    let later = Stay {
        carrier_ups: 2,
        ..STAY
    };
    let elsewhere = Stay { port: 3, ..STAY };
    let mut hypervisor = folders.hypervisor(BOOT);
    hypervisor.keep(1, STAY, &vm, false);
    save_now(&mut hypervisor);
    // Nobody was told anything yet.
    assert!(next_knows(&folders, STAY, None));
    assert!(!next_knows(&folders, later, Some(&vm)));
    hypervisor.keep(1, STAY, &vm, true);
    save_now(&mut hypervisor);
    let table = [
        (STAY, None, true),
        (STAY, Some(&other), true),
        (later, Some(&vm), true),
        (later, Some(&other), false),
        (later, None, false),
        (elsewhere, Some(&vm), false),
    ];
    for (stay, told, holds) in table {
        assert_eq!(next_knows(&folders, stay, told), holds, "{stay:?} {told:?}");
    }
    // It was started again since.
    folders.call(1, "prepare", &domain("web", 1));
    hypervisor.drain();
    save_now(&mut hypervisor);
    assert!(next_knows(&folders, STAY, None));
    assert!(!next_knows(&folders, later, Some(&vm)));
    hypervisor.forget(1);
    save_now(&mut hypervisor);
    assert!(!next_knows(&folders, STAY, None));
}

#[tokio::test]
async fn a_folder_without_room_is_told_once_and_stops_nobody() {
    let folders = Folders::new();
    let mut hypervisor = folders.hypervisor(BOOT);
    // What is written before the rename cannot be.
    fs::create_dir(folders.path("run/libvirt.json.new")).unwrap();
    folders.call(1, "started", &domain("web", 1));
    assert!(hypervisor.drain().news);
    assert_eq!(folders.waiting(), 0);
    assert!(hypervisor.complained);
    fs::remove_dir(folders.path("run/libvirt.json.new")).unwrap();
    assert!(hypervisor.save_at().is_some(), "it is tried again");
    save_now(&mut hypervisor);
    assert!(!hypervisor.complained);
    assert_eq!(vm_at(&folders.hypervisor(BOOT), 1), Some("web"));
}
