//! Tensors of the Open Inference Protocol: what a model takes and gives, and the rows of an output.

use super::{RemoteAnswer, RemoteOutput, RowNames, UnreadableAnswer};

/// A model's metadata, as far as it is of use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ModelMetadata {
    pub(crate) versions: Vec<String>,
    pub(crate) inputs: Vec<TensorShape>,
    pub(crate) outputs: Vec<TensorShape>,
    /// The labels of outputs' rows, where the server names them.
    pub(crate) labels: Vec<(String, RowNames)>,
}

/// A tensor as a model's metadata names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TensorShape {
    pub(crate) name: String,
    pub(crate) datatype: String,
    /// The length of each axis; below 0 where it differs.
    pub(crate) shape: Vec<i64>,
}

/// The tensor that takes texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextInput {
    pub(crate) name: String,
    /// Tells whether the tensor has one axis, the texts; else a second one of length 1.
    pub(crate) is_flat: bool,
}

/// The values of a tensor, in the order of its elements.
#[derive(Debug)]
pub(crate) enum TensorValues {
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

impl ModelMetadata {
    /// Returns the tensor that takes texts: the one of that name, else the only one.
    ///
    /// # Errors
    /// When there is none of that name, or several and no name.
    pub(crate) fn text_input(&self, wanted: Option<&str>) -> Result<TextInput, String> {
        let names = || self.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>().join(", ");
        let input = match (wanted, &*self.inputs) {
            // A server need not say what its model takes.
            (Some(name), []) => return Ok(TextInput::named(name)),
            (None, []) => return Ok(TextInput::default()),
            (Some(name), inputs) => inputs
                .iter()
                .find(|input| input.name == name)
                .ok_or_else(|| format!("the server has no input `{name}` (allowed: {})", names()))?,
            (None, [only]) => only,
            (None, _) => return Err(format!("is missing, as the model takes several inputs (allowed: {})", names())),
        };
        if input.datatype != "BYTES" {
            let (name, datatype) = (&input.name, &input.datatype);
            return Err(format!("`{name}` takes {datatype} (allowed: an input that takes texts, BYTES)"));
        }
        Ok(TextInput { name: input.name.clone(), is_flat: input.shape.len() == 1 })
    }
}

impl TextInput {
    /// Returns the tensor of that name with a second axis of length 1, as most have.
    pub(crate) fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), is_flat: false }
    }

    /// Returns the shape of the tensor for so many texts.
    pub(crate) fn shape(&self, texts: usize) -> Vec<i64> {
        let texts = i64::try_from(texts).unwrap_or(i64::MAX);
        if self.is_flat { vec![texts] } else { vec![texts, 1] }
    }
}

impl Default for TextInput {
    fn default() -> Self {
        Self::named("text")
    }
}

/// Reads the labels of a row from the parameter `labels` of its tensor: a JSON list of texts, as Pointsman's own server
/// names them. Other servers may mean something else by that name.
pub(super) fn labels_of(parameter: &str) -> Option<RowNames> {
    serde_json::from_str(parameter).ok().map(RowNames::All)
}

/// Adds the names of a tensor's rows to every answer.
pub(super) fn add_names(answers: &mut [RemoteAnswer], name: &str, names: Option<&RowNames>) {
    let Some(names) = names else { return };
    answers.iter_mut().for_each(|answer| answer.names.push((name.to_owned(), names.clone())));
}

/// Adds the rows of a tensor to the answers to the texts that its first axis stands for.
///
/// # Errors
/// When the tensor does not have a row for each text.
pub(super) fn add_rows(
    answers: &mut [RemoteAnswer],
    name: &str,
    shape: &[i64],
    values: TensorValues,
) -> Result<(), UnreadableAnswer> {
    let rows = shape.first().copied().unwrap_or(1);
    let count = match &values {
        TensorValues::Numbers(numbers) => numbers.len(),
        TensorValues::Texts(texts) => texts.len(),
    };
    let texts = answers.len();
    if usize::try_from(rows) != Ok(texts) || count == 0 || count % texts != 0 {
        return Err(format!("output `{name}` has {count} values of shape {shape:?} for {texts} texts"));
    }
    let product = shape.iter().try_fold(1_usize, |product, length| product.checked_mul(usize::try_from(*length).ok()?));
    if product != Some(count) {
        return Err(format!("output `{name}` has {count} values, and not those of its shape {shape:?}"));
    }
    let width = count / texts;
    match values {
        TensorValues::Numbers(numbers) => {
            for (answer, row) in answers.iter_mut().zip(numbers.chunks(width)) {
                answer.outputs.push((name.to_owned(), RemoteOutput::Row(row.to_vec())));
            }
        }
        TensorValues::Texts(texts) if width == 1 => {
            for (answer, label) in answers.iter_mut().zip(texts) {
                answer.outputs.push((name.to_owned(), RemoteOutput::Label(label)));
            }
        }
        // Several texts a row are no output that a head is made of.
        TensorValues::Texts(_) => {}
    }
    Ok(())
}
