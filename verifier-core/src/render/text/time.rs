//! Times as people read them.

/// A `FILETIME` (units of 100 ns since 1601) as a date in UTC; `None` if it was never set.
#[must_use]
pub fn filetime_text(time: u64) -> Option<String> {
    // Days since 1601-01-01 to a civil date: eras of 400 years that start on March 1st.
    let seconds = time / 10_000_000;
    let days = i64::try_from(seconds / 86_400).ok()?;
    // 1601-01-01 is 584,694 days after 0000-03-01.
    let shifted = days + 584_694;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let clock = up_time_text(seconds % 86_400, 2);
    (time != 0).then(|| format!("{year:04}-{month:02}-{day:02} {clock} UTC"))
}

/// Seconds as hours, minutes and seconds; the hours have at least this number of digits.
#[must_use]
pub fn up_time_text(seconds: u64, hour_digits: usize) -> String {
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{h:0hour_digits$}:{m:02}:{s:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        // 1970-01-01 is 11,644,473,600 seconds after 1601-01-01.
        let unix = |seconds: u64| filetime_text((seconds + 11_644_473_600) * 10_000_000);
        assert_eq!(unix(0).as_deref(), Some("1970-01-01 00:00:00 UTC"));
        assert_eq!(unix(951_782_399).as_deref(), Some("2000-02-28 23:59:59 UTC"));
        assert_eq!(unix(951_827_696).as_deref(), Some("2000-02-29 12:34:56 UTC"));
        assert_eq!(unix(1_609_459_200).as_deref(), Some("2021-01-01 00:00:00 UTC"));
        assert_eq!(filetime_text(0), None);
        assert_eq!(up_time_text(100 * 3600 + 61, 1), "100:01:01");
        assert_eq!(up_time_text(61, 1), "0:01:01");
    }
}
