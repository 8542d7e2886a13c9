//! The model itself: files → ONNX Runtime session → vectors. Blocking; only for the model's own thread.

use std::{
    fs,
    path::{Path, PathBuf},
};

use fastembed::{InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};
use tokenizers::Tokenizer;

use super::{
    description::Description,
    vector::{EmbedError, Vector},
};

/// The model's graph, and its weights where they are in no file of their own.
const GRAPH: &str = "model.onnx";
/// What belongs to its tokenizer.
const TOKENIZER: [&str; 4] = ["tokenizer.json", "config.json", "special_tokens_map.json", "tokenizer_config.json"];
/// Weights outside of `model.onnx`, if the model has any.
const WEIGHTS: &str = "model.safetensors";
/// The most cores that one call uses.
const MAX_THREADS: usize = 4;

/// A loaded model.
pub(crate) struct Model {
    inner: TextEmbedding,
    dimension: usize,
    description: Description,
}

impl Model {
    /// Loads ONNX Runtime, if this process has not, and the model in `folder`, which has to be the one of that name.
    pub(crate) fn load(folder: &Path, name: &str) -> Result<Self, EmbedError> {
        let broken = |detail: String| EmbedError::Model { folder: folder.to_owned(), detail };
        let read = |name: &str| fs::read(folder.join(name)).map_err(|error| broken(format!("{name}: {error}")));
        let [tokenizer, config, special_tokens, tokenizer_config] = TOKENIZER;
        let files = TokenizerFiles {
            tokenizer_file: read(tokenizer)?,
            config_file: read(config)?,
            special_tokens_map_file: read(special_tokens)?,
            tokenizer_config_file: read(tokenizer_config)?,
        };
        let description =
            Description::read(&files.config_file).map_err(|detail| broken(format!("{config}: {detail}")))?;
        description.check_name(name, folder)?;
        let mut definition = UserDefinedEmbeddingModel::new(read(GRAPH)?, files).with_pooling(Pooling::Mean);
        if folder.join(WEIGHTS).exists() {
            let weights = read(WEIGHTS)?;
            check_length(&weights).map_err(|detail| broken(format!("{WEIGHTS}: {detail}")))?;
            definition = definition.with_external_initializer(WEIGHTS.to_owned(), weights);
        }
        load_runtime(folder)?;
        // Without the arena memory goes back after every call; with it the largest batch ever stays allocated.
        let cpu = ort::ep::CPU::default().with_arena_allocator(false).build();
        let options = InitOptionsUserDefined::new()
            .with_max_length(description.max_tokens)
            .with_intra_threads(threads())
            .with_execution_providers(vec![cpu])
            // Threads that spin between two calls take the core from the sockets.
            .with_session_config("session.intra_op.allow_spinning", "0");
        let inner = TextEmbedding::try_new_from_user_defined(definition, options);
        let inner = inner.map_err(|error| broken(error.to_string()))?;
        let mut model = Self { inner, dimension: 0, description };
        // Once through: proves that it works, tells the dimension, and warms it up.
        let probe = model.embed(vec!["ready".to_owned()]).map_err(|error| broken(error.to_string()))?;
        model.dimension = probe.first().map_or(0, Vec::len);
        Ok(model)
    }

    /// Numbers in a vector.
    pub(crate) const fn dimension(&self) -> usize {
        self.dimension
    }

    /// What it says of itself.
    pub(crate) const fn description(&self) -> &Description {
        &self.description
    }

    /// The tokenizer as text should be measured with: nothing cut off, nothing filled up.
    pub(crate) fn tokenizer(&self) -> Tokenizer {
        let mut tokenizer = self.inner.tokenizer.clone();
        tokenizer.with_padding(None);
        // Only setting a truncation can fail; taking it away cannot.
        let _removed = tokenizer.with_truncation(None);
        tokenizer
    }

    /// One call of the model. The vectors have length 1 and come in the order of `texts`.
    pub(crate) fn embed(&mut self, texts: Vec<String>) -> Result<Vec<Vector>, EmbedError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let count = texts.len();
        let vectors = self.inner.embed(texts, None).map_err(|error| EmbedError::Failed(error.to_string()))?;
        if vectors.len() != count || vectors.iter().any(|vector| !vector.iter().all(|x| x.is_finite())) {
            return Err(EmbedError::Failed("its vectors are not numbers".to_owned()));
        }
        Ok(vectors)
    }
}

