//! Lines of source code in the report.

use std::fs;
use std::path::Path;

use crate::common::Files;
use crate::reports::Page;
use verifier_core::symbols::SourceRoots;
use verifier_host::report::write_report;
use verifier_host::symbols::SymbolPath;
use verifier_host::{LeakFilter, Session, SessionOptions, Silent};
use verifier_synth::Build;

#[test]
fn the_report_has_lines_inlined_functions_and_the_source() {
    let files = Files::with_lines(Build::Win10Vb);
    let symbols = SymbolPath::parse(&files.path("symbols")).unwrap();
    // The sources are in this repository.
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../verifier-synth/leaky");
    let sources = sources.canonicalize().unwrap().to_str().unwrap().to_owned();
    let mut options = SessionOptions::default();
    options.source_roots = SourceRoots::new([("c:\\build\\leaky".to_owned(), sources.clone())]);
    let session = Session::open_with(files.path("memory.dmp").as_ref(), symbols, options).unwrap();
    let mut html = Vec::new();
    write_report(&mut html, &session, LeakFilter::default(), &Silent).unwrap();
    let file = files.folder.path().join("report.html");
    fs::write(&file, &html).unwrap();
    let Some(mut page) = Page::open(files.folder.path(), &file) else { return };
    let answer = page.text("document.querySelector('.worst').textContent");
    assert_eq!(
        answer,
        "leaky!CacheInsert allocated the most: 15.3 KiB in 42 blocks (78.8 %); its worst line is \
         pool.h:22 ← cache.c:17 ← cache.c:34: 15.0 KiB in 30 blocks (77.4 %)."
    );
    let path = page.text("document.querySelector('.worst code[title]').title");
    assert_eq!(path, format!("{sources}/pool.h"));

    // An inlined function is a frame of its own, and each frame has its line.
    let first = "document.querySelector('#leaks td.where').textContent";
    assert_eq!(
        page.text(first),
        "leaky!PoolAllocate+0x13 (inlined) ← NodeCreate+0x43 (inlined) ← CacheInsert+0x50pool.h:22 ← cache.c:17 ← cache.c:34"
    );
    page.0.click("#leaks .expand");
    let stack = "[...document.querySelectorAll('#leaks .stack li')].slice(2, 6).map((e) => e.textContent.replace(/0x[0-9a-f]{16}/, 'VA')).join('|')";
    assert_eq!(
        page.text(stack),
        "inlined leaky!PoolAllocate+0x13 pool.h:22|inlined leaky!NodeCreate+0x43 cache.c:17|\
         VA leaky!CacheInsert+0x50 cache.c:34|VA leaky!DriverEntry+0x68 entry.c:20"
    );
    // The source of the line and of its callers; the line itself is marked.
    let marked = "[...document.querySelectorAll('#leaks .source .here code')].map((e) => e.textContent.trim()).join('|')";
    assert_eq!(
        page.text(marked),
        "void *block = ExAllocatePool2(POOL_NON_PAGED, bytes, POOL_TAG);|\
         node->Data = PoolAllocate(bytes);|CACHE_NODE *node = NodeCreate(key, bytes);"
    );
    assert_eq!(page.count("#leaks .source li"), 3 * 7);
    page.0.shot("lines");

    // A line is its file and number, and the lines into which it was inlined.
    page.0.click("input[value=line]");
    assert_eq!(page.groups(), 5);
    assert!(
        page.column("Where")
            .starts_with("pool.h:22 ← cache.c:17 ← cache.c:34 ← leaky!CacheInsert|")
    );
    page.fill("filter", "session.cpp:19");
    assert_eq!(page.groups(), 1);
    page.fill("filter", "");
    // The flame graph has the inlined functions, and finds files.
    assert!(page.frames().contains("leaky!NodeCreate (inlined)"), "{}", page.frames());
    page.fill("find", "session.cpp:41");
    assert_eq!(page.count(".frame.hit"), 1);
    page.0.assert_quiet(&file);
}

#[test]
fn a_flame_graph_has_lines_and_inlined_functions() {
    let files = Files::with_lines(Build::Win10Vb);
    let picture = |options: &[&str]| {
        let svg = files.output(&["flamegraph"], &[options, &["-o", "-"]].concat());
        assert!(svg.status.success());
        String::from_utf8(svg.stdout).unwrap()
    };
    let (down, up) = (picture(&[]), picture(&["--inverted"]));
    for svg in [&down, &up] {
        assert!(svg.contains("leaky!PoolAllocate (pool.h:22) (inlined) ("), "{svg}");
        assert!(svg.contains("leaky!CacheInsert+0x50 (cache.c:34) ("));
    }
    // Bottom-up the wrapper is one frame, and the kernel is left out.
    let frames = |svg: &str| svg.matches("<title>leaky!PoolAllocate (pool.h:22)").count();
    assert_eq!((frames(&down), frames(&up)), (4, 1));
    assert!(down.contains("nt!KiStartSystemThread") && !up.contains("nt!"));
}
