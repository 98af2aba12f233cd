//! Indicators on a host: the address a process connects to and the name it asks
//! for, against the feeds.
//!
//! A hit is a match like a rule's, under the category `malicious_ioc.ip` or
//! `malicious_ioc.domain`, so that policies, budgets and findings know no
//! difference. Hits are found here and not in the kernel: what a policy stops, it
//! stops by the sensor's own kill.

use picket_intel::{Builder, Feed, FeedId, Full, Index, Indicator, Limits, LoadError, Report};
use picket_model::datum::Datum;
use picket_model::event::{Detail, Event};
use picket_model::rule::{Origin, RuleInfo};
use picket_model::{EventClass, Policy, Severity};
use std::path::PathBuf;
use std::sync::Arc;

/// From this confidence on a hit is of severity high.
pub const HIGH_CONFIDENCE: u8 = 80;

/// From this confidence on a hit is of severity medium; below, low.
pub const MEDIUM_CONFIDENCE: u8 = 50;

/// The classes in which something can be listed.
pub const CLASSES: [EventClass; 2] = [EventClass::NetworkConnect, EventClass::DnsQuery];

/// What the feeds list, and what a hit of each is called.
#[derive(Debug)]
pub struct Indicators {
    index: Index,
    feeds: Vec<Hits>,
    hashes: u64,
}

/// What hits of one feed are called.
#[derive(Debug)]
struct Hits {
    address: Arc<RuleInfo>,
    domain: Arc<RuleInfo>,
}

/// Why feeds could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// A file cannot be read or parsed.
    #[error("feed {feed}: {error}")]
    Load {
        /// Which feed.
        feed: String,
        /// Why.
        error: LoadError,
    },
    /// More indicators than the index holds.
    #[error("feed {feed}: {error}: leave some feeds out")]
    Full {
        /// At which feed.
        feed: String,
        /// The limit.
        error: Full,
    },
    /// More feeds than can be told apart.
    #[error("more than {} feeds", u16::MAX)]
    Feeds,
}

/// What was read of one file of a feed.
#[derive(Debug)]
pub struct Loaded {
    /// The feed's name.
    pub feed: String,
    /// The file.
    pub path: PathBuf,
    /// What was taken of it and what not.
    pub report: Report,
}

impl Indicators {
    /// Reads all feeds; `origin` is the file that names them, `now` seconds since
    /// the epoch. What several feeds list counts for the first of them.
    ///
    /// # Errors
    /// The first feed that cannot be read as a whole: keep what is in force.
    pub fn load(
        feeds: &[Feed],
        origin: &str,
        now: i64,
    ) -> Result<(Indicators, Vec<Loaded>), FeedError> {
        let mut builder = Builder::default();
        let mut hits = Vec::new();
        let mut loaded = Vec::new();
        let mut hashes = 0;
        for (at, feed) in feeds.iter().enumerate() {
            let id = FeedId(u16::try_from(at).map_err(|_| FeedError::Feeds)?);
            let mut full = None;
            let mut take = |indicator: Indicator| match indicator {
                // Not matched here: they would only take memory.
                Indicator::Sha256(_) | Indicator::Sha1(_) | Indicator::Md5(_) => hashes += 1,
                listed => {
                    if let Err(error) = builder.add(id, &listed) {
                        full = Some(error);
                    }
                }
            };
            let reports = picket_intel::load(feed, &Limits::default(), now, &mut take);
            let reports = reports.map_err(|error| FeedError::Load {
                feed: feed.name.clone(),
                error,
            })?;
            if let Some(error) = full {
                let feed = feed.name.clone();
                return Err(FeedError::Full { feed, error });
            }
            loaded.extend(reports.into_iter().map(|(path, report)| Loaded {
                feed: feed.name.clone(),
                path,
                report,
            }));
            hits.push(Hits {
                address: info(feed, "ip", "Connection to an address", origin),
                domain: info(feed, "domain", "DNS question for a name", origin),
            });
        }
        let indicators = Indicators {
            index: builder.build(),
            feeds: hits,
            hashes,
        };
        Ok((indicators, loaded))
    }

    /// The hit of an event: the address it connects to, or the name it asks for.
    #[must_use]
    pub fn find(&self, event: &Event) -> Option<&Arc<RuleInfo>> {
        match &event.detail {
            Detail::Network(network) if event.class == EventClass::NetworkConnect => {
                let Datum::Known(address) = network.dst.ip else {
                    return None;
                };
                let (_, feed) = self.index.address(address)?;
                Some(&self.feeds.get(usize::from(feed.0))?.address)
            }
            Detail::Dns(query) => {
                let Datum::Known(name) = &query.hostname else {
                    return None;
                };
                let (_, feed) = self.index.domain(name)?;
                Some(&self.feeds.get(usize::from(feed.0))?.domain)
            }
            _ => None,
        }
    }

