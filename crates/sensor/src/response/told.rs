//! Which used-up budgets were told of. The event that used one up may be lost to a
//! full ring; that it is used up must be told all the same.

use std::sync::Arc;

/// Policies that a person knows to simulate for want of a budget.
#[derive(Debug, Default)]
pub struct Told(Vec<Arc<str>>);

impl Told {
    /// They are being told of.
    pub fn add(&mut self, policies: &[Arc<str>]) {
        for policy in policies {
            if !self.0.contains(policy) {
                self.0.push(policy.clone());
            }
        }
    }

    /// Of these, which are used up now, those that nobody was told of; they count as
    /// told from now on. One that is not among them has come back.
    pub fn news(&mut self, used_up: &[Arc<str>]) -> Vec<Arc<str>> {
        self.0.retain(|policy| used_up.contains(policy));
        let news: Vec<Arc<str>> = used_up
            .iter()
            .filter(|policy| !self.0.contains(policy))
            .cloned()
            .collect();
        self.add(&news);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_told_once() {
        let [a, b]: [Arc<str>; 2] = ["a".into(), "b".into()];
        let mut told = Told::default();
        told.add(std::slice::from_ref(&a));
        let both = [a, b];
        assert_eq!(told.news(&both), both[1..]);
        assert!(told.news(&both).is_empty());
        // It came back, and was used up again.
        assert!(told.news(&both[1..]).is_empty());
        assert_eq!(told.news(&both), both[..1]);
    }
}
