//! Symbol paths with folders of every layout and, with the feature `download`, with a small HTTP server on
//! this machine.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use tempfile::TempDir;
use verifier_host::symbols::{
    Attempt, Element, FileBytes, FileKind, Found, ImageId, Located, Miss, NameFault, PathFault,
    PdbId, SymbolLimits, SymbolPath,
};
use verifier_host::{Session, SessionOptions, Silent};

/// 648B8DD0-780A-4E22-FA7F-A89B84633C23, as in a CodeView record.
const GUID: [u8; 16] = [
    0xd0, 0x8d, 0x8b, 0x64, 0x0a, 0x78, 0x22, 0x4e, 0xfa, 0x7f, 0xa8, 0x9b, 0x84, 0x63, 0x3c, 0x23,
];
const GUID_HEX: &str = "648B8DD0780A4E22FA7FA89B84633C23";
const KEY: &str = "648B8DD0780A4E22FA7FA89B84633C231";
const NAME: &str = "ntkrnlmp.pdb";

fn wanted() -> PdbId {
    PdbId { name: NAME.to_owned(), guid: GUID, age: 1 }
}

/// A substitute for a PDB: a signature, the identity, and filler.
fn pdb(guid: [u8; 16], age: u32) -> Vec<u8> {
    let mut bytes = b"PDB!".to_vec();
    bytes.extend(guid);
    bytes.extend(age.to_le_bytes());
    bytes.extend((0..100_000u32).map(|n| (n / 3) as u8));
    bytes
}

fn verify(bytes: &FileBytes) -> Option<([u8; 16], u32)> {
    let bytes = bytes.read().unwrap();
    let rest = bytes.strip_prefix(b"PDB!")?;
    let (guid, rest) = rest.split_first_chunk()?;
    Some((*guid, u32::from_le_bytes(*rest.first_chunk()?)))
}

fn cabinet(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut builder = cab::CabinetBuilder::new();
    let folder = builder.add_folder(cab::CompressionType::MsZip);
    folder.add_file(name);
    let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
    writer.next_file().unwrap().unwrap().write_all(bytes).unwrap();
    writer.finish().unwrap().into_inner()
}

fn put(root: &Path, steps: &[&str], bytes: &[u8]) {
    let file = steps.iter().fold(root.to_owned(), |path, s| path.join(s));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
}

/// A path that never uses the user's own cache.
fn path(text: &str) -> SymbolPath {
    let mut path = SymbolPath::with_default_cache(None);
    path.push(text).unwrap();
    path
}

fn plain(root: &Path) -> SymbolPath {
    let mut path = SymbolPath::with_default_cache(None);
    path.push_plain(root);
    path
}

fn locate(path: &SymbolPath) -> Located {
    path.locate_pdb(&wanted(), &verify, &Silent)
}

#[track_caller]
fn found(located: Located) -> Found {
    located.into_result().unwrap()
}

#[track_caller]
fn missing(located: Located) -> Vec<Attempt> {
    match located {
        Located::Found(found) => panic!("found {found:?}"),
        Located::NotFound(missing) => missing.attempts,
    }
}

fn ends_with(place: &Attempt, end: &[&str]) -> bool {
    Path::new(&place.at).ends_with(end.iter().collect::<std::path::PathBuf>())
}

/// A large PDB stays on disk, and is copied whole if a cache wants it; its cabinet is expanded.
#[test]
fn a_large_pdb_is_not_read_at_once() {
    let mut large = pdb(GUID, 1);
    large.resize(5 << 20, 7);
    let store = TempDir::new().unwrap();
    put(store.path(), &[NAME, KEY, NAME], &large);
    let on_disk = found(locate(&plain(store.path())));
    assert!(matches!(on_disk.bytes, FileBytes::Disk(_)), "{on_disk:?}");
    assert_eq!(*on_disk.bytes.read().unwrap(), large);
    let cache = TempDir::new().unwrap();
    let mut both = path(&format!("cache*{}", cache.path().display()));
    both.push_plain(store.path());
    found(locate(&both));
    assert_eq!(fs::read(cache.path().join(NAME).join(KEY).join(NAME)).unwrap(), large);
    let packed = TempDir::new().unwrap();
    put(packed.path(), &[NAME, KEY, "ntkrnlmp.pd_"], &cabinet(NAME, &large));
    assert_eq!(*found(locate(&plain(packed.path()))).bytes.read().unwrap(), large);
}

/// A file, a cabinet and a table that are larger than the caller's limit are reported as too large.
#[test]
fn the_caller_limits_sizes() {
    let folder = TempDir::new().unwrap();
    let mut path = plain(folder.path());
    let mut limits = SymbolLimits::default();
    (limits.file_bytes, limits.isf_bytes) = (1000, 10);
    path.set_limits(limits);
    put(folder.path(), &[NAME, KEY, NAME], &pdb(GUID, 1));
    put(folder.path(), &[NAME, KEY, "ntkrnlmp.pd_"], &cabinet(NAME, &pdb(GUID, 1)));
    let told = missing(locate(&path));
    let too_large = |limit| told.iter().filter(|p| p.why == Miss::TooLarge { limit }).count();
    assert_eq!(too_large(1000), 2, "{told:?}");
    put(folder.path(), &[&format!("{GUID_HEX}-1.json")], b"{\"base_types\": {}}");
    let told = missing(path.locate_isf(&wanted()));
    assert!(told.iter().any(|p| p.why == Miss::TooLarge { limit: 10 }), "{told:?}");
    assert!(told.iter().any(|p| p.to_string().contains("SymbolLimits")), "{told:?}");
    path.set_limits(SymbolLimits::default());
    assert!(matches!(locate(&path), Located::Found(_)));
}

