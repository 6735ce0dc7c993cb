//! The report as tables.

use comfy_table::{CellAlignment, Table, presets};

use crate::{Report, machine::Flow};

/// Formats all measurements.
pub(crate) fn tables(report: &Report) -> String {
    let mut tables = vec![format!("{} cores", report.cores)];
    if !report.flow.is_empty() {
        let rows =
            report.flow.iter().map(|Flow { in_flight, tasks_per_second, p50_ms, p99_ms }| {
                vec![
                    in_flight.to_string(),
                    format!("{tasks_per_second:.0}"),
                    format!("{p50_ms:.2}"),
                    format!("{p99_ms:.2}"),
                ]
            });
        tables.push(table(&["in flight", "tasks/s", "p50 ms", "p99 ms"], rows));
    }
    let single = single(report);
    if !single.is_empty() {
        tables.push(table(
            &["what", "value"],
            single.into_iter().map(|(what, value)| vec![what.to_owned(), value]),
        ));
    }
    if !report.payload.is_empty() {
        let rows = report.payload.iter().map(|payload| {
            let numbers = [payload.echo_ms, payload.parent_peak_mib, payload.worker_peak_mib];
            let name = format!("{} MB, {}", payload.megabytes, payload.items);
            [name].into_iter().chain(numbers.map(|number| format!("{number:.0}"))).collect()
        });
        tables.push(table(
            &["there and back", "ms", "peak of the parent MiB", "of a worker MiB"],
            rows,
        ));
    }
    tables.join("\n")
}

fn single(report: &Report) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(calls) = &report.calls {
        let value = format!("{:.2} / {:.2} ms", calls.p50_ms, calls.p99_ms);
        rows.push(("a call of a task there and back, p50 / p99", value));
    }
    if let Some(start) = &report.start {
        rows.push(("start → registered", format!("{:.1} ms", start.registered_ms)));
        rows.push(("start → first answer", format!("{:.1} ms", start.first_answer_ms)));
    }
    if let Some(memory) = &report.memory {
        let workers: Vec<_> =
            memory.workers_pss_mib.iter().map(|mib| format!("{mib:.1}")).collect();
        rows.push(("parent at rest (PSS)", format!("{:.1} MiB", memory.parent_pss_mib)));
        rows.push(("workers at rest (PSS)", format!("{} MiB", workers.join(", "))));
        rows.push((
            "a waiting trivial task (private)",
            format!("{:.0} KiB", memory.task_private_kib),
        ));
    }
    rows
}

fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(header.iter().copied())
        .add_rows(rows);
    table
        .column_iter_mut()
        .skip(1)
        .for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table.to_string()
}
