//! A client of HTTP/1.1, and the text that it gets.

use anyhow::{Context, Result, ensure};
use slash32_tests::Namespace;
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the agents of these cases serve their metrics.
pub(crate) const METRICS: &str = "127.0.0.1:9132";

/// What an agent exported: each series, without the prefix `slash32_` and without quotes, and its value. Buckets and sums
/// of histograms are left out.
pub(crate) type Scrape = BTreeMap<String, f64>;

/// What came back.
pub(crate) struct Response {
    pub(crate) status: String,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// Connects inside the namespace.
pub(crate) fn connect(namespace: &Namespace, address: &str) -> Result<TcpStream> {
    let address: SocketAddr = address.parse()?;
    let stream = namespace.inside(|| Ok(TcpStream::connect_timeout(&address, PATIENCE)?))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends `request` as it is, and reads until the server closes.
pub(crate) fn talk(namespace: &Namespace, address: &str, request: &[u8]) -> Result<Response> {
    let mut stream = connect(namespace, address)?;
    stream.write_all(request)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no end of the head")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let field = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    };
    Ok(Response {
        status: status.split_once(' ').context("no status")?.1.to_owned(),
        fields: lines.filter_map(field).collect(),
        body: body.to_owned(),
    })
}

/// `GET` of a whole document. HTTP/1.0, so that it comes in one piece.
pub(crate) fn get(namespace: &Namespace, address: &str, target: &str) -> Result<String> {
    let request = format!("GET {target} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let response = talk(namespace, address, request.as_bytes())?;
    ensure!(
        response.status.starts_with("200"),
        "{target}: {} {}",
        response.status,
        response.body
    );
    Ok(response.body)
}

/// What an agent exports now.
pub(crate) fn scrape(namespace: &Namespace) -> Result<Scrape> {
    read(&get(namespace, METRICS, "/metrics")?)
}

/// Reads OpenMetrics text, in which every sample has our prefix.
fn read(text: &str) -> Result<Scrape> {
    ensure!(text.ends_with("# EOF\n"), "it is cut off: {text}");
    let mut scrape = Scrape::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').context("no value")?;
        let series = series
            .strip_prefix("slash32_")
            .with_context(|| format!("not ours: {line}"))?
            .replace('"', "");
        let name = series.split('{').next().unwrap_or_default();
        if name.ends_with("_bucket") || name.ends_with("_sum") {
            continue;
        }
        let twice = scrape.insert(series, value.parse()?).is_some();
        ensure!(!twice, "twice: {line}");
    }
    Ok(scrape)
}