/// The debug output of a session does not contain a password.
#[test]
fn a_session_shows_no_password() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("memory.raw");
    fs::write(&file, [0; 0x1000]).unwrap();
    let mut options = SessionOptions::default();
    options.raw = true;
    assert!(format!("{options:?}").contains("raw: true"));
    let session =
        Session::open_with(&file, path("srv*http://me:secret@127.0.0.1:1"), options).unwrap();
    let shown = format!("{session:?}");
    assert!(shown.contains("memory.raw") && !shown.contains("secret"), "{shown}");
}

mod identity {
    use super::*;

    #[test]
    fn keys_are_those_of_stores() {
        assert_eq!(wanted().guid_hex(), GUID_HEX);
        assert_eq!(wanted().store_key(), KEY);
        let id = PdbId { age: 0x1a, ..wanted() };
        assert_eq!(id.store_key(), format!("{GUID_HEX}1A"));
        assert_eq!(id.isf_stem(), format!("{GUID_HEX}-26"));
        let id = ImageId {
            name: "ntoskrnl.exe".to_owned(),
            time_date_stamp: 0x0a7f_1a42,
            size_of_image: 0x104_6000,
        };
        assert_eq!(id.store_key(), "0A7F1A421046000");
    }

    #[test]
    fn hostile_names_are_refused() {
        let root = TempDir::new().unwrap();
        put(root.path(), &["secret"], &pdb(GUID, 1));
        let inner = root.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let refused = [
            ("", NameFault::Empty),
            ("folder/", NameFault::Empty),
            ("..", NameFault::Folder("..".to_owned())),
            ("a\\..", NameFault::Folder("..".to_owned())),
            ("..a.pdb", NameFault::Folder("..a.pdb".to_owned())),
            ("c:secret", NameFault::Character(':')),
            ("secret\0.pdb", NameFault::Character('\0')),
            ("sec*", NameFault::Character('*')),
            ("secret.", NameFault::Ending('.')),
            ("nul.pdb", NameFault::Device("nul.pdb".to_owned())),
            (&"x".repeat(256), NameFault::Long(256)),
        ];
        for (name, fault) in refused {
            let name = name.to_owned();
            let id = PdbId { name, ..wanted() };
            let path = plain(&inner);
            let attempts = missing(path.locate_pdb(&id, &verify, &Silent));
            assert_eq!(attempts.len(), 1, "{attempts:?}");
            assert_eq!(attempts[0].why, Miss::Name(fault.clone()));
            assert_eq!(missing(path.locate_isf(&id))[0].why, Miss::Name(fault));
        }
    }

    #[test]
    fn only_the_last_component_is_used_and_shown() {
        let root = TempDir::new().unwrap();
        put(root.path(), &[NAME], &pdb(GUID, 1));
        put(root.path(), &["secret", NAME], b"not to be read");
        for name in ["d:\\build\\ntkrnlmp.pdb", "../secret/ntkrnlmp.pdb", "/secret/ntkrnlmp.pdb"] {
            let name = name.to_owned();
            let id = PdbId { name: name.clone(), ..wanted() };
            let found = found(plain(root.path()).locate_pdb(&id, &verify, &Silent));
            assert_eq!(found.path.unwrap(), root.path().join(NAME));
            let why = Miss::LastComponent(NAME.to_owned());
            assert_eq!(found.attempts[0].why, why);
            assert_eq!(found.attempts[0].at, name.escape_debug().to_string());
        }
    }
}

mod syntax {
    use super::*;

    #[test]
    fn every_kind_of_element() {
        let mut path = SymbolPath::with_default_cache(Some("/default".into()));
        path.push(
            r" c:\symbols ;; cache*/near;SRV*https://one.example/sym/;srv*/a*/b*http://two.example;
             SymSrv*SymSrv.DLL*/c*https://three.example;srv*/store;srv**https://four.example;
             HTTPS://five.example;srv*/a*https://six.example*https://seven.example;cache*",
        )
        .unwrap();
        let chain = |stores: &[&str], servers: &[&str]| Element::Chain {
            stores: stores.iter().map(Into::into).collect(),
            servers: servers.iter().map(|s| s.to_string()).collect(),
        };
        let elements = [
            Element::Plain(r"c:\symbols".into()),
            Element::Cache("/near".into()),
            chain(&[], &["https://one.example/sym"]),
            chain(&["/a", "/b"], &["http://two.example"]),
            chain(&["/c"], &["https://three.example"]),
            chain(&["/store"], &[]),
            chain(&["/default"], &["https://four.example"]),
            chain(&[], &["https://five.example"]),
            chain(&["/a"], &["https://six.example", "https://seven.example"]),
            Element::Cache("/default".into()),
        ];
        assert_eq!(path.elements(), elements);
        let text = path.to_string();
        assert!(
            text.starts_with(r"c:\symbols;cache*/near;srv*https://one.example/sym;srv*/a*/b*"),
            "{text}"
        );
        assert!(path.push("  ; ;").is_ok());
        assert_eq!(path.elements().len(), elements.len());
    }

    #[test]
    fn an_invalid_path_is_refused_as_a_whole() {
        let mut path = SymbolPath::with_default_cache(None);
        for (text, fault) in [
            ("srv*", PathFault::Nothing),
            ("srv**", PathFault::Nothing),
            ("symsrv*", PathFault::Nothing),
            ("symsrv*my.dll*/a*http://b", PathFault::Dll("my.dll".to_owned())),
            ("serv*http://b", PathFault::Keyword("serv".to_owned())),
            ("ftp://b", PathFault::Scheme),
            ("srv*/a*ftp://b", PathFault::Scheme),
            ("https://", PathFault::Scheme),
            ("srv*http://b*/a", PathFault::FolderAfterServer),
            ("cache*/a*/b", PathFault::Caches),
            ("cache*", PathFault::NoDefaultCache),
        ] {
            let error = path.push(&format!("/good;{text}")).unwrap_err();
            assert_eq!((error.element.as_str(), &error.why), (text, &fault));
            assert!(path.is_empty());
        }
        let error = path.push("serv*http://b").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"symbol path element "serv*http://b": "serv" is not srv, symsrv or cache"#
        );
    }
}

