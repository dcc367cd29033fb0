use super::*;
use crate::history::History;
use crate::publish::Shown;
use slash32_control::State;

fn shown(ifindex: u32) -> (u32, Option<Shown>) {
    let shown = Shown {
        link: format!("virbr{ifindex}").into(),
        ifindex,
        vm: Some(Box::new((format!("vm{ifindex}"), "uuid".into()))),
        mac: Some(slash32_binding::MacAddr([0x52, 0x54, 0, 0, 0, 1])),
        address: None,
        gateway: None,
        network: Some("public".into()),
        state: State::Bound,
        reason: None,
        route: true,
        generation: Some(1),
        acked_at: None,
        expires_at: None,
        responder: None,
        ports: Box::default(),
        counters: Arc::new(Counters::ZERO),
        faults: Arc::default(),
        binding: None,
        history: History::default(),
        seen: None,
        remarks: vec![Remark::SecondMac],
    };
    (ifindex, Some(shown))
}

#[test]
fn a_thousand_links_are_as_many_series_as_one_and_none_of_them_is_named() {
    let (requests, _inbox) = tokio::sync::mpsc::channel(1);
    let published = Arc::new(Published::new(requests, crate::access::Access::default()));
    let (exporter, _metrics) = Exporter::new(Arc::clone(&published));
    published.put([shown(1)]);
    let one = exporter.text();
    published.put((1..=1000).map(shown));
    let thousand = exporter.text();
    assert_eq!(one.lines().count(), thousand.lines().count());
    for name in ["virbr", "vm1", "52:54:00"] {
        assert!(!thousand.contains(name), "{name} is in\n{thousand}");
    }
    for line in [
        "slash32_links{state=\"bound\"} 1000\n",
        "slash32_link_remarks{remark=\"second_mac\"} 1000\n",
        "slash32_routes 1000\n",
    ] {
        assert!(thousand.contains(line), "{line} is not in\n{thousand}");
    }
}
