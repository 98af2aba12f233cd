//! Events in.

use super::source::{EventError, Names, Place, Source, mark};
use super::values::{address, boolean, number, shortened, text, text_ref, texts, user_id};
use super::write::SRC_HOSTNAME;
use super::{MAX_EVENT_BYTES, NS_PER_MS, read_process};
use crate::class::EventClass;
use crate::datum::Datum;
use crate::errno;
use crate::event::{
    Actor, Container, Detail, Dns, Endpoint, Event, EventUid, File, Host, Network, Status,
};
use crate::field::EventAttr as A;
use crate::record::{OpenFlags, Protocol};
use serde_json::Value;
use std::sync::Arc;

/// Reads one event. `line` names it where it has no `metadata.uid`: `line-N`.
///
/// Types are strict, keys that mean nothing here are passed over. An event
/// without `time` happened at the epoch.
pub fn event_from_json(json: &[u8], line: u64) -> Result<Event, EventError> {
    if json.len() > MAX_EVENT_BYTES {
        return Err(EventError::whole(format!(
            "longer than {MAX_EVENT_BYTES} bytes"
        )));
    }
    let value: Value = serde_json::from_slice(json).map_err(|error| {
        let column = error.column();
        let said = error.to_string();
        let reason = said.split(" at line ").next().unwrap_or(&said);
        EventError::whole(format!("not JSON: {reason} (column {column})"))
    })?;
    event(&Source::new(&value, Place::ROOT)?, line)
}

/// An event object with its lists of names.
pub(super) struct Reader<'r, 'j> {
    pub(super) source: &'r Source<'j, 'r>,
    pub(super) names: &'r Names,
}

fn event(source: &Source<'_, '_>, line: u64) -> Result<Event, EventError> {
    let names = Names::of_event(source)?;
    let reader = Reader {
        source,
        names: &names,
    };
    let class = reader.class()?;
    let processes = read_process::processes(&reader, class)?;
    let detail = match class {
        EventClass::ProcessExec => Detail::Exec(processes.exec),
        EventClass::NetworkConnect | EventClass::NetworkListen => {
            Detail::Network(reader.network()?)
        }
        EventClass::DnsQuery => Detail::Dns(reader.dns()?),
        _ => Detail::File(reader.file()?),
    };
    Ok(Event {
        uid: EventUid::Text(match source.read("metadata.uid", text)? {
            Some(uid) => uid,
            None => format!("line-{line}").into(),
        }),
        time_ns: reader.time_ns()?,
        class,
        host: Arc::new(Host {
            hostname: reader.text(A::DeviceHostname)?,
            labels: reader.datum(A::DeviceLabels, texts)?,
        }),
        actor: Actor {
            process: processes.actor,
            user_name: reader.text(A::UserName)?,
            uid: reader.datum(A::UserUid, user_id)?,
            auid: reader.datum(A::SessionAuid, number)?,
        },
        container: reader.container()?,
        detail,
    })
}

impl<'r, 'j> Reader<'r, 'j> {
    fn class(&self) -> Result<EventClass, EventError> {
        let missing = |key| EventError {
            path: key,
            reason: "missing".to_owned(),
        };
        let identity = |key: &str| -> Result<u32, EventError> {
            let read = self.source.read(key, number)?;
            read.ok_or_else(|| missing(key.to_owned()))
        };
        let (class, activity) = (identity("class_uid")?, identity("activity_id")?);
        EventClass::from_ocsf(class, activity).ok_or_else(|| {
            let reason = format!("{class} with activity_id {activity} is no event class here");
            self.source.place().child("class_uid").error(reason)
        })
    }

    /// `time` is in milliseconds; `ext.time_ns` refines it if it agrees.
    fn time_ns(&self) -> Result<i64, EventError> {
        let ms: i64 = self.source.read("time", number)?.unwrap_or(0);
        let exact: Option<i64> = self.source.read("ext.time_ns", number)?;
        match exact.filter(|exact| exact.div_euclid(NS_PER_MS) == ms) {
            Some(exact) => Ok(exact),
            None => ms.checked_mul(NS_PER_MS).ok_or_else(|| {
                let place = self.source.place().child("time");
                place.error(format!("{ms} milliseconds are out of range"))
            }),
        }
    }

    fn datum<T>(
        &self,
        attr: A,
        read: impl FnOnce(&'j Value, Place<'_>) -> Result<T, EventError>,
    ) -> Result<Datum<T>, EventError> {
        self.source
            .datum(attr.json(), self.names, "", attr.name(), read)
    }

    fn text<T: for<'t> From<&'t str>>(&self, attr: A) -> Result<Datum<T>, EventError> {
        self.datum(attr, text)
    }

    fn container(&self) -> Result<Option<Arc<Container>>, EventError> {
        let container = Container {
            uid: self.text(A::ContainerUid)?,
            image_name: self.text(A::ContainerImageName)?,
            privileged: self.datum(A::ContainerPrivileged, boolean)?,
            k8s_namespace: self.text(A::K8sNamespace)?,
            k8s_pod: self.text(A::K8sPod)?,
        };
        let named = container != Container::default() || self.source.find("container")?.is_some();
        Ok(named.then(|| Arc::new(container)))
    }

