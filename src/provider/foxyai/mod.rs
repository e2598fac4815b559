//! foxyai
