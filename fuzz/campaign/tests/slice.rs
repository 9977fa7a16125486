//! A slice of the campaign that is the same each time: the first cases of each dump that is made, which
//! are spread over all kinds of damage. `cargo run --release -p fuzz-campaign` has the rest.

use std::sync::Arc;

use fuzz_campaign::{Damage, Kind, Outcome, Overlay, Trace, cases, look, synthetic};
use verifier_core::dump::ReadAt as _;

const EACH: usize = 28;

#[test]
fn the_first_cases_of_every_dump() {
    let (mut seen, mut silent) = ([0u32; 3], 0);
    for subject in synthetic() {
        let undamaged = look(&subject, Overlay::whole(Arc::clone(&subject.file)));
        let whole = &undamaged.outcome;
        assert!(matches!(whole, Outcome::Whole | Outcome::Partial), "{}: {whole:?}", subject.name);
        let trace = Trace::record(&subject).unwrap();
        let cases = cases(&subject, &trace);
        for kind in Kind::ALL {
            assert!(cases.iter().any(|case| case.kind == kind), "{}: no {kind:?}", subject.name);
        }
        for case in cases.into_iter().take(EACH) {
            let file = Overlay::damaged(Arc::clone(&subject.file), case.at, case.damage);
            let look = look(&subject, file);
            silent += look.answers.silent(&undamaged.answers).len();
            match look.outcome {
                Outcome::Refused => seen[0] += 1,
                Outcome::Partial => seen[1] += 1,
                Outcome::Whole => seen[2] += 1,
                Outcome::Unclean(what) => panic!("{}: {case:?}: {what}", subject.name),
            }
        }
    }
    // Damage that shows in no outcome would be none.
    assert!(seen.iter().all(|&count| count > 20), "{seen:?}");
    // Bytes that nothing contradicts exist in every dump.
    assert!(silent > 0, "no answer differs");
}

/// What an ordinary run reads is where the damage goes: the names of drivers among it.
#[test]
fn the_trace_finds_the_structures() {
    let subject = &synthetic()[0];
    let trace = Trace::record(subject).unwrap();
    let file: &[u8] = &subject.file;
    let name: Vec<u8> = "leaky.sys".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let at = |piece: usize| file[piece..].starts_with(&name);
    assert!(trace.pieces.iter().any(|piece| piece.len == name.len() && at(piece.offset)));
    assert!(trace.file.contains(&(0, 0x2000)), "the header");
}

#[test]
fn an_overlay_is_the_file_with_a_patch() {
    let base: Arc<[u8]> = (0..=255u8).collect();
    let bytes = [9; 8];
    for at in [0, 100, 250, 254] {
        let damage = Damage::Write { bytes, len: 8 };
        let mut expected = base.to_vec();
        for place in expected.iter_mut().skip(at).take(8) {
            *place = 9;
        }
        let overlay = Overlay::damaged(Arc::clone(&base), at, damage);
        assert_eq!(overlay.to_vec(), expected);
        let mut part = [0; 3];
        overlay.read_at(at as u64 / 2, &mut part).unwrap();
        assert_eq!(part, expected[at / 2..at / 2 + 3]);
    }
    let cut = Overlay::damaged(Arc::clone(&base), 100, Damage::Cut);
    assert_eq!((cut.len(), cut.to_vec().len()), (100, 100));
    assert!(cut.read_at(99, &mut [0; 2]).is_err());
}
