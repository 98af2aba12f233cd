//! How much a rule file may ask for. Everything that bounds time or memory on
//! input from outside stands here.

/// Bounds on rule files. What exceeds one is a diagnostic, never a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: usize,
    /// Values in one file, YAML aliases counted as often as they are used.
    pub yaml_nodes: usize,
    /// How deep YAML values may nest.
    pub yaml_depth: usize,
    /// Diagnostics reported for one file; one more then says how many were left out.
    pub diagnostics_per_file: usize,
    /// Rules over all files.
    pub rules: usize,
    /// Items of one list.
    pub list_items: usize,
    /// Bytes of one condition or macro.
    pub condition_bytes: usize,
    /// How deep `not`, parentheses, `any` and macros may nest in a condition.
    pub condition_depth: usize,
    /// Predicates of one rule after macros are expanded.
    pub condition_predicates: usize,
    /// Bytes of one regex.
    pub regex_bytes: usize,
    /// How deep groups and repetitions of a regex may nest.
    pub regex_depth: u32,
    /// The greatest number in a counted repetition such as `a{1,100}`.
    pub regex_repetition: u32,
    /// Bytes of one compiled regex.
    pub regex_program_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            file_bytes: 16 << 20,
            yaml_nodes: 2_000_000,
            yaml_depth: 64,
            diagnostics_per_file: 200,
            rules: 100_000,
            list_items: 200_000,
            condition_bytes: 64 << 10,
            condition_depth: 64,
            condition_predicates: 10_000,
            regex_bytes: 4 << 10,
            regex_depth: 48,
            regex_repetition: 1_000,
            regex_program_bytes: 1 << 20,
        }
    }
}
