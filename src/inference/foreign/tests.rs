//! Files as others might save them, small, whole and spoilt; and one that our own graph code writes.
