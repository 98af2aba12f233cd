//! Process objects in, and the chains they stand in.

use super::MAX_ANCESTORS;
use super::read::Reader;
use super::source::{EventError, Names, Place, Source, mark};
use super::values::{SHA256_ID, boolean, elements, number, shortened, text, text_ref, texts};
use crate::capability;
use crate::class::EventClass;
use crate::datum::Datum;
use crate::event::Exec;
use crate::field::{ProcessAttr as A, ProcessList, Subject};
use crate::process::{FileIdentity, Image, Parent, Process, ProcessKey};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The processes of an event.
pub(super) struct Processes {
    pub(super) actor: Datum<Arc<Process>>,
    /// Only meaningful for `process.exec`.
    pub(super) exec: Exec,
}

/// Reads `process`, `process.parent_process` and `actor.process`.
pub(super) fn processes(
    reader: &Reader<'_, '_>,
    class: EventClass,
) -> Result<Processes, EventError> {
    let is_exec = class == EventClass::ProcessExec;
    let root = reader.source.place();
    let none = Map::new();

    let mut exec = Exec::default();
    if is_exec {
        let place = root.child("process");
        let source = match reader.source.find("process")? {
            Some(value) => Source::new(value, place)?,
            None => Source::empty(place, &none),
        };
        let chain = chain(&source)?.unwrap_or_default();
        let chain = chain.ending(reader, ProcessList::ProcessAncestors);
        exec.process = process(&source, Subject::Process, reader.names, chain)?;
        exec.parent_process = subject(reader, Subject::Parent, |_| Ok(Parent::None))?;
    }

    let shared = exec.process.parent.clone();
    let actor = subject(reader, Subject::Actor, |source| {
        let own = chain(source)?;
        let cut = cuts(reader, ProcessList::ActorAncestors)
            || !is_exec && cuts(reader, ProcessList::ProcessAncestors);
        Ok(match own {
            None if is_exec && !cut => shared,
            own => own.unwrap_or_default().ending_in(cut),
        })
    })?;
    Ok(Processes { actor, exec })
}

/// A process that need not be there.
fn subject(
    reader: &Reader<'_, '_>,
    subject: Subject,
    parent: impl FnOnce(&Source<'_, '_>) -> Result<Parent, EventError>,
) -> Result<Datum<Arc<Process>>, EventError> {
    let path = subject.prefix().trim_end_matches('.');
    let place = reader.source.place().child(path);
    let none = Map::new();
    let source = match reader.source.find(path)? {
        Some(value) => Source::new(value, place)?,
        None if reader.names.has_under(subject.prefix()) => Source::empty(place, &none),
        None => return Ok(mark(None, reader.names, "", path)),
    };
    let parent = parent(&source)?;
    let process = process(&source, subject, reader.names, parent)?;
    Ok(mark(Some(process), reader.names, "", path))
}

/// Ancestors, nearest first, before they are linked.
#[derive(Default)]
struct Chain {
    nearest_first: Vec<(ProcessKey, Arc<Image>)>,
    cut: bool,
}

impl Chain {
    fn ending(self, reader: &Reader<'_, '_>, list: ProcessList) -> Parent {
        self.ending_in(cuts(reader, list))
    }

    fn ending_in(self, cut: bool) -> Parent {
        let end = if cut || self.cut {
            Parent::Unknown
        } else {
            Parent::None
        };
        let oldest_first = self.nearest_first.into_iter().rev();
        oldest_first.fold(end, |parent, (key, image)| {
            Parent::Known(Arc::new(Process::new(key, image, parent)))
        })
    }
}

fn cuts(reader: &Reader<'_, '_>, list: ProcessList) -> bool {
    reader.names.is_unknown("", list.name())
}

/// The chain a process object gives: its `ancestry`, or its parents.
fn chain(source: &Source<'_, '_>) -> Result<Option<Chain>, EventError> {
    if let Some(ancestry) = source.find("ancestry")? {
        let place = source.place().child("ancestry");
        let mut nearest_first = elements(ancestry, place, element)?;
        let cut = nearest_first.len() > MAX_ANCESTORS;
        nearest_first.truncate(MAX_ANCESTORS);
        return Ok(Some(Chain { nearest_first, cut }));
    }
    // serde_json's recursion limit bounds the nesting, far below MAX_ANCESTORS.
    let Some(parent) = source.find("parent_process")? else {
        return Ok(None);
    };
    let source = Source::new(parent, source.place().child("parent_process"))?;
    let mut rest = chain(&source)?.unwrap_or_default();
    let nearest = (key(&source)?, Arc::new(element_image(&source)?));
    rest.nearest_first.insert(0, nearest);
    Ok(Some(rest))
}

fn element(value: &Value, place: Place<'_>) -> Result<(ProcessKey, Arc<Image>), EventError> {
    let source = Source::new(value, place)?;
    Ok((key(&source)?, Arc::new(element_image(&source)?)))
}

fn element_image(source: &Source<'_, '_>) -> Result<Image, EventError> {
    image(source, Subject::Element, &Names::of_element(source)?)
}

