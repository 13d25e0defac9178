//! The steps that a write to the folder takes, each of which a crash or a broken disk may make the last one.

use rustix::io::Errno;

/// A call to the system that changes something, or makes a change durable.
#[cfg_attr(not(feature = "testing"), expect(unreachable_pub, reason = "public for tests alone"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Makes an empty file beside the tree.
    Create,
    /// Writes the content of a file beside the tree.
    Fill,
    /// Makes the content of a file durable.
    Sync,
    /// Gives a file of the tree a second name, beside it.
    LinkBeside,
    /// Gives a file its name in the tree.
    Name,
    /// Gives a file the name of another one in the tree.
    Replace,
    /// Makes a folder of the tree.
    MakeFolder,
    /// Makes the names in a folder durable.
    SyncFolder,
    /// Takes a name out of the tree.
    Delete,
    /// Takes away the name beside the tree.
    Clean,
}

/// The steps of one open folder. With the feature `testing` a test can list them and break them; without it nothing
/// of this is left.
#[cfg_attr(not(feature = "testing"), expect(unreachable_pub, reason = "public for tests alone"))]
#[derive(Debug, Clone, Default)]
pub struct Steps {
    #[cfg(feature = "testing")]
    state: std::sync::Arc<std::sync::Mutex<testing::State>>,
}

impl Steps {
    /// Called before each step: an error takes its place.
    #[cfg(not(feature = "testing"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the form that it has under test")]
    #[inline]
    pub(super) fn before(&self, _step: Step) -> Result<(), Errno> {
        Ok(())
    }
}

#[cfg(feature = "testing")]
mod testing {
    use std::sync::{MutexGuard, PoisonError};

    use super::{Errno, Step, Steps};

    #[derive(Debug, Default)]
    pub(super) struct State {
        taken: Vec<Step>,
        /// From this many steps on, every one fails: the process is gone.
        stop: Option<usize>,
        /// The next step of this kind fails.
        fault: Option<(Step, Errno)>,
    }

    impl Steps {
        fn lock(&self) -> MutexGuard<'_, State> {
            self.state.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(in super::super) fn before(&self, step: Step) -> Result<(), Errno> {
            let mut state = self.lock();
            if state.stop.is_some_and(|stop| state.taken.len() >= stop) {
                return Err(Errno::IO);
            }
            state.taken.push(step);
            match state.fault.take_if(|(kind, _)| *kind == step) {
                Some((_, errno)) => Err(errno),
                None => Ok(()),
            }
        }

        /// The steps since the last time that they were taken out.
        pub fn take(&self) -> Vec<Step> {
            std::mem::take(&mut self.lock().taken)
        }

        /// Lets `count` more steps happen. Every later one fails, those that clean up as well: what is on the disk is
        /// what a process leaves that is killed there.
        pub fn stop_after(&self, count: usize) {
            let mut state = self.lock();
            state.stop = Some(state.taken.len() + count);
        }

        /// Makes the next step of this kind fail with this error of the system.
        pub fn fail(&self, step: Step, errno: i32) {
            self.lock().fault = Some((step, Errno::from_raw_os_error(errno)));
        }
    }
}
