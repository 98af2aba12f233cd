//! The language reference, generated from the tables the check itself uses.

use crate::condition::OPERATORS;
use crate::diagnostics::{ALL, ProblemInfo};
use picket_model::EventClass;
use picket_model::field::{EventAttr, FieldType, ProcessAttr, ProcessList, Subject};
use std::fmt::Write;

/// Every problem a rule file can have, by code.
pub fn problems() -> &'static [ProblemInfo] {
    ALL
}

/// Fields and operators as Markdown, for `docs/rule-language.md`.
pub fn schema_markdown() -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_classes(&mut text)
        .and_then(|()| write_processes(&mut text))
        .and_then(|()| write_event_fields(&mut text))
        .and_then(|()| write_operators(&mut text));
    text
}

/// The diagnostics as Markdown: code, level, meaning.
pub fn problems_markdown() -> String {
    let mut text = String::from("| code | level | meaning |\n|---|---|---|\n");
    for ProblemInfo { code, level, doc } in ALL {
        let _ = writeln!(text, "| {code} | {} | {} |", level.name(), cell(doc));
    }
    text
}

fn write_classes(text: &mut String) -> std::fmt::Result {
    writeln!(
        text,
        "### Event classes\n\n| class | OCSF class_uid | activity_id |\n|---|---|---|"
    )?;
    for class in EventClass::ALL {
        let (class_uid, activity_id) = class.ocsf();
        writeln!(text, "| `{class}` | {class_uid} | {activity_id} |")?;
    }
    Ok(())
}

fn write_processes(text: &mut String) -> std::fmt::Result {
    writeln!(
        text,
        "\n### Processes\n\n| prefix | events | whose |\n|---|---|---|"
    )?;
    let subjects = [
        (Subject::Process, "the new image"),
        (
            Subject::Parent,
            "the kernel's parent (ppid) of the new image",
        ),
        (
            Subject::Actor,
            "who acted; in `process.exec`, the image that called execve",
        ),
    ];
    for (subject, whose) in subjects {
        writeln!(
            text,
            "| `{}` | {} | {whose} |",
            subject.prefix(),
            classes(subject.classes())
        )?;
    }
    writeln!(
        text,
        "\nLists for `any LIST ( … )`, inside whose parentheses the fields stand without a prefix:\n"
    )?;
    writeln!(text, "| list | events | what it holds |\n|---|---|---|")?;
    for list in ProcessList::ALL {
        writeln!(text, "| `{}` | all | {} |", list.name(), cell(list.doc()))?;
    }
    writeln!(
        text,
        "\nFields of every process:\n\n| field | type | meaning |\n|---|---|---|"
    )?;
    for attr in ProcessAttr::ALL {
        writeln!(
            text,
            "| `{}` | {} | {} |",
            attr.name(),
            ty(attr.ty()),
            cell(attr.doc())
        )?;
    }
    Ok(())
}

fn write_event_fields(text: &mut String) -> std::fmt::Result {
    writeln!(
        text,
        "\n### Fields of the event\n\n| field | type | events | meaning |\n|---|---|---|---|"
    )?;
    for attr in EventAttr::ALL {
        writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            attr.name(),
            ty(attr.ty()),
            classes(attr.classes()),
            cell(attr.doc()),
        )?;
    }
    Ok(())
}

fn write_operators(text: &mut String) -> std::fmt::Result {
    writeln!(
        text,
        "\n### Operators\n\n| operator | works on | holds if the field … |\n|---|---|---|"
    )?;
    for entry in OPERATORS {
        writeln!(
            text,
            "| `{}` | {} | {} |",
            entry.name,
            entry.types,
            cell(entry.doc)
        )?;
    }
    Ok(())
}

fn classes(classes: &[EventClass]) -> String {
    if classes == EventClass::ALL {
        return "all".to_owned();
    }
    if classes == EventClass::FILE {
        return "`file.*`".to_owned();
    }
    let names: Vec<_> = classes.iter().map(|class| format!("`{class}`")).collect();
    names.join(", ")
}

fn ty(ty: FieldType) -> String {
    match ty {
        FieldType::Enum(words) if words.len() <= 4 => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(" or "),
        FieldType::Enum(_) => "record type, such as `TXT`, or `TYPE65280`".to_owned(),
        ty => ty.name().to_owned(),
    }
}

/// A bar would end a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_in_the_reference() {
        let text = schema_markdown();
        for attr in ProcessAttr::ALL {
            assert!(text.contains(&format!("| `{}` |", attr.name())));
        }
        for attr in EventAttr::ALL {
            assert!(text.contains(&format!("| `{}` |", attr.name())));
        }
        for entry in OPERATORS {
            assert!(text.contains(&format!("| `{}` |", entry.name)));
        }
        assert!(problems_markdown().contains("PK0101"));
    }
}
