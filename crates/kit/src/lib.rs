//! What a connector author uses: the traits, the HTTP client, the reader of facts, the loader.
