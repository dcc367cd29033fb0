//! Networks that are wrong, or parts of a config that do not go together, and the whole text of the error.

crate::common::refusals! {
    a_network_without_anything_is_told_all_that_is_missing: r#"[[network]]"# =>
r#"test.toml:1:1: network.name: is missing; name = "public" would be right
    1 | [[network]]
      | ^^^^^^^^^^^
test.toml:1:1: network.links: is missing; links = ["virbr*"] would be right
    1 | [[network]]
      | ^^^^^^^^^^^
test.toml:1:1: network.gateway: is missing; gateway = "169.254.0.1" would be right
    1 | [[network]]
      | ^^^^^^^^^^^
test.toml:1:1: network.subnet: is missing; a [[network.subnet]] with its prefix, such as prefix = "203.0.113.0/24", would be right
    1 | [[network]]
      | ^^^^^^^^^^^"#;

    a_subnet_without_a_prefix_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]"# =>
r#"test.toml:5:1: network.subnet.prefix: is missing; prefix = "203.0.113.0/24" would be right
    5 | [[network.subnet]]
      | ^^^^^^^^^^^^^^^^^^"#;

    a_reservation_without_an_address_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
link = "virbr1""# =>
r#"test.toml:7:1: network.reservation.address: is missing; address = "203.0.113.7" would be right
    7 | [[network.reservation]]
      | ^^^^^^^^^^^^^^^^^^^^^^^"#;

    a_reservation_without_a_selector_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
address = "203.0.113.7""# =>
r#"test.toml:7:1: network.reservation.link: is missing, as are vm, uuid and mac; at least one of them, such as link = "virbr13", would be right
    7 | [[network.reservation]]
      | ^^^^^^^^^^^^^^^^^^^^^^^"#;

    a_bad_gateway_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.300"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:4:11: network.gateway: "169.254.0.300" is not an IPv4 address; four numbers such as 192.0.2.1 would be right
    4 | gateway = "169.254.0.300"
      |           ^^^^^^^^^^^^^^^"#;

    a_gateway_that_no_host_can_have_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "127.0.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:4:11: network.gateway: "127.0.0.1" is a loopback address; the address of one host such as 192.0.2.1 would be right
    4 | gateway = "127.0.0.1"
      |           ^^^^^^^^^^^"#;

    a_bad_name_is_told: r#"[[network]]
name = "my network"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:2:8: network.name: "my network" is not a name; 1 to 63 letters, digits, hyphens, underscores and dots would be right
    2 | name = "my network"
      |        ^^^^^^^^^^^^"#;

    a_prefix_with_host_bits_is_told_the_right_one: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.7/24""# =>
r#"test.toml:6:10: network.subnet.prefix: "203.0.113.7/24" has bits set behind its length; "203.0.113.0/24" would be right
    6 | prefix = "203.0.113.7/24"
      |          ^^^^^^^^^^^^^^^^"#;

    a_prefix_that_is_none_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0""# =>
r#"test.toml:6:10: network.subnet.prefix: "203.0.113.0" is not an IPv4 prefix; an address and a length such as 203.0.113.0/24 would be right
    6 | prefix = "203.0.113.0"
      |          ^^^^^^^^^^^^^"#;

    a_prefix_of_multicast_addresses_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "224.0.0.0/8""# =>
r#"test.toml:6:10: network.subnet.prefix: "224.0.0.0/8" holds addresses of 224.0.0.0/4, which no VM can have; a prefix such as 203.0.113.0/24 would be right
    6 | prefix = "224.0.0.0/8"
      |          ^^^^^^^^^^^^^"#;

    a_bad_mac_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
mac = "52:54:00:12:34"
address = "203.0.113.7""# =>
r#"test.toml:8:7: network.reservation.mac: "52:54:00:12:34" is not a MAC address; six pairs of hexadecimal digits such as 52:54:00:12:34:56 would be right
    8 | mac = "52:54:00:12:34"
      |       ^^^^^^^^^^^^^^^^"#;

    a_group_mac_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
mac = "01:00:5e:00:00:01"
address = "203.0.113.7""# =>
r#"test.toml:8:7: network.reservation.mac: "01:00:5e:00:00:01" is not the MAC address of one host; six pairs of hexadecimal digits such as 52:54:00:12:34:56 would be right
    8 | mac = "01:00:5e:00:00:01"
      |       ^^^^^^^^^^^^^^^^^^^"#;

    a_bad_uuid_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