mod folders {
    use super::*;

    #[test]
    fn a_store() {
        let root = TempDir::new().unwrap();
        put(root.path(), &[NAME, KEY, NAME], &pdb(GUID, 1));
        for path in [
            plain(root.path()),
            path(&format!("srv*{}", root.path().display())),
            path(&format!("cache*{}", root.path().display())),
        ] {
            let found = found(locate(&path));
            assert_eq!(found.kind, FileKind::Pdb);
            assert_eq!(*found.bytes.read().unwrap(), pdb(GUID, 1));
            assert_eq!(found.other_age, None);
            let file = root.path().join(NAME).join(KEY).join(NAME);
            assert_eq!(found.origin, file.display().to_string());
            assert_eq!(found.path, Some(file));
            assert_eq!(found.attempts, []);
        }
    }

    #[test]
    fn names_in_another_case() {
        let root = TempDir::new().unwrap();
        let key = KEY.to_lowercase();
        put(root.path(), &["NTKRNLMP.PDB", &key, "NtKrnlMp.pdb"], &pdb(GUID, 1));
        assert_eq!(*found(locate(&plain(root.path()))).bytes.read().unwrap(), pdb(GUID, 1));
    }

    #[test]
    fn a_cabinet_in_a_store_and_flat() {
        let packed = cabinet(NAME, &pdb(GUID, 1));
        assert!(packed.len() < pdb(GUID, 1).len() / 2);
        for steps in [&[NAME, KEY, "ntkrnlmp.pd_"][..], &["ntkrnlmp.pd_"]] {
            let root = TempDir::new().unwrap();
            put(root.path(), steps, &packed);
            let found = found(locate(&plain(root.path())));
            assert_eq!(*found.bytes.read().unwrap(), pdb(GUID, 1));
            assert!(found.path.unwrap().ends_with("ntkrnlmp.pd_"));
        }
    }

    #[test]
    fn a_broken_cabinet_is_reported() {
        let root = TempDir::new().unwrap();
        let packed = cabinet(NAME, &pdb(GUID, 1));
        let half = &packed[..packed.len() / 2];
        put(root.path(), &[NAME, KEY, "ntkrnlmp.pd_"], half);
        let attempts = missing(locate(&plain(root.path())));
        assert!(matches!(attempts[0].why, Miss::Damaged(_)), "{attempts:?}");
        assert!(ends_with(&attempts[0], &[NAME, KEY, "ntkrnlmp.pd_"]));
    }

    #[test]
    fn a_two_tier_store() {
        let root = TempDir::new().unwrap();
        put(root.path(), &["nt", NAME, KEY, NAME], &pdb(GUID, 1));
        let path = path(&format!("srv*{}", root.path().display()));
        // Without its marker file it is not a two-tier store.
        assert_eq!(missing(locate(&path))[0].why, Miss::Absent);
        put(root.path(), &["index2.txt"], b"");
        assert_eq!(*found(locate(&path)).bytes.read().unwrap(), pdb(GUID, 1));
        // Earlier files stay at their places.
        fs::remove_dir_all(root.path().join("nt")).unwrap();
        put(root.path(), &[NAME, KEY, NAME], &pdb(GUID, 1));
        assert_eq!(*found(locate(&path)).bytes.read().unwrap(), pdb(GUID, 1));
    }

    #[test]
    fn a_pointer() {
        let root = TempDir::new().unwrap();
        let elsewhere = TempDir::new().unwrap();
        put(elsewhere.path(), &["other-name.pdb"], &pdb(GUID, 1));
        let target = elsewhere.path().join("other-name.pdb");
        let pointer = [NAME, KEY, "file.ptr"];
        let text = format!("PATH:{}\r\n", target.display());
        put(root.path(), &pointer, text.as_bytes());
        let there = found(locate(&plain(root.path())));
        assert_eq!(there.path, Some(target));

        put(root.path(), &pointer, b"PATH:../../local.pdb");
        put(root.path(), &["local.pdb"], &pdb(GUID, 1));
        assert_eq!(*found(locate(&plain(root.path()))).bytes.read().unwrap(), pdb(GUID, 1));

        for (text, why) in [
            ("MSG: private build", "the store says: private build"),
            ("c", "begins with neither PATH: nor MSG:"),
        ] {
            put(root.path(), &pointer, text.as_bytes());
            let attempts = missing(locate(&plain(root.path())));
            assert_eq!(attempts[0].why.to_string(), why);
            assert!(ends_with(&attempts[0], &pointer));
        }
        // A path of another system, which does not exist on this one.
        put(root.path(), &pointer, br"PATH:q:\no\such\ntkrnlmp.pdb");
        let attempts = missing(locate(&plain(root.path())));
        assert_eq!(attempts[0].why, Miss::Absent);
        assert!(attempts[0].at.ends_with(r"q:\no\such\ntkrnlmp.pdb"));
    }

