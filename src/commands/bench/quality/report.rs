//! What `bench --quality` found, for people, machines and tables.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::commands::plain;
use crate::digest::Digest;
use crate::imaging::metrics::ColourDifference;
use crate::imaging::{Quality, QualityOfSet, Size, quality_of_set};

/// Everything that was measured.
pub(in crate::commands::bench) struct Measured {
    pub(super) directory: PathBuf,
    /// The device's report.
    pub(super) device: Value,
    /// Colour networks that were used, with their digests.
    pub(super) models: Vec<(String, Digest)>,
    /// At least one.
    pub(super) rows: Vec<Row>,
    pub(super) left_out: Vec<LeftOut>,
}

/// One picture.
pub(super) struct Row {
    pub(super) file: String,
    pub(super) scene: String,
    pub(super) size: Size,
    /// What the network saw.
    pub(super) extent: Size,
    pub(super) model: String,
    pub(super) precision: String,
    pub(super) quality: Quality,
    /// How far a picture made in FP16 is from the same in FP32; none of one that was not.
    pub(super) against_fp32: Option<ColourDifference>,
}

/// A picture without a row.
pub(super) struct LeftOut {
    pub(super) file: String,
    pub(super) reason: String,
}

/// Columns of the table for spreadsheets.
const COLUMNS: &str = "file,scene,width,height,network_width,network_height,model,precision,ab_mse_ratio,ab_mse_ratio_without_cast,\
                       psnr_db,delta_e_2000_mean,delta_e_2000_p95,colourfulness,colourfulness_of_truth,colourfulness_ratio,\
                       fp32_delta_e_2000_mean,fp32_delta_e_2000_p999,left_out";

impl Measured {
    fn of_set(&self) -> QualityOfSet {
        let all: Vec<_> = self.rows.iter().map(|row| row.quality).collect();
        quality_of_set(&all).expect("there is at least one row")
    }

    /// Mean of the pictures made in FP16, and the largest of what each has; `None` when there are none.
    fn against_fp32(&self) -> Option<ColourDifference> {
        let all: Vec<_> = self.rows.iter().filter_map(|row| row.against_fp32).collect();
        let largest = |of: fn(&ColourDifference) -> f32| all.iter().map(of).fold(0.0, f32::max);
        let mean = all.iter().map(|one| one.mean).sum::<f32>() / all.len() as f32;
        (!all.is_empty()).then(|| ColourDifference { mean, p999: largest(|one| one.p999), max: largest(|one| one.max) })
    }

