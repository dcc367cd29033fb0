//! The protocol core allocates nothing.
#![allow(missing_docs, clippy::unwrap_used)]
// An allocator is an unsafe trait: there is no other way to see every allocation.
#![allow(unsafe_code)]

use slash32_binding::{Binding, MacAddr};
use slash32_dhcp::{Action, Instant, MAX_FRAME, Responder};
use slash32_tests::{
    GATEWAY,
    dhcp::{Message, code, message_type},
    guest_mac, vm_address,
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// The system's allocator, which counts what the thread asks for.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; the counter is a plain cell that allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`, which is the same here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, and so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(Box::new(std::hint::black_box(7)))) > 0);
}

#[test]
fn handle_allocates_nothing() {
    let mut binding = Binding::new(vm_address(1), GATEWAY);
    binding.server_mac = MacAddr([0x52, 0x54, 0, 0xbb, 0, 1]);
    binding.dns.extend_from_slice(&[GATEWAY; 2]).unwrap();
    binding.hostname = slash32_binding::Text::new("web1").unwrap();
    binding.search = slash32_binding::Text::new("example.com example.org").unwrap();
    let mut out = [0; MAX_FRAME];
    for (what, frame, answered) in samples() {
        let mut responder = Responder::new(binding);
        let mut action = None;
        let count = allocations(|| action = Some(responder.handle(Instant(1), &frame, &mut out)));
        assert_eq!(count, 0, "{what} allocated");
        assert_eq!(
            matches!(action, Some(Action::Reply { .. })),
            answered,
            "{what} became {action:?}"
        );
    }
}

fn samples() -> Vec<(&'static str, Vec<u8>, bool)> {
    let request = |kind| {
        Message::request(kind, guest_mac(1), 7)
            .with(code::PARAMETER_REQUEST_LIST, &[1, 3, 6, 12, 119, 121])
    };
    let discover = request(message_type::DISCOVER);
    let wants =
        |message: Message, address: [u8; 4]| message.with(code::REQUESTED_ADDRESS, &address);
    let ours = vm_address(1).octets();
    let with_ciaddr = |kind| Message {
        ciaddr: vm_address(1),
        ..request(kind)
    };
    let mut broken = discover.payload();
    broken.truncate(250);
    vec![
        ("a DISCOVER", discover.frame(), true),
        (
            "a DISCOVER with a client-id",
            discover
                .clone()
                .with(code::CLIENT_IDENTIFIER, &[7; 255])
                .frame(),
            true,
        ),
        (
            "a SELECTING",
            wants(
                request(message_type::REQUEST).with(code::SERVER_IDENTIFIER, &GATEWAY.octets()),
                ours,
            )
            .frame(),
            true,
        ),
        (
            "an INIT-REBOOT",
            wants(request(message_type::REQUEST), ours).frame(),
            true,
        ),
        (
            "a wrong INIT-REBOOT",
            wants(request(message_type::REQUEST), [10, 0, 0, 1]).frame(),
            true,
        ),
        (
            "a REBINDING",
            with_ciaddr(message_type::REQUEST).frame(),
            true,
        ),
        ("an INFORM", with_ciaddr(message_type::INFORM).frame(), true),
        (
            "a RELEASE",
            with_ciaddr(message_type::RELEASE).frame(),
            false,
        ),
        ("a truncated message", discover.frame_around(&broken), false),
        ("no message", vec![0; 60], false),
        ("nothing", Vec::new(), false),
    ]
}

/// How often this thread allocates while `work` runs.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}
