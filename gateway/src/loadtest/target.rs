//! Which process the target is, where it is one of this machine.

use std::os::unix::net::UnixStream;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use super::plan::Plan;

/// The one that the plan names, else the one behind the control socket. None where it is on another machine.
pub fn pid(plan: &Plan) -> Option<u32> {
    if plan.pid.is_some() {
        return plan.pid;
    }
    let stream = UnixStream::connect(&plan.router.as_ref()?.socket).ok()?;
    let peer = getsockopt(&stream, PeerCredentials).ok()?;
    u32::try_from(peer.pid()).ok().filter(|pid| *pid != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::super::plan::{Routing, testing::plan};
    use super::*;

    #[test]
    fn the_process_behind_a_control_socket_is_known() {
        let folder = std::env::temp_dir().join(format!("loadtest-target-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let socket = folder.join("control.sock");
        let _listener = UnixListener::bind(&socket).unwrap();
        let routing = Routing {
            socket,
            app: String::new(),
            trunk: None,
        };
        let mut plan = plan();
        assert_eq!(pid(&plan), None);
        plan.router = Some(routing);
        assert_eq!(pid(&plan), Some(std::process::id()));
        plan.pid = Some(7);
        assert_eq!(pid(&plan), Some(7));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
