//! How settings are declared: two macros, so that what belongs to a setting stands in one place. Pure.

/// A section of the file as a struct, one line a setting: `name: Type = default, kind;`. The kind is one of
/// [`Kind`](super::key::Kind) and says what a value must be; `as "other"` gives the setting another name than the
/// field. `KEYS` lists them, each with its section before it.
macro_rules! section {
    ($(#[$about:meta])* $section:literal $struct:ident {
        $($(#[$doc:meta])* $field:ident $(as $other:literal)?: $type:ty = $default:expr, $kind:expr;)*
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, serde::Deserialize, PartialEq)]
        #[serde(default, deny_unknown_fields)]
        pub struct $struct {
            $($(#[$doc])* $(#[serde(rename = $other)])? pub $field: $type,)*
        }

        impl Default for $struct {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }

        impl $struct {
            pub(super) const KEYS: &[Key] =
                &[$(Key { section: $section, name: declare::name!($field $($other)?), kind: $kind }),*];
        }
    };
}

/// The name of a setting: its field's, unless it has another.
macro_rules! name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $other:literal) => {
        $other
    };
}

/// An enum whose variants are written as these texts; `NAMES` lists them.
macro_rules! choice {
    ($(#[$about:meta])* $enum:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, serde::Deserialize, PartialEq, Eq)]
        pub enum $enum {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl $enum {
            pub(super) const NAMES: &[&str] = &[$($name),*];

            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As it is written.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

pub(super) use {choice, name, section};
