//! `outstanding DUMP SYMBOLS`
fn main() -> verifier_examples::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(dump), Some(symbols)) = (args.next(), args.next()) else {
        return Err("usage: outstanding DUMP SYMBOLS".into());
    };
    verifier_examples::outstanding::print(&mut std::io::stdout(), dump.as_ref(), &symbols)
}
