//! The command on a kernel that keeps its blocks in the pool info trees: pool, leaks, history, kd.
//!
//! The layout of `golden/pool-info-*.txt` is our own, except `pool-info-kd.txt`, which has the debugger's
//! columns.

use crate::common::{Files, golden};
use serde_json::{Value, json};
use verifier_synth::{
    Build, Contiguous, Driver, DumpKind, Machine, PoolRecord, PoolStack, Suspect,
};

const POOL: u64 = 0xffff_9a8f_5000_0000;

/// A driver with blocks from two stacks and contiguous memory; a block of a driver that is not verified.
fn machine() -> Machine {
    let mut m = Machine::new(Build::Win11);
    let leaky = Driver::new("leaky.sys").pdb("leaky.pdb");
    let leaky = m.driver(leaky.symbol("LeakyRead", 0x1200).symbol("LeakyOpen", 0x1300));
    let other = m.driver(Driver::new("other.sys").pdb("other.pdb").symbol("OtherStart", 0x1100));
    let (read, open) = (m.driver_address(leaky, "LeakyRead"), m.driver_address(leaky, "LeakyOpen"));
    let other_start = m.driver_address(other, "OtherStart");
    let alloc = m.kernel_address("VerifierExAllocatePoolWithTag") + 0x1d;
    let call = m.kernel_address("IofCallDriver") + 0x59;
    m.level(8);
    m.verified(leaky)
        .contiguous(Contiguous { address: POOL + 0x80_0000, size: 0x3000, caller: open + 0x44 })
        .counter("PagesForMdlBytes", 0x2000)
        .counter("PeakPagesForMdlBytes", 0x5000);
    m.suspect(Suspect { name: "absent.sys".into(), loads: 0, unloads: 0, address: None });
    let info = m.pool_info();
    let stack = |tag: &[u8; 4], hash, nonpaged, frames, freed| PoolStack {
        tag: *tag,
        hash,
        nonpaged,
        frames,
        freed,
        lost: Vec::new(),
    };
    let read = info.stack(stack(b"Leak", 9, true, vec![alloc, read + 0x34, call], vec![0x200; 5]));
    let open = info.stack(stack(b"Open", 2, false, vec![alloc, open + 0x12, call], vec![]));
    let start = info.stack(stack(b"Othr", 3, true, vec![alloc, other_start + 0x8], vec![]));
    info.stack(stack(b"Done", 1, true, vec![alloc, call], vec![0x10]));
    info.block(POOL, 0x200, read).block(POOL + 0x1000, 0x200, read);
    info.block(POOL + 0x2000, 0x30, open).block(POOL + 0x3000, 0x88, start);
    let frames = vec![alloc, other_start];
    m.pool_record(PoolRecord {
        address: POOL,
        size: 0x200,
        thread: POOL - 0x80,
        frames,
        stale: vec![],
    });
    m
}

fn files() -> Files {
    Files::write(&machine().build(DumpKind::BitmapKernel))
}

#[test]
fn pool_in_every_format() {
    let files = files();
    assert_eq!(files.clean(&["pool"], &[]), golden("pool-info-pool.txt"));
    let csv = files.clean(&["pool"], &["--format", "csv"]);
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(
        rows[0],
        "driver,address,size,tag,caller,caller_symbol,file,line,source,impossible,extent"
    );
    assert!(rows[1].starts_with("leaky.sys,0xffff9a8f50000000,512,Leak,"), "{csv}");
    assert!(rows[1].ends_with(",leaky!LeakyRead+0x34,,,pool info tree,,complete"), "{csv}");
    assert!(rows[4].starts_with(",0xffff9a8f50003000,136,Othr,"), "{csv}");
    assert!(rows[5].starts_with("leaky.sys,0xffff9a8f50800000,12288,,"), "{csv}");
    assert!(rows[5].ends_with(",leaky!LeakyOpen+0x44,,,contiguous,,complete"), "{csv}");
    assert_eq!(rows.len(), 6);

    let json = files.json(&["pool"], &[]);
    assert_eq!(json["problems"], json!([]));
    let leaky = &json["drivers"][0];
    assert_eq!(leaky["allocations"].as_array().unwrap().len(), 3);
    let first = &leaky["allocations"][0];
    assert_eq!(first["source"], "pool info tree");
    assert_eq!(first["attributed_by"], "a frame in its image");
    assert_eq!(first["caller_symbol"], "leaky!LeakyRead+0x34");
    let contiguous = leaky["contiguous"].as_array().unwrap();
    assert_eq!(contiguous.len(), 1);
    assert_eq!(
        (&contiguous[0]["size"], &contiguous[0]["address"]),
        (&json!(0x3000), &json!("0xffff9a8f50800000"))
    );
    assert_eq!(contiguous[0]["caller_symbol"], "leaky!LeakyOpen+0x44");
    assert_eq!(json["drivers"][1]["contiguous"], json!([]));
    let unowned = json["unowned"].as_array().unwrap();
    assert_eq!(unowned.len(), 1);
    assert_eq!(unowned[0]["caller_symbol"], "other!OtherStart+0x8");
    assert_eq!(unowned[0]["attributed_by"], Value::Null);
    assert_eq!(json["pool_info"]["blocks_counted"], 4);
    assert_eq!(json["pool_info"]["empty_because"], Value::Null);
}