    #[test]
    fn a_flat_file_must_be_the_right_build() {
        let root = TempDir::new().unwrap();
        let guid = [0x11; 16];
        put(root.path(), &[NAME], &pdb(guid, 3));
        let path = plain(root.path());
        let located = locate(&path);
        let message = located.into_result().unwrap_err().to_string();
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(
            lines[0],
            format!("ntkrnlmp.pdb with GUID {GUID_HEX} age 1 was not found; looked at:")
        );
        assert!(
            lines[2].ends_with("ntkrnlmp.pdb: GUID 11111111111111111111111111111111 age 3 instead"),
            "{message}"
        );
        let attempts = missing(locate(&path));
        assert_eq!(attempts[1].why, Miss::OtherPdb { guid, age: 3 });

        put(root.path(), &[NAME], b"<html>sign in</html>");
        let attempts = missing(locate(&path));
        assert_eq!(attempts[1].why, Miss::NotThat("a PDB"));

        put(root.path(), &[NAME], &pdb(GUID, 1));
        assert_eq!(found(locate(&path)).other_age, None);
        // A store is not searched as a flat folder.
        let store = format!("srv*{}", root.path().display());
        let attempts = missing(locate(&super::path(&store)));
        let at = root.path().join(NAME).join(KEY).join(NAME).display().to_string();
        assert_eq!(attempts.len(), 1);
        assert_eq!((&attempts[0].at, &attempts[0].why), (&at, &Miss::Absent));
    }

    #[test]
    fn a_wrong_file_in_a_store_is_not_believed() {
        let root = TempDir::new().unwrap();
        put(root.path(), &[NAME, KEY, NAME], &pdb([7; 16], 1));
        let attempts = missing(locate(&plain(root.path())));
        let why = Miss::OtherPdb { guid: [7; 16], age: 1 };
        assert_eq!(attempts[0].why, why);
    }

    #[test]
    fn another_age_of_the_same_guid_is_used_and_reported() {
        let root = TempDir::new().unwrap();
        put(root.path(), &[NAME], &pdb(GUID, 4));
        assert_eq!(found(locate(&plain(root.path()))).other_age, Some(4));

        let root = TempDir::new().unwrap();
        let other = format!("{GUID_HEX}a");
        put(root.path(), &[NAME, &other, NAME], &pdb(GUID, 10));
        let not_a_key = format!("{GUID_HEX}-x");
        put(root.path(), &[NAME, &not_a_key, NAME], b"");
        let there = found(locate(&plain(root.path())));
        assert_eq!((there.other_age, there.attempts), (Some(10), vec![]));
        // The right age comes first.
        put(root.path(), &[NAME, KEY, NAME], &pdb(GUID, 1));
        assert_eq!(found(locate(&plain(root.path()))).other_age, None);
    }

    #[test]
    fn a_file_named_by_the_user() {
        let root = TempDir::new().unwrap();
        put(root.path(), &["renamed"], &pdb(GUID, 1));
        let file = root.path().join("renamed");
        assert_eq!(found(locate(&plain(&file))).path, Some(file.clone()));
        put(root.path(), &["renamed"], &pdb([1; 16], 1));
        assert_eq!(missing(locate(&plain(&file))).len(), 1);
    }

    #[test]
    fn folders_that_do_not_exist() {
        let path = path(r"c:\no\such\symbols;srv*/no/such/store");
        let attempts = missing(locate(&path));
        assert_eq!(
            attempts.iter().map(|p| p.at.as_str()).collect::<Vec<_>>(),
            [r"c:\no\such\symbols", "/no/such/store"]
        );
        assert!(attempts.iter().all(|place| place.why == Miss::NoFolder));
        let nowhere = SymbolPath::with_default_cache(None);
        let message = locate(&nowhere).into_result().unwrap_err().to_string();
        assert!(message.ends_with("not searched for, because the symbol path is empty"));
    }

