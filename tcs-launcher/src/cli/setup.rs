//! The arguments of `tcsd install` and `tcsd uninstall`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::install::{self, Options, apply};

#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// Only for your user, without root: under ~/.local and ~/.config.
    #[arg(long)]
    user: bool,
    /// Folder of the programs, which go into its `bin` [default: /usr/local, or ~/.local].
    #[arg(long, value_name = "FOLDER")]
    prefix: Option<PathBuf>,
    /// Print the steps without doing them.
    #[arg(long)]
    dry_run: bool,
    /// Skip confirmation.
    #[arg(long, short)]
    yes: bool,
    /// Write below this folder, without creating users or running anything (for images and packages).
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct InstallArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Allow services to use cameras, serial lines and other devices.
    #[arg(long)]
    cameras: bool,
    /// Run tcsd as root, for entries with `launch.user`.
    #[arg(long)]
    launch_user: bool,
}

#[derive(Debug, Args)]
pub(super) struct UninstallArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Also remove configuration, passwords, state and the users.
    #[arg(long)]
    purge: bool,
}

impl PlaceArgs {
    fn options(&self) -> Options {
        Options { user: self.user, prefix: self.prefix.clone(), ..Options::default() }
    }

    fn how(&self) -> apply::How {
        apply::How { dry_run: self.dry_run, yes: self.yes, root: self.root.clone() }
    }
}

pub(super) fn install(args: &InstallArgs) -> io::Result<ExitCode> {
    let InstallArgs { place, cameras, launch_user } = args;
    let options = Options { cameras: *cameras, launch_user: *launch_user, ..place.options() };
    install::apply::install(&options, &place.how())
}

pub(super) fn uninstall(args: &UninstallArgs) -> io::Result<ExitCode> {
    install::apply::uninstall(&args.place.options(), &args.place.how(), args.purge)
}