uuid = "4dea22b3"
address = "203.0.113.7""# =>
r#"test.toml:8:8: network.reservation.uuid: "4dea22b3" is not a UUID; what `virsh domuuid VM` prints would be right
    8 | uuid = "4dea22b3"
      |        ^^^^^^^^^^"#;

    a_pattern_in_a_reservation_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
link = "virbr*"
address = "203.0.113.7""# =>
r#"test.toml:8:8: network.reservation.link: "virbr*" is not the name of one link; a name such as "virbr13", without any pattern, would be right
    8 | link = "virbr*"
      |        ^^^^^^^^"#;

    an_empty_vm_name_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
vm = ""
address = "203.0.113.7""# =>
r#"test.toml:8:6: network.reservation.vm: "" is not the name of a VM; what `virsh list --name` prints would be right
    8 | vm = ""
      |      ^^"#;

    links_that_are_empty_are_told: r#"[[network]]
name = "a"
links = []
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:3:9: network.links: is empty, so that no link is claimed; a list of patterns such as ["virbr*", "!virbr0"] would be right
    3 | links = []
      |         ^^"#;

    links_that_only_exclude_are_told: r#"[[network]]
name = "a"
links = ["!virbr0"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:3:9: network.links: only excludes, so that no link is claimed; a list of patterns such as ["virbr*", "!virbr0"] would be right
    3 | links = ["!virbr0"]
      |         ^^^^^^^^^^^"#;

    a_pattern_with_an_open_set_is_told: r#"[[network]]
name = "a"
links = ["virbr[0-9"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:3:10: network.links: "virbr[0-9" has a [ without its ]; a set such as [0-9] would be right
    3 | links = ["virbr[0-9"]
      |          ^^^^^^^^^^^"#;

    a_pattern_with_a_negated_set_is_told: r#"[[network]]
name = "a"
links = ["virbr[!0]"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:3:10: network.links: "virbr[!0]" has a negated set, which there is none of; a second pattern that begins with ! would be right
    3 | links = ["virbr[!0]"]
      |          ^^^^^^^^^^^"#;

    a_pattern_with_a_reversed_set_is_told: r#"[[network]]
name = "a"
links = ["virbr[9-0]"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:3:10: network.links: "virbr[9-0]" has the reversed set [9-0]; [0-9] would be right
    3 | links = ["virbr[9-0]"]
      |          ^^^^^^^^^^^^"#;

    a_pattern_that_no_link_can_have_is_told: r#"[[network]]
name = "a"
links = ["vir br*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:3:10: network.links: "vir br*" has the character ' ', which is in no link name; "virbr*" would be right
    3 | links = ["vir br*"]
      |          ^^^^^^^^^"#;

    an_unknown_allocation_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "auto"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:5:14: network.allocation: "auto" is not known; "static", "automatic", "dynamic" or "mac" would be right
    5 | allocation = "auto"
      |              ^^^^^^"#;

    an_unknown_rule_for_ipv6_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
ipv6 = "on"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:5:8: network.ipv6: "on" is not known; "off" or "foreign" would be right
    5 | ipv6 = "on"
      |        ^^^^"#;

    a_pool_that_is_no_range_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10"]"# =>
r#"test.toml:8:10: network.subnet.pools: "203.0.113.10" is not a range of addresses; one such as 203.0.113.10-203.0.113.99 would be right
    8 | pools = ["203.0.113.10"]
      |          ^^^^^^^^^^^^^^"#;

    a_reversed_pool_is_told_the_right_one: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.99-203.0.113.10"]"# =>
r#"test.toml:8:10: network.subnet.pools: "203.0.113.99-203.0.113.10" ends before it begins; "203.0.113.10-203.0.113.99" would be right
    8 | pools = ["203.0.113.99-203.0.113.10"]
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    a_pool_outside_its_subnet_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.200-203.0.114.20"]"# =>
r#"test.toml:8:10: network.subnet.pools: 203.0.113.200-203.0.114.20 is not inside 203.0.113.0/24, the prefix of its subnet; a range from 203.0.113.0 to 203.0.113.255 would be right
    8 | pools = ["203.0.113.200-203.0.114.20"]
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    pools_that_overlap_are_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.50-203.0.113.99", "203.0.113.10-203.0.113.50"]"# =>
r#"test.toml:8:39: network.subnet.pools: 203.0.113.10-203.0.113.50 overlaps 203.0.113.50-203.0.113.99 (test.toml:8); ranges that share no address would be right
    8 | pools = ["203.0.113.50-203.0.113.99", "203.0.113.10-203.0.113.50"]
      |                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    a_pool_with_the_gateway_is_told_the_right_ones: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "203.0.113.20"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.1-203.0.113.99"]"# =>
r#"test.toml:8:10: network.subnet.pools: 203.0.113.1-203.0.113.99 holds 203.0.113.20, the gateway of network a (test.toml:4); "203.0.113.1-203.0.113.19", "203.0.113.21-203.0.113.99" would be right
    8 | pools = ["203.0.113.1-203.0.113.99"]
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    a_pool_that_begins_with_the_gateway_is_told_the_right_one: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "203.0.113.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.1-203.0.113.99"]"# =>
r#"test.toml:8:10: network.subnet.pools: 203.0.113.1-203.0.113.99 holds 203.0.113.1, the gateway of network a (test.toml:4); "203.0.113.2-203.0.113.99" would be right
    8 | pools = ["203.0.113.1-203.0.113.99"]
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    a_pool_with_the_gateway_of_another_network_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.1-203.0.113.99"]
[[network]]
name = "b"
links = ["vnet*"]
gateway = "203.0.113.99"
[[network.subnet]]
prefix = "198.51.100.0/24""# =>
r#"test.toml:8:10: network.subnet.pools: 203.0.113.1-203.0.113.99 holds 203.0.113.99, the gateway of network b (test.toml:12); "203.0.113.1-203.0.113.98" would be right
    8 | pools = ["203.0.113.1-203.0.113.99"]
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    pools_that_are_never_used_are_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10-203.0.113.99"]"# =>
r#"test.toml:7:10: network.subnet.pools: is never used where allocation is "static", the default; allocation = "automatic", or no pools, would be right
    7 | pools = ["203.0.113.10-203.0.113.99"]
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    automatic_without_any_address_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:1:1: network.allocation: "automatic" has no address to give; pools in a [[network.subnet]], such as pools = ["203.0.113.10-203.0.113.99"], would be right
    1 | [[network]]
      | ^^^^^^^^^^^"#;

    subnets_of_one_network_that_overlap_are_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.subnet]]
prefix = "203.0.113.128/25""# =>
r#"test.toml:8:10: network.subnet.prefix: overlaps 203.0.113.0/24 of network a (test.toml:6); prefixes that share no address would be right
    8 | prefix = "203.0.113.128/25"
      |          ^^^^^^^^^^^^^^^^^^"#;

    subnets_of_two_networks_that_overlap_are_told_at_the_later: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.128/25"
[[network]]
name = "b"
links = ["vnet*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:12:10: network.subnet.prefix: overlaps 203.0.113.128/25 of network a (test.toml:6); prefixes that share no address would be right
   12 | prefix = "203.0.113.0/24"
      |          ^^^^^^^^^^^^^^^^"#;

    a_reservation_outside_every_subnet_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
link = "virbr1"
address = "198.51.100.7""# =>
r#"test.toml:9:11: network.reservation.address: 198.51.100.7 is outside every subnet of network a; an address in 203.0.113.0/24 would be right
    9 | address = "198.51.100.7"
      |           ^^^^^^^^^^^^^^"#;

    a_reservation_of_the_gateway_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "203.0.113.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
link = "virbr1"
address = "203.0.113.1""# =>
r#"test.toml:9:11: network.reservation.address: 203.0.113.1 is the gateway of network a (test.toml:4); an address of its own would be right
    9 | address = "203.0.113.1"
      |           ^^^^^^^^^^^^^"#;

    an_address_that_is_reserved_twice_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
link = "virbr1"
address = "203.0.113.7"
[[network.reservation]]
link = "virbr2"
address = "203.0.113.7""# =>
r#"test.toml:12:11: network.reservation.address: 203.0.113.7 is reserved already (test.toml:9); an address of its own would be right
   12 | address = "203.0.113.7"
      |           ^^^^^^^^^^^^^"#;

    a_link_that_is_reserved_twice_is_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
link = "virbr1"
address = "203.0.113.7"
[[network.reservation]]
link = "virbr1"
address = "203.0.113.8""# =>
r#"test.toml:12:11: network.reservation.address: link virbr1 has a reservation already (test.toml:9); one of the two would be right
   12 | address = "203.0.113.8"
      |           ^^^^^^^^^^^^^"#;

    a_reservation_that_is_there_twice_is_told_once: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
vm = "db"
mac = "52:54:00:12:34:56"
address = "203.0.113.7"
[[network.reservation]]
vm = "db"
mac = "52:54:00:12:34:56"
address = "203.0.113.7""# =>
r#"test.toml:14:11: network.reservation.address: mac 52:54:00:12:34:56 with vm db has a reservation already (test.toml:10); one of the two would be right
   14 | address = "203.0.113.7"
      |           ^^^^^^^^^^^^^"#;

    two_networks_with_one_name_are_told: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network]]
name = "a"
links = ["vnet*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "198.51.100.0/24""# =>
r#"test.toml:8:8: network.name: "a" is the name of another network (test.toml:2); a name of its own would be right
    8 | name = "a"
      |        ^^^"#;

    two_networks_that_claim_one_link_are_told_which: r#"[[network]]
name = "a"
links = ["virbr*", "!virbr0"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network]]
name = "b"
links = ["virbr[0-3]"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "198.51.100.0/24""# =>
r#"test.toml:9:9: network.links: network a (test.toml:3) claims virbr1 too, for one; excluding in one of them what is the other's, such as "!virbr1", would be right
    9 | links = ["virbr[0-3]"]
      |         ^^^^^^^^^^^^^^"#;

    patterns_too_tangled_to_judge_are_told: r#"[[network]]
name = "a"
links = ["*a???????????????????????b", "!*a???????????????????c"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network]]
name = "b"
links = ["c*b*a??????????????????????????????d"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "198.51.100.0/24""# =>
r#"test.toml:9:9: network.links: no telling whether network a (test.toml:3) claims the same links; patterns with fewer * and ? would be right
    9 | links = ["c*b*a??????????????????????????????d"]
      |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    a_t1_that_is_not_before_t2_is_told: r#"[options]
t1 = "3h"
t2 = "2h""# =>
r#"test.toml:2:6: options.t1: 3h is not shorter than t2 (2h, test.toml:3); a shorter time would be right
    2 | t1 = "3h"
      |      ^^^^"#;

    a_t2_that_is_not_before_the_end_of_the_lease_is_told: r#"[options]
t2 = "24h""# =>
r#"test.toml:2:6: options.t2: 1d is not shorter than lease-time (1d by default); a shorter time would be right
    2 | t2 = "24h"
      |      ^^^^^"#;

    a_t1_that_leaves_no_time_for_t2_is_told: r#"[options]
lease-time = 3600
t1 = 3599"# =>
r#"test.toml:3:6: options.t1: 3599s is not shorter than lease-time (1h, test.toml:2) by 2 seconds; a shorter time would be right
    3 | t1 = 3599
      |      ^^^^"#;

    a_t2_that_leaves_no_time_for_t1_is_told: r#"[options]
t2 = 1"# =>
r#"test.toml:2:6: options.t2: 1s leaves no time for t1; 2s or more would be right
    2 | t2 = 1
      |      ^"#;

    times_of_an_infinite_lease_are_told: r#"[options]
lease-time = "infinite"
t1 = 60"# =>
r#"test.toml:3:6: options.t1: has no meaning, as the lease is infinite (test.toml:2); leaving it out would be right
    3 | t1 = 60
      |      ^^"#;

    a_lease_that_is_shorter_than_an_inherited_t1_is_told: r#"[options]
t1 = "10h"
[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
link = "virbr1"
address = "203.0.113.7"
options = { lease-time = "1h" }"# =>
r#"test.toml:12:26: network.reservation.options.lease-time: 1h is not longer than t1 (10h, test.toml:2) by 2 seconds; a longer time would be right
   12 | options = { lease-time = "1h" }
      |                          ^^^^"#;

    raw_options_that_are_too_long_with_inherited_ones_are_told: r#"[options]
raw = [{ code = 224, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }, { code = 225, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }]
[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
options = { raw = [{ code = 226, hex = "0a" }] }
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:7:19: network.options.raw: takes 515 bytes, with three for each option; at most 512 together would be right
    7 | options = { raw = [{ code = 226, hex = "0a" }] }
      |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    everything_is_told_at_once: r#"[route]
protocol = 3
[[network]]
name = "a"
links = ["virbr["]
gateway = "x"
alocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
link = "virbr1"
address = "198.51.100.7""# =>
r#"test.toml:2:12: route.protocol: 3 marks the routes of the kernel, boot scripts and administrators; a number of its own such as 132 would be right
    2 | protocol = 3
      |            ^
test.toml:5:10: network.links: "virbr[" has a [ without its ]; a set such as [0-9] would be right
    5 | links = ["virbr["]
      |          ^^^^^^^^
test.toml:6:11: network.gateway: "x" is not an IPv4 address; four numbers such as 192.0.2.1 would be right
    6 | gateway = "x"
      |           ^^^
test.toml:7:1: network.alocation: is no key; did you mean allocation?
    7 | alocation = "automatic"
      | ^^^^^^^^^
test.toml:12:11: network.reservation.address: 198.51.100.7 is outside every subnet of network a; an address in 203.0.113.0/24 would be right
   12 | address = "198.51.100.7"
      |           ^^^^^^^^^^^^^^"#;

    a_wrong_lease_is_not_told_again_for_its_times: r#"[options]
lease-time = "fortnight"
t1 = "48h""# =>
r#"test.toml:2:14: options.lease-time: "fortnight" is not a duration; seconds as a number, or a text such as "90s", "30m", "24h" or "7d" would be right
    2 | lease-time = "fortnight"
      |              ^^^^^^^^^^^"#;

    a_wrong_prefix_is_not_told_again_for_its_reservations: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/33"
[[network.reservation]]
link = "virbr1"
address = "198.51.100.7""# =>
r#"test.toml:7:10: network.subnet.prefix: "203.0.113.0/33" is not an IPv4 prefix; an address and a length such as 203.0.113.0/24 would be right
    7 | prefix = "203.0.113.0/33"
      |          ^^^^^^^^^^^^^^^^"#;

    a_wrong_allocation_is_not_told_again_for_its_pools: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "manual"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10-203.0.113.99"]"# =>
r#"test.toml:5:14: network.allocation: "manual" is not known; "static", "automatic", "dynamic" or "mac" would be right
    5 | allocation = "manual"
      |              ^^^^^^^^"#;

    a_wrong_time_is_not_told_again_in_narrower_scopes: r#"[options]
t1 = "48h"
[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
options = { t2 = "50h" }
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:2:6: options.t1: 2d is not shorter than lease-time (1d by default) by 2 seconds; a shorter time would be right
    2 | t1 = "48h"
      |      ^^^^^"#;

    a_misspelt_mandatory_key_is_told_once: r#"[[network]]
name = "a"
links = ["virbr*"]
gatway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:4:1: network.gatway: is no key; did you mean gateway?
    4 | gatway = "169.254.0.1"
      | ^^^^^^"#;

    a_misspelt_table_is_told_once: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnets]]
prefix = "203.0.113.0/24""# =>
r#"test.toml:5:11: network.subnets: is no key; did you mean subnet?
    5 | [[network.subnets]]
      |           ^^^^^^^"#;

    a_misspelt_allocation_is_not_told_again_for_its_pools: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
alocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = ["203.0.113.10-203.0.113.99"]"# =>
r#"test.toml:5:1: network.alocation: is no key; did you mean allocation?
    5 | alocation = "automatic"
      | ^^^^^^^^^"#;

    misspelt_pools_are_not_told_again_for_automatic: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
polls = ["203.0.113.10-203.0.113.99"]"# =>
r#"test.toml:8:1: network.subnet.polls: is no key; did you mean pools?
    8 | polls = ["203.0.113.10-203.0.113.99"]
      | ^^^^^"#;

    a_misspelt_selector_is_told_once: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
lnk = "virbr1"
address = "203.0.113.7""# =>
r#"test.toml:8:1: network.reservation.lnk: is no key; did you mean link?
    8 | lnk = "virbr1"
      | ^^^"#;

    a_misspelt_address_is_told_once: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
[[network.subnet]]
prefix = "203.0.113.0/24"
[[network.reservation]]
link = "virbr1"
adress = "203.0.113.7""# =>
r#"test.toml:9:1: network.reservation.adress: is no key; did you mean address?
    9 | adress = "203.0.113.7"
      | ^^^^^^"#;
}

#[test]
fn errors_of_several_files_are_told_in_the_order_of_the_files() {
    let file = |name: &str, text: &str| slash32_policy::Source {
        name: name.into(),
        text: text.into(),
    };
    let network = |name: &str| {
        format!(
            "[[network]]\nname = \"{name}\"\nlinks = [\"{name}*\"]\ngateway = \"169.254.0.1\"\n\
             [[network.subnet]]\nprefix = \"203.0.113.0/24\"\n"
        )
    };
    let broken = file("conf.d/10.toml", "[agent");
    let shown = crate::common::errors(&[
        file("first.toml", &network("a")),
        broken,
        file("conf.d/20.toml", &network("b")),
    ]);
    assert_eq!(
        shown,
        "conf.d/10.toml:1:7: TOML: unclosed table, expected `]`\n    1 | [agent\n      |       ^\n\
         conf.d/20.toml:6:10: network.subnet.prefix: overlaps 203.0.113.0/24 of network a (first.toml:6); \
         prefixes that share no address would be right\n    6 | prefix = \"203.0.113.0/24\"\n      |          ^^^^^^^^^^^^^^^^"
    );
}
