use guide as _;

fn main() -> std::process::ExitCode {
    tcs_launcher::main()
}
