use crate::{Tap, Wire};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Two taps tied together, as QEMU ties a host's tap to the NIC of its VM: what one link sends, the other receives.
///
/// Both links have carrier as long as this lives.
pub struct Relay {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Starts to carry frames between `host` and `guest`, in both directions.
    pub fn new(host: Tap, guest: Tap) -> Self {
        let (over, ends) = (Arc::<AtomicBool>::default(), Arc::new((host, guest)));
        let carry = |forth: bool| {
            let (over, ends) = (over.clone(), ends.clone());
            std::thread::spawn(move || {
                let (from, to) = if forth {
                    (&ends.0, &ends.1)
                } else {
                    (&ends.1, &ends.0)
                };
                while !over.load(Ordering::Relaxed) {
                    match from.receive(Duration::from_millis(50)) {
                        // A link that is down takes no frame: the frame is lost, as it is on a wire.
                        Ok(Some(frame)) => drop(to.send(&frame.bytes)),
                        Ok(None) => {}
                        // The link is gone.
                        Err(_) => return,
                    }
                }
            })
        };
        Self {
            threads: vec![carry(true), carry(false)],
            over,
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
