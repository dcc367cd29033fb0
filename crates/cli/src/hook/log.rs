use std::os::unix::net::UnixDatagram;

/// The system's log: syslog(3)'s socket.
const SOCKET: &str = "/dev/log";
/// `LOG_DAEMON | LOG_WARNING` of RFC 5424 §6.2.1.
const PRIORITY: u8 = 3 << 3 | 4;

/// A line of the system's log. It is not waited for, and where there is no log there is none.
pub(super) fn warn(text: &str) {
    let Ok(socket) = UnixDatagram::unbound() else {
        return;
    };
    if socket.set_nonblocking(true).is_ok() {
        let pid = std::process::id();
        let _ = socket.send_to(
            format!("<{PRIORITY}>slash32[{pid}]: {text}").as_bytes(),
            SOCKET,
        );
    }
}