    #[test]
    fn elements_are_tried_in_order_and_caches_filled() {
        let (far, middle, near) =
            (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
        put(far.path(), &[NAME, KEY, "ntkrnlmp.pd_"], &cabinet(NAME, &pdb(GUID, 1)));
        let path = path(&format!(
            "cache*{};srv*{}*{}",
            near.path().display(),
            middle.path().display(),
            far.path().display()
        ));
        let first = found(locate(&path));
        assert!(first.path.unwrap().starts_with(far.path()));
        assert_eq!(first.attempts.len(), 2);
        for cache in [&near, &middle] {
            let folder = cache.path().join(NAME).join(KEY);
            assert_eq!(fs::read(folder.join(NAME)).unwrap(), pdb(GUID, 1));
            // No half-written file is left next to it.
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        }
        let second = found(locate(&path));
        assert!(second.path.unwrap().starts_with(near.path()));
        assert_eq!(second.attempts, []);
    }

    #[test]
    fn a_bad_file_in_a_cache_is_replaced() {
        let (far, near) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        put(far.path(), &[NAME, KEY, NAME], &pdb(GUID, 1));
        put(near.path(), &[NAME, KEY, NAME], b"half a fi");
        let (n, f) = (near.path().display(), far.path().display());
        let path = path(&format!("srv*{n}*{f}"));
        let first = found(locate(&path));
        assert_eq!(first.attempts[0].why, Miss::NotThat("a PDB"));
        assert!(found(locate(&path)).path.unwrap().starts_with(near.path()));
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_a_remark() {
        let far = TempDir::new().unwrap();
        put(far.path(), &[NAME, KEY, NAME], &pdb(GUID, 1));
        // A file is at the path of the cache's folder.
        put(far.path(), &["blocked"], b"");
        let f = far.path().display();
        let found = found(locate(&path(&format!("srv*{f}/blocked/cache*{f}"))));
        assert_eq!(*found.bytes.read().unwrap(), pdb(GUID, 1));
        let last = found.attempts.last().unwrap();
        assert!(matches!(last.why, Miss::NotKept(_)), "{last}");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let root = TempDir::new().unwrap();
        let pipe = root.path().join(NAME);
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if !made.is_ok_and(|status| status.success()) {
            return;
        }
        let attempts = missing(locate(&plain(root.path())));
        let why = attempts[1].why.to_string();
        assert_eq!(why, "unreadable, it is not a plain file");
    }
}

mod images {
    use super::*;

    fn image(time_date_stamp: u32, size_of_image: u32) -> Vec<u8> {
        let mut bytes = vec![0; 0x200];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 0x80;
        bytes[0x80..0x84].copy_from_slice(b"PE\0\0");
        bytes[0x88..0x8c].copy_from_slice(&time_date_stamp.to_le_bytes());
        bytes[0xd0..0xd4].copy_from_slice(&size_of_image.to_le_bytes());
        bytes
    }

    #[test]
    fn a_driver_in_a_store_and_flat() {
        let id = ImageId {
            name: "myfault.sys".to_owned(),
            time_date_stamp: 0x5f3b_1a2c,
            size_of_image: 0xd000,
        };
        let root = TempDir::new().unwrap();
        let bytes = image(0x5f3b_1a2c, 0xd000);
        put(
            root.path(),
            &["myfault.sys", "5F3B1A2Cd000", "myfault.sy_"],
            &cabinet("myfault.sys", &bytes),
        );
        let there = found(plain(root.path()).locate_image(&id, &Silent));
        assert_eq!((there.kind, &*there.bytes.read().unwrap()), (FileKind::Image, &bytes));

        let root = TempDir::new().unwrap();
        put(root.path(), &["MyFault.sys"], &image(1, 0x2000));
        let located = plain(root.path()).locate_image(&id, &Silent);
        assert_eq!(
            located.attempts()[1].why,
            Miss::OtherImage { time_date_stamp: 1, size_of_image: 0x2000 }
        );
        let message = located.into_result().unwrap_err().to_string();
        assert!(
            message.starts_with("myfault.sys with time stamp 0x5f3b1a2c size 0xd000 was not found"),
            "{message}"
        );
        for end in [1, 0x3d, 0x83, 0xd3] {
            put(root.path(), &["MyFault.sys"], &image(1, 2)[..end]);
            let attempts = missing(plain(root.path()).locate_image(&id, &Silent));
            assert_eq!(attempts[1].why, Miss::NotThat("an image"));
        }
    }
}

mod isf {
    use super::*;

    const JSON: &[u8] = br#"{"metadata": {"windows": {"pdb": {"GUID": "648b8dd0780a4e22fa7fa89b84633c23", "age": 1}}}}
"#;

    /// The same table, compressed by `xz -9`.
    const XZ: [u8; 144] = [
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21,
        0x01, 0x1c, 0x00, 0x00, 0x00, 0x10, 0xcf, 0x58, 0xcc, 0xe0, 0x00, 0x5a, 0x00, 0x54, 0x5d,
        0x00, 0x3d, 0x88, 0x89, 0xa6, 0x94, 0x64, 0xae, 0x9e, 0xd5, 0x1a, 0x06, 0x92, 0x07, 0xf2,
        0xd0, 0x6a, 0x89, 0xfa, 0x18, 0xc9, 0x3c, 0x07, 0xb1, 0x22, 0x38, 0xa4, 0xb9, 0xa7, 0x0f,
        0x86, 0x47, 0xf6, 0x78, 0xcb, 0x38, 0xde, 0x8d, 0x06, 0x11, 0xba, 0xab, 0xf0, 0x34, 0xcf,
        0x57, 0x27, 0x8d, 0x94, 0x51, 0x63, 0xbe, 0xa8, 0x4d, 0xb0, 0xc0, 0xd6, 0xbb, 0x82, 0x54,
        0xd0, 0x4f, 0x35, 0xa8, 0xaf, 0x7a, 0x7b, 0x6a, 0xbe, 0xf4, 0x4f, 0x89, 0xee, 0xcc, 0xcf,
        0xb7, 0xab, 0x40, 0x9b, 0x1e, 0x53, 0x2f, 0xec, 0x00, 0x00, 0x00, 0xcb, 0xaf, 0x1c, 0x52,
        0x4e, 0x9c, 0xd7, 0x83, 0x00, 0x01, 0x70, 0x5b, 0xa1, 0x44, 0x00, 0xf3, 0x1f, 0xb6, 0xf3,
        0x7d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
    ];

    #[test]
    fn every_layout_plain_and_packed() {
        let stem = format!("{GUID_HEX}-1");
        let folders: [&[&str]; 4] =
            [&[], &[NAME], &["windows", NAME], &["symbols", "windows", NAME]];
        for folder in folders {
            for (extension, bytes) in [("json", JSON), ("json.xz", &XZ)] {
                let root = TempDir::new().unwrap();
                let file = format!("{stem}.{extension}");
                put(root.path(), &[folder, &[&file]].concat(), bytes);
                let found = found(plain(root.path()).locate_isf(&wanted()));
                assert_eq!((found.kind, found.other_age), (FileKind::Isf, None));
                assert_eq!(*found.bytes.read().unwrap(), JSON);
                assert!(found.path.unwrap().ends_with(&file));
            }
        }
    }

    #[test]
    fn case_and_age() {
        let root = TempDir::new().unwrap();
        let file = format!("{}-12.JSON", GUID_HEX.to_lowercase());
        put(root.path(), &["Windows", "NTKRNLMP.pdb", &file], JSON);
        let path = plain(root.path());
        assert_eq!(found(path.locate_isf(&wanted())).other_age, Some(12));
        let exact = format!("{GUID_HEX}-1.json.xz");
        put(root.path(), &["Windows", "NTKRNLMP.pdb", &exact], &XZ);
        assert_eq!(found(path.locate_isf(&wanted())).other_age, None);
    }

    #[test]
    fn what_is_not_a_table() {
        let root = TempDir::new().unwrap();
        let path = plain(root.path());
        let attempts = missing(path.locate_isf(&wanted()));
        assert_eq!(attempts[0].why, Miss::NoTable(format!("{GUID_HEX}-1")));
        let file = format!("{GUID_HEX}-1.json.xz");
        put(root.path(), &[&file], &XZ[..100]);
        let attempts = missing(path.locate_isf(&wanted()));
        assert!(matches!(attempts[0].why, Miss::Damaged(_)), "{attempts:?}");
        let file = format!("{GUID_HEX}-1.json");
        put(root.path(), &[&file], b"404: Not Found");
        let attempts = missing(path.locate_isf(&wanted()));
        assert_eq!(attempts[0].why, Miss::NotThat("an ISF table"));
    }

    #[test]
    fn a_table_named_by_the_user() {
        let root = TempDir::new().unwrap();
        put(root.path(), &["mine.json.xz"], &XZ);
        let path = plain(&root.path().join("mine.json.xz"));
        assert_eq!(*found(path.locate_isf(&wanted())).bytes.read().unwrap(), JSON);
        let other = PdbId { guid: [1; 16], ..wanted() };
        let attempts = missing(path.locate_isf(&other));
        assert_eq!(attempts[0].why, Miss::OtherTable("01".repeat(16)));
    }
}

#[cfg(not(feature = "download"))]
#[test]
fn without_the_downloader_the_answer_says_so() {
    let cache = TempDir::new().unwrap();
    let text = format!("srv*{}*http://127.0.0.1:1", cache.path().display());
    let attempts = missing(locate(&path(&text)));
    assert_eq!(attempts[1].why, Miss::NoDownloader);
    let url = format!("http://127.0.0.1:1/{NAME}/{KEY}/{NAME}");
    assert_eq!(attempts[1].at, url);
}

#[cfg(feature = "download")]
mod servers {
    use std::collections::HashMap;
    use std::io::{BufRead, BufReader};
    use std::net::{TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};
    use std::thread;

    use verifier_host::Progress;

    use super::*;

    #[derive(Clone)]
    enum Answer {
        Body(Vec<u8>),
        /// A body that is shorter than its Content-Length.
        Truncated(Vec<u8>),
        /// Like `Truncated` the first time, then like `Body`.
        TruncatedOnce(Vec<u8>),
        /// A body without its length.
        Endless(Vec<u8>),
        Status(u16),
        Redirect(String),
    }

    /// Answers by path, with 404 for other paths, and records its requests.
    struct Server {
        url: String,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Server {
        fn new(answers: &[(&str, Answer)]) -> Server {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let asked = Arc::new(Mutex::new(Vec::new()));
            let answers: HashMap<String, Answer> =
                answers.iter().map(|(path, answer)| (path.to_string(), answer.clone())).collect();
            let notes = Arc::clone(&asked);
            // The thread ends with the test's process.
            thread::spawn(move || {
                for stream in listener.incoming() {
                    // An error is ignored: the client may have closed the connection.
                    let _ = stream.and_then(|stream| answer(stream, &answers, &notes));
                }
            });
            Server { url, asked }
        }

        fn asked(&self) -> Vec<String> {
            self.asked.lock().unwrap().clone()
        }
    }

    fn answer(
        mut stream: TcpStream,
        answers: &HashMap<String, Answer>,
        notes: &Mutex<Vec<String>>,
    ) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        while line.trim_end() != "" {
            line.clear();
            reader.read_line(&mut line)?;
        }
        let before = {
            let mut notes = notes.lock().unwrap();
            notes.push(path.clone());
            notes.iter().filter(|asked| **asked == path).count() - 1
        };
        let (status, extra, body, length) = match answers.get(&path) {
            Some(Answer::Body(body)) => (200, String::new(), body.as_slice(), body.len()),
            Some(Answer::TruncatedOnce(body)) if before > 0 => {
                (200, String::new(), body.as_slice(), body.len())
            }
            Some(Answer::Truncated(body) | Answer::TruncatedOnce(body)) => {
                let half = &body[..body.len() / 2];
                (200, String::new(), half, body.len())
            }
            Some(Answer::Endless(body)) => {
                stream.write_all(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")?;
                return stream.write_all(body);
            }
            Some(Answer::Status(status)) => (*status, String::new(), &b"no"[..], 2),
            Some(Answer::Redirect(to)) => (302, format!("Location: {to}\r\n"), &b""[..], 0),
            None => (404, String::new(), &b"not here"[..], 8),
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{extra}Connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)
    }

    const PLAIN: &str = "/ntkrnlmp.pdb/648B8DD0780A4E22FA7FA89B84633C231/ntkrnlmp.pdb";
    const PACKED: &str = "/ntkrnlmp.pdb/648B8DD0780A4E22FA7FA89B84633C231/ntkrnlmp.pd_";

    fn cached(cache: &TempDir, server: &Server) -> SymbolPath {
        path(&format!("srv*{}*{}", cache.path().display(), server.url))
    }

    /// Every file below a folder.
    fn files(folder: &Path) -> Vec<std::path::PathBuf> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                files.extend(self::files(&entry));
            } else {
                files.push(entry);
            }
        }
        files
    }

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Progress for Notes {
        fn begin(&self, what: &str, total: Option<u64>) {
            self.0.lock().unwrap().push(format!("{what} {total:?}"));
        }
        fn advance(&self, done: u64) {
            let mut notes = self.0.lock().unwrap();
            notes.retain(|note| !note.starts_with("at "));
            notes.push(format!("at {done}"));
        }
        fn end(&self) {
            self.0.lock().unwrap().push("end".to_owned());
        }
    }

