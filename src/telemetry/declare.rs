//! How metrics are declared: one macro, so that what belongs to a metric stands in one place. Pure.

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What is counted.
    pub kind: Kind,
    /// What it is told apart by.
    pub labels: &'static [Label],
    /// What it says, in a sentence.
    pub help: &'static str,
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Something that happened so many times.
    Counter,
    /// How something stands.
    Gauge,
    /// Values by size: the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As Prometheus calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// What series of a metric are told apart by.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// All that there are. `None`: they are known when something is counted, and bounded all the same, by the
    /// configuration or the code.
    pub values: Option<&'static [&'static str]>,
}

/// Constants with the names of metrics, and `TABLE` with all of them. The comment above a metric is what `/metrics` says
/// about it.
macro_rules! table {
    ($(
        $(#[doc = $help:literal])+
        $kind:ident $(($buckets:expr))? $constant:ident = $name:literal { $($label:ident $(= $values:expr)?),* $(,)? }
    )*) => {
        $($(#[doc = $help])+ pub const $constant: &str = $name;)*

        /// All metrics.
        pub const TABLE: &[Metric] = &[$(
            Metric {
                name: $name,
                kind: declare::kind!($kind $(($buckets))?),
                labels: &[$(Label { name: stringify!($label), values: declare::values!($($values)?) }),*],
                help: concat!($($help),+),
            }
        ),*];
    };
}

macro_rules! kind {
    (counter) => {
        Kind::Counter
    };
    (gauge) => {
        Kind::Gauge
    };
    (histogram($buckets:expr)) => {
        Kind::Histogram($buckets)
    };
}

macro_rules! values {
    () => {
        None
    };
    ($values:expr) => {
        Some(&$values)
    };
}

pub(super) use {kind, table, values};