    fn network(&self) -> Result<Network, EventError> {
        let hostname = self
            .source
            .datum(SRC_HOSTNAME, self.names, "", SRC_HOSTNAME, text)?;
        Ok(Network {
            protocol: self.datum(A::Protocol, protocol)?,
            src: Endpoint {
                ip: self.datum(A::SrcIp, address)?,
                port: self.datum(A::SrcPort, number)?,
                hostname,
            },
            dst: self.destination()?,
            status: self.status()?,
        })
    }

    fn destination(&self) -> Result<Endpoint, EventError> {
        Ok(Endpoint {
            ip: self.datum(A::DstIp, address)?,
            port: self.datum(A::DstPort, number)?,
            hostname: self.text(A::DstHostname)?,
        })
    }

    fn dns(&self) -> Result<Dns, EventError> {
        let hostname = |value: &Value, place: Place<'_>| {
            let name = text_ref(value, place)?;
            Ok(name.strip_suffix('.').unwrap_or(name).into())
        };
        Ok(Dns {
            hostname: self.datum(A::QueryHostname, hostname)?,
            query_type: self.text(A::QueryType)?,
            resolver: self.destination()?,
            protocol: self.datum(A::Protocol, protocol)?,
        })
    }

    fn file(&self) -> Result<File, EventError> {
        let open = OpenFlags {
            read: self.flag(A::FileOpenRead)?,
            write: self.flag(A::FileOpenWrite)?,
            create: self.flag(A::FileOpenCreate)?,
        };
        let open = self.source.find("file.ext.open")?.map(|_| open);
        Ok(File {
            path: self.file_path()?,
            open: self.parts(
                open,
                &[A::FileOpenRead, A::FileOpenWrite, A::FileOpenCreate],
            ),
            rename_from: self.text(A::FileRenameFrom)?,
            mode: self.datum(A::FileMode, number)?,
            status: self.status()?,
        })
    }

    fn flag(&self, attr: A) -> Result<bool, EventError> {
        Ok(self.source.read(attr.json(), boolean)?.unwrap_or(false))
    }

    /// A value that several fields speak of: as little known as the least of them.
    fn parts<T: Copy>(&self, value: Option<T>, attrs: &[A]) -> Datum<T> {
        let marked = |attr: &A| mark(value, self.names, "", attr.name());
        let rank = |datum: &Datum<T>| match datum {
            Datum::Unknown => 0,
            Datum::Truncated(_) => 1,
            Datum::Absent | Datum::Known(_) => 2,
        };
        let least = attrs.iter().map(marked).min_by_key(rank);
        least.unwrap_or(Datum::Absent)
    }

    /// The path; where there is none, what name and folder make of it.
    fn file_path(&self) -> Result<Datum<Box<str>>, EventError> {
        let path = self.text(A::FilePath)?;
        if path.is_present() {
            return Ok(path);
        }
        let name: Datum<Box<str>> = self.text(A::FileName)?;
        let folder: Datum<Box<str>> = self.text(A::FileParentFolder)?;
        Ok(match (name, folder) {
            (Datum::Known(name), Datum::Absent) => Datum::Known(name),
            (Datum::Known(name), Datum::Known(folder)) => {
                let folder = folder.trim_end_matches('/');
                Datum::Known(format!("{folder}/{name}").into())
            }
            (Datum::Absent, Datum::Absent) => Datum::Absent,
            _ => Datum::Unknown,
        })
    }

    /// `Success`, `Failure` with `status_detail`, or the errno's name at once.
    fn status(&self) -> Result<Datum<Status>, EventError> {
        let said = self.source.read("status", text_ref)?;
        let id: Option<u32> = self.source.read("status_id", number)?;
        let status = match (said, id) {
            (None, None) => None,
            (Some("Success"), _) | (None, Some(1)) => Some(Status(0)),
            (Some("Failure" | "Unknown" | "Other"), _) | (None, Some(_)) => {
                let detail = self.source.read("status_detail", text_ref)?;
                match detail.and_then(status_named) {
                    Some(status) => Some(status),
                    None => return Ok(Datum::Unknown),
                }
            }
            (Some(name), _) => Some(status_named(name).ok_or_else(|| {
                let reason = format!("`{}` is no outcome", shortened(name));
                self.source.place().child("status").error(reason)
            })?),
        };
        Ok(mark(status, self.names, "", A::Status.name()))
    }
}

/// `ok`, an errno's name, or `E<number>`.
fn status_named(name: &str) -> Option<Status> {
    let numbered = || {
        name.strip_prefix('E')?
            .parse()
            .ok()
            .filter(|&n: &i32| n > 0)
    };
    errno::number(name).or_else(numbered).map(Status)
}

fn protocol(value: &Value, place: Place<'_>) -> Result<Protocol, EventError> {
    let name = text_ref(value, place)?;
    [Protocol::Tcp, Protocol::Udp]
        .into_iter()
        .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            let reason = format!("expected `tcp` or `udp`, found `{}`", shortened(name));
            place.error(reason)
        })
}
