//! The RTP socket of a phone, with the kernel's own time of every arrival.
//!
//! A busy machine wakes the task late; a gap must be the far side's, not ours. So the kernel stamps each
//! datagram (SO_TIMESTAMPNS) and the stamp is moved to the monotonic clock here.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::shell::clock;

/// The socket.
#[derive(Debug)]
pub struct Ear {
    socket: UdpSocket,
}

impl Ear {
    /// Turns the stamps on.
    pub fn new(socket: UdpSocket) -> io::Result<Ear> {
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        Ok(Ear { socket })
    }

    /// Where it is bound.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next datagram: its length and when it came.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<(usize, Instant)> {
        loop {
            self.socket.readable().await?;
            let received = self.socket.try_io(Interest::READABLE, || {
                let mut control = nix::cmsg_space!(TimeSpec);
                let mut slices = [IoSliceMut::new(buffer)];
                let fd = self.socket.as_raw_fd();
                let message =
                    recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
                let stamp = message.cmsgs()?.find_map(|control| match control {
                    ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
                    _ => None,
                });
                Ok((message.bytes, stamp))
            });
            match received {
                Ok((bytes, stamp)) => return Ok((bytes, arrival(stamp))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends without waiting: a full queue loses the packet, as a network would.
    pub fn send(&self, bytes: &[u8], to: SocketAddr) {
        let _ = self.socket.try_send_to(bytes, to);
    }
}

/// A stamp of the wall clock on the monotonic one; without a stamp, or with one that cannot be, it is now.
fn arrival(stamp: Option<TimeSpec>) -> Instant {
    let now = clock::mono();
    let Some(stamp) = stamp else { return now };
    let stamp_us = stamp.tv_sec() * 1_000_000 + stamp.tv_nsec() / 1_000;
    let age_us = u64::try_from(clock::wall_us() - stamp_us).unwrap_or(0);
    let age = Duration::from_micros(age_us);
    if age > STAMP_AGE_MAX {
        return now;
    }
    now.checked_sub(age).unwrap_or(now)
}

/// An older stamp means that the wall clock was set in between.
const STAMP_AGE_MAX: Duration = Duration::from_secs(5);
