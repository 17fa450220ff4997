//! The floor: what any relay of a socket per leg and one turn must do, and nothing more.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// A running plain relay.
pub struct Plain {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Plain {
    /// Binds a socket per party and passes what leg 2n sends to leg 2n + 1, and back.
    pub fn start(
        parties: &[SocketAddr],
        turn: Duration,
        prepare: impl FnOnce() + Send + 'static,
    ) -> (Plain, Vec<SocketAddr>) {
        let sockets: Vec<_> = parties
            .iter()
            .map(|_| {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
                socket.set_nonblocking(true).expect("non-blocking");
                socket
            })
            .collect();
        let addresses = sockets
            .iter()
            .map(|socket| socket.local_addr().expect("bound"))
            .collect();
        let stop = Arc::new(AtomicBool::new(false));
        let (parties, stopped) = (parties.to_vec(), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("plain".into()).spawn(move || {
            prepare();
            relay(&sockets, &parties, turn, &stopped);
        });
        (
            Plain {
                stop,
                thread: thread.expect("a thread"),
            },
            addresses,
        )
    }

    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the relay runs to its end");
    }
}

fn relay(sockets: &[UdpSocket], parties: &[SocketAddr], turn: Duration, stop: &AtomicBool) {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
    for (index, socket) in sockets.iter().enumerate() {
        epoll
            .add(socket, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))
            .expect("room");
    }
    let mut events = vec![EpollEvent::empty(); 4096];
    let mut packet = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let count = epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        for event in &events[..count] {
            let from = event.data() as usize;
            if let Ok((len, _)) = sockets[from].recv_from(&mut packet) {
                let _ = sockets[from ^ 1].send_to(&packet[..len], parties[from ^ 1]);
            }
        }
        std::thread::sleep(turn);
    }
}
