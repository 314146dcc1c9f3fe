//! Pure: the life of a job, and what an outcome means for it.

mod disposition;

pub use disposition::Disposition;
