//! Each golden through the core, without root and without a network.

use crate::{
    difference::difference,
    golden::{Golden, files, folder},
    served::{binding, replies},
};
use anyhow::{Result, bail};
use slash32_tests::dhcp::Message;

/// Set by `cargo xtask golden --bless`: what differs is shown and written.
const BLESS: &str = "SLASH32_BLESS";

#[test]
fn every_recorded_request_gets_its_reply_byte_for_byte() -> Result<()> {
    let bless = std::env::var_os(BLESS).is_some();
    let mut differences = 0;
    for (name, path) in files()? {
        let golden = Golden::read(&path)?;
        let replies = replies(&golden, binding(&name)?);
        let mut renewed = golden.clone();
        for (number, (exchange, actual)) in (1..).zip(renewed.0.iter_mut().zip(replies)) {
            let shown = difference(exchange.reply.as_deref(), actual.as_deref());
            if !shown.is_empty() {
                differences += 1;
                let path = path.strip_prefix(folder()).unwrap_or(&path).display();
                println!("{path}, request {number}: expected -, actual +\n{shown}");
            }
            exchange.reply = actual;
        }
        if bless && renewed != golden {
            renewed.write(&path)?;
        }
    }
    match differences {
        0 => Ok(()),
        _ if bless => {
            println!("{differences} replies were rewritten");
            Ok(())
        }
        _ => bail!(
            "{differences} replies differ; if that is right, cargo xtask golden --bless makes them the expected ones"
        ),
    }
}

#[test]
fn each_golden_is_as_it_was_written() -> Result<()> {
    // A golden that somebody edited by hand, or that git took for text, is not what a client sent.
    for (_, path) in files()? {
        let golden = Golden::read(&path)?;
        let copy = tempfile::tempdir()?;
        golden.write(&copy.path().join("copy.pcap"))?;
        let same = std::fs::read(&path)? == std::fs::read(copy.path().join("copy.pcap"))?;
        assert!(same, "{}", path.display());
        for exchange in &golden.0 {
            assert_eq!(
                Message::read(&exchange.request).map(|request| request.op),
                Some(1)
            );
        }
    }
    Ok(())
}
