//~ a `Context` of any service does not know the settings
//~ write `&Context<Self>` in place of `&Context`
use tcs_core::prelude::*;

fn helper(ctx: &Context) {
    ctx.config();
}

fn main() {}
