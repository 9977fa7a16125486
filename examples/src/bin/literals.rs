//! `literals`
fn main() -> verifier_examples::Result<()> {
    verifier_examples::literals::print(&mut std::io::stdout())
}
