//~ `#[service]` is for `impl BlockingService for ...`, `OneShotService` or `PermanentService`
use tcs_core::prelude::*;

struct Guider;

#[service("guider")]
impl Guider {}

fn main() {}
