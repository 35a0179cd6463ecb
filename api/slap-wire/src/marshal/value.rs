//! Python's values, as far as SLAP has them: equal and shown as in Python.

use std::fmt;
use std::hash::{Hash, Hasher};

/// A Python value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// `None`.
    None,
    /// `bool`.
    Bool(bool),
    /// `int` of 64 bits.
    Int(i64),
    /// `int` beyond 64 bits.
    Long(Long),
    /// `float`.
    Float(Float),
    /// `str`.
    Str(String),
    /// `list`.
    List(Vec<Value>),
    /// `tuple`.
    Tuple(Vec<Value>),
    /// `set`, in the order of the document.
    Set(Vec<Value>),
    /// `dict`, in the order of the document; no key twice after [`read`](super::read).
    Dict(Vec<(Value, Value)>),
    /// An instance of a class.
    Object(Box<Object>),
}

/// An instance of a Python class, as its parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// Such as `slapos.slap.slap`.
    pub module: String,
    /// Such as `Computer`.
    pub class: String,
    /// The arguments of its constructor.
    pub initargs: Vec<Value>,
    /// Its attributes.
    pub state: Vec<(Value, Value)>,
}

/// An integer beyond 64 bits, as its canonical decimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Long(pub(super) String);

impl fmt::Display for Long {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A Python float: equal if the bits are equal, shown as Python's `repr` shows it.
#[derive(Clone, Copy, Debug)]
pub struct Float(pub f64);

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Float {}

impl Hash for Float {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_finite() {
            return f.write_str(if self.0.is_nan() {
                "nan"
            } else if self.0 > 0.0 {
                "inf"
            } else {
                "-inf"
            });
        }
        let (mantissa, exponent) = shortest(self.0);
        let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa.as_str()), |rest| ("-", rest));
        f.write_str(sign)?;
        let digits = mantissa.replace('.', "");
        match usize::try_from(exponent) {
            Ok(point @ 0..16) if digits.len() <= point + 1 => write!(f, "{digits:0<0$}.0", point + 1),
            Ok(point @ 0..16) => write!(f, "{}.{}", &digits[..=point], &digits[point + 1..]),
            Err(_) if exponent >= -4 => {
                let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
                write!(f, "0.{:0<zeros$}{digits}", "")
            }
            _ => {
                let sign = if exponent < 0 { '-' } else { '+' };
                write!(f, "{mantissa}e{sign}{:02}", exponent.unsigned_abs())
            }
        }
    }
}

/// The digits and the exponent of the scientific form that Python takes: as few digits as read back as the same number
/// and, where two of that length do and are equally near, the even one. Rust takes either of those two.
fn shortest(number: f64) -> (String, i32) {
    let parts = |form: &str| {
        let (mantissa, exponent) = form.split_once('e').unwrap_or((form, "0"));
        (mantissa.to_owned(), exponent.parse().unwrap_or(0))
    };
    let short = format!("{number:e}");
    let digits = parts(&short).0.bytes().filter(u8::is_ascii_digit).count();
    let even = format!("{number:.*e}", digits.saturating_sub(1));
    let same = even.parse::<f64>().is_ok_and(|read| read.to_bits() == number.to_bits());
    parts(if same { &even } else { &short })
}

impl Value {
    /// A dictionary whose keys are texts.
    pub fn dict<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Dict(pairs.into_iter().map(|(key, value)| (Self::Str(key.into()), value)).collect())
    }

    /// The text of a `str`.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    /// The items of a `list` or `tuple`.
    pub fn as_items(&self) -> Option<&[Self]> {
        if let Self::List(items) | Self::Tuple(items) = self { Some(items) } else { None }
    }

    /// The pairs of a `dict`.
    pub fn as_dict(&self) -> Option<&[(Self, Self)]> {
        if let Self::Dict(pairs) = self { Some(pairs) } else { None }
    }

    /// The instance, if it is one.
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// What a `dict` has under a text.
    pub fn get(&self, key: &str) -> Option<&Self> {
        find(self.as_dict()?, key)
    }

    /// Python's truth: `shared_xml` may come as `False`, but also as the empty dictionary.
    pub fn is_true(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => value.0 != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => !items.is_empty(),
            Self::Dict(pairs) => !pairs.is_empty(),
            Self::Long(_) | Self::Object(_) => true,
        }
    }

    /// What Python calls the type, for error messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Long(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Set(_) => "set",
            Self::Dict(_) => "dict",
            Self::Object(_) => "object",
        }
    }
}

impl Object {
    /// The attribute of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        find(&self.state, name)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

fn find<'a>(pairs: &'a [(Value, Value)], key: &str) -> Option<&'a Value> {
    pairs.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
}
