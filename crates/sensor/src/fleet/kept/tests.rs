use super::super::identity::NewKey;
use super::*;
use picket_proto::bundle::{Bundle, RuleFile, SigningKey, sign};
use picket_proto::fleet::wire;

struct Stage {
    folder: tempfile::TempDir,
    key: SigningKey,
    identity: Identity,
}

impl Stage {
    fn new() -> Stage {
        let key = SigningKey::from_seed(&[1; 32]);
        let answer = wire::Identity {
            certificate: vec![1],
            authorities: vec![vec![2]],
            bundle_keys: vec![key.public().to_string()],
            expires_us: 300,
        };
        let identity = NewKey::make().unwrap().signed("id", answer, 0).unwrap();
        Stage {
            folder: tempfile::tempdir().unwrap(),
            key,
            identity,
        }
    }

    fn envelope(&self, scope: &str, version: u64) -> Vec<u8> {
        let bundle = Bundle {
            scope: scope.to_owned(),
            version,
            created_us: 0,
            expires_us: 1_000,
            files: vec![RuleFile {
                name: "a.yaml".to_owned(),
                text: format!("# {version}"),
            }],
        };
        sign(&bundle, &self.key).unwrap()
    }

    fn load(&self) -> Result<Kept, KeptError> {
        Kept::load(self.folder.path(), Some(&self.identity))
    }

    fn take(&self, kept: &mut Kept, envelope: &[u8]) -> Result<Admission, String> {
        let verified = self.identity.trusted().verify(envelope).unwrap();
        let admission = kept.admit(&verified, 10)?;
        if admission == Admission::Apply {
            kept.keep(verified, envelope).unwrap();
        }
        Ok(admission)
    }
}

#[test]
fn the_last_good_bundle_comes_back_after_a_restart() {
    let stage = Stage::new();
    let mut kept = stage.load().unwrap();
    assert!(kept.rules().is_none());
    assert!(stage.take(&mut kept, &stage.envelope("web", 1)).is_err());
    kept.join("web", &["web".to_owned()]).unwrap();
    for version in [1, 2] {
        let envelope = stage.envelope("web", version);
        assert_eq!(stage.take(&mut kept, &envelope), Ok(Admission::Apply));
    }
    let mut kept = stage.load().unwrap();
    let rules = kept.rules().unwrap();
    assert_eq!(rules.projects, ["web"]);
    assert_eq!(rules.sources[0].bytes, b"# 2");
    assert_eq!(kept.current().unwrap().version, 2);
    // One bundle and one list of what was applied.
    assert_eq!(std::fs::read_dir(stage.folder.path()).unwrap().count(), 2);
    assert_eq!(
        stage.take(&mut kept, &stage.envelope("web", 2)),
        Ok(Admission::InForce)
    );
    assert!(stage.take(&mut kept, &stage.envelope("web", 1)).is_err());
}

#[test]
fn a_scope_that_comes_back_does_not_bring_its_old_bundles() {
    let stage = Stage::new();
    let mut kept = stage.load().unwrap();
    kept.join("web", &[]).unwrap();
    stage.take(&mut kept, &stage.envelope("web", 5)).unwrap();
    kept.join("pay", &[]).unwrap();
    stage.take(&mut kept, &stage.envelope("pay", 1)).unwrap();
    kept.join("web", &[]).unwrap();
    assert!(stage.take(&mut kept, &stage.envelope("web", 4)).is_err());
    // The very one that was in force may come again: another is in force now.
    assert_eq!(
        stage.take(&mut kept, &stage.envelope("web", 5)),
        Ok(Admission::Apply)
    );
}

#[test]
fn a_kept_bundle_that_was_changed_is_not_believed() {
    let stage = Stage::new();
    let mut kept = stage.load().unwrap();
    kept.join("web", &[]).unwrap();
    stage.take(&mut kept, &stage.envelope("web", 1)).unwrap();
    let path = envelope_path(stage.folder.path(), kept.current().unwrap());
    // Well signed, and another.
    std::fs::write(&path, stage.envelope("web", 2)).unwrap();
    assert!(matches!(stage.load(), Err(KeptError::Content { .. })));
    std::fs::write(&path, "{}").unwrap();
    assert!(matches!(stage.load(), Err(KeptError::Content { .. })));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(stage.load(), Err(KeptError::Content { .. })));
    // What was applied is remembered all the same.
    let mut kept = Kept::remembering(stage.folder.path()).unwrap();
    assert_eq!(kept.current(), None);
    assert_eq!(
        stage.take(&mut kept, &stage.envelope("web", 1)),
        Ok(Admission::Apply)
    );
}

#[test]
fn who_joins_anew_begins_with_any_version() {
    let stage = Stage::new();
    let mut kept = stage.load().unwrap();
    kept.join("web", &[]).unwrap();
    stage.take(&mut kept, &stage.envelope("web", 5)).unwrap();
    kept.forget().unwrap();
    kept.join("web", &[]).unwrap();
    assert_eq!(
        stage.take(&mut kept, &stage.envelope("web", 1)),
        Ok(Admission::Apply)
    );
}