    pub(in crate::commands::bench) fn to_json(&self) -> Value {
        let set = self.of_set();
        let models = self.models.iter().map(|(id, sha256)| json!({ "id": id, "sha256": sha256 }));
        let left_out = self.left_out.iter().map(|one| json!({ "file": one.file, "reason": one.reason }));
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "directory": self.directory.to_string_lossy(),
            "device": self.device,
            "models": models.collect::<Vec<_>>(),
            "pictures": self.rows.len(),
            "ab_mse_ratio": number(set.chroma.ratio()),
            "ab_mse_ratio_without_casts": number(set.chroma_without_casts.ratio()),
            "psnr_db": number(Some(set.psnr_db)),
            "delta_e_2000": { "mean": number(Some(set.delta_e_mean)), "p95": number(Some(set.delta_e_p95)) },
            "colourfulness_ratio": number(set.colourfulness_ratio),
            "fp16_against_fp32": self.against_fp32().map(|found| difference(&found)),
            "rows": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "left_out": left_out.collect::<Vec<_>>(),
        })
    }

    /// A row a picture (RFC 4180), those left out at the end with their reasons.
    pub(in crate::commands::bench) fn to_csv(&self) -> String {
        let rows = self.rows.iter().map(Row::to_csv);
        let empty = ",".repeat(COLUMNS.matches(',').count());
        let left_out = self.left_out.iter().map(|one| format!("{}{empty}{}\n", cell(&one.file), cell(&one.reason)));
        format!("{COLUMNS}\n{}", rows.chain(left_out).collect::<String>())
    }

    pub(in crate::commands::bench) fn to_text(&self) -> String {
        let set = self.of_set();
        let word = |key: &str| plain(self.device[key].as_str().unwrap_or("unknown"));
        let models: Vec<_> = self.models.iter().map(|(id, sha256)| format!("{id} {}", sha256.short(12))).collect();
        let mut text = format!(
            "pictures of {}: {}, left out: {}\nmodel {}, device {} ({})\n\n",
            plain(self.directory.display()),
            self.rows.len(),
            self.left_out.len(),
            models.join(", "),
            word("provider"),
            word("name"),
        );
        let lines = [
            ("ab MSE ratio", shown(set.chroma.ratio(), 3), "squared error in a*, b* over that of grey; lower is better"),
            ("  without casts", shown(set.chroma_without_casts.ratio(), 3), "the same, each picture's mean tint taken away"),
            ("PSNR, dB", shown(Some(set.psnr_db), 2), "8-bit sRGB, mean of the pictures"),
            ("ΔE2000 mean", shown(Some(set.delta_e_mean), 2), "mean of the pictures"),
            ("ΔE2000 p95", shown(Some(set.delta_e_p95), 2), "what one pixel in twenty passes, mean of the pictures"),
            ("colourfulness", shown(set.colourfulness_ratio, 3), "over the truth's; 1 is as colourful"),
        ];
        for (name, value, meaning) in lines {
            text.push_str(&format!("  {name:<16} {value:>7}   {meaning}\n"));
        }
        if let Some(ColourDifference { mean, p999, max }) = self.against_fp32() {
            let meaning = "ΔE2000 against FP32: mean; what one pixel in a thousand passes and the largest, of the worst picture";
            text.push_str(&format!("  {:<16} {mean:>7.4}   {meaning}: {p999:.3}, {max:.3}\n", "FP16"));
        }
        text.push_str("\n  ab ratio  no cast     PSNR   ΔE mean    p95   colour  scene         network    file\n");
        text.extend(self.rows.iter().map(Row::to_text));
        for one in &self.left_out {
            text.push_str(&format!("left out: {}: {}\n", plain(&one.file), plain(&one.reason)));
        }
        text
    }
}

impl Row {
    /// Ratio, ratio without cast, PSNR, ΔE mean and 95th percentile, colourfulness, that of the truth, and their ratio.
    fn figures(&self) -> [Option<f64>; 8] {
        let Quality { chroma, chroma_without_cast, colourfulness: found, colourfulness_of_truth: truth, .. } = self.quality;
        let one = &self.quality;
        let colour = (truth > 0.0).then(|| found / truth);
        let (psnr, mean, p95) = (Some(one.psnr_db), Some(one.delta_e_mean), Some(one.delta_e_p95));
        [chroma.ratio(), chroma_without_cast.ratio(), psnr, mean, p95, Some(found), Some(truth), colour]
    }

    fn to_json(&self) -> Value {
        let [ratio, no_cast, psnr, mean, p95, found, truth, colour] = self.figures().map(number);
        json!({
            "file": self.file, "scene": self.scene, "width": self.size.width, "height": self.size.height,
            "network": { "width": self.extent.width, "height": self.extent.height },
            "model": self.model, "precision": self.precision,
            "ab_mse_ratio": ratio, "ab_mse_ratio_without_cast": no_cast, "psnr_db": psnr,
            "delta_e_2000": { "mean": mean, "p95": p95 },
            "colourfulness": found, "colourfulness_of_truth": truth, "colourfulness_ratio": colour,
            "fp16_against_fp32": self.against_fp32.map(|found| difference(&found)),
        })
    }

    fn to_csv(&self) -> String {
        let Self { size, extent, .. } = self;
        let words = format!(
            "{},{},{},{},{},{},{},{}",
            cell(&self.file),
            self.scene,
            size.width,
            size.height,
            extent.width,
            extent.height,
            cell(&self.model),
            self.precision
        );
        let [fp32_mean, fp32_p999] = [|one: ColourDifference| one.mean, |one: ColourDifference| one.p999]
            .map(|of| self.against_fp32.map(|found| f64::from(of(found))));
        let figures = self
            .figures()
            .into_iter()
            .chain([fp32_mean, fp32_p999])
            .map(|figure| figure.map_or_else(|| ",".to_owned(), |figure| format!(",{figure:.6}")))
            .collect::<String>();
        format!("{words}{figures},\n")
    }

