//! The commands of the `rivulet` binary, one file each: arguments in, text out.

pub mod check;
pub mod load;
pub mod settings;
