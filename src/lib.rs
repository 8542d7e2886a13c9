//! Rivulet: a real-time streaming chat gateway between browsers and language models.
