//! Feeds as they are configured and as they lie on the disk.

#![allow(clippy::unwrap_used, missing_docs)]

use picket_intel::{Columns, Feed, Format, Limits, LoadError, load};

fn feed(text: &str) -> Feed {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_folder_is_read_in_order_and_one_lost_file_is_an_error() {
    let folder = std::env::temp_dir().join(format!("picket-intel-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("below")).unwrap();
    std::fs::write(folder.join("b.txt"), "b.example\ncom\n").unwrap();
    std::fs::write(folder.join("a.txt"), "a.example\n").unwrap();
    std::fs::write(folder.join(".hidden"), "hidden.example\n").unwrap();
    let mut one =
        feed(r#"{"name":"x","category":"botnet","confidence":80,"format":"plain","path":"/"}"#);
    one.path.clone_from(&folder);
    let mut taken = 0;
    let reports = load(&one, &Limits::default(), 0, &mut |_| taken += 1).unwrap();
    assert_eq!(taken, 2);
    let names = reports
        .iter()
        .map(|(path, report)| (path.file_name().unwrap(), report.bad));
    assert_eq!(
        names.collect::<Vec<_>>(),
        [("a.txt".as_ref(), 0), ("b.txt".as_ref(), 1)]
    );

    let few = Limits {
        files: 1,
        ..Limits::default()
    };
    assert!(matches!(
        load(&one, &few, 0, &mut |_| {}),
        Err(LoadError::Files(_, 1))
    ));
    one.path.push("none");
    assert!(matches!(
        load(&one, &few, 0, &mut |_| {}),
        Err(LoadError::Read { .. })
    ));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn columns_stand_in_the_format() {
    let one = feed(
        r#"{"name":"x","category":"c","confidence":1,"format":{"csv":{"value":"v"}},"path":"/x"}"#,
    );
    assert_eq!(
        one.format,
        Format::Csv(Columns {
            value: "v".into(),
            until: None
        })
    );
}