    fn to_text(&self) -> String {
        let [ratio, no_cast, psnr, mean, p95, _, _, colour] = self.figures();
        format!(
            "  {:>8}  {:>7}  {:>7}  {:>8}  {:>5}  {:>7}  {:<12}  {:>9}  {}\n",
            shown(ratio, 3),
            shown(no_cast, 3),
            shown(psnr, 2),
            shown(mean, 2),
            shown(p95, 1),
            shown(colour, 3),
            self.scene,
            self.extent.to_string(),
            plain(&self.file),
        )
    }
}

/// For machines: four digits behind the point, null for what is not defined or has no end.
fn number(figure: Option<f64>) -> Value {
    figure.filter(|figure| figure.is_finite()).map_or(Value::Null, |figure| json!((figure * 1e4).round() / 1e4))
}

fn difference(found: &ColourDifference) -> Value {
    let [mean, p999, max] = [found.mean, found.p999, found.max].map(|figure| number(Some(f64::from(figure))));
    json!({ "delta_e_2000": { "mean": mean, "p999": p999, "max": max } })
}

/// For people.
fn shown(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
}

/// A cell that a spreadsheet reads as it was written.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::SquaredChroma;

    fn measured() -> Measured {
        let quality = Quality {
            chroma: SquaredChroma { error: 1.0, of_grey: 2.0 },
            chroma_without_cast: SquaredChroma::default(),
            psnr_db: f64::INFINITY,
            delta_e_mean: 1.25,
            delta_e_p95: 3.0,
            colourfulness: 20.0,
            colourfulness_of_truth: 40.0,
        };
        let row = Row {
            file: "a, \"b\".jpg".to_owned(),
            scene: "other".to_owned(),
            size: Size::new(10, 10),
            extent: Size::new(96, 96),
            model: "m".to_owned(),
            precision: "fp16".to_owned(),
            quality,
            against_fp32: Some(ColourDifference { mean: 0.125, p999: 0.5, max: 0.75 }),
        };
        let left_out = vec![LeftOut { file: "c.png".to_owned(), reason: "skipped: blank".to_owned() }];
        Measured { directory: "d".into(), device: Value::Null, models: Vec::new(), rows: vec![row], left_out }
    }

    #[test]
    fn every_row_of_the_table_has_every_column() {
        let csv = measured().to_csv();
        let lines: Vec<_> = csv.lines().collect();
        let columns = lines[0].split(',').count();
        assert_eq!(
            lines[1],
            "\"a, \"\"b\"\".jpg\",other,10,10,96,96,m,fp16,0.500000,,inf,1.250000,3.000000,20.000000,40.000000,0.500000,0.125000,0.500000,"
        );
        assert_eq!(lines[1].split(',').count(), columns + 1, "one comma lies inside a cell");
        assert_eq!(lines[2].split(',').count(), columns);
        assert!(lines[2].starts_with("c.png,") && lines[2].ends_with(",skipped: blank"));
    }

    #[test]
    fn what_is_not_defined_is_null_for_machines_and_a_dash_for_people() {
        let json = measured().to_json();
        assert_eq!((&json["ab_mse_ratio"], &json["ab_mse_ratio_without_casts"]), (&0.5.into(), &Value::Null));
        assert_eq!((&json["psnr_db"], &json["colourfulness_ratio"]), (&Value::Null, &0.5.into()));
        let text = measured().to_text();
        assert_eq!(json["fp16_against_fp32"]["delta_e_2000"]["p999"], 0.5);
        assert!(text.contains("FP16") && text.contains("of the worst picture: 0.500, 0.750"), "{text}");
        assert!(text.contains("pictures of d: 1, left out: 1") && text.contains("left out: c.png: skipped: blank"), "{text}");
    }
}
