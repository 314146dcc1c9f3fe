//! Number formats and providers: what is asked for, what is observed, and the words for both.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Number format of the colour network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 16 bits (IEEE 754 binary16), with islands of 32 where 16 do not suffice.
    Fp16,
    /// 32 bits (IEEE 754 binary32) throughout.
    Fp32,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp16 => "fp16",
            Self::Fp32 => "fp32",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fp16" => Ok(Self::Fp16),
            "fp32" => Ok(Self::Fp32),
            _ => Err(format!("{text:?} is no precision: fp16 or fp32")),
        }
    }
}

/// Where a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// An NVIDIA card.
    Cuda,
    /// The processor.
    Cpu,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cuda => "cuda",
            Self::Cpu => "cpu",
        })
    }
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cuda" => Ok(Self::Cuda),
            "cpu" => Ok(Self::Cpu),
            _ => Err(format!("{text:?} is no provider: cuda or cpu")),
        }
    }
}

/// Where sessions may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderChoice {
    /// CUDA or nothing.
    Cuda,
    /// The processor.
    Cpu,
    /// CUDA if it works, else the processor, and the record says why.
    Auto,
}

impl fmt::Display for ProviderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cuda => "cuda",
            Self::Cpu => "cpu",
            Self::Auto => "auto",
        })
    }
}

impl FromStr for ProviderChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cuda" => Ok(Self::Cuda),
            "cpu" => Ok(Self::Cpu),
            "auto" => Ok(Self::Auto),
            _ => Err(format!("{text:?} is no provider: cuda, cpu or auto")),
        }
    }
}

/// A picture was run again in another precision.
#[derive(Debug, Clone, PartialEq)]
pub struct Fallback {
    /// Precision whose result was refused.
    pub from: Precision,
    /// Precision of the result that was kept.
    pub to: Precision,
    /// What was wrong with the first, with numbers.
    pub reason: String,
}

/// What was asked for and what was observed: the observations are read back from the session that ran, never copied from
/// the request.
#[derive(Debug, Clone, PartialEq)]
pub struct PrecisionFacts {
    /// Precision asked for.
    pub requested: Precision,
    /// Precision in which the network's heavy operators ran.
    pub observed: Precision,
    /// Why they differ, when they do.
    pub reason: Option<String>,
    /// Blocks that compute in FP32 inside an FP16 network; empty when FP32 was observed.
    pub fp32_islands: Vec<String>,
    /// The re-run, if there was one.
    pub fallback: Option<Fallback>,
    /// Where the network ran.
    pub provider: Provider,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for precision in [Precision::Fp16, Precision::Fp32] {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        for choice in [ProviderChoice::Cuda, ProviderChoice::Cpu, ProviderChoice::Auto] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert!("FP16".parse::<Precision>().unwrap_err().contains("fp32"));
        assert!("gpu".parse::<ProviderChoice>().unwrap_err().contains("cuda"));
    }
}
