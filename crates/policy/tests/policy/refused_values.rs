//! Configs with one value that is wrong in itself, and the whole text of the error.

crate::common::refusals! {
    a_text_that_is_no_toml_is_told_by_its_first_error: r#"[agent
foo bar
= 1"# =>
r#"test.toml:1:7: TOML: unclosed table, expected `]`
    1 | [agent
      |       ^"#;

    a_key_that_is_there_twice_is_told: r#"[options]
mtu = 1400
mtu = 1500"# =>
r#"test.toml:3:1: TOML: duplicate key
    3 | mtu = 1500
      | ^^^"#;

    an_unknown_key_is_told_with_the_one_that_was_meant: r#"[options]
lease_time = "1h""# =>
r#"test.toml:2:1: options.lease_time: is no key; did you mean lease-time?
    2 | lease_time = "1h"
      | ^^^^^^^^^^"#;

    an_unknown_key_that_is_near_none_is_told_with_all: r#"[store]
frobnicate = 1"# =>
r#"test.toml:2:1: store.frobnicate: is no key; the keys here are backend
    2 | frobnicate = 1
      | ^^^^^^^^^^"#;

    an_unknown_table_is_told_with_the_one_that_was_meant: r#"[agnet]"# =>
r#"test.toml:1:2: agnet: is no key; did you mean agent?
    1 | [agnet]
      |  ^^^^^"#;

    a_table_in_place_of_a_list_of_tables_is_told: r#"[network]
name = "a""# =>
r#"test.toml:1:1: network: is a table; [[network]], in double brackets, would be right
    1 | [network]
      | ^^^^^^^^^"#;

    a_value_in_place_of_a_table_is_told: r#"route = 5"# =>
r#"test.toml:1:9: route: is a number; a table that begins with [route] would be right
    1 | route = 5
      |         ^"#;

    a_number_in_place_of_a_text_is_told: r#"[options]
domain = 5"# =>
r#"test.toml:2:10: options.domain: is a number; a name in quotes would be right
    2 | domain = 5
      |          ^"#;

    a_text_in_place_of_a_list_is_told: r#"[options]
dns = "9.9.9.9""# =>
r#"test.toml:2:7: options.dns: is a text; a list such as ["9.9.9.9"] would be right
    2 | dns = "9.9.9.9"
      |       ^^^^^^^^^"#;

    a_fraction_in_place_of_a_number_is_told: r#"[route]
metric = 1.5"# =>
r#"test.toml:2:10: route.metric: is a fraction; a number would be right
    2 | metric = 1.5
      |          ^^^"#;

    a_date_in_place_of_a_duration_is_told: r#"[options]
lease-time = 2026-01-01"# =>
r#"test.toml:2:14: options.lease-time: is a date; seconds as a number, or a text such as "24h" would be right
    2 | lease-time = 2026-01-01
      |              ^^^^^^^^^^"#;

    a_text_in_place_of_a_truth_is_told: r#"[options]
raw = [{ code = 224, hex = "0a", always = "yes" }]"# =>
r#"test.toml:2:43: options.raw.always: is a text; true or false, without quotes, would be right
    2 | raw = [{ code = 224, hex = "0a", always = "yes" }]
      |                                           ^^^^^"#;

    a_table_in_place_of_a_pool_is_told_what_it_lacks: r#"[[network]]
name = "a"
links = ["virbr*"]
gateway = "169.254.0.1"
allocation = "automatic"
[[network.subnet]]
prefix = "203.0.113.0/24"
pools = [{ options = {} }]"# =>
r#"test.toml:8:10: network.subnet.pools.range: is missing; range = "203.0.113.10-203.0.113.99" would be right
    8 | pools = [{ options = {} }]
      |          ^^^^^^^^^^^^^^^^"#;

    a_relative_path_is_told: r#"[agent]
state-dir = "state""# =>
r#"test.toml:2:13: agent.state-dir: "state" is not an absolute path; one that begins with / would be right
    2 | state-dir = "state"
      |             ^^^^^^^"#;

    a_runtime_dir_too_long_for_its_sockets_is_told: r#"[agent]
runtime-dir = "/rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr""# =>
r#"test.toml:2:15: agent.runtime-dir: is too long for the sockets in it; at most 76 bytes would be right
    2 | runtime-dir = "/rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"
      |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    a_metrics_address_without_a_port_is_told: r#"[agent]
metrics = "127.0.0.1""# =>
r#"test.toml:2:11: agent.metrics: "127.0.0.1" is not an address and a port; one such as 127.0.0.1:9132 would be right
    2 | metrics = "127.0.0.1"
      |           ^^^^^^^^^^^"#;

    a_text_that_can_be_no_group_is_told: r#"[agent]
admin-group = "a group""# =>
r#"test.toml:2:15: agent.admin-group: "a group" is no group's name; one such as "slash32-admin" would be right
    2 | admin-group = "a group"
      |               ^^^^^^^^^"#;

    a_quarantine_of_the_agent_is_told_its_place: r#"[agent]
quarantine = "1m""# =>
r#"test.toml:2:1: agent.quarantine: is a key of a [[network]]; there, beside allocation = "dynamic", it would be right
    2 | quarantine = "1m"
      | ^^^^^^^^^^"#;

    the_etcd_backend_does_not_exist_yet: r#"[store]
backend = "etcd""# =>
r#"test.toml:2:11: store.backend: "etcd" does not exist yet; "embedded", with pools that no other host has, would be right
    2 | backend = "etcd"
      |           ^^^^^^"#;

    an_unknown_backend_is_told: r#"[store]
backend = "sqlite""# =>
r#"test.toml:2:11: store.backend: "sqlite" is not known; "embedded" would be right
    2 | backend = "sqlite"
      |           ^^^^^^^^"#;

    a_route_protocol_of_the_kernel_is_told: r#"[route]
protocol = 4"# =>
r#"test.toml:2:12: route.protocol: 4 marks the routes of the kernel, boot scripts and administrators; a number of its own such as 132 would be right
    2 | protocol = 4
      |            ^"#;

    a_route_protocol_of_another_program_is_told: r#"[route]
protocol = 12"# =>
r#"test.toml:2:12: route.protocol: 12 marks the routes of BIRD; a number of its own such as 132 would be right
    2 | protocol = 12
      |            ^^"#;

    a_route_protocol_out_of_range_is_told: r#"[route]
protocol = 256"# =>
r#"test.toml:2:12: route.protocol: 256 is out of range; 0 to 255 would be right
    2 | protocol = 256
      |            ^^^"#;

    an_unknown_table_name_is_told: r#"[route]
table = "vms""# =>
r#"test.toml:2:9: route.table: "vms" is not known; "main" or a number would be right
    2 | table = "vms"
      |         ^^^^^"#;

    the_kernels_local_table_is_told: r#"[route]
table = 255"# =>
r#"test.toml:2:9: route.table: 255 is the kernel's own table local; "main" or another number would be right
    2 | table = 255
      |         ^^^"#;

    an_unknown_time_of_install_is_told: r#"[route]
install = "now""# =>
r#"test.toml:2:11: route.install: "now" is not known; "ack" or "bind" would be right
    2 | install = "now"
      |           ^^^^^"#;

    a_source_that_is_no_host_is_told: r#"[route]
source = "224.0.0.1""# =>
r#"test.toml:2:10: route.source: "224.0.0.1" is a multicast address; the address of one host such as 192.0.2.1 would be right
    2 | source = "224.0.0.1"
      |          ^^^^^^^^^^^"#;

    a_bad_duration_is_told: r#"[options]
lease-time = "24 hours""# =>
r#"test.toml:2:14: options.lease-time: "24 hours" is not a duration; seconds as a number, or a text such as "90s", "30m", "24h" or "7d" would be right
    2 | lease-time = "24 hours"
      |              ^^^^^^^^^^"#;

    a_duration_of_nothing_is_told: r#"[options]
t1 = 0
t2 = "0s""# =>
r#"test.toml:2:6: options.t1: 0 is out of range; 1 to 4294967294 would be right
    2 | t1 = 0
      |      ^
test.toml:3:6: options.t2: "0s" is no time at all; one second or more would be right
    3 | t2 = "0s"
      |      ^^^^"#;

    an_infinite_t1_is_told: r#"[options]
t1 = "infinite""# =>
r#"test.toml:2:6: options.t1: "infinite" is not a duration; seconds as a number, or a text such as "90s", "30m", "24h" or "7d" would be right
    2 | t1 = "infinite"
      |      ^^^^^^^^^^"#;

    a_bad_dns_server_is_told_where_it_stands: r#"[options]
dns = ["9.9.9.9", "dns.example"]"# =>
r#"test.toml:2:19: options.dns: "dns.example" is not an IPv4 address; four numbers such as 192.0.2.1 would be right
    2 | dns = ["9.9.9.9", "dns.example"]
      |                   ^^^^^^^^^^^^^"#;

    too_many_dns_servers_are_told: r#"[options]
dns = ["9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9"]"# =>
r#"test.toml:2:7: options.dns: has 9 entries; at most 8 would be right
    2 | dns = ["9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9"]
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    too_many_tftp_servers_are_told: r#"[options]
tftp-servers = ["9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9"]"# =>
r#"test.toml:2:16: options.tftp-servers: has 5 entries; at most 4 would be right
    2 | tftp-servers = ["9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9"]
      |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    too_many_routes_are_told: r#"[options]
routes = [
  { to = "10.0.0.0/16", via = "gateway" },
  { to = "10.1.0.0/16", via = "gateway" },
  { to = "10.2.0.0/16", via = "gateway" },
  { to = "10.3.0.0/16", via = "gateway" },
  { to = "10.4.0.0/16", via = "gateway" },
  { to = "10.5.0.0/16", via = "gateway" },
  { to = "10.6.0.0/16", via = "gateway" },
  { to = "10.7.0.0/16", via = "gateway" },
  { to = "10.8.0.0/16", via = "gateway" },
  { to = "10.9.0.0/16", via = "gateway" },
  { to = "10.10.0.0/16", via = "gateway" },
  { to = "10.11.0.0/16", via = "gateway" },
  { to = "10.12.0.0/16", via = "gateway" },
  { to = "10.13.0.0/16", via = "gateway" },
  { to = "10.14.0.0/16", via = "gateway" },
  { to = "10.15.0.0/16", via = "gateway" },
  { to = "10.16.0.0/16", via = "gateway" }
]"# =>
r#"test.toml:2:10: options.routes: has 17 entries; at most 16 would be right
    2 | routes = [
      |          ^"#;

    a_route_with_host_bits_is_told_the_right_one: r#"[options]
routes = [{ to = "10.0.0.1/8", via = "gateway" }]"# =>
r#"test.toml:2:18: options.routes.to: "10.0.0.1/8" has bits set behind its length; "10.0.0.0/8" would be right
    2 | routes = [{ to = "10.0.0.1/8", via = "gateway" }]
      |                  ^^^^^^^^^^^^"#;

    a_default_route_is_told_to_be_there: r#"[options]
routes = [{ to = "0.0.0.0/0", via = "gateway" }]"# =>
r#"test.toml:2:18: options.routes.to: "0.0.0.0/0" is the default route, which every VM gets; a narrower prefix would be right
    2 | routes = [{ to = "0.0.0.0/0", via = "gateway" }]
      |                  ^^^^^^^^^^^"#;

    a_route_without_a_next_hop_is_told: r#"[options]
routes = [{ to = "10.0.0.0/8" }]"# =>
r#"test.toml:2:11: options.routes.via: is missing; via = "gateway" would be right
    2 | routes = [{ to = "10.0.0.0/8" }]
      |           ^^^^^^^^^^^^^^^^^^^^^"#;

    an_mtu_out_of_range_is_told: r#"[options]
mtu = 67"# =>
r#"test.toml:2:7: options.mtu: 67 is out of range; 68 to 65535 would be right
    2 | mtu = 67
      |       ^^"#;

    an_mtu_of_an_unknown_word_is_told: r#"[options]
mtu = "jumbo""# =>
r#"test.toml:2:7: options.mtu: "jumbo" is not an MTU; a number from 68 to 65535, or "auto", would be right
    2 | mtu = "jumbo"
      |       ^^^^^^^"#;

    an_unknown_rule_for_routers_is_told: r#"[options]
routers = "never""# =>
r#"test.toml:2:11: options.routers: "never" is not known; "always" or "rfc3442" would be right
    2 | routers = "never"
      |           ^^^^^^^"#;

    a_wait_without_ipv4_that_no_client_takes_is_told: r#"[options]
ipv6-only-preferred = "1m""# =>
r#"test.toml:2:23: options.ipv6-only-preferred: is less than any client takes (RFC 8925 §3.4); 5m or more, or "off", would be right
    2 | ipv6-only-preferred = "1m"
      |                       ^^^^"#;

    a_raw_option_both_as_bytes_and_as_text_is_told: r#"[options]
raw = [{ code = 224, hex = "0a", text = "a" }]"# =>
r#"test.toml:2:28: options.raw.hex: stands beside text; one of the two would be right
    2 | raw = [{ code = 224, hex = "0a", text = "a" }]
      |                            ^^^^"#;

    a_raw_fqdn_is_told_its_key: r#"[options]
raw = [{ code = 81, hex = "0a" }]"# =>
r#"test.toml:2:17: options.raw.code: 81 is not yours to set; the key hostname would be right
    2 | raw = [{ code = 81, hex = "0a" }]
      |                 ^^"#;

    a_netmask_with_holes_is_told: r#"[options]
netmask = "255.0.255.0""# =>
r#"test.toml:2:11: options.netmask: "255.0.255.0" is not a netmask: ones, then zeros; a mask such as 255.255.255.252 would be right
    2 | netmask = "255.0.255.0"
      |           ^^^^^^^^^^^^^"#;

    a_hostname_with_a_space_is_told: r#"[options]
hostname = "web 1""# =>
r#"test.toml:2:12: options.hostname: "web 1" is not a host or domain name; letters, digits and hyphens, with dots between, such as "vm.example" would be right
    2 | hostname = "web 1"
      |            ^^^^^^^"#;

    a_hostname_that_is_too_long_is_told: r#"[options]
hostname = "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh.hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh""# =>
r#"test.toml:2:12: options.hostname: "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh.hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh" is 81 bytes long; at most 63 would be right
    2 | hostname = "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh.hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    search_names_that_are_too_long_together_are_told: r#"[options]
search = ["ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss.example", "ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss.example", "ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss.example", "ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss.example"]"# =>
r#"test.toml:2:10: options.search: is too long; names of at most 255 bytes together would be right
    2 | search = ["ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss.example", "sssssssssssssssssssssssssssssssssssss
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    a_boot_file_that_firmware_cannot_read_is_told: r#"[options]
boot-file = "grüß.efi""# =>
r#"test.toml:2:13: options.boot-file: "grüß.efi" has characters that firmware cannot read; printable ASCII would be right
    2 | boot-file = "grüß.efi"
      |             ^^^^^^^^^^"#;

    a_raw_option_that_has_a_key_is_told_the_key: r#"[options]
raw = [{ code = 121, hex = "00" }]"# =>
r#"test.toml:2:17: options.raw.code: 121 is not yours to set; the key routes would be right
    2 | raw = [{ code = 121, hex = "00" }]
      |                 ^^^"#;

    a_raw_option_of_the_protocol_is_told: r#"[options]
raw = [{ code = 53, hex = "05" }]"# =>
r#"test.toml:2:17: options.raw.code: 53 is not yours to set; it is DHCP Message Type, a part of the protocol, made anew for each reply
    2 | raw = [{ code = 53, hex = "05" }]
      |                 ^^"#;

    a_raw_option_that_is_no_hexadecimal_is_told: r#"[options]
raw = [{ code = 224, hex = "0a0" }]"# =>
r#"test.toml:2:28: options.raw.hex: "0a0" is not hexadecimal; pairs of digits such as "0a0b" would be right
    2 | raw = [{ code = 224, hex = "0a0" }]
      |                            ^^^^^"#;

    a_raw_option_that_is_there_twice_is_told: r#"[options]
raw = [{ code = 224, hex = "0a" }, { code = 224, hex = "0b" }]"# =>
r#"test.toml:2:36: options.raw: sets option 224 for the second time; one of the two would be right
    2 | raw = [{ code = 224, hex = "0a" }, { code = 224, hex = "0b" }]
      |                                    ^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    a_raw_option_without_a_code_is_told: r#"[options]
raw = [{ hex = "0a" }]"# =>
r#"test.toml:2:8: options.raw.code: is missing; code = 224 would be right
    2 | raw = [{ hex = "0a" }]
      |        ^^^^^^^^^^^^^^"#;

    raw_options_that_are_too_long_together_are_told: r#"[options]
raw = [{ code = 224, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }, { code = 225, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }, { code = 226, hex = "" }]"# =>
r#"test.toml:2:7: options.raw: takes 514 bytes, with three for each option; at most 512 together would be right
    2 | raw = [{ code = 224, hex = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;

    a_value_far_out_in_a_long_line_is_shown_in_a_window: r#"options = { boot-file = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", mtu = 5, domain = "example" }"# =>
r#"test.toml:1:185: options.mtu: 5 is out of range; 68 to 65535 would be right
    1 | fffffffffffffffffffffffffffffff", mtu = 5, domain = "example" }
      |                                         ^"#;

    control_characters_are_not_shown: "[options]\n\tmtu = 5 # \u{9b}31m" =>
"test.toml:2:8: options.mtu: 5 is out of range; 68 to 65535 would be right\n    2 | \tmtu = 5 # \u{fffd}31m\n      | \t      ^";
}