    #[test]
    fn a_plain_file_is_fetched_once() {
        let body = pdb(GUID, 1);
        let server = Server::new(&[(PLAIN, Answer::Body(body.clone()))]);
        let cache = TempDir::new().unwrap();
        let path = cached(&cache, &server);
        let notes = Notes::default();
        let first = found(path.locate_pdb(&wanted(), &verify, &notes));
        assert_eq!(first.origin, format!("{}{PLAIN}", server.url));
        let file = cache.path().join(NAME).join(KEY).join(NAME);
        assert_eq!(first.path, Some(file.clone()));
        assert_eq!(files(cache.path()), std::slice::from_ref(&file));
        assert_eq!(fs::read(&file).unwrap(), body);
        assert_eq!(
            *notes.0.lock().unwrap(),
            [
                format!("ntkrnlmp.pdb from {} Some(100024)", &server.url[7..]),
                "at 100024".to_owned(),
                "end".to_owned()
            ]
        );

        let second = found(locate(&path));
        assert_eq!(second.path, Some(file));
        assert_eq!(*second.bytes.read().unwrap(), body);
        assert_eq!(server.asked(), [PLAIN]);
    }

    #[test]
    fn a_cabinet_is_fetched_and_kept_expanded() {
        let packed = cabinet(NAME, &pdb(GUID, 1));
        let server = Server::new(&[(PACKED, Answer::Body(packed))]);
        let (near, far) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let (n, f) = (near.path().display(), far.path().display());
        let path = path(&format!("srv*{n}*{f}*{}", server.url));
        let first = found(locate(&path));
        assert_eq!(first.attempts.last().unwrap().why, Miss::Http(404));
        for cache in [&near, &far] {
            let file = cache.path().join(NAME).join(KEY).join(NAME);
            assert_eq!(files(cache.path()), std::slice::from_ref(&file));
            assert_eq!(fs::read(file).unwrap(), pdb(GUID, 1));
        }
        found(locate(&path));
        assert_eq!(server.asked(), [PLAIN, PACKED]);
    }

