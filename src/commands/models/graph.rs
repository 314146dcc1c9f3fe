//! `models graph`: our network's graph as a file, for people who inspect it.

use super::{Exit, Failure, plain, print};
use crate::cli::ExportGraph;
use crate::config::Settings;
use crate::inference::ddcolor::{GraphSpec, Outputs, PictureInput, Weights};
use crate::inference::{Catalogue, InferenceError, ModelKind};
use crate::publish;

pub(super) fn graph(settings: &Settings, request: &ExportGraph) -> Result<(), Failure> {
    let catalogue = Catalogue::open(&settings.models)?;
    let entry = catalogue.find(&request.id, ModelKind::Colour)?;
    if entry.is_onnx() {
        let message = format!("{} is an ONNX file already", entry.id);
        return Err(Failure::text(Exit::Usage, message, format!("inspect {}", plain(&entry.file))));
    }
    let file = catalogue.read(entry).map_err(InferenceError::from)?;
    let weights = Weights::read(&file).map_err(|source| InferenceError::Checkpoint { model: entry.id.clone(), source })?;
    drop(file);
    let spec = GraphSpec {
        pictures: request.size.pictures,
        input: PictureInput::Grey,
        outputs: Outputs::Guarded,
        ..GraphSpec::new(request.size.size, request.precision, request.provider)
    };
    let graph = weights.graph_of(spec);
    publish::replace_file(&request.out, &graph).map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("{} cannot be written", plain(request.out.display())));
        Failure::new(Exit::Disk, error, "name a file in a directory that is there and can be written".to_owned())
    })?;
    let (out, id, size) = (plain(request.out.display()), plain(&entry.id), request.size);
    print(&format!("wrote {out}: {id}, {} {} for {}, {} bytes\n", size, request.precision, request.provider, graph.len()))
}
