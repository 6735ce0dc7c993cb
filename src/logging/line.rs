//! Writes the lines of the log. Every message and field is escaped and cut here, so no call of a
//! `tracing` macro has to do it.

use std::fmt::{self, Debug, Write};

use serde_json::json;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use crate::text::{Escaper, Form, quoted, shown};

/// Prefix of the fields that repeat a part of the message. Only the JSON format shows them.
const IN_TEXT: &str = "task.";

/// Characters of a message. The longest ones hold five names, of up to 200 characters each.
const MESSAGE_CHARS: usize = 2000;

/// Characters of a field: a name, an identifier or an error.
const FIELD_CHARS: usize = 500;

/// Returns the limit of a message or a field in characters.
fn max(field: &Field) -> usize {
    if field.name() == "message" { MESSAGE_CHARS } else { FIELD_CHARS }
}

/// Writes a value, escaped and cut.
fn write_value(out: &mut impl Write, value: &dyn Debug, max: usize) -> fmt::Result {
    let mut escaper = Escaper::new(out, Form::Line, max);
    write!(escaper, "{value:?}")?;
    escaper.finish()
}

/// The message and the fields of a line of text: `message name=value other="text"`.
pub(crate) struct TextFields;

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = TextLine { line: writer, result: Ok(()) };
        fields.record(&mut line);
        line.result
    }
}

struct TextLine<'w> {
    line: Writer<'w>,
    result: fmt::Result,
}

impl TextLine<'_> {
    /// Writes one field with `write`. The macros give the message first.
    fn field(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let name = field.name();
        if self.result.is_err() || name.starts_with(IN_TEXT) {
            return;
        }
        let line = &mut self.line;
        let named = if name == "message" { Ok(()) } else { write!(line, " {name}=") };
        self.result = named.and_then(|()| write(line));
    }
}

impl Visit for TextLine<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |line| match field.name() {
            "message" => write!(line, "{}", shown(value, MESSAGE_CHARS)),
            _ => write!(line, "{}", quoted(value, FIELD_CHARS)),
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, |line| write_value(line, value, max(field)));
    }
}

/// A line as a JSON object: `timestamp`, `level`, `message`, and the fields.
pub(crate) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let level = event.metadata().level();
        let mut line = JsonLine(format!(r#"{{"timestamp":"{time}","level":"{level}""#));
        event.record(&mut line);
        writeln!(writer, "{}}}", line.0)
    }
}

/// The object without its closing brace.
struct JsonLine(String);

impl JsonLine {
    fn field(&mut self, field: &Field, value: impl Into<serde_json::Value>) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, ",{}:{}", json!(field.name()), value.into());
    }
}

impl Visit for JsonLine {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, shown(value, max(field)).to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Fails if the value's own `Debug` does. The text so far is shown.
        let _ = write_value(&mut text, value, max(field));
        self.field(field, text);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::{Layer, Registry, fmt::layer, layer::SubscriberExt, registry};

    use super::*;
    use crate::sync::lock;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Returns the line of one event with every kind of field.
    fn line(format: impl FnOnce(Written) -> Box<dyn Layer<Registry> + Send + Sync>) -> String {
        let written = Written::default();
        tracing::subscriber::with_default(registry().with(format(written.clone())), || {
            let (hostile, none) = ("\x1b[2J\"\u{202e}\\", None::<&str>);
            let long = "é".repeat(FIELD_CHARS + 1);
            tracing::info!(
                text = hostile,
                shown = %hostile,
                list = ?[hostile],
                none,
                number = 7_u64,
                negative = -1,
                ratio = 0.5,
                yes = true,
                task.id = hostile,
                long,
                "a\n{hostile}"
            );
        });
        String::from_utf8(lock(&written.0).clone()).unwrap()
    }

    #[test]
    fn fields_of_text_are_escaped_and_cut() {
        let line = line(|written| {
            let lines = layer().without_time().with_level(false).with_target(false);
            lines
                .with_ansi(false)
                .with_writer(move || written.clone())
                .fmt_fields(TextFields)
                .boxed()
        });
        let expected = concat!(
            r#"a\n\u{1b}[2J"\u{202e}\ text="\u{1b}[2J\"\u{202e}\\" shown=\u{1b}[2J"\u{202e}\ "#,
            r#"list=["\u{1b}[2J\"\u{202e}\\"] number=7 negative=-1 ratio=0.5 yes=true long="é"#,
        );
        assert!(line.starts_with(expected), "{line}");
        assert!(line.ends_with("é… (1002 bytes)\"\n"), "{line}");
    }

    #[test]
    fn fields_of_json_are_escaped_and_cut() {
        let line = line(|written| {
            layer().with_writer(move || written.clone()).event_format(JsonLines).boxed()
        });
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "a\\n\\u{1b}[2J\"\\u{202e}\\");
        assert_eq!((&line["text"], &line["shown"]), (&line["task.id"], &line["task.id"]));
        assert_eq!(line["task.id"], "\\u{1b}[2J\"\\u{202e}\\");
        assert_eq!((&line["number"], &line["negative"]), (&json!(7), &json!(-1)));
        assert_eq!((&line["ratio"], &line["yes"]), (&json!(0.5), &json!(true)));
        assert!(line["none"].is_null() && line["long"].as_str().unwrap().ends_with("(1002 bytes)"));
    }
}