fn process(
    source: &Source<'_, '_>,
    subject: Subject,
    names: &Names,
    parent: Parent,
) -> Result<Arc<Process>, EventError> {
    let image = Arc::new(image(source, subject, names)?);
    Ok(Arc::new(Process::new(key(source)?, image, parent)))
}

fn key(source: &Source<'_, '_>) -> Result<ProcessKey, EventError> {
    Ok(ProcessKey {
        pid: source.read(A::Pid.json(), number)?.unwrap_or(0),
        start_ns: source.read("ext.start_ns", number)?.unwrap_or(0),
    })
}

fn image(source: &Source<'_, '_>, subject: Subject, names: &Names) -> Result<Image, EventError> {
    let read = ImageReader {
        source,
        names,
        prefix: subject.prefix(),
    };
    Ok(Image {
        by_runtime: false,
        name: read.datum(A::Name, text)?,
        path: read.datum(A::ExePath, text)?,
        cmd_line: read.datum(A::CmdLine, text)?,
        args: read.datum(A::Args, texts)?,
        working_directory: read.datum(A::WorkingDirectory, text)?,
        tty: read.datum(A::Tty, text)?,
        interpreter: read.datum(A::Interpreter, text)?,
        script: read.datum(A::Script, text)?,
        memfd: read.datum(A::Memfd, boolean)?,
        deleted: read.datum(A::Deleted, boolean)?,
        upper_layer: read.datum(A::UpperLayer, boolean)?,
        sha256: read.sha256()?,
        file: read.file()?,
        uid: read.datum(A::Uid, number)?,
        gid: read.datum(A::Gid, number)?,
        euid: read.datum(A::Euid, number)?,
        capabilities: read.datum(A::Capabilities, capabilities)?,
        pid_namespace: read.datum(A::PidNamespace, number)?,
        mount_namespace: read.datum(A::MountNamespace, number)?,
        since_ns: source.read("ext.since_ns", number)?.unwrap_or(0),
    })
}

struct ImageReader<'r, 'j, 'p> {
    source: &'r Source<'j, 'p>,
    names: &'r Names,
    prefix: &'static str,
}

impl<'j> ImageReader<'_, 'j, '_> {
    fn datum<T>(
        &self,
        attr: A,
        read: impl FnOnce(&'j Value, Place<'_>) -> Result<T, EventError>,
    ) -> Result<Datum<T>, EventError> {
        let path = match also_at(attr) {
            Some(other) if self.source.find(attr.json())?.is_none() => other,
            _ => attr.json(),
        };
        self.source
            .datum(path, self.names, self.prefix, attr.name(), read)
    }

    /// OCSF keeps digests in a list of fingerprints; a plain one under `ext` will do.
    fn sha256(&self) -> Result<Datum<Box<str>>, EventError> {
        let fingerprint = |value, place: Place<'_>| -> Result<Option<&'j str>, EventError> {
            let hash = Source::new(value, place)?;
            let id: Option<u32> = hash.read("algorithm_id", number)?;
            let name = hash.read("algorithm", text_ref)?;
            let digest = hash.read("value", text_ref)?;
            let is_sha256 = match id {
                Some(id) => id == SHA256_ID,
                None => name.is_some_and(|name| name.eq_ignore_ascii_case("SHA-256")),
            };
            Ok(digest.filter(|_| is_sha256))
        };
        let attr = A::Sha256;
        let listed = self.source.read(attr.json(), |value, place| {
            elements(value, place, fingerprint)
        })?;
        let digest = match listed.and_then(|digests| digests.into_iter().flatten().next()) {
            Some(digest) => Some(digest),
            None => self.source.read("ext.sha256", text_ref)?,
        };
        let digest = digest.map(|digest| digest.to_ascii_lowercase().into());
        Ok(mark(digest, self.names, self.prefix, attr.name()))
    }

    fn file(&self) -> Result<Datum<FileIdentity>, EventError> {
        let rest = FileIdentity {
            inode: 0,
            device: self.source.read("ext.device", number)?.unwrap_or(0),
            mtime_ns: self.source.read("ext.mtime_ns", number)?.unwrap_or(0),
            links: self.source.read("ext.links", number)?.unwrap_or(0),
        };
        let inode = self.datum(A::Inode, number)?;
        Ok(inode.map(|inode| FileIdentity { inode, ..rest }))
    }
}

/// A second place where an attribute is looked for.
fn also_at(attr: A) -> Option<&'static str> {
    match attr {
        // Since OCSF 1.5 a process has a path of its own.
        A::ExePath => Some("path"),
        A::Tty => Some("tty"),
        _ => None,
    }
}

fn capabilities(value: &Value, place: Place<'_>) -> Result<u64, EventError> {
    let bit = |value: &Value, place: Place<'_>| {
        let name = text_ref(value, place)?;
        let bit = capability::bit(name).map(|bit| 1u64 << bit);
        bit.ok_or_else(|| place.error(format!("`{}` is no capability", shortened(name))))
    };
    let bits = elements(value, place, bit)?;
    Ok(bits.into_iter().fold(0, |all, bit| all | bit))
}
