//! Host names by address, from the DNS answers this host's processes received.
//! Never from a look-up of our own: it would show an attacker that we watch,
//! and answer for another moment than the one that counts.

use hashbrown::HashMap;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// The last name each address was given for, for a bounded number of addresses.
#[derive(Debug)]
pub struct Names {
    by_address: HashMap<IpAddr, Arc<str>>,
    order: VecDeque<IpAddr>,
    capacity: usize,
}

impl Names {
    /// Keeps at most `capacity` addresses, the latest learned.
    pub fn new(capacity: usize) -> Names {
        Names {
            by_address: HashMap::new(),
            order: VecDeque::new(),
            capacity,
        }
    }

    /// Takes in one answer.
    pub fn learn(&mut self, name: &str, addresses: &[IpAddr]) {
        let name: Arc<str> = name.to_ascii_lowercase().into();
        for address in addresses {
            let address = address.to_canonical();
            if self.by_address.insert(address, name.clone()).is_some() {
                continue;
            }
            self.order.push_back(address);
            if self.order.len() > self.capacity
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_address.remove(&oldest);
            }
        }
    }

    /// The name that address was last given for.
    pub fn name(&self, address: IpAddr) -> Option<Arc<str>> {
        self.by_address.get(&address.to_canonical()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_answer_counts_and_the_oldest_address_leaves() {
        let address = |last| IpAddr::from([192, 0, 2, last]);
        let mut names = Names::new(2);
        names.learn("A.example", &[address(1)]);
        names.learn("b.example", &[address(1), address(2)]);
        assert_eq!(names.name(address(1)).as_deref(), Some("b.example"));
        names.learn("c.example", &[address(3)]);
        assert_eq!(names.name(address(1)), None);
        assert_eq!(names.name(address(3)).as_deref(), Some("c.example"));
        assert_eq!(
            names.name("::ffff:192.0.2.3".parse().unwrap()).as_deref(),
            Some("c.example")
        );
    }
}
