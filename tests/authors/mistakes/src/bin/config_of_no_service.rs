//~ the following trait bounds were not satisfied: `(): tcs_core::service::Service`
use tcs_core::prelude::*;

fn helper(ctx: &Context) {
    ctx.config();
}

fn main() {}
