use std::{error::Error, fmt, str::FromStr};

/// A product of Mindee V2, which determines the format of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Product {
    /// Fields of a document.
    Extraction,
    /// The class of a document.
    Classification,
    /// Documents on a page.
    Crop,
    /// Documents in a file.
    Split,
    /// Words of each page.
    Ocr,
}

impl Product {
    /// All products.
    pub const ALL: &[Self] =
        &[Self::Extraction, Self::Classification, Self::Crop, Self::Split, Self::Ocr];

    /// Returns the name in paths of the API, such as `extraction`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Extraction => "extraction",
            Self::Classification => "classification",
            Self::Crop => "crop",
            Self::Split => "split",
            Self::Ocr => "ocr",
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Product {
    type Err = UnknownProduct;

    /// Parses a [name](Self::name).
    fn from_str(text: &str) -> Result<Self, UnknownProduct> {
        let found = Self::ALL.iter().copied().find(|product| product.name() == text);
        found.ok_or_else(|| UnknownProduct { name: text.to_owned() })
    }
}

/// The text is not the name of a [`Product`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProduct {
    name: String,
}

impl fmt::Display for UnknownProduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Product::ALL.iter().map(|product| product.name()).collect();
        let (name, names) = (self.name.escape_debug(), names.join(", "));
        write!(f, "unknown product '{name}'; use one of {names}")
    }
}

impl Error for UnknownProduct {}
