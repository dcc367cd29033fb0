//! The bytes on the socket, as another varlink implementation sees them.

use crate::MINUTE;
use crate::fake::{self, FakeAgent, row};
use serde_json::{Value, json};
use slash32_control::{Client, DESCRIPTION, EventKind, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The replies to raw `bytes`, until the agent hangs up or has replied `count` times.
async fn raw(stream: &mut UnixStream, bytes: &[u8], count: usize) -> Vec<Value> {
    // A write may fail when the agent has hung up already; what it said before can still be read.
    let _ = stream.write_all(bytes).await;
    let mut text = Vec::new();
    let mut replies = 0;
    while replies < count {
        match stream.read_u8().await {
            Ok(byte) => {
                replies += usize::from(byte == 0);
                text.push(byte);
            }
            Err(_) => break,
        }
    }
    text.split(|byte| *byte == 0)
        .filter(|reply| !reply.is_empty())
        .map(|reply| serde_json::from_slice(reply).unwrap())
        .collect()
}

/// The one reply to `call`.
async fn reply(agent: &FakeAgent, call: Value) -> Value {
    let mut bytes = serde_json::to_vec(&call).unwrap();
    bytes.push(0);
    let mut stream = UnixStream::connect(agent.path()).await.unwrap();
    raw(&mut stream, &bytes, 1).await.pop().unwrap()
}

#[tokio::test]
async fn a_row_has_every_key_of_the_contract_also_when_nothing_is_known() {
    let mut unknown = row("virbr1", "web1", State::Idle);
    (
        unknown.vm,
        unknown.uuid,
        unknown.mac,
        unknown.address,
        unknown.gateway,
    ) = (None, None, None, None, None);
    (
        unknown.network,
        unknown.generation,
        unknown.lease,
        unknown.responder,
    ) = (None, None, None, None);
    let agent = FakeAgent::start(vec![unknown]);
    let reply = reply(&agent, json!({ "method": "io.slash32.Agent.List" })).await;
    assert_eq!(
        reply["parameters"]["links"][0],
        json!({
            "link": "virbr1", "ifindex": 7, "vm": null, "uuid": null, "mac": null, "address": null, "gateway": null,
            "network": null, "state": "idle", "reason": null, "route": false, "generation": null, "lease": null,
            "responder": null,
        })
    );
}

#[tokio::test]
async fn a_bad_call_gets_the_error_that_varlink_has_for_it() {
    let agent = FakeAgent::start(Vec::new());
    let fault = |name: &str, parameters: Value| json!({ "error": name, "parameters": parameters });
    let invalid = |name: &str| {
        fault(
            "org.varlink.service.InvalidParameter",
            json!({ "parameter": name }),
        )
    };
    let table = [
        (
            json!({ "method": "io.slash32.Agent.Nothing" }),
            fault(
                "org.varlink.service.MethodNotFound",
                json!({ "method": "io.slash32.Agent.Nothing" }),
            ),
        ),
        (
            json!({ "method": "org.varlink.service.Nothing" }),
            fault(
                "org.varlink.service.MethodNotFound",
                json!({ "method": "org.varlink.service.Nothing" }),
            ),
        ),
        (
            json!({ "method": "com.example.Thing.List" }),
            fault(
                "org.varlink.service.InterfaceNotFound",
                json!({ "interface": "com.example.Thing" }),
            ),
        ),
        (
            json!({ "method": "org.varlink.service.GetInterfaceDescription", "parameters": { "interface": "a.b" } }),
            fault(
                "org.varlink.service.InterfaceNotFound",
                json!({ "interface": "a.b" }),
            ),
        ),
        (
            json!({ "method": "io.slash32.Agent.Events" }),
            fault("org.varlink.service.ExpectedMore", json!({})),
        ),
        (
            json!({ "method": "io.slash32.Agent.Watch" }),
            fault("org.varlink.service.ExpectedMore", json!({})),
        ),
        (
            json!({ "method": "io.slash32.Agent.Bind", "parameters": { "link": "a", "address": "203.0.113.256" } }),
            invalid("address"),
        ),
        (
            json!({ "method": "io.slash32.Agent.Reload", "parameters": { "force": "yes" } }),
            invalid("force"),
        ),
        (
            json!({ "method": "io.slash32.Agent.NextMac", "parameters": { "network": 7 } }),
            invalid("network"),
        ),
        (
            json!({ "method": "io.slash32.Agent.List", "upgrade": true }),
            fault(
                "org.varlink.service.MethodNotImplemented",
                json!({ "method": "io.slash32.Agent.List" }),
            ),
        ),
        (json!({ "method": "io.slash32.Agent.Show" }), invalid("key")),
        (
            json!({ "method": "io.slash32.Agent.Show", "parameters": { "key": 7 } }),
            invalid("key"),
        ),
        (
            json!({ "method": "io.slash32.Agent.List", "parameters": { "all": true } }),
            invalid("all"),
        ),
        (
            json!({ "method": "io.slash32.Agent.Events", "more": true, "parameters": { "since": 1 } }),
            invalid("since"),
        ),
        (
            json!({ "method": "io.slash32.Agent.Wait", "parameters": { "key": "a", "state": "up", "timeout_ms": 1 } }),
            invalid("state"),
        ),
        (
            json!({ "method": "io.slash32.Agent.Wait",
                "parameters": { "key": "a", "state": "bound", "timeout_ms": -1 } }),
            invalid("timeout_ms"),
        ),
    ];
    for (call, expected) in table {
        assert_eq!(reply(&agent, call.clone()).await, expected, "{call}");
    }
}

#[tokio::test]
async fn a_oneway_call_is_not_answered_and_the_next_one_is() {
    let agent = FakeAgent::start(Vec::new());
    let mut stream = UnixStream::connect(agent.path()).await.unwrap();
    let calls = b"{\"method\":\"io.slash32.Agent.List\",\"oneway\":true}\0\
        {\"method\":\"io.slash32.Agent.Version\"}\0";
    let replies = raw(&mut stream, calls, 1).await;
    assert_eq!(
        replies,
        [json!({ "parameters": { "version": "1.2.3", "protocol": 1 } })]
    );
}

#[tokio::test]
async fn what_is_no_call_closes_the_connection_of_its_sender_only() {
    let agent = FakeAgent::start(vec![row("virbr1", "web1", State::Bound)]);
    let mut bystander = Client::connect(agent.path()).await.unwrap();
    let nested = [
        b"{\"method\":\"a.b\",\"parameters\":{\"a\":".to_vec(),
        vec![b'['; 60_000],
        vec![0],
    ]
    .concat();
    let table: [&[u8]; 7] = [
        b"\0",
        b"GET / HTTP/1.1\r\n\r\n\0",
        b"[]\0",
        b"{\"method\":7}\0",
        b"\xff\xfe\0",
        &nested,
        &[vec![b'x'; 1024 * 1024], vec![0]].concat(),
    ];
    for junk in table {
        let mut stream = UnixStream::connect(agent.path()).await.unwrap();
        let replies = tokio::time::timeout(MINUTE, raw(&mut stream, junk, 1))
            .await
            .expect("the agent hangs up");
        assert!(replies.is_empty(), "{replies:?}");
        assert_eq!(bystander.list().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_independent_varlink_client_can_introspect_and_call() {
    use zlink::varlink_service::Proxy;
    let agent = FakeAgent::start(vec![row("virbr1", "web1", State::Bound)]);
    let mut connection = zlink::tokio::unix::connect(agent.path()).await.unwrap();
    let info = connection.get_info().await.unwrap().unwrap();
    assert_eq!(info.interfaces, ["org.varlink.service", "io.slash32.Agent"]);
    for interface in ["org.varlink.service", "io.slash32.Agent"] {
        let description = connection
            .get_interface_description(interface.try_into().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(description.parse().unwrap().name(), interface);
    }
}

#[test]
fn the_description_names_exactly_the_keys_that_are_sent() {
    let description = zlink::idl::Interface::try_from(DESCRIPTION).unwrap();
    let keys = |name: &str| -> Vec<String> {
        let custom = description
            .custom_types()
            .find(|custom| custom.name() == name)
            .unwrap();
        let mut keys: Vec<String> = custom
            .as_object()
            .unwrap()
            .fields()
            .map(|field| field.name().to_string())
            .collect();
        keys.sort();
        keys
    };
    let sent =
        |value: Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let row = row("virbr1", "web1", State::Bound);
    assert_eq!(keys("Link"), sent(json!(row)));
    assert_eq!(keys("Lease"), sent(json!(row.lease)));
    assert_eq!(keys("Responder"), sent(json!(row.responder)));
    let detail = fake::detail(row);
    assert_eq!(keys("LinkDetail"), sent(json!(detail)));
    assert_eq!(keys("Port"), sent(json!(detail.ports[0])));
    assert_eq!(keys("HistoryEntry"), sent(json!(detail.history[0])));
    assert_eq!(keys("SeenFrame"), sent(json!(detail.last_request)));
    assert_eq!(keys("Pool"), sent(json!(fake::pool())));
    let explanation = fake::explanation(None, std::net::Ipv4Addr::LOCALHOST);
    let option = &explanation.options[0];
    assert_eq!(keys("Explanation"), sent(json!(explanation)));
    assert_eq!(keys("ExplainedNetwork"), sent(json!(explanation.network)));
    assert_eq!(keys("ExplainedAddress"), sent(json!(explanation.address)));
    assert_eq!(keys("ExplainedOption"), sent(json!(option)));
    assert_eq!(keys("OverriddenOption"), sent(json!(option.overrides[0])));
    assert_eq!(keys("Event"), sent(json!(fake::event(EventKind::Bound))));
    let states = description
        .custom_types()
        .find(|custom| custom.name() == "State")
        .unwrap();
    let names: Vec<&str> = states
        .as_enum()
        .unwrap()
        .variants()
        .map(|variant| &**variant.name())
        .collect();
    assert_eq!(names, State::ALL.map(State::name));
}
