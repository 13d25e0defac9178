//! A plugin's sign: a small mosaic drawn from the digest of its id, so that a reader knows it again.

use std::fmt::Write;

use stoa_core::{digest::Digest, id::PluginId};

/// Tiles a side. Five columns, mirrored, need the choices of three.
const SIDE: usize = 5;
/// From one tile to the next, in units of the drawing; a tile itself is one less, the rest is mortar.
const PITCH: usize = 9;
/// How many hues the style sheet knows (`.hue-0` …).
const HUES: u8 = 8;

/// The mosaic of `id` as an SVG element. It uses nothing of the id but its digest, so it needs no escaping.
pub(crate) fn svg(id: &PluginId) -> String {
    let digest = Digest::of(id.to_string().as_bytes());
    let bytes = digest.as_bytes();
    let (mut dark, mut light) = (String::new(), String::new());
    for row in 0..SIDE {
        for column in 0..SIDE {
            let choice = bytes[row * SIDE.div_ceil(2) + column.min(SIDE - 1 - column)];
            let path = match choice % 5 {
                0 | 1 => &mut dark,
                2 => &mut light,
                _ => continue,
            };
            let (x, y, tile) = (column * PITCH + 1, row * PITCH + 1, PITCH - 1);
            write!(path, "M{x} {y}h{tile}v{tile}H{x}z").expect("writing to a string");
        }
    }
    let (hue, size) = (bytes[31] % HUES, SIDE * PITCH + 1);
    format!(
        "<svg class=\"mosaic hue-{hue}\" viewBox=\"0 0 {size} {size}\" aria-hidden=\"true\">\
         <path d=\"{dark}\"/><path class=\"light\" d=\"{light}\"/></svg>"
    )
}
