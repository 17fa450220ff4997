//! A gateway, a folder and a router for one test, alone on the machine.

use std::fs::File;

use nix::fcntl::{Flock, FlockArg};

use super::{Folder, Gateway, Router, Settings};

/// Fields are dropped in this order.
pub struct Site {
    pub router: Router,
    pub gateway: Gateway,
    pub folder: Folder,
    _alone: Flock<File>,
}

impl Site {
    pub async fn open(name: &str, settings: &Settings) -> Self {
        Self::furnished(name, settings, |_| {}).await
    }

    /// One whose folder gets files of the test first.
    pub async fn furnished(name: &str, settings: &Settings, furnish: impl FnOnce(&Folder)) -> Self {
        let alone = tokio::task::spawn_blocking(alone).await.unwrap();
        let folder = Folder::new(name);
        furnish(&folder);
        let gateway = Gateway::start(&folder, settings).await;
        Site {
            router: Router::connect(&gateway).await,
            gateway,
            folder,
            _alone: alone,
        }
    }
}

/// Waits for its turn: tests measure time, so one runs at a time, in whatever process.
fn alone() -> Flock<File> {
    let file = File::create(std::env::temp_dir().join("media-gateway-interop.lock")).unwrap();
    let Ok(lock) = Flock::lock(file, FlockArg::LockExclusive) else {
        panic!("the lock of the interop tests cannot be taken");
    };
    lock
}
