//! `whyd check`: one diagnosis per target, now.

use std::collections::HashMap;
use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;

use super::args::{CheckArgs, Global, OutputFormat};
use super::output::{Output, Progress, complain, say, stderr_color, stdout_style};
use super::{usage_error, wiring};
use crate::model::failure::{OperationRecord, Verdict};
use crate::report::style::Style;
use crate::report::{human, json};

pub fn run(args: &CheckArgs, global: &Global) -> ExitCode {
    let data = match args.request.data.as_deref().map(read_data).transpose() {
        Ok(data) => data,
        Err(why) => return usage_error(&why),
    };
    if let Err(why) = wiring::check_certificates(&args.connection) {
        return usage_error(&why);
    }
    let targets = match wiring::plan_for_targets(args, data, stderr_color(global.color)) {
        Ok(targets) => targets,
        Err(refused) => return usage_refused(&refused, args.output),
    };
    for note in &targets.notes {
        say(&format!("note: {note}"));
    }
    let style = stdout_style(global.color);
    let mut printer = Printer::new(&targets.order, args.output, style, Output::stdout());
    printer.draw_progress();
    let ended = wiring::run_round(targets.plan, global, |record| printer.take(record));
    printer.finish();
    if let Err(why) = ended {
        complain(&why);
    }
    printer.output.exit(exit_code(&printer.verdicts))
}

/// A target that is no URL was not asked: the mistake goes to standard error, as any other on the command line, and where
/// a program reads the output it gets the same as an object.
fn usage_refused(refused: &wiring::Refused, format: OutputFormat) -> ExitCode {
    say(&refused.text);
    let mut output = Output::stdout();
    if format == OutputFormat::Json {
        for (target, reason, fix) in &refused.targets {
            output.write(&format!("{}\n", json::url_invalid(target, reason, fix)));
        }
    }
    output.exit(super::USAGE)
}

/// The body to send: the text itself, or the content of the file (`-`: standard input) after an `@`.
fn read_data(text: &str) -> Result<String, String> {
    match text.strip_prefix('@') {
        None => Ok(text.to_owned()),
        Some("-") => {
            let mut body = String::new();
            let read = std::io::stdin().read_to_string(&mut body);
            read.map_err(|error| format!("--data: standard input cannot be read: {error}"))?;
            Ok(body)
        }
        Some(path) => {
            std::fs::read_to_string(path).map_err(|error| format!("--data: {path} cannot be read: {error}"))
        }
    }
}

/// 1 where one failed; else 3 where one is inconclusive; else 0.
fn exit_code(verdicts: &[Verdict]) -> u8 {
    if verdicts.contains(&Verdict::Failed) {
        1
    } else if verdicts.contains(&Verdict::Inconclusive) {
        3
    } else {
        0
    }
}

/// Prints records in the order of the targets, each as soon as those before it are there.
struct Printer {
    order: InOrder<Arc<OperationRecord>>,
    /// Name of the dependency to the place of its target.
    places: HashMap<Arc<str>, usize>,
    names: Vec<Arc<str>>,
    /// Which of them have concluded.
    done: Vec<bool>,
    format: OutputFormat,
    style: Style,
    output: Output,
    progress: Progress,
    verdicts: Vec<Verdict>,
}

impl Printer {
    /// A target that was given twice is asked once, and printed once.
    fn new(order: &[Arc<str>], format: OutputFormat, style: Style, output: Output) -> Self {
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut places = HashMap::new();
        for name in order {
            places.entry(name.clone()).or_insert_with(|| {
                names.push(name.clone());
                names.len() - 1
            });
        }
        Printer {
            order: InOrder::new(names.len()),
            progress: Progress::new(names.len()),
            done: vec![false; names.len()],
            places,
            names,
            format,
            style,
            output,
            verdicts: Vec::new(),
        }
    }

    fn take(&mut self, record: Arc<OperationRecord>) {
        let Some(place) = self.places.get(&record.dependency.name).copied() else {
            return;
        };
        self.progress.advance();
        self.done[place] = true;
        self.progress.erase();
        for ready in self.order.put(place, record) {
            self.print(&ready);
        }
        self.draw_progress();
    }

    fn draw_progress(&self) {
        let waiting_for = self.done.iter().position(|done| !done);
        self.progress.draw(waiting_for.map(|place| &*self.names[place]));
    }