#[test]
fn one_driver() {
    let files = files();
    let json = files.json(&["pool"], &["--driver", "leaky"]);
    assert_eq!(json["drivers"].as_array().unwrap().len(), 1);
    assert_eq!(json["unowned"], json!([]));
    let text = files.clean(&["pool"], &["--driver", "leaky.sys"]);
    assert!(!text.contains("other"), "{text}");
    let leaks = files.json(&["leaks"], &["--driver", "leaky"]);
    assert_eq!(leaks["coverage"]["allocations"], 4, "contiguous memory is one of them");
    assert_eq!(leaks["contiguous"][0]["source"], "contiguous");
    let stacks = files.json(&["pool"], &["--driver", "leaky", "--by-stack"]);
    assert_eq!(stacks["stacks"].as_array().unwrap().len(), 2);
    for options in [&["--driver", "other"][..], &["--driver", "other", "--by-stack"]] {
        let output = files.output(&["pool"], options);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("no driver other is configured"));
    }
}

#[test]
fn by_stack() {
    let files = files();
    assert_eq!(files.clean(&["pool"], &["--by-stack"]), golden("pool-info-stacks.txt"));
    let csv = files.clean(&["pool"], &["--by-stack", "--format", "csv"]);
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows.len(), 5);
    assert!(rows[1].starts_with("2,1024,Leak,nonpaged,leaky.sys,7,5,3584,2560,2,1024,0x"), "{csv}");
    assert!(rows[3].starts_with("1,48,Open,paged,leaky.sys,"), "{csv}");
    assert!(rows[4].starts_with("0,0,Done,nonpaged,,1,1,16,16,0,0,"), "{csv}");
    let json = files.json(&["pool"], &["--by-stack"]);
    assert_eq!(json["source"], "pool info tree");
    let first = &json["stacks"][0];
    assert_eq!((&first["live_count"], &first["live_bytes"]), (&json!(2), &json!(1024)));
    assert_eq!(
        (&first["hash"], &first["flags"], &first["in_tree"]),
        (&json!(9), &json!(0x11), &json!(true))
    );
    assert_eq!(first["stack"][1]["symbol"], "leaky!LeakyRead+0x34");
    assert_eq!(json["stacks"][1]["driver"], Value::Null);
    assert_eq!(json["pool_info"]["stacks"], 0, "they are in `stacks`");

    let mut only = machine();
    only.pool_info().tags = vec![*b"Leak"];
    let output =
        Files::write(&only.build(DumpKind::BitmapKernel)).output(&["pool"], &["--by-stack"]);
    let (text, error) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (text, error) = (text.unwrap(), error.unwrap());
    assert!(
        text.contains("\nOnly blocks with these tags are kept (DifpPoolTags): 'Leak'.\n"),
        "{text}"
    );
    assert!(error.contains("blocks of other tags than Leak are not kept"), "{error}");

    // For kernels without trees, the output says so.
    let files = Files::write(&verifier_synth::walkthrough());
    let text = files.clean(&["pool"], &["--by-stack"]);
    assert!(text.starts_with("No stacks: this kernel has no pool info tree"), "{text}");
    assert_eq!(files.json(&["pool"], &["--by-stack"])["stacks"], json!([]));
}

#[test]
fn leaks_take_the_trees_stack() {
    let files = files();
    assert_eq!(files.clean(&["leaks"], &[]), golden("pool-info-leaks.txt"));
    let json = files.json(&["leaks"], &[]);
    assert_eq!(json["coverage"]["with_stack"], 4);
    assert_eq!(json["coverage"]["with_stack_of"], json!({"pool_log": 0, "pool_info_tree": 4}));
    let block = &json["groups"][0]["allocations"][0];
    assert_eq!((&block["slot"], &block["requested"]), (&json!(1), &json!(0x200)));
    assert_eq!(json["groups"][0]["stack"][1]["symbol"], "leaky!LeakyRead+0x34");
    let paged = files.json(&["leaks"], &["--pool-type", "paged"]);
    assert_eq!(paged["coverage"]["allocations"], 1, "the stack gives the pool");

    for (limit, code) in [("5", 3), ("6", 0)] {
        assert_eq!(files.output(&["leaks"], &["--fail-on", limit]).status.code(), Some(code));
    }
}

