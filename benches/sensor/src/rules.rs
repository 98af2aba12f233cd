//! A hundred rules of the shapes people write, none of which matches the load.

use std::fmt::Write;

/// How many.
pub const COUNT: usize = 100;

/// The rules, as a file.
pub fn yaml(count: usize) -> String {
    let mut text = String::from(
        "lists:\n  shells: [\"sh\", \"bash\", \"dash\", \"zsh\"]\n  web: [\"nginx\", \"apache2\", \"php-fpm\"]\nrules:\n",
    );
    for number in 0..count {
        let condition = match number % 8 {
            0 => {
                format!("process.name in $shells and process.cmd_line contains \"needle-{number}\"")
            }
            1 => format!(
                "process.path startswith \"/opt/x{number}/\" and not actor.user.name == \"root\""
            ),
            2 => format!("process.cmd_line matches r\"--token[= ]x{number}[0-9a-f]{{8}}\""),
            3 => format!(
                "process.path endswith \"/tool-{number}\" or process.name == \"tool{number}\""
            ),
            4 => format!("process.cmd_line icontains allof (\"Stage{number}\", \"http\")"),
            5 => format!(
                "process.name in $shells and any process.ancestors (name in $web and path startswith \"/srv/{number}\")"
            ),
            6 => format!("process.parent_process.name == \"daemon{number}\" and process.uid == 0"),
            _ => format!("process.cmd_line glob \"*curl*x{number}*| sh\""),
        };
        let _ = writeln!(
            text,
            "  - id: bench-{number}\n    title: Bench rule {number}\n    event: process.exec\n    severity: low\n    condition: '{condition}'"
        );
    }
    text
}
