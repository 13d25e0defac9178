//! stoa-loader