#[test]
fn blocks_that_cannot_be_reached_count_for_fail_on() {
    let mut m = machine().assemble();
    let root = m.address("pool block:2");
    m.patch_field(root, "_RTL_BALANCED_LINKS", "LeftChild", 0);
    let files = Files::write(&m.sample(DumpKind::BitmapKernel));
    let output = files.output(&["leaks"], &["--fail-on", "4"]);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{complaint}");
    assert!(complaint.contains("the table counts 4 elements, the tree holds 2"), "{complaint}");
    assert!(
        complaint.contains("3 outstanding allocations could be read, but the counters say 5"),
        "{complaint}"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("\n  2 blocks more in the pool info tree by its own count, not read\n"),
        "{text}"
    );
    // Their driver is unknown: it may be any driver.
    assert_eq!(
        files.output(&["leaks"], &["--driver", "leaky", "--fail-on", "3"]).status.code(),
        Some(3)
    );
}

#[test]
fn history_shows_the_block_and_its_stack() {
    let files = files();
    let text = files.clean(&["history"], &["--address", "ffff9a8f`50000010"]);
    assert!(
        text.starts_with(
            "0xffff9a8f50000010 is in an outstanding allocation of leaky.sys (pool info tree): block \
             0xffff9a8f50000000, 0x200 bytes, tag Leak, allocated by leaky!LeakyRead+0x34\n"
        ),
        "{text}"
    );
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].ends_with(" nt!VerifierExAllocatePoolWithTag+0x1d"), "{text}");
    assert!(lines[2].ends_with(" leaky!LeakyRead+0x34"), "{text}");
    assert!(lines[3].ends_with(" nt!IofCallDriver+0x59"), "{text}");
    let json = files.json(&["history"], &["--address", "ffff9a8f50003000"]);
    let held = &json["outstanding"][0];
    assert_eq!(
        (&held["driver"], &held["source"]),
        (&json!("(no known driver)"), &json!("pool info tree"))
    );
    assert_eq!(held["stack"][1]["symbol"], "other!OtherStart+0x8");
    // A tracking entry does not have a stack.
    let files = Files::write(&verifier_synth::walkthrough());
    let json = files.json(&["history"], &["--address", "fffffa8005400000"]);
    assert_eq!(
        (&json["outstanding"][0]["source"], &json["outstanding"][0]["stack"]),
        (&json!("tracker"), &Value::Null)
    );
}

#[test]
fn kd_prints_the_blocks_in_the_debuggers_columns() {
    let files = files();
    let target =
        files.json(&["drivers"], &[])["drivers"][0]["target_driver"].as_str().unwrap().to_owned();
    let told = files.clean(&["kd"], &["-c", "!verifier 3 leaky.sys"]);
    assert_eq!(told, golden("pool-info-kd.txt").replace("{TARGET}", &target));
    let all = files.clean(&["kd"], &["-c", "!verifier 3"]);
    assert!(
        all.ends_with("0x1 more allocations are of no known driver (verifier pool lists them).\n"),
        "{all}"
    );
    let win7 = files.clean(&["kd"], &["-c", "!verifier 3 leaky", "--style", "win7"]);
    assert!(win7.contains("ffff9a8f50002000     0x00000030     Open      "), "{win7}");
}

#[test]
fn drivers_show_memory_other_than_pool() {
    let files = files();
    let text = files.clean(&["drivers"], &[]);
    let line = "\n  pages for MDLs 8192 bytes (peak 20480), contiguous 12288 bytes (peak 12288)\n";
    assert!(text.contains(line), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
    let csv = files.clean(&["drivers"], &["--format", "csv"]);
    let (head, row) = (csv.lines().next().unwrap(), csv.lines().nth(1).unwrap());
    let value = |name: &str| {
        let at = head.split(',').position(|column| column == name).unwrap();
        row.split(',').nth(at).unwrap().to_owned()
    };
    assert_eq!(value("contiguous_memory_bytes"), "12288");
    assert_eq!(value("peak_pages_for_mdl_bytes"), "20480");
    assert_eq!(value("locked_bytes"), "0");
}