    #[test]
    fn a_missing_file_is_requested_once() {
        let server = Server::new(&[]);
        let cache = TempDir::new().unwrap();
        let attempts = missing(locate(&cached(&cache, &server)));
        let urls = [PLAIN, PACKED].map(|path| format!("{}{path}", server.url));
        assert_eq!(attempts.len(), 3);
        for (place, url) in attempts[1..].iter().zip(&urls) {
            assert_eq!((&place.at, &place.why), (url, &Miss::Http(404)));
        }
        // Another symbol path in the same process does not request it either.
        let attempts = missing(locate(&cached(&cache, &server)));
        assert!(attempts[1..].iter().all(|p| p.why == Miss::HttpBefore(404)));
        assert_eq!(server.asked(), [PLAIN, PACKED]);
        assert!(files(cache.path()).is_empty());
    }

    #[test]
    fn a_truncated_body_is_tried_again_and_never_kept() {
        let packed = cabinet(NAME, &pdb(GUID, 1));
        let server = Server::new(&[
            (PLAIN, Answer::Truncated(pdb(GUID, 1))),
            (PACKED, Answer::Truncated(packed)),
        ]);
        let cache = TempDir::new().unwrap();
        let attempts = missing(locate(&cached(&cache, &server)));
        for place in &attempts[1..] {
            assert!(matches!(place.why, Miss::Network { tries: 3, .. }), "{place}");
        }
        assert_eq!(server.asked(), [PLAIN, PLAIN, PLAIN, PACKED, PACKED, PACKED]);
        assert!(files(cache.path()).is_empty());

        let server = Server::new(&[(PLAIN, Answer::TruncatedOnce(pdb(GUID, 1)))]);
        let found = found(locate(&cached(&cache, &server)));
        assert_eq!(*found.bytes.read().unwrap(), pdb(GUID, 1));
        assert_eq!(server.asked(), [PLAIN, PLAIN]);
    }

    #[test]
    fn a_wrong_or_foreign_file_is_not_kept() {
        let server = Server::new(&[
            (PLAIN, Answer::Body(b"<html>sign in</html>".to_vec())),
            (PACKED, Answer::Body(cabinet(NAME, &pdb([9; 16], 1)))),
        ]);
        let cache = TempDir::new().unwrap();
        let attempts = missing(locate(&cached(&cache, &server)));
        assert_eq!(attempts[1].why, Miss::NotThat("a PDB"));
        let guid = [9; 16];
        assert_eq!(attempts[2].why, Miss::OtherPdb { guid, age: 1 });
        assert!(files(cache.path()).is_empty());
    }

    #[test]
    fn a_failing_server_is_tried_again_a_forbidding_one_is_not() {
        let server = Server::new(&[(PLAIN, Answer::Status(503)), (PACKED, Answer::Status(403))]);
        let cache = TempDir::new().unwrap();
        let attempts = missing(locate(&cached(&cache, &server)));
        assert_eq!(attempts[1].why, Miss::Http(503));
        assert_eq!(attempts[2].why, Miss::Http(403));
        assert_eq!(server.asked(), [PLAIN, PLAIN, PLAIN, PACKED]);
    }

    #[test]
    fn a_server_that_sends_without_end_is_not_used_after_its_first_try() {
        let mut body = pdb(GUID, 1);
        body.resize(1 << 20, 0);
        let server = Server::new(&[(PLAIN, Answer::Endless(body.clone()))]);
        let cache = TempDir::new().unwrap();
        let mut path = cached(&cache, &server);
        let mut limits = *path.limits();
        limits.file_bytes = 1 << 19;
        path.set_limits(limits);
        let attempts = missing(locate(&path));
        assert!(matches!(attempts[1].why, Miss::Network { tries: 1, .. }), "{}", attempts[1]);
        assert!(attempts[1].why.to_string().contains("larger than the limit"), "{}", attempts[1]);
        assert_eq!(attempts.len(), 2, "the other name is not asked for");
        let attempts = missing(locate(&path));
        assert!(matches!(attempts[1].why, Miss::Unreachable(_)), "{}", attempts[1]);
        assert_eq!(server.asked(), [PLAIN]);
        // A server that states the file's size beforehand is still used.
        let server = Server::new(&[(PLAIN, Answer::Body(body))]);
        let mut path = cached(&cache, &server);
        path.set_limits(limits);
        let attempts = missing(locate(&path));
        assert_eq!(attempts[1].why, Miss::TooLarge { limit: 1 << 19 });
        assert_eq!(server.asked(), [PLAIN, PACKED]);
    }

