//! Backup and restore, while the server runs.

use crate::lab::Lab;
use crate::world;
use picket_server::backup::{BackupError, backup, restore};
use picket_server::config::{Config, Tls};
use picket_store::{FindingFilter, Kind, Location, PageSize};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

fn config(data: &Path) -> Config {
    let mut config = Config::in_folder(data);
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.fleet.listen = config.listen;
    config.tls = Tls::Off;
    config
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_was_backed_up_is_there_again() {
    let lab = Lab::with(|_| {});
    world::project(&lab.admin, "payments", "web-*");
    world::define(&lab.admin, "lists", "shells", world::LIST);
    let rule = world::rule("web-shell", "payments", "process.name in $shells");
    world::define(&lab.admin, "rules", "web-shell", &rule);
    let sensor = world::sensor(&lab, "web-1");
    let deliver = |lab: &Lab, number: usize| {
        let uid = format!("e{number}/web-shell");
        world::store(lab, vec![world::finding(sensor, &uid, world::NOW, &[])]);
    };
    (0..20).for_each(|number| deliver(&lab, number));
    let keys = |data: &Path| {
        ["bundle.key", "authority.key", "authority.crt"]
            .map(|name| fs::read(data.join("fleet").join(name)).unwrap())
    };

    // While others write.
    let folder = picket_store::testing::scratch("picket-backup-").unwrap();
    let file = folder.path().join("picket.tar");
    let stop = AtomicBool::new(false);
    let (written, stored) = std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            let mut number = 20;
            while !stop.load(Ordering::Relaxed) {
                deliver(&lab, number);
                number += 1;
            }
            number
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let written = runtime.block_on(backup(&config(lab.data()), &file));
        stop.store(true, Ordering::Relaxed);
        (written.unwrap(), writer.join().unwrap())
    });
    assert_eq!(written.database_elsewhere, None);
    assert_eq!(mode(&file), 0o600);
    assert_eq!(written.bytes, fs::metadata(&file).unwrap().len());
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing beside it"
    );
    let again = lab.runtime.block_on(backup(&config(lab.data()), &file));
    assert!(
        matches!(again, Err(BackupError::Exists { .. })),
        "{again:?}"
    );

    // Over what is there it does not go.
    let there = lab.runtime.block_on(restore(&config(lab.data()), &file));
    assert!(
        matches!(there, Err(BackupError::Exists { .. })),
        "{there:?}"
    );

    let data = folder.path().join("new");
    let restored = lab
        .runtime
        .block_on(restore(&config(&data), &file))
        .unwrap();
    assert!(
        restored.database && restored.keys == written.keys,
        "{restored:?}"
    );
    assert_eq!(keys(&data), keys(lab.data()));
    for path in ["picket.db", "fleet/bundle.key", "fleet/authority.key"] {
        assert_eq!(mode(&data.join(path)), 0o600, "{path}");
    }
    assert!(!data.join(".restoring").exists());

    // A server starts on it, and has everything.
    let server = lab
        .runtime
        .block_on(picket_server::start(config(&data)))
        .unwrap();
    let store = server.store().clone();
    lab.runtime.block_on(async {
        let found = store
            .definition_named(Kind::Rule, "web-shell")
            .await
            .unwrap();
        assert_eq!(found.content.body, rule);
        assert!(store.user_named("admin").await.is_ok());
        let (mut count, mut before) = (0, None);
        loop {
            let size = PageSize::new(500).unwrap();
            let page = store
                .findings(&FindingFilter::default(), before, size)
                .await
                .unwrap();
            count += page.items.len();
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert!((20..=stored).contains(&count), "{count} of {stored}");
        assert!(store.verify(0, 1000).await.is_ok());
    });
    lab.runtime.block_on(server.stop());
    lab.stop();
}

#[test]
fn what_is_not_whole_is_not_restored() {
    let lab = Lab::with(|_| {});
    let folder = picket_store::testing::scratch("picket-backup-").unwrap();
    let file = folder.path().join("picket.tar");
    lab.runtime
        .block_on(backup(&config(lab.data()), &file))
        .unwrap();
    let good = fs::read(&file).unwrap();
    let at = |text: &[u8]| {
        let found = good.windows(text.len()).position(|window| window == text);
        found.expect("it is in there")
    };
    let mut changed = good.clone();
    // A letter of the certificate.
    let spot = at(b"-----BEGIN CERTIFICATE-----") + 60;
    changed[spot] ^= 1;
    let mut elsewhere = good.clone();
    let name = at(b"keys/fleet/bundle.key");
    elsewhere[name..name + 21].copy_from_slice(b"keys/../../bundle.key");
    for (what, bytes) in [
        ("cut off", good[..good.len() / 2].to_vec()),
        ("without its end", good[..at(b"manifest.json")].to_vec()),
        ("changed", changed),
        ("led elsewhere", elsewhere),
        ("empty", Vec::new()),
        ("no archive", b"hello".repeat(500)),
    ] {
        fs::write(&file, bytes).unwrap();
        let data = folder.path().join("new");
        let restored = lab.runtime.block_on(restore(&config(&data), &file));
        assert!(
            matches!(restored, Err(BackupError::Damaged { .. })),
            "{what}: {restored:?}"
        );
        let left = fs::read_dir(&data).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{what} left something");
    }

    // Keys alone, where the database is PostgreSQL's.
    let mut elsewhere = config(lab.data());
    elsewhere.store = Location::Postgres("postgres://picket:secret@db/picket".to_owned());
    let keys = folder.path().join("keys.tar");
    let written = lab.runtime.block_on(backup(&elsewhere, &keys)).unwrap();
    let place = written.database_elsewhere.unwrap();
    assert!(place.contains("db") && !place.contains("secret"), "{place}");
    let mut new = config(&folder.path().join("of-postgres"));
    let wrong = lab.runtime.block_on(restore(&new, &keys));
    assert!(
        matches!(wrong, Err(BackupError::Damaged { .. })),
        "{wrong:?}"
    );
    new.store = elsewhere.store.clone();
    let restored = lab.runtime.block_on(restore(&new, &keys)).unwrap();
    assert!(!restored.database && restored.keys == written.keys);
    lab.stop();
}
