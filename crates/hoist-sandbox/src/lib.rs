//! Namespaces, mounts and limits for one build.