    /// Cancels after a number of bytes has arrived.
    struct Impatient(u64, Mutex<u64>);

    impl Progress for Impatient {
        fn begin(&self, _what: &str, _total: Option<u64>) {}
        fn advance(&self, done: u64) {
            *self.1.lock().unwrap() = done;
        }
        fn end(&self) {}
        fn is_canceled(&self) -> bool {
            *self.1.lock().unwrap() >= self.0
        }
    }

    #[test]
    fn a_canceled_download_leaves_nothing_behind() {
        let mut body = pdb(GUID, 1);
        body.resize(1 << 20, 0);
        let server = Server::new(&[(PLAIN, Answer::Body(body)), (PACKED, Answer::Status(404))]);
        let cache = TempDir::new().unwrap();
        let path = cached(&cache, &server);
        let impatient = Impatient(1, Mutex::default());
        let attempts = missing(path.locate_pdb(&wanted(), &verify, &impatient));
        assert_eq!(attempts.last().unwrap().why, Miss::Canceled);
        assert!(*impatient.1.lock().unwrap() < 1 << 20, "it ended before the file did");
        assert_eq!(server.asked(), [PLAIN], "nothing more is asked for");
        missing(path.locate_pdb(&wanted(), &verify, &impatient));
        assert_eq!(server.asked(), [PLAIN], "a search that is canceled asks nobody");
        assert!(files(cache.path()).is_empty());
        found(path.locate_pdb(&wanted(), &verify, &Silent));
    }

    #[test]
    fn a_redirection_is_followed() {
        let other = Server::new(&[("/blob", Answer::Body(pdb(GUID, 1)))]);
        let to = format!("{}/blob", other.url);
        let server = Server::new(&[(PLAIN, Answer::Redirect(to))]);
        let cache = TempDir::new().unwrap();
        let found = found(locate(&cached(&cache, &server)));
        assert_eq!(*found.bytes.read().unwrap(), pdb(GUID, 1));
        assert_eq!(other.asked(), ["/blob"]);
    }

    #[test]
    fn a_dead_server_is_not_used_again_and_the_next_one_is() {
        // A port that neither another test of this process nor a program that requests a free port gets.
        let url = "http://127.0.0.1:1";
        let server = Server::new(&[(PLAIN, Answer::Body(pdb(GUID, 1)))]);
        let cache = TempDir::new().unwrap();
        let c = cache.path().display();
        let text = format!("srv*{c}*{url}*{}", server.url);
        let there = found(locate(&path(&text)));
        let place = &there.attempts[1];
        assert!(matches!(place.why, Miss::Network { tries: 3, .. }), "{place}");
        let other = PdbId { name: "other.pdb".to_owned(), ..wanted() };
        let attempts = missing(path(&text).locate_pdb(&other, &verify, &Silent));
        assert!(matches!(attempts[1].why, Miss::Unreachable(_)), "{}", attempts[1]);
    }

    /// A user's name and password go only to the server, not into remarks, origins or reports.
    #[test]
    fn credentials_are_not_shown() {
        let server = Server::new(&[(PACKED, Answer::Body(cabinet(NAME, &pdb(GUID, 1))))]);
        let url = server.url.replace("http://", "http://me:secret@");
        let there = found(locate(&path(&url)));
        assert_eq!(there.origin, format!("{}{PACKED}", server.url));
        assert_eq!(there.attempts[0].why, Miss::NoDefaultCache);
        assert_eq!(there.attempts[1].why, Miss::Http(404));
        let dead = missing(locate(&path("http://me:secret@127.0.0.1:1")));
        assert!(matches!(dead.last().unwrap().why, Miss::Network { .. }), "{dead:?}");
        for place in there.attempts.iter().chain(&dead) {
            assert!(!place.to_string().contains("secret"), "{place}");
        }
    }

    #[test]
    fn default_cache_preceding_cache_and_none() {
        let server = Server::new(&[(PLAIN, Answer::Body(pdb(GUID, 1)))]);
        let default = TempDir::new().unwrap();
        for text in [server.url.clone(), format!("srv*{}", server.url)] {
            let mut path = SymbolPath::with_default_cache(Some(default.path().to_owned()));
            path.push(&text).unwrap();
            let found = found(locate(&path));
            assert!(found.path.unwrap().starts_with(default.path()));
        }
        assert_eq!(server.asked(), [PLAIN]);

        let before = TempDir::new().unwrap();
        let mut path = SymbolPath::with_default_cache(Some(default.path().join("unused")));
        let text = format!("cache*{};{}", before.path().display(), server.url);
        path.push(&text).unwrap();
        let there = found(locate(&path));
        assert!(there.path.unwrap().starts_with(before.path()));
        assert!(!default.path().join("unused").exists());

        let there = found(locate(&super::path(&server.url)));
        assert_eq!(there.path, None);
        assert_eq!(there.attempts[0].why, Miss::NoDefaultCache);
    }

    #[test]
    fn names_and_keys_in_urls() {
        let server = Server::new(&[]);
        let cache = TempDir::new().unwrap();
        let id = PdbId { name: "my fault#1%.pdb".to_owned(), guid: GUID, age: 0x1b };
        missing(cached(&cache, &server).locate_pdb(&id, &verify, &Silent));
        let name = "my%20fault%231%25.pd";
        let urls = ["1B", "1b"]
            .map(|age| ["b", "_"].map(|last| format!("/{name}b/{GUID_HEX}{age}/{name}{last}")));
        assert_eq!(server.asked(), urls.concat());
    }
}