    /// Prints what waits for a record that never came. Such a target is inconclusive: it was not asked to the end.
    fn finish(&mut self) {
        self.progress.erase();
        for (place, record) in self.order.drain() {
            match record {
                Some(record) => self.print(&record),
                None => {
                    complain(&format!("{} was not asked to the end", self.names[place]));
                    self.verdicts.push(Verdict::Inconclusive);
                }
            }
        }
        if self.format == OutputFormat::Human && self.names.len() > 1 {
            self.output
                .write(&format!("\n{}\n", human::summary(&self.verdicts)));
        }
    }

    fn print(&mut self, record: &OperationRecord) {
        let text = match self.format {
            OutputFormat::Json => format!("{}\n", json::operation(record)),
            OutputFormat::Human => {
                let gap = if self.verdicts.is_empty() { "" } else { "\n" };
                format!("{gap}{}", human::operation(record, &self.style))
            }
        };
        self.output.write(&text);
        self.verdicts.push(record.verdict);
    }
}

/// Puts things that come in any order back into theirs.
struct InOrder<T> {
    waiting: Vec<Option<T>>,
    next: usize,
}

impl<T> InOrder<T> {
    fn new(total: usize) -> Self {
        InOrder {
            waiting: (0..total).map(|_| None).collect(),
            next: 0,
        }
    }

    /// Adds one, and returns those whose turn has come.
    fn put(&mut self, place: usize, item: T) -> Vec<T> {
        if let Some(slot) = self.waiting.get_mut(place) {
            *slot = Some(item);
        }
        let mut ready = Vec::new();
        while let Some(item) = self.waiting.get_mut(self.next).and_then(Option::take) {
            ready.push(item);
            self.next += 1;
        }
        ready
    }

    /// All places whose turn has not come, with what is there.
    fn drain(&mut self) -> Vec<(usize, Option<T>)> {
        let from = self.next;
        self.next = self.waiting.len();
        self.waiting
            .iter_mut()
            .enumerate()
            .skip(from)
            .map(|(place, slot)| (place, slot.take()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dependency::Scheme;
    use crate::report::samples;
    use std::io::{self, Write};
    use std::sync::Mutex;

    /// A stream whose content can be looked at.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("nobody panicked").clone()).expect("UTF-8")
        }
    }

    fn record(host: &str) -> Arc<OperationRecord> {
        let mut record = samples::ok();
        record.dependency = samples::dependency(Scheme::Https, host, "/");
        Arc::new(record)
    }

    fn printer(hosts: &[&str], format: OutputFormat) -> (Printer, Kept) {
        let kept = Kept::default();
        let names: Vec<Arc<str>> = hosts
            .iter()
            .map(|host| record(host).dependency.name.clone())
            .collect();
        let output = Output::to(Box::new(kept.clone()));
        let mut printer = Printer::new(&names, format, Style::default(), output);
        printer.progress = Progress::hidden();
        (printer, kept)
    }

    #[test]
    fn json_is_one_object_a_line_in_the_order_of_the_targets() {
        let (mut printer, kept) = printer(&["a", "b", "a"], OutputFormat::Json);
        printer.take(record("b"));
        assert_eq!(kept.text(), "");
        printer.take(record("a"));
        printer.finish();
        let targets: Vec<String> = kept
            .text()
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["target"].to_string())
            .collect();
        assert_eq!(targets, ["\"https://a/\"", "\"https://b/\""]);
        assert_eq!(exit_code(&printer.verdicts), 0);
    }

    #[test]
    fn a_target_without_a_result_is_inconclusive_and_the_others_are_printed() {
        let (mut printer, kept) = printer(&["a", "b"], OutputFormat::Human);
        printer.take(record("b"));
        printer.finish();
        let text = kept.text();
        assert!(
            text.contains("✓ https://b/") && !text.contains("https://a/"),
            "{text}"
        );
        assert!(text.ends_with("\n2 targets: 1 ok, 1 inconclusive\n"), "{text}");
        assert_eq!(exit_code(&printer.verdicts), 3);
    }

    #[test]
    fn results_come_in_the_order_of_their_targets() {
        let mut order = InOrder::new(4);
        assert_eq!(order.put(1, "b"), Vec::<&str>::new());
        assert_eq!(order.put(0, "a"), ["a", "b"]);
        assert_eq!(order.put(3, "d"), Vec::<&str>::new());
        assert_eq!(order.drain(), [(2, None), (3, Some("d"))]);
        assert_eq!(order.drain(), []);
    }

    #[test]
    fn the_worst_verdict_is_the_exit_status() {
        use Verdict::{Failed, Inconclusive, Ok, RetriedOk};
        assert_eq!(exit_code(&[Ok, RetriedOk]), 0);
        assert_eq!(exit_code(&[Ok, Inconclusive]), 3);
        assert_eq!(exit_code(&[Inconclusive, Failed, Ok]), 1);
    }
}
