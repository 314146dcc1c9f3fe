//! Starts logging: to standard error, as text for people or as JSON for machines.
//!
//! What is logged, and with which fields, is the business of those who log. Standard output stays free for answers.

use std::env::VarError;
use std::io::{self, IsTerminal as _};
use std::panic::PanicHookInfo;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Names a filter in the syntax of `EnvFilter`: `info`, `debug,ort=warn`, `autochrome::pipeline=trace`.
const VARIABLE: &str = "AUTOCHROME_LOG";

/// What is logged when nobody asks for anything else. ONNX Runtime warns of what only its developers need (a node of an FP16
/// file that it cannot compute in advance, on every load); what goes wrong in it comes back as an error.
const DEFAULT: &str = "info,ort=error";

/// Starts logging to standard error. Panics are logged too, on one line each; a second call changes nothing.
pub fn start(json: bool) {
    let (filter, complaint) = choose(std::env::var(VARIABLE));
    let installed = match json {
        true => tracing::subscriber::set_global_default(for_machines(filter, io::stderr)),
        false => tracing::subscriber::set_global_default(for_people(filter, io::stderr().is_terminal(), io::stderr)),
    };
    if installed.is_err() {
        return;
    }
    std::panic::set_hook(Box::new(log_panic));
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}");
    }
}

/// The filter that was asked for, or the default with words about why it is not the one asked for.
fn choose(asked: Result<String, VarError>) -> (EnvFilter, Option<String>) {
    let default = || EnvFilter::new(DEFAULT);
    match asked {
        Err(VarError::NotPresent) => (default(), None),
        Ok(text) if text.trim().is_empty() => (default(), None),
        Ok(text) => match EnvFilter::try_new(&text) {
            Ok(filter) => (filter, None),
            Err(error) => (default(), Some(format!("{VARIABLE}={text:?} is no log filter ({error}); {DEFAULT:?} is used"))),
        },
        Err(VarError::NotUnicode(text)) => {
            (default(), Some(format!("{VARIABLE}={text:?} is not UTF-8 text; {DEFAULT:?} is used")))
        }
    }
}

/// One JSON object a line, fields at its top.
fn for_machines<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_timer(Utc).with_writer(writer);
    builder.json().flatten_event(true).with_current_span(false).with_span_list(false).finish()
}

/// One line of text an event; `ansi` colours it.
fn for_people<W>(filter: EnvFilter, ansi: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_timer(Utc).with_writer(writer);
    builder.with_ansi(ansi).with_target(false).finish()
}

/// RFC 3339 in UTC with milliseconds, as in the ledger and the records.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        let now = jiff::Timestamp::now();
        write!(writer, "{now:.3}")
    }
}

/// A panic in a step is a failed attempt and is told once more where the attempt is settled; here it keeps its place in the
/// source. `RUST_BACKTRACE=1` adds the backtrace.
fn log_panic(information: &PanicHookInfo<'_>) {
    let message = information.payload_as_str().unwrap_or("no message").replace('\n', " ");
    let place = information.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
    let backtrace = std::backtrace::Backtrace::capture();
    match backtrace.status() {
        std::backtrace::BacktraceStatus::Captured => {
            tracing::error!(thread, place, %backtrace, "Thread {thread} panicked at {place}: {message}");
        }
        _ => tracing::error!(thread, place, "Thread {thread} panicked at {place}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_told_and_the_default_used() {
        let (filter, complaint) = choose(Ok("info,ort=loud".to_owned()));
        assert!(complaint.unwrap().contains("AUTOCHROME_LOG=\"info,ort=loud\""));
        assert_eq!(filter.to_string(), EnvFilter::new(DEFAULT).to_string());
        for nothing in [Err(VarError::NotPresent), Ok(String::new()), Ok(" ".to_owned())] {
            let (filter, complaint) = choose(nothing);
            assert_eq!((filter.to_string(), complaint), (EnvFilter::new(DEFAULT).to_string(), None));
        }
        let (filter, complaint) = choose(Ok("autochrome::pipeline=trace".to_owned()));
        assert_eq!((filter.to_string().as_str(), complaint), ("autochrome::pipeline=trace", None));
    }

    #[test]
    fn a_line_for_machines_is_one_object_with_its_fields_at_the_top() {
        let sink = Sink::default();
        let writer = {
            let sink = sink.clone();
            move || sink.clone()
        };
        let log = || tracing::info!(job.id = 7, "Published {:?}", "a\nb");
        tracing::subscriber::with_default(for_machines(EnvFilter::new(DEFAULT), writer), log);
        let text = sink.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["job.id"], 7);
        assert_eq!(line["level"], "INFO");
        let moment: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(moment > jiff::Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn a_name_from_outside_cannot_forge_a_line_or_colour_a_terminal() {
        let sink = Sink::default();
        let writer = {
            let sink = sink.clone();
            move || sink.clone()
        };
        let log = || tracing::info!(name = "a\n\u{1b}[31mb", "Read {}", "c");
        tracing::subscriber::with_default(for_people(EnvFilter::new(DEFAULT), false, writer), log);
        let text = sink.text();
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
