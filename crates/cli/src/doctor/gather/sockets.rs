use super::super::facts::{Known, Socket};
use super::command::run;

/// What listens on UDP and TCP, with the processes where they may be seen.
pub(super) async fn listening() -> Known<Vec<Socket>> {
    let arguments = ["-H", "-O", "-n", "-l", "-u", "-t", "-p"];
    let text = run("ss", &arguments).await?;
    Ok(text.lines().filter_map(socket).collect())
}

/// `udp UNCONN 0 0 0.0.0.0%virbr0:67 0.0.0.0:* users:(("dnsmasq",pid=15,fd=4))`
fn socket(line: &str) -> Option<Socket> {
    let mut words = line.split_whitespace();
    let protocol = words.next()?.to_owned();
    let (place, port) = words.nth(3)?.rsplit_once(':')?;
    let (address, device) = match place.split_once('%') {
        // `[fe80::1]%eth0`, and `[fe80::1%eth0]` of old.
        Some((address, device)) => (address, Some(device.trim_end_matches(']').to_owned())),
        None => (place, None),
    };
    let process = line.split_once("users:((\"").and_then(|(_, users)| {
        let (name, rest) = users.split_once("\",pid=")?;
        let pid = rest.split(',').next()?.parse().ok()?;
        Some((name.to_owned(), pid))
    });
    Some(Socket {
        protocol,
        address: address.to_owned(),
        device,
        port: port.parse().ok()?,
        process,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ss_is_a_socket() {
        let line = "udp UNCONN 0 0 0.0.0.0%virbr0:67 0.0.0.0:* users:((\"dnsmasq\",pid=15,fd=4))";
        let expected = Socket {
            protocol: "udp".into(),
            address: "0.0.0.0".into(),
            device: Some("virbr0".into()),
            port: 67,
            process: Some(("dnsmasq".into(), 15)),
        };
        assert_eq!(socket(line), Some(expected));
        let bare = socket("tcp LISTEN 0 128 [::]:22 [::]:*").unwrap();
        assert_eq!((bare.address.as_str(), bare.port), ("[::]", 22));
        assert_eq!((bare.device, bare.process), (None, None));
        assert_eq!(socket(""), None);
    }
}