/// What [`Model::load`] would not find for the model in `folder`. Reads the graph and loads nothing.
pub(crate) fn missing_files(folder: &Path) -> Vec<PathBuf> {
    let mut needed: Vec<PathBuf> = [GRAPH].iter().chain(&TOKENIZER).map(|name| folder.join(name)).collect();
    // A graph names the file in which its weights are.
    let names_weights = |graph: Vec<u8>| graph.windows(WEIGHTS.len()).any(|window| window == WEIGHTS.as_bytes());
    if fs::read(folder.join(GRAPH)).is_ok_and(names_weights) {
        needed.push(folder.join(WEIGHTS));
    }
    needed.push(runtime_path(std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from), folder));
    needed.retain(|path| !path.is_file());
    needed
}

/// Whether the model in `folder` is the one of that name. Loads nothing; a folder that cannot be read is for
/// [`missing_files`] to tell.
pub(crate) fn check_name(folder: &Path, name: &str) -> Result<(), EmbedError> {
    let [_, config, ..] = TOKENIZER;
    let read = fs::read(folder.join(config)).ok().and_then(|config| Description::read(&config).ok());
    read.map_or(Ok(()), |description| description.check_name(name, folder))
}

/// One core is left to the sockets: a token's way must not wait for an embedding.
fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.saturating_sub(1).clamp(1, MAX_THREADS)
}

/// Whether a safetensors file is as long as its header says. The runtime would read past the end of a cut one.
fn check_length(weights: &[u8]) -> Result<(), String> {
    let (length, rest) = weights.split_first_chunk::<8>().ok_or("too short")?;
    let header_length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let header = rest.get(..header_length).ok_or("too short for its header")?;
    let header: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(header).map_err(|_| "its header is damaged")?;
    let ends = header.values().filter_map(|entry| entry.get("data_offsets")?.get(1)?.as_u64());
    let needed = ends.max().ok_or("it holds no weights")?;
    let present = (rest.len() - header_length) as u64;
    if present < needed {
        return Err(format!("{} bytes are missing at its end", needed - present));
    }
    Ok(())
}

/// Loads the shared library. The binding would panic without it, so it is looked for here first.
fn load_runtime(model_folder: &Path) -> Result<(), EmbedError> {
    let path = runtime_path(std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from), model_folder);
    let unusable = |detail: String| EmbedError::Runtime { path: path.clone(), detail };
    if !path.is_file() {
        return Err(unusable("no such file".to_owned()));
    }
    super::library::check(&path).map_err(unusable)?;
    let absolute = path.canonicalize().map_err(|error| unusable(error.to_string()))?;
    // Only the library is wanted: fastembed makes the one environment that all of the process shares.
    let _builder = ort::init_from(absolute).map_err(|error| unusable(error.to_string()))?;
    Ok(())
}

/// `ORT_DYLIB_PATH`, or the library next to the model's folder.
fn runtime_path(from_environment: Option<PathBuf>, model_folder: &Path) -> PathBuf {
    let beside = || model_folder.join("..").join("onnxruntime").join("libonnxruntime.so");
    from_environment.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_where_the_runtime_is() {
        let model = Path::new("/deps/model");
        assert_eq!(runtime_path(Some("/x.so".into()), model), Path::new("/x.so"));
        let beside = Path::new("/deps/model/../onnxruntime/libonnxruntime.so");
        assert_eq!(runtime_path(Some("".into()), model), beside);
        assert_eq!(runtime_path(None, model), beside);
    }

    #[test]
    fn cut_weights_are_noticed() {
        let header = br#"{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header);
        file.extend_from_slice(&[0; 8]);
        assert_eq!(check_length(&file), Ok(()));
        for cut in [1, 8, 9, header.len(), header.len() + 16] {
            assert!(check_length(&file[..file.len() - cut]).is_err(), "{cut}");
        }
    }
}
