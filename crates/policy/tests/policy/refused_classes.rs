//! Classes and ways of allocation that are wrong, and the whole text of the error.

crate::common::refusals! {
    a_class_without_anything_is_told_all_that_is_missing: r#"[[class]]"# =>
r#"test.toml:1:1: class.name: is missing; name = "gold" would be right
    1 | [[class]]
      | ^^^^^^^^^
test.toml:1:1: class.match: is missing; match = { tag = "gold" } would be right
    1 | [[class]]
      | ^^^^^^^^^"#;

    a_guest_that_would_decide_how_it_is_answered_is_told: r#"[[class]]
name = "fast"
match = { vendor-class = "fast*" }
options = { rapid-commit = true }"# =>
r#"test.toml:4:28: class.options.rapid-commit: is not for what a guest says of itself: how it is answered is decided before that is looked at; [options], a [[network]] or a class that matches link, vm, uuid, mac, network or tag would be right
    4 | options = { rapid-commit = true }
      |                            ^^^^"#;

    an_empty_match_is_told: r#"[[class]]
name = "gold"
match = {}
options = { mtu = 1400 }"# =>
r#"test.toml:3:9: class.match: is empty, so that every VM would be of the class; [options] for those of every VM, or match = { tag = "gold" }, would be right
    3 | match = {}
      |         ^^"#;

    a_fact_that_there_is_none_of_is_told: r#"[[class]]
name = "gold"
match = { tags = "gold" }"# =>
r#"test.toml:3:11: class.match.tags: is no key; did you mean tag?
    3 | match = { tags = "gold" }
      |           ^^^^"#;

    a_pattern_of_nothing_is_told: r#"[[class]]
name = "gold"
match = { tag = "" }"# =>
r#"test.toml:3:17: class.match.tag: "" is empty; a text, or a pattern such as "ci-*", would be right
    3 | match = { tag = "" }
      |                 ^^"#;

    a_list_of_no_patterns_is_told: r#"[[class]]
name = "gold"
match = { tag = [] }"# =>
r#"test.toml:3:17: class.match.tag: is empty, so that nothing would match; one value or more, or leaving the key out, would be right
    3 | match = { tag = [] }
      |                 ^^"#;

    a_pattern_of_what_guests_say_that_is_not_ascii_is_told: r#"[[class]]
name = "gold"
match = { user-class = "gedächtnis-*" }
options = { mtu = 1400 }"# =>
r#"test.toml:3:24: class.match.user-class: "gedächtnis-*" has the character 'ä', which no pattern can hold; "ged?chtnis-*" would be right
    3 | match = { user-class = "gedächtnis-*" }
      |                        ^^^^^^^^^^^^^^"#;

    a_set_that_is_not_ascii_is_told: r#"[[class]]
name = "gold"
match = { vm = "[äö]*" }"# =>
r#"test.toml:3:16: class.match.vm: "[äö]*" has the character 'ä' in a set, which holds ASCII only; a pattern of its own for each such name would be right
    3 | match = { vm = "[äö]*" }
      |                ^^^^^^^"#;

    a_pattern_with_a_control_character_is_told: r#"[[class]]
name = "gold"
match = { vm = "a\tb" }"# =>
r#"test.toml:3:16: class.match.vm: "a\tb" has the character '\t', which no pattern can hold; "a?b" would be right
    3 | match = { vm = "a\tb" }
      |                ^^^^^^"#;

    an_architecture_that_there_is_none_of_is_told: r#"[[class]]
name = "efi"
match = { architecture = ["x64-efi", "amiga", 65536] }
options = { boot-file = "ipxe.efi" }"# =>
r#"test.toml:3:27: class.match.architecture: "x64-efi" is no architecture; did you mean x64-uefi?
    3 | match = { architecture = ["x64-efi", "amiga", 65536] }
      |                           ^^^^^^^^^
test.toml:3:38: class.match.architecture: "amiga" is no architecture; its number, or one of bios, x86-uefi, x64-uefi, ebc, arm32-uefi, arm64-uefi, x86-uefi-http, x64-uefi-http, ebc-http, arm32-uefi-http, arm64-uefi-http, bios-http, riscv64-uefi, riscv64-uefi-http, would be right
    3 | match = { architecture = ["x64-efi", "amiga", 65536] }
      |                                      ^^^^^^^
test.toml:3:47: class.match.architecture: 65536 is out of range; 0 to 65535 would be right
    3 | match = { architecture = ["x64-efi", "amiga", 65536] }
      |                                               ^^^^^"#;

    two_classes_with_one_name_are_told: r#"[[class]]
name = "gold"
match = { tag = "gold" }
[[class]]
name = "gold"
match = { vm = "gold-*" }"# =>
r#"test.toml:5:8: class.name: "gold" is the name of another class (test.toml:2); a name of its own, or both in one, would be right
    5 | name = "gold"
      |        ^^^^^^"#;

    a_guest_class_that_sets_nothing_is_told: r#"[[class]]
name = "ipxe"
match = { user-class = "iPXE" }"# =>
r#"test.toml:2:8: class.options: "ipxe" is what a guest says of itself, and nothing follows from it; options = { boot-file = "..." }, for one, would be right
    2 | name = "ipxe"
      |        ^^^^^^"#;

    a_guest_class_that_sets_times_is_told: r#"[[class]]
name = "ipxe"
match = { user-class = "iPXE" }
options = { lease-time = "5m", t1 = "1m", boot-file = "x" }"# =>
r#"test.toml:4:26: class.options.lease-time: is not for what a guest says of itself: the host must know when a lease ends; [options], a [[network]] or a class that matches link, vm, uuid, mac, network or tag would be right
    4 | options = { lease-time = "5m", t1 = "1m", boot-file = "x" }
      |                          ^^^^
test.toml:4:37: class.options.t1: is not for what a guest says of itself: the host must know when a lease ends; [options], a [[network]] or a class that matches link, vm, uuid, mac, network or tag would be right
    4 | options = { lease-time = "5m", t1 = "1m", boot-file = "x" }
      |                                     ^^^^"#;

    guest_classes_that_are_too_large_together_are_told: r#"[[class]]
name = "a"
match = { user-class = "a" }
options = { raw = [{ code = 224, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }, { code = 225, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }, { code = 226, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }] }
[[class]]
name = "b"
match = { user-class = "b" }
options = { raw = [{ code = 224, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }, { code = 225, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }, { code = 226, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }] }
[[class]]
name = "c"
match = { user-class = "c" }
options = { raw = [{ code = 224, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }, { code = 225, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }, { code = 226, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }] }
[[class]]
name = "d"
match = { user-class = "d" }
options = { boot-file = "http://boot.example/ddddddddddddddddddddddddddddddddd" }"# =>
r#"test.toml:14:8: class.options: takes 62 bytes, and 1556 together with the classes before it that guests claim; at most 1536 together would be right
   14 | name = "d"
      |        ^^^"#;

    an_unknown_class_is_told_with_the_one_that_was_meant: r#"[[class]]
name = "gold"
match = { tag = "gold" }
[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
class = ["glod"]
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:8:10: network.class: "glod" is no class; did you mean gold?
    8 | class = ["glod"]
      |          ^^^^^^"#;

    an_unknown_class_that_is_near_none_is_told_with_all: r#"[[class]]
name = "gold"
match = { tag = "gold" }
[[class]]
name = "silver"
match = { tag = "silver" }
[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = [{ range = "203.0.113.10-203.0.113.99", class = ["bronze"] }]"# =>
r#"test.toml:14:58: network.subnet.pools.class: "bronze" is no class; the classes are gold, silver
   14 | pools = [{ range = "203.0.113.10-203.0.113.99", class = ["bronze"] }]
      |                                                          ^^^^^^^^"#;

    a_class_where_there_are_none_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
class = ["gold"]
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:5:10: network.class: "gold" is no class; a [[class]] with name = "gold" and its match would be right
    5 | class = ["gold"]
      |          ^^^^^^"#;

    a_guest_class_that_is_to_choose_a_network_is_told: r#"[[class]]
name = "ipxe"
match = { user-class = "iPXE" }
options = { boot-file = "menu.ipxe" }
[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
class = ["ipxe"]
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:9:10: network.class: "ipxe" is what a guest says of itself (test.toml:2), which chooses options only, or it could talk itself into any address; a class that matches link, vm, uuid, mac, network or tag would be right
    9 | class = ["ipxe"]
      |          ^^^^^^"#;

    a_guest_class_that_is_to_choose_a_subnet_or_a_pool_is_told: r#"[[class]]
name = "windows"
match = { tag = "windows", vendor-class = "MSFT*" }
options = { dns = ["gateway"] }
[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "dynamic"
[[network.subnet]]
prefix = "203.0.113.0/24"
class = ["windows"]
pools = [{ range = "203.0.113.10-203.0.113.99", class = ["windows"] }]"# =>
r#"test.toml:12:10: network.subnet.class: "windows" is what a guest says of itself (test.toml:2), which chooses options only, or it could talk itself into any address; a class that matches link, vm, uuid, mac, network or tag would be right
   12 | class = ["windows"]
      |          ^^^^^^^^^
test.toml:13:58: network.subnet.pools.class: "windows" is what a guest says of itself (test.toml:2), which chooses options only, or it could talk itself into any address; a class that matches link, vm, uuid, mac, network or tag would be right
   13 | pools = [{ range = "203.0.113.10-203.0.113.99", class = ["windows"] }]
      |                                                          ^^^^^^^^^"#;

    an_empty_list_of_classes_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
class = []
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:5:9: network.class: is empty, so that no VM is let in; the names of classes, or leaving it out, would be right
    5 | class = []
      |         ^^"#;

    a_class_in_place_of_a_list_of_them_is_told: r#"[[class]]
name = "gold"
match = { tag = "gold" }
[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
class = "gold"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:8:9: network.class: is a text; a list such as ["gold"] would be right
    8 | class = "gold"
      |         ^^^^^^"#;

    a_class_of_a_subnet_in_a_static_network_is_told: r#"[[class]]
name = "gold"
match = { tag = "gold" }
[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
class = ["gold"]"# =>
r#"test.toml:10:10: network.subnet.class: chooses who is allocated an address here, and where allocation is "static", the default, nobody is; allocation = "automatic", or class in the [[network]], would be right
   10 | class = ["gold"]
      |          ^^^^^^"#;

    a_wrong_class_is_not_told_again_where_it_is_named: r#"[[class]]
nmae = "gold"
match = { tag = "gold" }
[[class]]
name = "silver"
match = { user-clas = "x" }
[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
class = ["gold", "silver"]
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:2:1: class.nmae: is no key; did you mean name?
    2 | nmae = "gold"
      | ^^^^
test.toml:6:11: class.match.user-clas: is no key; did you mean user-class?
    6 | match = { user-clas = "x" }
      |           ^^^^^^^^^"#;

    the_lease_of_a_class_is_judged_with_the_times_of_a_network: r#"[[class]]
name = "ci"
match = { tag = "ci" }
options = { lease-time = "1h" }
[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
options = { t1 = "2h" }
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:9:18: network.options.t1: 2h is not shorter than lease-time (1h, test.toml:4) by 2 seconds; a shorter time would be right
    9 | options = { t1 = "2h" }
      |                  ^^^^"#;

    raw_options_of_classes_that_are_too_long_together_are_told: r#"[[class]]
name = "a"
match = { tag = "a" }
options = { raw = [{ code = 224, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }, { code = 225, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }] }
[[class]]
name = "b"
match = { tag = "b" }
options = { raw = [{ code = 226, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }, { code = 227, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }] }"# =>
r#"test.toml:8:19: class.options.raw: takes 652 bytes, with three for each option; at most 512 together would be right
    8 | options = { raw = [{ code = 226, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
      |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    a_quarantine_without_dynamic_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
quarantine = "30s"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10-203.0.113.99"]"# =>
r#"test.toml:6:14: network.quarantine: means nothing where allocation is "automatic", as no address is given back; allocation = "dynamic", or leaving it out, would be right
    6 | quarantine = "30s"
      |              ^^^^^"#;

    dynamic_without_any_address_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "dynamic"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:1:1: network.allocation: "dynamic" has no address to give; pools in a [[network.subnet]], such as pools = ["203.0.113.10-203.0.113.99"], would be right
    1 | [[network]]
      | ^^^^^^^^^^^"#;

    mac_without_a_prefix_is_told: r#"[[network]]
name = "ci"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "mac"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:1:1: network.mac-prefix: is missing, and allocation = "mac" needs it; mac-prefix = "52:54:00", after which the end of the address follows, would be right
    1 | [[network]]
      | ^^^^^^^^^^^"#;

    a_mac_prefix_without_mac_is_told: r#"[[network]]
name = "ci"
links = ["virbr*"]
gateway = "169.254.0.1"
mac-prefix = "52:54:00"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:5:14: network.mac-prefix: means nothing where allocation is "static"; allocation = "mac", or leaving it out, would be right
    5 | mac-prefix = "52:54:00"
      |              ^^^^^^^^^^"#;

    a_mac_prefix_that_is_a_whole_mac_is_told_once: r#"[[network]]
name = "ci"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "mac"
mac-prefix = "52:54:00:00:00:00"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:6:14: network.mac-prefix: "52:54:00:00:00:00" is not the beginning of a MAC address; two to five pairs of hexadecimal digits such as 52:54:00 would be right
    6 | mac-prefix = "52:54:00:00:00:00"
      |              ^^^^^^^^^^^^^^^^^^^"#;

    a_mac_prefix_of_group_addresses_is_told: r#"[[network]]
name = "ci"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "mac"
mac-prefix = "01:00:5e"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:6:14: network.mac-prefix: "01:00:5e" begins group addresses, which no NIC can have; two to five pairs of hexadecimal digits such as 52:54:00 would be right
    6 | mac-prefix = "01:00:5e"
      |              ^^^^^^^^^^"#;

    a_subnet_that_a_mac_has_no_room_for_is_told: r#"[[network]]
name = "ci"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "mac"
mac-prefix = "52:54:00:00"
[[network.subnet]]
prefix = "10.0.0.0/8""# =>
r#"test.toml:8:10: network.subnet.prefix: 10.0.0.0/8 is larger than what follows mac-prefix 52:54:00:00 (test.toml:6) can say; a prefix of 16 bits or more, or a shorter mac-prefix, would be right
    8 | prefix = "10.0.0.0/8"
      |          ^^^^^^^^^^^^"#;

    subnets_that_a_mac_cannot_tell_apart_are_told: r#"[[network]]
name = "ci"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "mac"
mac-prefix = "52:54:00"
[[network.subnet]]
prefix = "10.1.0.0/16"
[[network.subnet]]
prefix = "11.1.128.0/24""# =>
r#"test.toml:10:10: network.subnet.prefix: 11.1.128.0/24 and 10.1.0.0/16 (test.toml:8) have addresses with the same end, which is all that follows mac-prefix 52:54:00 (test.toml:6); a mac-prefix of two bytes such as "02:00" would be right
   10 | prefix = "11.1.128.0/24"
      |          ^^^^^^^^^^^^^^^"#;
}
