//! The plot: each variant's ratio to plain Envoy as a bar, with the spread of the rounds.

use std::path::{Path, PathBuf};

use plotters::{
    prelude::{
        ChartBuilder, IntoDrawingArea as _, IntoSegmentedCoord as _, PathElement, RGBColor,
        Rectangle, SVGBackend, SegmentValue,
    },
    style::{BLACK, Color as _, WHITE},
};

use crate::{
    error::{Result, because},
    report::Row,
    variants::Group,
};

const PEERS: RGBColor = RGBColor(130, 143, 158);
const OURS: RGBColor = RGBColor(31, 111, 180);
const WIDTH: u32 = 900;
const ROW_HEIGHT: u32 = 26;

/// Draws the plot; gives its file.
pub(crate) fn draw(folder: &Path, name: &str, rows: &[Row<'_>]) -> Result<PathBuf> {
    let file = folder.join(format!("{name}.svg"));
    let bars: Vec<&Row<'_>> =
        rows.iter().rev().filter(|(variant, _)| variant.group != Group::Plain).collect();
    render(&file, &bars).map_err(because("the plot"))?;
    Ok(file)
}

fn render(file: &Path, bars: &[&Row<'_>]) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let rows = u32::try_from(bars.len())?;
    let widest = bars.iter().map(|(_, figures)| figures.spread.1).fold(1.0, f64::max);
    let area = SVGBackend::new(file, (WIDTH, ROW_HEIGHT * rows + 90)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(
            "requests a second, as a part of plain Envoy's (higher is better)",
            ("sans-serif", 16),
        )
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(130)
        .build_cartesian_2d(0.0..widest * 1.05, (0..rows.saturating_sub(1)).into_segmented())?;
    let label = |position: &SegmentValue<u32>| match position {
        SegmentValue::CenterOf(row) => {
            let row = usize::try_from(*row).ok().and_then(|row| bars.get(row));
            row.map_or_else(String::new, |(variant, _)| variant.name.to_owned())
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(bars.len() + 1)
        .y_label_formatter(&label)
        .x_labels(11)
        .draw()?;
    for (row, (variant, figures)) in (0..).zip(bars) {
        let color = if variant.group == Group::Ours { OURS } else { PEERS };
        let (low, high) = figures.spread;
        let mut bar = Rectangle::new(
            [(0.0, SegmentValue::Exact(row)), (figures.ratio, SegmentValue::Exact(row + 1))],
            color.filled(),
        );
        bar.set_margin(4, 4, 0, 0);
        chart.draw_series([bar])?;
        let middle = SegmentValue::CenterOf(row);
        let spread = PathElement::new(vec![(low, middle.clone()), (high, middle)], BLACK);
        chart.draw_series([spread])?;
    }
    area.present()?;
    Ok(())
}
