//! The `verifier` command.

fn main() -> std::process::ExitCode {
    verifier_host::command::main()
}
