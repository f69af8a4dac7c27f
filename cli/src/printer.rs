//! All output of the program. Data goes to standard output, everything else to standard error. It knows whether a
//! person looks at a terminal, whether colours are wanted, and whether notes are.
//!
//! Whatever a person reads goes through [`shown`], because ids, names and messages come from elsewhere; data is escaped
//! by whoever makes it, and JSON and YAML have escapes of their own.
//!
//! A reader that closes its end (`orch graph x | head`) has read enough: that is no error, and the rest is dropped.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use orch_core::counted;
use orch_core::finding::Finding;

use crate::error::CliError;
use crate::shown;

/// Findings that are listed at most.
const LISTED: usize = 50;

/// What a piece of text means, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It went well.
    Good,
    /// It went wrong.
    Bad,
    /// Worth a look.
    Caution,
    /// A heading.
    Strong,
    /// Of less interest.
    Faint,
}

/// Paints text, or leaves it as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// No colours.
    #[cfg(test)]
    pub(crate) const OFF: Self = Self { on: false };

    /// The text, which is one line, in the colour of its meaning.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let text = shown::line(text);
        if !self.on {
            return text.into_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Caution => "33",
            Tone::Strong => "1",
            Tone::Faint => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Where output goes and how much of it.
#[derive(Debug)]
pub(crate) struct Printer {
    stdout: io::Stdout,
    stderr: io::Stderr,
    quiet: bool,
    /// Whether a person sees standard error at once.
    terminal: bool,
    out: Paint,
    err: Paint,
}

impl Printer {
    /// A printer on the standard streams; with `quiet` notes and progress are left out.
    pub(crate) fn new(quiet: bool) -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let terminal = stderr.is_terminal();
        Self {
            quiet,
            terminal,
            out: Paint { on: colour && stdout.is_terminal() },
            err: Paint { on: colour && terminal },
            stdout,
            stderr,
        }
    }

    /// Whether progress is to be drawn as bars.
    pub(crate) fn draws_bars(&self) -> bool {
        self.terminal && !self.quiet
    }

    /// Colours of standard output.
    pub(crate) fn paint(&self) -> Paint {
        self.out
    }

    /// Writes data to standard output; a missing end of line is added.
    pub(crate) fn data(&self, text: &str) -> Result<(), CliError> {
        let mut out = self.stdout.lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| {
            let open = !text.is_empty() && !text.ends_with('\n');
            if open { out.write_all(b"\n") } else { Ok(()) }
        });
        match written.and_then(|()| out.flush()) {
            Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
                Err(CliError::Write { what: "to standard output".to_owned(), source })
            }
            _ => Ok(()),
        }
    }

    /// Says something that is no data, in one line.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.say(&format!("{}\n", shown::line(text)));
        }
    }

    /// Says what may be wrong with an input that is accepted.
    pub(crate) fn warnings(&self, warnings: &[Finding]) {
        if self.quiet {
            return;
        }
        let mut text = String::new();
        for warning in warnings.iter().take(LISTED) {
            let word = self.err.paint(Tone::Caution, "warning:");
            let _ = writeln!(text, "{word} {}", shown::line(&warning.to_string()));
        }
        if warnings.len() > LISTED {
            let _ = writeln!(text, "warning: and {} more", warnings.len() - LISTED);
        }
        self.say(&text);
    }

    /// Says why the command ends, with causes, findings and hints.
    pub(crate) fn error(&self, error: &CliError) {
        let word = self.err.paint(Tone::Bad, "error:");
        let mut text = match error {
            CliError::Refused { findings, input } => self.refusal(&word, input, findings),
            other => format!("{word} {}\n", shown::line(&other.to_string())),
        };
        let mut said = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let because = cause.to_string();
            // Many errors repeat their source in their own text.
            if !said.contains(&because) {
                let _ = writeln!(text, "  because: {}", shown::line(&because));
            }
            said = because;
            source = cause.source();
        }
        if !error.hint().is_empty() {
            let _ = write!(text, "\n{}", self.hint(error.hint()));
        }
        self.say(&text);
    }

    fn refusal(&self, word: &str, input: &str, findings: &[Finding]) -> String {
        if let [finding] = findings {
            let said = format!("{}: {}", placed(input, finding), finding.problem);
            let mut text = format!("{word} {}\n", shown::line(&said));
            if !finding.remedy.is_empty() {
                let _ = write!(text, "\n{}", self.hint(&finding.remedy));
            }
            return text;
        }
        let mut text =
            format!("{word} `{}` is refused: {}\n\n", shown::line(input), counted(findings.len(), "finding"));
        for finding in findings.iter().take(LISTED) {
            let said = format!("{}: {}", finding.place, finding.problem);
            let _ = writeln!(text, "  {}", shown::line(&said));
            if !finding.remedy.is_empty() {
                let _ = write!(text, "    {}", self.hint(&finding.remedy));
            }
        }
        if findings.len() > LISTED {
            let _ = writeln!(text, "  and {} more", findings.len() - LISTED);
        }
        text
    }

    fn say(&self, text: &str) {
        // Whoever closed standard error does not want to read it.
        let _ = self.stderr.lock().write_all(text.as_bytes());
    }

    fn hint(&self, text: &str) -> String {
        format!("{} {}\n", self.err.paint(Tone::Good, "hint:"), shown::line(text))
    }
}

/// The place of a finding, after the name of the file where the place does not begin with it.
fn placed(input: &str, finding: &Finding) -> String {
    let place = &finding.place.0;
    if place.is_empty() {
        input.to_owned()
    } else if place.starts_with(input) {
        place.clone()
    } else {
        format!("{input}: {place}")
    }
}
