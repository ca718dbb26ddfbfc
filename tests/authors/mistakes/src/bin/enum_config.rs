//~ `Config` is for structs; a type inside of one has `#[derive(Deserialize)]`
use tcs_core::prelude::*;

#[derive(Config)]
enum Settings {
    Slow,
}

fn main() {}
