//! ATT&CK tags as OCSF `attacks`.

use super::tree::Tree;

/// What one tag names.
#[derive(Debug, PartialEq)]
enum Attack {
    Tactic(&'static str, &'static str),
    Technique(String),
    SubTechnique { technique: String, uid: String },
}

/// The OCSF objects of the `attack.*` tags; tags that name neither a tactic nor
/// a technique (groups, software) give none.
pub(super) fn attacks(tags: &[String]) -> Vec<Tree<'static>> {
    let named = tags.iter().filter_map(|tag| parse(tag));
    named.map(tree).collect()
}

fn tree(attack: Attack) -> Tree<'static> {
    let mut tree = Tree::new();
    match attack {
        Attack::Tactic(uid, name) => {
            tree.push("tactic.uid", uid);
            tree.push("tactic.name", name);
        }
        Attack::Technique(uid) => tree.push("technique.uid", uid),
        Attack::SubTechnique { technique, uid } => {
            tree.push("technique.uid", technique);
            tree.push("sub_technique.uid", uid);
        }
    }
    tree
}

fn parse(tag: &str) -> Option<Attack> {
    let tag = tag.to_ascii_lowercase();
    let name = tag.strip_prefix("attack.")?;
    let spelled = name.replace(['_', '-'], " ");
    let tactic = TACTICS.iter().find(|(uid, tactic)| {
        uid.eq_ignore_ascii_case(name) || tactic.eq_ignore_ascii_case(&spelled)
    });
    if let Some(&(uid, name)) = tactic {
        return Some(Attack::Tactic(uid, name));
    }
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = name.strip_prefix('t')?;
    match number.split_once('.') {
        None if digits(number, 4) => Some(Attack::Technique(format!("T{number}"))),
        Some((technique, sub)) if digits(technique, 4) && digits(sub, 3) => {
            Some(Attack::SubTechnique {
                technique: format!("T{technique}"),
                uid: format!("T{number}"),
            })
        }
        _ => None,
    }
}

/// ATT&CK for Enterprise, in its own order.
const TACTICS: &[(&str, &str)] = &[
    ("TA0043", "Reconnaissance"),
    ("TA0042", "Resource Development"),
    ("TA0001", "Initial Access"),
    ("TA0002", "Execution"),
    ("TA0003", "Persistence"),
    ("TA0004", "Privilege Escalation"),
    ("TA0005", "Defense Evasion"),
    ("TA0006", "Credential Access"),
    ("TA0007", "Discovery"),
    ("TA0008", "Lateral Movement"),
    ("TA0009", "Collection"),
    ("TA0011", "Command and Control"),
    ("TA0010", "Exfiltration"),
    ("TA0040", "Impact"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_tactics_techniques_and_nothing_else() {
        assert_eq!(
            parse("attack.privilege_escalation"),
            Some(Attack::Tactic("TA0004", "Privilege Escalation"))
        );
        assert_eq!(parse("attack.command-and-control"), parse("attack.ta0011"));
        assert_eq!(
            parse("attack.t1505.003"),
            Some(Attack::SubTechnique {
                technique: "T1505".to_owned(),
                uid: "T1505.003".to_owned()
            })
        );
        assert_eq!(
            parse("attack.T1059"),
            Some(Attack::Technique("T1059".to_owned()))
        );
        for other in [
            "attack.g0049",
            "attack.t15",
            "attack.t1505.3",
            "cve.2021.44228",
            "attack.",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
