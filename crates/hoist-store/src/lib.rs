//! The store on disk, profiles and generations.
