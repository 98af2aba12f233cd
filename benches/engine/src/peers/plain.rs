//! One rule after the other, each by itself: substring searches and regexes, cheap
//! predicates first, nothing kept from one rule to the next. This is what rules cost
//! without an engine; the reference evaluator keeps folded texts for all rules.

use super::Peer;
use picket_engine::Verdicts;
use picket_engine::fold::Folder;
use picket_engine::naive::Evaluator;
use picket_lang::ir::Rule;
use picket_model::Event;

pub struct Plain {
    rules: Vec<Evaluator>,
    folder: Folder,
    verdicts: Verdicts,
    matched: Vec<u32>,
}

impl Plain {
    pub fn new(rules: &[Rule]) -> Plain {
        let alone = |rule: &Rule| Evaluator::new(std::slice::from_ref(rule));
        Plain {
            rules: rules.iter().map(alone).collect(),
            folder: Folder::default(),
            verdicts: Verdicts::default(),
            matched: Vec::new(),
        }
    }
}

impl Peer for Plain {
    fn name(&self) -> &'static str {
        "plain naive (each rule by itself)"
    }

    fn matches(&mut self, event: &Event) -> &[u32] {
        self.matched.clear();
        for (rule, number) in self.rules.iter().zip(0..) {
            rule.evaluate(event, &mut self.folder, &mut self.verdicts);
            if !self.verdicts.matched.is_empty() {
                self.matched.push(number);
            }
        }
        &self.matched
    }
}
