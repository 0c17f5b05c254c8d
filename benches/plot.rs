//! The plot of docs/benchmarks.md: calls and time against roles, both on logarithmic axes.

use crate::figures::{Figures, Growth};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::io;
use std::path::Path;

/// A line of a panel: its name, its colour, and its points.
type Series = (&'static str, RGBColor, Vec<(f64, f64)>);

const IRSA: RGBColor = RGBColor(0x1b, 0x6a, 0xc9);
const NAIVE: RGBColor = RGBColor(0xb4, 0x4a, 0x2a);
const FAR: RGBColor = RGBColor(0x4f, 0x9d, 0x69);
const TEN: RGBColor = RGBColor(0x7a, 0x4f, 0xb5);
const HUNDRED: RGBColor = RGBColor(0xd9, 0x9a, 0x1c);

/// Writes the plot.
pub(crate) fn growth(figures: &Figures, path: &Path) -> io::Result<()> {
    let rows = |clusters: usize| -> Vec<&Growth> {
        figures.growth.iter().filter(|growth| growth.clusters == clusters && growth.accounts == 1).collect()
    };
    let (one, ten, hundred) = (rows(1), rows(10), rows(100));
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (960, 400)).into_drawing_area();
        area.fill(&WHITE).map_err(io::Error::other)?;
        let panels = area.split_evenly((1, 2));
        let calls = |row: &Growth| Some(number(row.aws + row.kubernetes));
        let lines = [
            ("irsa, 1 cluster", IRSA, points(&one, calls)),
            ("irsa, 10 clusters", TEN, points(&ten, calls)),
            ("irsa, 100 clusters", HUNDRED, points(&hundred, calls)),
            ("one by one", NAIVE, points(&one, |row| Some(number(row.naive.as_ref()?.calls)))),
        ];
        panel(&panels[0], "Calls of a plan without changes", "calls", &lines)?;
        let near = |row: &Growth| Some(row.near.median().as_secs_f64());
        let lines = [
            ("irsa, 1 cluster", IRSA, points(&one, near)),
            ("the same, +50 ms", FAR, points(&one, |row| Some(row.far.median().as_secs_f64()))),
            ("irsa, 10 clusters", TEN, points(&ten, near)),
            ("irsa, 100 clusters", HUNDRED, points(&hundred, near)),
            ("one by one", NAIVE, points(&one, |row| Some(row.naive.as_ref()?.near.as_secs_f64()))),
        ];
        panel(&panels[1], "Its time, in seconds", "seconds", &lines)?;
        area.present().map_err(io::Error::other)?;
    }
    std::fs::write(path, text)
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn points(rows: &[&Growth], value: impl Fn(&Growth) -> Option<f64>) -> Vec<(f64, f64)> {
    rows.iter().filter_map(|row| Some((number(row.roles), value(row)?))).collect()
}

fn panel(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, unit: &str, lines: &[Series]) -> io::Result<()> {
    let all = || lines.iter().flat_map(|(_, _, points)| points);
    let bounds = |pick: fn(&(f64, f64)) -> f64, room: f64| {
        let low = all().map(pick).fold(f64::INFINITY, f64::min);
        let high = all().map(pick).fold(0.0, f64::max);
        (low * 0.8)..(high * room)
    };
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(14)
        .x_label_area_size(36)
        .y_label_area_size(56)
        // leaves room for the names above all lines
        .build_cartesian_2d(bounds(|point| point.0, 1.25).log_scale(), bounds(|point| point.1, 40.0).log_scale())
        .map_err(io::Error::other)?;
    let plain = |value: &f64| format!("{value}");
    chart
        .configure_mesh()
        .x_desc("roles")
        .y_desc(unit)
        .x_label_formatter(&plain)
        .y_label_formatter(&plain)
        .light_line_style(WHITE)
        .draw()
        .map_err(io::Error::other)?;
    for (name, colour, points) in lines {
        let style = ShapeStyle::from(*colour).stroke_width(2);
        let series = LineSeries::new(points.iter().copied(), style).point_size(3);
        let legend = move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style);
        chart.draw_series(series).map_err(io::Error::other)?.label(*name).legend(legend);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()
        .map_err(io::Error::other)
}
