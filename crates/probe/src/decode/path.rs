//! Paths that a process gave relative to a directory.

use super::text::string;
use picket_model::Datum;

/// `given` below `directory`, without `.`, `..` and doubled slashes. Symbolic
/// links are not followed (the kernel has done its work by then), so where a
/// `..` follows one, the result is not where the kernel went.
///
/// Without a directory, `given` is what the kernel itself says and stays as it is.
pub(super) fn joined(directory: Datum<&[u8]>, given: Datum<&[u8]>) -> Datum<Box<str>> {
    match (directory, given) {
        (Datum::Absent, given) => given.map(string),
        (_, Datum::Absent) => Datum::Absent,
        (Datum::Known(directory), Datum::Known(given)) => Datum::Known(normal(directory, given)),
        (Datum::Known(directory), Datum::Truncated(given)) => {
            Datum::Truncated(normal(directory, given))
        }
        _ => Datum::Unknown,
    }
}

fn normal(directory: &[u8], given: &[u8]) -> Box<str> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in directory
        .split(|byte| *byte == b'/')
        .chain(given.split(|byte| *byte == b'/'))
    {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut path = Vec::with_capacity(directory.len() + given.len() + 2);
    for part in &parts {
        path.push(b'/');
        path.extend_from_slice(part);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    string(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(directory: &str, given: &str, expected: &str) {
        let path = joined(
            Datum::Known(directory.as_bytes()),
            Datum::Known(given.as_bytes()),
        );
        assert_eq!(path, Datum::Known(expected.into()));
    }

    #[test]
    fn a_relative_path_is_put_below_its_directory() {
        check("/srv/www", "a/b", "/srv/www/a/b");
        check("/", "a", "/a");
        check("/srv", ".", "/srv");
    }

    #[test]
    fn detours_are_taken_out() {
        check("/", "/tmp/../etc/cron.d//./job", "/etc/cron.d/job");
        check("/srv", "../../../etc/passwd", "/etc/passwd");
        check("/", "..", "/");
    }

    #[test]
    fn what_the_kernel_resolved_stays() {
        assert_eq!(
            joined(Datum::Absent, Datum::Known(b"/a/./b")),
            Datum::Known("/a/./b".into())
        );
    }

    #[test]
    fn an_unknown_directory_makes_the_path_unknown() {
        assert_eq!(joined(Datum::Unknown, Datum::Known(b"a")), Datum::Unknown);
        assert_eq!(joined(Datum::Known(b"/"), Datum::Unknown), Datum::Unknown);
        assert_eq!(joined(Datum::Known(b"/"), Datum::Absent), Datum::Absent);
    }
}
