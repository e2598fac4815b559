use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use super::slow_sync::SlowSync;

/// The hand-written alternative to an archive: a temporary file, synced, renamed, and the directory synced.
#[derive(Clone, Debug)]
pub(crate) struct FileEach {
    pub(crate) dir: PathBuf,
    pub(crate) slow: Arc<SlowSync>,
}

impl FileEach {
    pub(crate) async fn store(&self, name: usize, body: Bytes) {
        let this = self.clone();
        let stored = tokio::task::spawn_blocking(move || this.store_blocking(name, &body)).await;
        stored.unwrap().unwrap();
    }

    fn store_blocking(&self, name: usize, body: &[u8]) -> io::Result<()> {
        let temporary = self.dir.join(format!("{name}.tmp"));
        let mut file = File::create_new(&temporary)?;
        file.write_all(body)?;
        file.sync_all()?;
        self.slow.wait();
        fs::rename(&temporary, self.dir.join(format!("{name}.json")))?;
        File::open(Path::new(&self.dir))?.sync_all()?;
        self.slow.wait();
        Ok(())
    }
}
