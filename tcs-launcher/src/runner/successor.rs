//! The program that is to take the place of this one in the same process.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use nix::unistd::execve;

use crate::takeover::VARIABLE;

/// A program, and what it is started with: the arguments and the environment of this one.
#[derive(Debug)]
pub(crate) struct Successor {
    program: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    stdin: OwnedFd,
}

impl Successor {
    /// `program` is a path, and `stdin` what it is handed.
    pub(crate) fn new(program: &Path, stdin: OwnedFd) -> io::Result<Self> {
        let text = |text: OsString| CString::new(text.into_vec()).map_err(io::Error::from);
        let process = (VARIABLE.into(), std::process::id().to_string().into());
        let env = std::env::vars_os().filter(|(name, _)| name != VARIABLE);
        let env = env.chain(std::iter::once(process)).map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            text(name)
        });
        Ok(Self {
            program: text(program.into())?,
            args: std::env::args_os().map(text).collect::<io::Result<_>>()?,
            env: env.collect::<io::Result<_>>()?,
            stdin,
        })
    }

    /// Comes back only where it fails, with all as it was before. The standard library's `exec` would
    /// leave another standard input then, and a process that SIGPIPE ends.
    pub(super) fn exec(self) -> io::Error {
        let replaced: io::Result<Infallible> = self.replace();
        match replaced {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    fn replace(&self) -> io::Result<Infallible> {
        let before = io::stdin().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdin(&self.stdin)?;
        let replaced = execve(&self.program, &self.args, &self.env);
        rustix::stdio::dup2_stdin(&before)?;
        Ok(replaced?)
    }
}
