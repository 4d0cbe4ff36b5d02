//! Generations of Google's models, which take thinking, signatures and media in different forms.

/// A generation of models, by what its API takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelGeneration {
    /// Gemini 1 and 2.0, and Gemma, which do not think.
    Plain,
    /// Gemini 2.5, which thinks by a number of tokens.
    Budget {
        /// The most tokens of thought.
        most: u64,
    },
    /// Gemini 3 and newer, which think by levels, sign calls, and see images in the results of tools.
    Level,
}

impl ModelGeneration {
    /// Returns the generation of a model by its name; a name that says none is taken for a new model's.
    pub(super) fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        if name.starts_with("gemma-") {
            return Self::Plain;
        }
        let Some(version) = name.strip_prefix("gemini-") else { return Self::Level };
        match version {
            _ if version.starts_with("2.5-pro") => Self::Budget { most: 32_768 },
            _ if version.starts_with("2.5") => Self::Budget { most: 24_576 },
            _ if version.starts_with("1.") || version.starts_with("2.") => Self::Plain,
            _ => Self::Level,
        }
    }

    /// Tells whether it is Gemini 3 or newer.
    pub(super) fn is_current(self) -> bool {
        self == Self::Level
    }
}