    /// Addresses, prefixes and domains that are looked for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nothing is looked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Hashes in the feeds, which are not looked for.
    #[must_use]
    pub fn hashes(&self) -> u64 {
        self.hashes
    }

    /// Whether some hit sets this policy off, and it acts.
    #[must_use]
    pub fn blocked_by(&self, policy: &Policy) -> bool {
        let mut hits = self
            .feeds
            .iter()
            .flat_map(|hits| [&hits.address, &hits.domain]);
        policy.blocks() && hits.any(|hit| policy.trigger.selects(hit))
    }
}

fn info(feed: &Feed, kind: &str, what: &str, origin: &str) -> Arc<RuleInfo> {
    let severity = match feed.confidence {
        HIGH_CONFIDENCE.. => Severity::High,
        MEDIUM_CONFIDENCE.. => Severity::Medium,
        _ => Severity::Low,
    };
    let mut info = RuleInfo::named(&format!("feed-{}-{kind}", feed.name), severity);
    info.title = format!("{what} that feed {} lists", feed.name);
    info.description = format!(
        "Listed as {} with confidence {} of 100. {}",
        feed.category, feed.confidence, feed.licence
    )
    .trim_end()
    .to_owned();
    info.category = Some(format!("malicious_ioc.{kind}"));
    info.origin = Origin {
        file: origin.to_owned(),
        line: 1,
    };
    Arc::new(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_intel::Format;
    use picket_model::ocsf;

    fn feed(folder: &std::path::Path, name: &str, confidence: u8, text: &str) -> Feed {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        Feed {
            name: name.to_owned(),
            category: "botnet".to_owned(),
            confidence,
            licence: String::new(),
            format: Format::Plain,
            path,
        }
    }

    #[test]
    fn severity_goes_by_confidence_and_hashes_are_counted_but_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let sure = feed(folder.path(), "sure", 80, "192.0.2.7\nbad line here\n");
        let hash = "a".repeat(64);
        let vague = feed(
            folder.path(),
            "vague",
            49,
            &format!("{hash}\nevil.example\n"),
        );
        let (indicators, loaded) = Indicators::load(&[sure, vague], "feeds.toml", 0).unwrap();
        assert_eq!((indicators.len(), indicators.hashes()), (2, 1));
        assert_eq!(loaded[0].report.bad, 1);
        assert_eq!(indicators.feeds[0].address.severity, Severity::High);
        assert_eq!(indicators.feeds[1].domain.severity, Severity::Low);
    }

    #[test]
    fn a_missing_file_fails_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut gone = feed(folder.path(), "gone", 1, "");
        gone.path = folder.path().join("other");
        let error = Indicators::load(&[gone], "feeds.toml", 0).unwrap_err();
        assert!(error.to_string().contains("other"), "{error}");
    }

    #[test]
    fn an_event_hits_by_its_address_or_its_name_and_by_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let list = feed(folder.path(), "list", 50, "192.0.2.0/24\nevil.example\n");
        let (indicators, _) = Indicators::load(&[list], "feeds.toml", 0).unwrap();
        let hit = |json: &str| {
            let event = ocsf::event_from_json(json.as_bytes(), 1).unwrap();
            indicators.find(&event).map(|info| info.id.clone())
        };
        let connect = |ip: &str| {
            format!(
                r#"{{"class_uid":4001,"activity_id":1,"metadata":{{"uid":"1"}},"time":1,"dst_endpoint":{{"ip":"{ip}","port":80}}}}"#
            )
        };
        let query = |name: &str| {
            format!(
                r#"{{"class_uid":4003,"activity_id":1,"metadata":{{"uid":"1"}},"time":1,"query":{{"hostname":"{name}"}}}}"#
            )
        };
        assert_eq!(hit(&connect("192.0.2.9")).as_deref(), Some("feed-list-ip"));
        assert_eq!(
            hit(&connect("::ffff:192.0.2.9")).as_deref(),
            Some("feed-list-ip")
        );
        assert_eq!(hit(&connect("192.0.3.9")), None);
        assert_eq!(
            hit(&query("a.EVIL.example")).as_deref(),
            Some("feed-list-domain")
        );
        assert_eq!(hit(&query("notevil.example")), None);
    }
}
