use super::super::message::{Writer, messages};
use super::*;

/// What one message says.
fn payload(header: &[u8], write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.begin(16, 0, 1, header);
    write(&mut writer);
    messages(writer.bytes()).next().unwrap().payload.to_vec()
}

fn link_header(family: u8, layer: u16, ifindex: u32, flags: u32) -> Vec<u8> {
    let mut header = vec![family, 0];
    header.extend(layer.to_ne_bytes());
    header.extend(ifindex.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header.extend([0; 4]);
    header
}

/// A row of values, all 0 but these.
fn values<const N: usize>(set: &[(usize, u32)]) -> Vec<u8> {
    let mut values = [0_u32; N];
    for (place, value) in set {
        values[*place] = *value;
    }
    values
        .iter()
        .flat_map(|value| value.to_ne_bytes())
        .collect()
}

fn tap(family: u8, layer: u16) -> Vec<u8> {
    let header = link_header(family, layer, 7, IFF_UP | IFF_LOWER_UP);
    payload(&header, |writer| {
        writer.attribute(IFLA_IFNAME, b"vnet7\0");
        writer.attribute(IFLA_MTU, &1500_u32.to_ne_bytes());
        writer.attribute(IFLA_MASTER, &3_u32.to_ne_bytes());
        writer.attribute(IFLA_ADDRESS, &[2, 0, 0, 0, 0, 7]);
        writer.attribute(IFLA_CARRIER, &[1]);
        writer.attribute(IFLA_CARRIER_UP_COUNT, &5_u32.to_ne_bytes());
        writer.nest(IFLA_PROP_LIST, |writer| {
            writer.attribute(IFLA_ALT_IFNAME, b"web\0");
            writer.attribute(IFLA_ALT_IFNAME, b"web-1\0");
        });
        writer.nest(IFLA_LINKINFO, |writer| {
            writer.attribute(IFLA_INFO_KIND, b"tun\0");
        });
        writer.nest(IFLA_AF_SPEC, |writer| {
            writer.nest(u16::from(AF_INET), |writer| {
                let set = [(0, 1), (2, 4), (3, 5), (5, 6), (7, 2), (17, 3), (18, 8)];
                writer.attribute(IFLA_INET_CONF, &values::<33>(&set));
            });
            writer.nest(AF_INET6, |writer| {
                writer.attribute(1, &[0; 4]);
                writer.attribute(IFLA_INET6_CONF, &values::<58>(&[(26, 1)]));
            });
        });
    })
}

#[test]
fn a_link_is_read_with_its_settings() {
    let link = link(&tap(0, ARPHRD_ETHER)).unwrap();
    assert_eq!((link.ifindex, &*link.name), (7, "vnet7"));
    assert_eq!(link.altnames, ["web", "web-1"]);
    assert_eq!(link.kind, Kind::Tap);
    assert_eq!(link.mac, MacAddr([2, 0, 0, 0, 0, 7]));
    assert_eq!((link.mtu, link.controller), (1500, Some(3)));
    assert_eq!((link.up, link.carrier, link.carrier_ups), (true, true, 5));
    let ipv4 = Ipv4Settings {
        forwarding: 1,
        proxy_arp: 4,
        accept_redirects: 5,
        send_redirects: 6,
        rp_filter: 2,
        arp_announce: 3,
        arp_ignore: 8,
    };
    let ipv6 = Ipv6Settings {
        disabled: true,
        accept_ra: false,
    };
    assert_eq!((link.ipv4, link.ipv6), (Some(ipv4), Some(ipv6)));
}

#[test]
fn a_tun_without_ethernet_is_no_tap_and_a_bridges_word_of_its_port_is_no_link() {
    const ARPHRD_NONE: u16 = 0xfffe;
    let tun = link(&tap(0, ARPHRD_NONE)).unwrap();
    assert_eq!(tun.kind, Kind::Other("tun".into()));
    assert_eq!(link(&tap(AF_BRIDGE, ARPHRD_ETHER)), None);
}

#[test]
fn the_address_of_a_link_is_its_own_end_of_it_and_ours_by_its_protocol() {
    let read = |protocol: u8| {
        let [a, b, c, d] = 7_u32.to_ne_bytes();
        let message = payload(&[AF_INET, 32, 0, 253, a, b, c, d], |writer| {
            writer.attribute(IFA_ADDRESS, &[10, 0, 0, 2]);
            writer.attribute(IFA_LOCAL, &[169, 254, 0, 1]);
            writer.attribute(IFA_PROTO, &[protocol]);
        });
        address(&message, 132)
    };
    let told = |ours| LinkAddress {
        address: Ipv4Addr::new(169, 254, 0, 1),
        prefix_length: 32,
        ours,
    };
    assert_eq!(read(132), Some((7, told(true))));
    assert_eq!(read(3), Some((7, told(false))));
}

#[test]
fn a_route_is_ours_by_protocol_table_and_kind_and_another_one_to_an_address_is_foreign() {
    let read = |length, table: u32, protocol, kind| {
        let header = [AF_INET, length, 0, 0, 254, protocol, 253, kind, 0, 0, 0, 0];
        payload(&header, |writer| {
            writer.attribute(RTA_TABLE, &table.to_ne_bytes());
            writer.attribute(RTA_DST, &[203, 0, 113, 7]);
            writer.attribute(RTA_OIF, &7_u32.to_ne_bytes());
            writer.attribute(RTA_PRIORITY, &1_u32.to_ne_bytes());
        })
    };
    let is_ours = |message: &[u8]| host_route(message, 132, 1000).is_some();
    let is_foreign = |message: &[u8]| foreign_route(message, 132).is_some();
    const BLACKHOLE: u8 = 6;
    let cases = [
        (read(32, 1000, 132, RTN_UNICAST), true, false),
        (read(32, 254, 132, RTN_UNICAST), false, false),
        (read(32, 1000, 132, BLACKHOLE), false, false),
        (read(32, 1000, 186, RTN_UNICAST), false, true),
        (read(32, 255, 2, RTN_LOCAL), false, true),
        (read(24, 254, 186, RTN_UNICAST), false, false),
        (read(32, 254, 186, BLACKHOLE), false, false),
    ];
    for (message, ours, foreign) in cases {
        assert_eq!((is_ours(&message), is_foreign(&message)), (ours, foreign));
    }
    let route = host_route(&read(32, 1000, 132, RTN_UNICAST), 132, 1000).unwrap();
    assert_eq!((route.ifindex, route.metric, route.source), (7, 1, None));
}

#[test]
fn a_bridge_has_learned_what_nobody_has_put_there() {
    let read = |state: u16| {
        let mut header = vec![AF_BRIDGE, 0, 0, 0];
        header.extend(9_u32.to_ne_bytes());
        header.extend(state.to_ne_bytes());
        header.extend([0; 2]);
        let message = payload(&header, |writer| {
            writer.attribute(NDA_LLADDR, &[2, 0, 0, 0, 0, 9]);
        });
        learned(&message)
    };
    const REACHABLE: u16 = 0x02;
    assert_eq!(read(REACHABLE), Some((9, MacAddr([2, 0, 0, 0, 0, 9]))));
    assert_eq!((read(NUD_PERMANENT), read(NUD_NOARP)), (None, None));
}

#[test]
fn what_is_cut_short_is_no_panic() {
    let whole = tap(0, ARPHRD_ETHER);
    for end in 0..whole.len() {
        let cut = &whole[..end];
        let _ = (link(cut), address(cut, 132), received(cut), learned(cut));
        let _ = (host_route(cut, 132, 254), foreign_route(cut, 132));
    }
}
