use std::{sync::Arc, thread, time::Duration};

use super::{delivery, logged_while};
use crate::{
    archive::{Append, Archive, DiskArchive, disk::open::open},
    testing::{Fault, FaultyDisk},
};

#[test]
fn sync_that_hangs_is_logged_while_it_hangs() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    let text = logged_while(|text| {
        let builder = DiskArchive::builder(dir.path()).fs(Arc::new(disk.clone()));
        let archive = open(builder, tokio::time::Instant::now()).unwrap();
        disk.fail(Fault::HangingSync);
        drop(archive.append(Append::new(delivery("/m", b"a"))));
        // The disk recovers on its own after a while.
        while disk.fault_now().is_some() && !text().contains("does not answer") {
            thread::sleep(Duration::from_millis(10));
        }
        disk.heal();
    });
    assert!(text.contains("does not answer"), "{text}");
}
