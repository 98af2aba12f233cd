//! Times for people, in UTC.

use std::fmt;

/// Nanoseconds since the epoch, printed as `2026-11-23 20:17:39.123456 UTC`.
#[derive(Debug, Clone, Copy)]
pub struct Timestamp(pub i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(1_000_000_000);
        let micros = self.0.rem_euclid(1_000_000_000) / 1_000;
        let of_day = seconds.rem_euclid(86_400);
        let (year, month, day) = date(seconds.div_euclid(86_400));
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06} UTC"
        )
    }
}

/// The Gregorian date of a day counted from 1970-01-01. Years are taken to
/// begin in March, so that the leap day is a year's last.
fn date(days: i64) -> (i64, i64, i64) {
    const DAYS_400_YEARS: i64 = 146_097;
    // From 0000-03-01.
    let days = days + 719_468;
    let (era, of_era) = (
        days.div_euclid(DAYS_400_YEARS),
        days.rem_euclid(DAYS_400_YEARS),
    );
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (ns, text) in [
            (0, "1970-01-01 00:00:00.000000 UTC"),
            (-1, "1969-12-31 23:59:59.999999 UTC"),
            (951_782_400_000_000_000, "2000-02-29 00:00:00.000000 UTC"),
            (1_795_400_000_123_456_789, "2026-11-23 02:13:20.123456 UTC"),
            (4_107_542_399_000_000_000, "2100-02-28 23:59:59.000000 UTC"),
            (4_107_542_400_000_000_000, "2100-03-01 00:00:00.000000 UTC"),
        ] {
            assert_eq!(Timestamp(ns).to_string(), text);
        }
        // The ends of the range print something.
        assert!(!Timestamp(i64::MAX).to_string().is_empty());
        assert!(!Timestamp(i64::MIN).to_string().is_empty());
    }
}
