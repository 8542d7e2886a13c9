//! Integration tests: one binary, because linking the gateway is slow.

mod upstream;
