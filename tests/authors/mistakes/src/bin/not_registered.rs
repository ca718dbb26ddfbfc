//~ `Guider` is not a service
//~ put `#[service]` before `impl BlockingService for Guider`
struct Guider;

fn main() -> std::process::ExitCode {
    tcs_core::main::<Guider>()
}
