//! What is typed to decide about one scan.

use std::str::FromStr;

use clap::Args;

use crate::routing::Verdict;

/// A decision about one scan.
#[derive(Debug, Args)]
pub struct Route {
    /// Job number, or a scan below an ingest root
    #[arg(value_name = "ID|FILE")]
    pub what: String,
    /// What the scan is: it is coloured so whatever is measured, or left alone; auto takes an earlier decision back
    #[arg(long = "as", value_name = "portrait|architecture|other|skip|auto")]
    pub wanted: Wanted,
    /// Who decides
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub why: String,
}

/// A decision, or that an earlier one is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted(pub Option<Verdict>);

impl FromStr for Wanted {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        if word == "auto" {
            return Ok(Self(None));
        }
        let verdict = word.parse().map_err(|_| format!("{word:?} is none of portrait, architecture, other, skip, auto"))?;
        Ok(Self(Some(verdict)))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_decision_wants_a_scan_a_word_a_name_and_a_reason() {
        let parse = |words: &[&str]| Cli::try_parse_from([&["autochrome", "route"], words].concat());
        let whole = ["7", "--as", "portrait", "--by", "A. Weber", "--why", "a face"];
        assert!(parse(&whole).is_ok());
        for left_out in [0..1, 1..3, 3..5, 5..7] {
            let rest: Vec<_> = whole.iter().enumerate().filter(|(at, _)| !left_out.contains(at)).map(|(_, word)| *word).collect();
            assert!(parse(&rest).is_err(), "{rest:?}");
        }
        assert_eq!("auto".parse(), Ok(Wanted(None)));
        assert!("document".parse::<Wanted>().unwrap_err().contains("none of portrait, architecture, other, skip, auto"));
    }
}
