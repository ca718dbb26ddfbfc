//! `tcsd`: see [`tcs_launcher`].

fn main() {}
